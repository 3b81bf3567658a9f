package attack

import (
	"bytes"
	"encoding/json"
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
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
	"esignhooks/shared/wiring/localhost"
)

func TestOtherMethodsReceiveNothing(t *testing.T) {
	attacks := map[string]attack{}
	for _, method := range []string{
		"HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "Post", " POST", "POST ", "POST\n", "POST\x00", "", "canary-method",
		"POST\r\nX: y", "\x1b[31mPOST", "\u2028", strings.Repeat("P", 100_000),
	} {
		attacks["method "+webhook.Label(method)] = attack{func(_ *world, r *webhook.Request) { r.Method = method }, badMethod, nil}
	}
	answered := map[string]string{"adobesign": ""} // a GET is Adobe's verification: see below
	attacks["GET with the genuine request"] = attack{func(_ *world, r *webhook.Request) { r.Method = http.MethodGet }, badMethod, answered}
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		attacks["PUT that says in "+header+" it is POST"] = attack{func(_ *world, r *webhook.Request) {
			r.Method = http.MethodPut
			r.Header.Set(header, http.MethodPost)
		}, badMethod, nil}
		attacks["POST that says in "+header+" it is GET"] = attack{func(_ *world, r *webhook.Request) { r.Header.Set(header, http.MethodGet) }, duplicate, nil}
	}
	attacks["POST whose query says it is GET"] = attack{func(_ *world, r *webhook.Request) { r.Query = url.Values{"_method": {"GET"}} }, duplicate, timeIsSigned}
	try(t, false, attacks)
}

// TestAVerificationLeavesNoTrace: a GET is answered, whatever it carries, and nothing comes of it.
func TestAVerificationLeavesNoTrace(t *testing.T) {
	for _, v := range vendors(t) {
		w := newWorld(t, v, keys(v, false))
		r := v.genuine()
		r.Method = http.MethodGet
		r.Header.Set("X-HTTP-Method-Override", http.MethodPost)
		before := w.trace()
		if a := w.send(r); a.status != http.StatusOK && a.status != http.StatusMethodNotAllowed || w.trace() != before {
			t.Errorf("%s: %d, and left %s", v.Info().Name, a.status, w.trace())
		}
		w.quiet(r)
	}
}

// TestOnlyAConfiguredClientIDIsEchoed: byte for byte, in whatever form a request names it. See [world.echo].
func TestOnlyAConfiguredClientIDIsEchoed(t *testing.T) {
	adobe := vendors(t)[0]
	if adobe.Info().Name != "adobesign" {
		t.Fatal(adobe.Info().Name)
	}
	key := keyOf(adobe)
	for value, want := range map[string]int{
		key: 200, " " + key + "\t": 200, key + "\r\n": 200, // what surrounds a value is not of it
		key + "\r\nSet-Cookie: a=b": 401, key + "\nSet-Cookie: a=b": 401, key + "\r": 200, key + "\r\r\n\nX: y": 401, "\r\n" + key: 200,
		key + "\u2028X: y": 401, key + "\u2029X: y": 401, key + "\u0085X: y": 401, key + "\u010aX: y": 401, key + "\u560d\u560aX: y": 401, // letters that lose a byte become line breaks
		key + "\x00": 401, key + "\x0b": 200, key + "\x0b" + key: 401, key + "\x7f": 401, key + "%0d%0aX: y": 401, key + `","x":"y`: 401, key + "<script>": 401,
		"\u200b" + key: 401, key + "\u00ad": 401, key + ", " + key: 401, "*": 401, "": 401, strings.ToUpper(key): 401, "ｃ" + key[1:]: 401, "с" + key[1:]: 401,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			w := newWorld(t, adobe, keys(adobe, false))
			r := adobe.genuine()
			r.Method, r.Header["X-Adobesign-Clientid"] = method, []string{value}
			a := w.send(r)
			if a.status != want && !(want == 200 && a.status == 401) { // API Gateway trims less than we do
				t.Errorf("%s %q: %d", method, value, a.status)
			}
			if a.status == 401 && (len(a.header) > 0 || a.body != "") {
				t.Errorf("%s %q: %v %q", method, value, a.header, a.body)
			}
		}
	}
}

func TestHeadersOfAllSizesDoNoHarm(t *testing.T) {
	many := func(n int, name func(i int) string, value string) func(*world, *webhook.Request) {
		return func(_ *world, r *webhook.Request) {
			for i := range n {
				r.Header.Add(name(i), value)
			}
		}
	}
	same := func(name string) func(int) string { return func(int) string { return name } }
	numbered := func(prefix string) func(int) string {
		return func(i int) string { return prefix + strings.Repeat("0", i) + "1" }
	}
	try(t, false, map[string]attack{
		"a value of a megabyte":               {many(1, same("X-Long"), strings.Repeat("x", 1<<20)), duplicate, nil},
		"a name of a megabyte":                {many(1, same("X-"+strings.Repeat("x", 1<<20)), "y"), duplicate, nil},
		"two thousand headers":                {many(2000, numbered("X-"), "y"), duplicate, nil},
		"one header a hundred thousand times": {many(100_000, same("X-Same"), "y"), duplicate, nil},
		"signatures without end":              {many(1000, numbered("X-DocuSign-Signature-2"), "y"), duplicate, nil},
		"a proof of a megabyte":               {func(w *world, r *webhook.Request) { w.spell(r, strings.Repeat("A", 1<<20)) }, refused, nil},
		"a proof that is a list of many":      {func(w *world, r *webhook.Request) { w.spell(r, strings.Repeat("A,", 1<<18)) }, refused, nil},
		"names with line breaks":              {many(1, same("X-Evil\r\nSet-Cookie: a=b"), "y"), duplicate, nil},
		"names that colour a terminal":        {many(1, same("\x1b[31m\x07"), "y"), duplicate, nil},
		"names of other alphabets":            {many(1, same("Ⅹ-é-\u202e-\u2028"), "y"), duplicate, nil},
		"values that end a line of JSON":      {many(3, same("X-Log"), "\"}\n{\"level\":\"ERROR\",\"msg\":\"canary\"}\n"), duplicate, nil},
		"an empty name":                       {many(2, same(""), "y"), duplicate, nil},
	})
}

func TestBodiesOverTheLimitAreRefusedWhateverTheyAre(t *testing.T) {
	sized := func(size int) func(*world, *webhook.Request) {
		return func(w *world, r *webhook.Request) {
			r.Body = append(r.Body, bytes.Repeat([]byte(" "), size-len(r.Body))...)
			w.spell(r, w.proof(keyOf(w.vendor), r))
		}
	}
	try(t, false, map[string]attack{
		"over the limit":              {sized(webhook.MaxBody + 1), tooLarge, nil},
		"over the limit and no proof": {func(w *world, r *webhook.Request) { sized(webhook.MaxBody+1)(w, r); r.Header.Del(w.header) }, tooLarge, nil},
	})
}

// TestNoFieldOfALogBreaksOut: what a vendor, or who poses as one, calls things stands in the log as one field of one line.
// See [world.quiet].
func TestNoFieldOfALogBreaksOut(t *testing.T) {
	evil := []string{
		"a\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\nb", "\x1b[2J\x1b[31mred", "\u2028\u2029\u0085", "a\",\"level\":\"ERROR", "\x00\x07\x7f", "${jndi:ldap://127.0.0.1/x}",
		"\u202etxt.exe", strings.Repeat("long", 30_000), "%n%s%d", "<script>alert(1)</script>",
	}
	words := map[string]func(k, what string) string{
		"adobesign": func(_, what string) string {
			return `{"event":` + what + `,"webhookId":` + what + `,"agreement":{"id":"a"}}`
		},
		"docusign": func(_, what string) string {
			return `{"event":` + what + `,"configurationId":` + what + `,"data":{"envelopeId":"a","recipientId":` + what + `}}`
		},
		"esignglobal": func(_, what string) string {
			return `{"callBackDesc":` + what + `,"callBackEnvelopeVO":{"envelopeId":"a"}}`
		},
	}
	for _, v := range vendors(t) {
		w := newWorld(t, v, keys(v, false))
		for _, what := range evil {
			quoted, err := json.Marshal(what)
			if err != nil {
				t.Fatal(err)
			}
			word := words[v.Info().Name]
			if word == nil { // its type is under event_hash: the signature over the whole is what remains
				word = func(k, what string) string { return v.message(k, `"account_guid":`+what+`,"OUTER":{"INNER":`+what+`}`) }
			}
			r := v.signed(keyOf(v), word(keyOf(v), string(quoted)))
			r.Header.Set("X-"+what, "y")
			if got := w.fate(r); got == refused || got == "" {
				t.Errorf("%s: %.40q: %s", v.Info().Name, what, got)
			}
			r.Method = what
			w.fate(r)
			if log := w.log.String(); len(log) > 40_000 || strings.Contains(log, "\u2028") || strings.Contains(log, "\u202e") && v.Info().Name != "dropboxsign" {
				t.Errorf("%s: %.40q: the log has %d bytes: %.300q", v.Info().Name, what, len(log), log)
			}
			w.log.Reset()
		}
	}
}

// gateway is localhost's, with every provider's key and token. It is not served: nothing of it ends.
func gateway(t testing.TB) (*localhost.Gateway, *bytes.Buffer) {
	t.Helper()
	config, log := localhost.Config{Port: "0", Data: t.TempDir(), Keys: map[string]localhost.Keys{}}, &bytes.Buffer{}
	for _, v := range vendors(t) {
		config.Keys[v.Info().Name] = localhost.Keys{Keys: keys(v, true)}
	}
	g, err := localhost.Open(config, provider.All(), slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return g, log
}

// ask sends r over HTTP to the path as it stands, without a client that would tidy it up.
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

// TestOnlyTheURLIsTheURL: no path but the provider's own and its token leads anywhere.
func TestOnlyTheURLIsTheURL(t *testing.T) {
	g, log := gateway(t)
	for _, v := range vendors(t) {
		for _, other := range vendors(t) {
			if v.Info().Name == other.Info().Name {
				continue
			}
			name, token := v.Info().Name, tokenOf(v)
			elsewhere := "/webhooks/" + other.Info().Name
			for _, path := range []string{
				"/webhooks/NAME", "/webhooks/NAME/", "/webhooks/NAME//", "/webhooks/NAME//TOKEN", "//webhooks/NAME/TOKEN", "/webhooks//NAME/TOKEN", "/webhooks/NAME/TOKEN//",
				"/./webhooks/NAME/TOKEN", "/webhooks/./NAME/TOKEN", "/webhooks/NAME/./TOKEN", "/webhooks/NAME/TOKEN/.", "/webhooks/NAME/TOKEN/..", "/webhooks/NAME/x/../TOKEN",
				elsewhere + "/../NAME/TOKEN", elsewhere + "/TOKEN", elsewhere + "/%2e%2e/NAME/TOKEN", elsewhere + "%2f..%2fNAME/TOKEN", elsewhere + "/..%2fNAME%2fTOKEN", elsewhere + `\..\NAME\TOKEN`,
				"/webhooks/NAME%2FTOKEN", "/webhooks/NAME%2fTOKEN", "/webhooks%2FNAME%2FTOKEN", "/webhooks/NAME/TOKEN%2F", "/webhooks/NAME/%2FTOKEN", "/webhooks/NAME/TOKEN%00", "/webhooks/NAME/TOKEN%20",
				"/webhooks/NAME/TOKEN%0a", "/webhooks/NAME/TOKEN%0d%0aX:y", "/webhooks/NAME/TOKEN%2500", "/webhooks/NAME/%2554OKEN", "/webhooks/NAME/TOKEN;x=1", "/webhooks/NAME;x=1/TOKEN", "/webhooks/NAME/TOKEN,TOKEN",
				"/webhooks/NAME%00/TOKEN", "/webhooks/NAME%20/TOKEN", "/webhooks/NAME./TOKEN", "/webhooks/NAME.json/TOKEN", "/webhooks/CAPITALS/TOKEN", "/Webhooks/NAME/TOKEN", "/WEBHOOKS/NAME/TOKEN",
				"/webhooks/NAME/TOKENx", "/webhooks/NAME/xTOKEN", "/webhooks/NAME/{token}", "/webhooks/NAME/*", "/webhooks/NAME/REDACTED", "/webhooks/NAME/TOKEN/x", "/webhooks/NAME/x/TOKEN",
				"/webhooks/NAME?token=TOKEN", "/webhooks/NAME/?TOKEN", "/webhooks/TOKEN/NAME", "/NAME/TOKEN", "/TOKEN", "/webhooks/nobody/TOKEN", "/webhooks/%zz/TOKEN", "/webhooks/NAME/%zz", "/prod/webhooks/NAME/TOKEN",
				"/webhooks/NAME/" + tokenOf(other), "/webhooks/\u202eNAME/TOKEN", "/webhooks/NAME/TOKEN\u200b", "/webhooks/NAME\x00/TOKEN",
			} {
				path = strings.NewReplacer("NAME", name, "TOKEN", token, "CAPITALS", strings.ToUpper(name)).Replace(path)
				for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
					a := ask(g, method, path, v.genuine().Header, v.genuine().Body)
					if a.Code != http.StatusNotFound || a.Header().Get("Location") != "" || strings.Contains(a.Body.String(), canary) || a.Header().Get("X-AdobeSign-ClientId") != "" {
						t.Errorf("%s %s: %d %v %.100s", method, path, a.Code, a.Header(), a.Body)
					}
				}
			}
		}
	}
	if a := ask(g, http.MethodGet, "/api/events", http.Header{}, nil); a.Code != http.StatusNotFound { // the host is not localhost
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
		t.Errorf("the log tells %s", log)
	}
}

// TestTheURLIsTheURL: what the attacks above are held against.
func TestTheURLIsTheURL(t *testing.T) {
	g, _ := gateway(t)
	for _, v := range vendors(t) {
		for _, path := range []string{"/webhooks/" + v.Info().Name + "/" + tokenOf(v), "/webhooks/" + v.Info().Name + "/" + tokenOf(v) + "/", "/webhooks/" + v.Info().Name + "/%63" + tokenOf(v)[1:]} {
			if a := ask(g, http.MethodPost, path, v.genuine().Header, v.genuine().Body); a.Code != http.StatusOK {
				t.Errorf("%s: %d", path, a.Code)
			}
		}
	}
}

// TestLocalhostsServerDoesNotWaitForEver: for a body, or a header, that comes byte by byte. In AWS that is API Gateway's.
func TestLocalhostsServerDoesNotWaitForEver(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(webhooktest.Root(t), "shared/wiring/localhost/gateway.go"), nil, 0)
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
