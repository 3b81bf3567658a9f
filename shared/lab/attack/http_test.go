package attack

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
	"esignhooks/shared/wiring/localhost"
)

// gateway returns localhost's handler, with every provider's key and token. No server runs.
func gateway(t testing.TB) (*localhost.Gateway, *bytes.Buffer) {
	t.Helper()
	config, log := localhost.Config{Port: "0", Data: t.TempDir(), Keys: map[string]localhost.Keys{}}, &bytes.Buffer{}
	for _, p := range provider.All() {
		config.Keys[p.Info().Name] = localhost.Keys{Keys: keysOf(p, true)}
	}
	g, err := localhost.Open(config, provider.All(), slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return g, log
}

// ask sends a request with exactly this path. An HTTP client would normalise it.
func ask(g http.Handler, method, path string, header http.Header, body []byte) *httptest.ResponseRecorder {
	raw, query, _ := strings.Cut(path, "?")
	r := httptest.NewRequest(method, "/", bytes.NewReader(body))
	r.Header = header.Clone()
	r.URL = &url.URL{Path: raw, RawPath: raw, RawQuery: query}
	if unescaped, err := url.PathUnescape(raw); err == nil {
		r.URL.Path = unescaped
	}
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, r)
	return answer
}

// genuine returns an example of p, signed with its key.
func genuine(t *testing.T, p webhook.Provider) *webhook.Request {
	t.Helper()
	name, err := sample.Completed(p)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := sample.Request(p, name, "", webhook.NewSecret(keyOf(p)), webhooktest.ReceivedAt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOtherPathsAreNotFound sends genuine requests to paths that differ from the provider's path with its token.
func TestOtherPathsAreNotFound(t *testing.T) {
	g, log := gateway(t)
	for _, p := range provider.All() {
		r := genuine(t, p)
		for _, other := range provider.All() {
			name, token := p.Info().Name, tokenOf(p)
			if name == other.Info().Name {
				continue
			}
			elsewhere := "/webhooks/" + other.Info().Name
			for _, path := range []string{
				"/webhooks/NAME", "/webhooks/NAME/", "/webhooks/NAME//", "/webhooks/NAME//TOKEN", "//webhooks/NAME/TOKEN",
				"/webhooks//NAME/TOKEN", "/webhooks/NAME/TOKEN//",
				"/./webhooks/NAME/TOKEN", "/webhooks/./NAME/TOKEN", "/webhooks/NAME/./TOKEN", "/webhooks/NAME/TOKEN/.",
				"/webhooks/NAME/TOKEN/..", "/webhooks/NAME/x/../TOKEN",
				elsewhere + "/../NAME/TOKEN", elsewhere + "/TOKEN", elsewhere + "/%2e%2e/NAME/TOKEN", elsewhere +
					"%2f..%2fNAME/TOKEN", elsewhere + "/..%2fNAME%2fTOKEN", elsewhere + `\..\NAME\TOKEN`,
				"/webhooks/NAME%2FTOKEN", "/webhooks/NAME%2fTOKEN", "/webhooks%2FNAME%2FTOKEN", "/webhooks/NAME/TOKEN%2F",
				"/webhooks/NAME/%2FTOKEN", "/webhooks/NAME/TOKEN%00", "/webhooks/NAME/TOKEN%20",
				"/webhooks/NAME/TOKEN%0a", "/webhooks/NAME/TOKEN%0d%0aX:y", "/webhooks/NAME/TOKEN%2500", "/webhooks/NAME/%2554OKEN",
				"/webhooks/NAME/TOKEN;x=1", "/webhooks/NAME;x=1/TOKEN", "/webhooks/NAME/TOKEN,TOKEN",
				"/webhooks/NAME%00/TOKEN", "/webhooks/NAME%20/TOKEN", "/webhooks/NAME./TOKEN", "/webhooks/NAME.json/TOKEN",
				"/webhooks/CAPITALS/TOKEN", "/Webhooks/NAME/TOKEN", "/WEBHOOKS/NAME/TOKEN",
				"/webhooks/NAME/TOKENx", "/webhooks/NAME/xTOKEN", "/webhooks/NAME/{token}", "/webhooks/NAME/*",
				"/webhooks/NAME/REDACTED", "/webhooks/NAME/TOKEN/x", "/webhooks/NAME/x/TOKEN",
				"/webhooks/NAME?token=TOKEN", "/webhooks/NAME/?TOKEN", "/webhooks/TOKEN/NAME", "/NAME/TOKEN", "/TOKEN",
				"/webhooks/nobody/TOKEN", "/webhooks/%zz/TOKEN", "/webhooks/NAME/%zz", "/prod/webhooks/NAME/TOKEN",
				"/webhooks/NAME/" + tokenOf(other), "/webhooks/\u202eNAME/TOKEN", "/webhooks/NAME/TOKEN\u200b",
				"/webhooks/NAME\x00/TOKEN",
			} {
				path = strings.NewReplacer("NAME", name, "TOKEN", token, "CAPITALS", strings.ToUpper(name)).Replace(path)
				for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
					a := ask(g, method, path, r.Header, r.Body)
					shown := fmt.Sprint(a.Header(), a.Body)
					if a.Code != http.StatusNotFound || a.Header().Get("Location") != "" || strings.Contains(shown, canary) {
						t.Errorf("%s %s: %d %v %.100s", method, path, a.Code, a.Header(), a.Body)
					}
				}
			}
		}
	}
	// the host is not localhost
	if a := ask(g, http.MethodGet, "/api/events", http.Header{}, nil); a.Code != http.StatusNotFound {
		t.Errorf("the read API answers %d to example.com", a.Code)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/events", nil)
	r.Host = "localhost"
	a := httptest.NewRecorder()
	g.ServeHTTP(a, r)
	if a.Code != http.StatusOK || strings.TrimSpace(a.Body.String()) != `{"events":[]}` {
		t.Errorf("left a trace: %d %s", a.Code, a.Body)
	}
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log contains a secret: %s", log)
	}
}

// TestEquivalentPathsAreServed shows that the right path is served in all its spellings.
func TestEquivalentPathsAreServed(t *testing.T) {
	g, _ := gateway(t)
	for _, p := range provider.All() {
		r, base, token := genuine(t, p), "/webhooks/"+p.Info().Name+"/", tokenOf(p)
		for _, path := range []string{base + token, base + token + "/", base + "%63" + token[1:]} {
			if a := ask(g, http.MethodPost, path, r.Header, r.Body); a.Code != http.StatusOK {
				t.Errorf("%s: %d", path, a.Code)
			}
		}
	}
}

// TestLocalhostTimesOutSlowRequests sends a header or a body byte by byte. In AWS, API Gateway times out such requests.
func TestLocalhostTimesOutSlowRequests(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(),
		filepath.Join(webhooktest.Root(t), "shared/wiring/localhost/gateway.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	servers := 0
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if s, ok := literal.Type.(*ast.SelectorExpr); !ok || s.Sel.Name != "Server" {
			return true
		}
		servers++
		set := map[string]bool{}
		for _, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				set[pair.Key.(*ast.Ident).Name] = true
			}
		}
		for _, limit := range []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout"} {
			if !set[limit] {
				t.Errorf("the server has no %s", limit)
			}
		}
		return true
	})
	if servers != 1 {
		t.Errorf("%d servers", servers)
	}
}
