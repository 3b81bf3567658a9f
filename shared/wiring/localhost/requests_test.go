package localhost

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/webhook"
)

// explaining is AcmeSign with one cause for everything.
type explaining struct{ acmesign.Provider }

func (explaining) Explain(*webhook.Request, webhook.Keys) []webhook.Refusal {
	return []webhook.Refusal{{Code: "wrong-key", Hint: "Compare key-4f1c/+ä."}}
}

// ask sends a request to the gateway, from this machine.
func (g *Gateway) ask(method, target, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost", strings.NewReader(body))
	r.URL, _ = url.Parse(target)
	r.Host = "localhost"
	for name, values := range header {
		r.Header[name] = values
	}
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, r)
	return answer
}

// read reads a path of the read API.
func read[T any](t *testing.T, g *Gateway, path string) (v T) {
	t.Helper()
	answer := g.ask("GET", path, "", nil)
	if err := json.Unmarshal(answer.Body.Bytes(), &v); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", path, answer.Code, answer.Body, err)
	}
	return v
}

type listedRequests struct {
	Requests []Request
	Next     string
}

func genuine(number int64) (body string, header http.Header) {
	r := acmesign.Request(acmesign.Event{Number: number, Type: "completed", Agreement: "a1",
		At: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)})
	return string(r.Body), r.Header
}

func TestRequestsAreListed(t *testing.T) {
	const path = "/webhooks/acmesign/token-1"
	g := openWith(t, map[string]string{"DATA": t.TempDir(), "ACMESIGN_URL_TOKENS": "token-0,token-1"}, explaining{})
	body, signed := genuine(1)
	unreadable := &webhook.Request{Header: http.Header{}, Body: []byte("?")}
	acmesign.Provider{}.Sign(unreadable, webhook.NewSecret(acmesign.Provider{}.Info().DevelopmentKey), time.Time{})
	for i, tt := range []struct {
		behaviour, method, path, body string
		header                        http.Header
		want                          Request
		steps                         string // those that are not skipped, the failed one with "!"
	}{
		{"a new event", "POST", path, body, signed, Request{Status: 200, Outcome: "accepted", State: "received"},
			"url-token size keys verify identify claim enqueue"},
		{"a copy", "POST", path, body, signed, Request{Status: 200, Outcome: "duplicate", State: "received"},
			"url-token size keys verify identify claim enqueue"},
		{"what cannot be read", "POST", path, "?", unreadable.Header,
			Request{Status: 200, Outcome: "unreadable", State: "received"},
			"url-token size keys verify identify claim enqueue"},
		{"a verification of the URL", "POST", path, `{"challenge":"x"}`, nil, Request{Status: 200, Outcome: "challenge"},
			"url-token size challenge"},
		{"a forgery", "POST", path, body, nil,
			Request{Status: 401, Outcome: "refused", Causes: explaining{}.Explain(nil, webhook.Keys{})},
			"url-token size keys verify!"},
		{"a wrong token", "POST", "/webhooks/acmesign/old", body, signed,
			Request{Status: 404, Outcome: "refused", Causes: []webhook.Refusal{{Code: "url-token-wrong"}}}, "url-token!"},
		{"no token", "POST", "/webhooks/acmesign", body, signed,
			Request{Status: 404, Outcome: "refused", Causes: []webhook.Refusal{{Code: "url-token-missing"}}}, "url-token!"},
		{"a longer path", "POST", path + "/x", body, signed, Request{Status: 404, Outcome: "refused"}, "url-token!"},
		{"another method", "PUT", path, body, signed, Request{Status: 405, Outcome: "refused"}, "url-token method!"},
		{"a GET", "GET", path, "", nil, Request{Status: 405, Outcome: "refused"}, "url-token method!"},
		{"a body over the limit", "POST", path, strings.Repeat(" ", webhook.MaxBody+1), signed,
			Request{Status: 413, Outcome: "refused", BodyCut: true}, "size!"},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			g.ask(tt.method, tt.path, tt.body, tt.header)
			list := read[listedRequests](t, g, "/api/requests").Requests
			if len(list) != i+1 {
				t.Fatalf("listed %d requests, want %d", len(list), i+1)
			}
			got := list[0]
			want := tt.want
			want.Provider, want.Method, want.BodyBytes = "acmesign", tt.method, int64(len(tt.body))
			want.ID, want.ReceivedAt, want.DurationMS = got.ID, got.ReceivedAt, got.DurationMS
			if want.EventIDs = []string{}; want.State != "" {
				want.EventIDs, want.Proof = got.EventIDs, "signed"
			}
			for i, cause := range got.Causes {
				if i < len(want.Causes) && want.Causes[i].Hint == "" && cause.Hint != "" {
					want.Causes[i].Hint = cause.Hint
				}
			}
			if want.Causes == nil {
				want.Causes = []webhook.Refusal{}
			}
			if tt.body == body && want.State != "" {
				want.VendorType, want.AgreementID = "completed", "a1"
			}
			if diff := cmp.Diff(want, got); diff != "" || len(got.EventIDs) != len(want.State)/8 {
				t.Error(diff, got.EventIDs)
			}
			one := read[inspected](t, g, "/api/requests/"+got.ID)
			var steps []string
			for _, s := range one.Steps {
				if s.Result != "skipped" {
					steps = append(steps, s.Name+map[string]string{"failed": "!"}[s.Result])
				}
			}
			if diff := cmp.Diff(tt.steps, strings.Join(steps, " ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(got, one.Request); diff != "" || one.Answer.Status != got.Status ||
				!strings.HasPrefix(tt.body, one.Body) || len(one.Body) < min(len(tt.body), 64<<10) {
				t.Errorf("shown: %s, answered %+v, body %.100s", diff, one.Answer, one.Body)
			}
		})
	}
	if list := read[listedRequests](t, g, "/api/requests?provider=other"); len(list.Requests) != 0 {
		t.Errorf("%+v", list)
	}
	if g.ask("POST", "/webhooks/other", "", nil); len(read[listedRequests](t, g, "/api/requests").Requests) != 11 {
		t.Error("a request to nobody is listed")
	}
}

// An explanation has a rate limit. What was not looked for is null, what was not found is empty.
func TestCausesThatWereNotLookedForAreNull(t *testing.T) {
	g := openWith(t, map[string]string{"DATA": t.TempDir()}, explaining{})
	for range 10 {
		g.ask("POST", "/webhooks/acmesign", "", nil)
	}
	body := g.ask("GET", "/api/requests?limit=1", "", nil).Body.String()
	if !strings.Contains(body, `"causes":null,"eventIds":[]`) {
		t.Error(body)
	}
}

func TestPagesOfRequests(t *testing.T) {
	g := openWith(t, map[string]string{"DATA": t.TempDir()}, acmesign.Provider{})
	for range 503 {
		g.ask("PUT", "/webhooks/acmesign", "", nil)
	}
	var ids []string
	next, sizes := "", ""
	for more := true; more; more = next != "" {
		page := read[listedRequests](t, g, "/api/requests?limit=200&after="+next)
		for _, r := range page.Requests {
			ids = append(ids, r.ID[strings.LastIndex(r.ID, "-")+1:])
		}
		next, sizes = page.Next, sizes+fmt.Sprint(len(page.Requests), " ")
	}
	if sizes != "200 200 100 " || ids[0] != "503" || ids[499] != "4" {
		t.Errorf("pages of %s, from %s to %s", sizes, ids[0], ids[len(ids)-1])
	}
	for _, bad := range []string{"limit=0", "limit=-1", "limit=x", "after=%21", "after=eA"} {
		answer := g.ask("GET", "/api/requests?"+bad, "", nil)
		if name, _, _ := strings.Cut(bad, "="); answer.Code != 400 || !strings.HasPrefix(answer.Body.String(), name) {
			t.Errorf("%s: %d %s", bad, answer.Code, answer.Body)
		}
	}
	if answer := g.ask("GET", "/api/requests/x", "", nil); answer.Code != 404 {
		t.Errorf("an unknown request: %d", answer.Code)
	}
}

func TestSecretsOfRequestsAreMasked(t *testing.T) {
	const token, key = "token-1", "key-4f1c/+ä"
	g := openWith(t, map[string]string{
		"DATA": t.TempDir(), "ACMESIGN_URL_TOKENS": token, "ACMESIGN_KEYS": key + ",secondkey",
	}, explaining{})
	quoted, _ := json.Marshal(map[string]string{"key": key, "inner": `{"key":"key-4f1c\/+\u00e4"}`})
	all := []string{
		key, "secondkey", token, string(quoted), url.QueryEscape(key), url.QueryEscape(url.QueryEscape(key)),
		url.PathEscape(key), strings.ToLower(url.QueryEscape(key)), `key\u002d4f1c\/\u002b\u00E4`, "%74oken-1",
		"key-4f1c&#47;&#x2B;&#228;", "https://x.example/webhooks/acmesign/old-token?x",
		`https:\/\/x\/webhooks\/acmesign\/old-token`,
	}
	for i, body := range append(all, strings.Join(all, " "), "\xff"+key, strings.Repeat("x", maxKeptBody-4)+key) {
		header := http.Header{"X-Key": {body}, "Authorization": {"Basic xyz"}, http.CanonicalHeaderKey("x-" + token): {"1"}}
		query := url.Values{"key": {body}, token: {"x"}}.Encode()
		if i > len(all) {
			header, query = nil, ""
		}
		g.ask("POST", "/webhooks/acmesign/"+[]string{token, "old-token"}[i%2]+"?"+query, body, header)
		id := read[listedRequests](t, g, "/api/requests?limit=1").Requests[0].ID
		text := g.ask("GET", "/api/requests/"+id, "", nil).Body.String() + g.ask("GET", "/api/requests", "",
			nil).Body.String()
		for _, secret := range append(all, "old-token", "Basic", "4f1c", "key-", `a2V5`, "Token-1") {
			if strings.Contains(text, secret) {
				t.Errorf("%.200q: shows %q", body, secret)
			}
		}
	}
	causes := g.requests.mask.refusals(explaining{}.Explain(nil, webhook.Keys{}))
	if causes[0].Hint != "Compare REDACTED." {
		t.Error(causes)
	}
}

func TestTheDevelopmentKeyIsNoSecret(t *testing.T) {
	g := openWith(t, map[string]string{"DATA": t.TempDir()}, acmesign.Provider{})
	g.ask("POST", "/webhooks/acmesign", "development-acmesign-key", nil)
	if one := read[inspected](t, g, "/api/requests/"+g.requests.kept[0].id); one.Body != "development-acmesign-key" {
		t.Errorf("%+v", one)
	}
}

func TestABodyThatIsNoTextIsInBase64(t *testing.T) {
	g := openWith(t, map[string]string{"DATA": t.TempDir()}, acmesign.Provider{})
	for body, want := range map[string]string{
		"\xff\x00": "/wA=", "é": "é", strings.Repeat("é", 40<<10): strings.Repeat("é", 32<<10),
		"x" + strings.Repeat("é", 40<<10): "x" + strings.Repeat("é", 32<<10-1),
	} {
		g.ask("POST", "/webhooks/acmesign", body, nil)
		one := read[inspected](t, g, "/api/requests/"+g.requests.newest(0)[0].id)
		if one.Body != want || one.Base64 != (want == "/wA=") || one.BodyCut != (len(body) > len(want)+10) {
			t.Errorf("%.10q: %.10q, %v, %v", body, one.Body, one.Base64, one.BodyCut)
		}
	}
}

// Whatever comes, the kept requests take a bounded amount of memory. The oldest lose their bodies first.
func TestKeptRequestsAreBounded(t *testing.T) {
	q := newRequests(nil, time.Time{})
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(make([]byte, 1<<20))
	})
	send := func(body, header int) {
		r := httptest.NewRequest("POST", "/webhooks/acmesign?q="+strings.Repeat("x", header/8),
			strings.NewReader(strings.Repeat("x", body)))
		for i := range header / 1000 {
			r.Header.Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
		}
		q.serve(httptest.NewRecorder(), r, "acmesign", answer)
	}
	check := func(what string, bodies int) {
		t.Helper()
		size, kept := 0, 0
		for _, x := range q.newest(0) {
			size += x.size()
			if len(x.body) > maxKeptBody || headerSize(x.header)+len(x.url.RawQuery) > maxKeptHeader ||
				len(x.answer) > maxKeptAnswer {
				t.Fatalf("%s: kept a body of %d bytes, a header of %d", what, len(x.body), headerSize(x.header))
			}
			if len(x.body) > 0 {
				kept++
			} else if !x.bodyCut {
				t.Errorf("%s: a body is dropped, and bodyCut does not say so", what)
			}
		}
		if size != q.size || size > maxKept || len(q.kept) > maxRequests || kept < bodies {
			t.Errorf("%s: %d bytes counted as %d, %d requests, %d with bodies", what, size, q.size, len(q.kept), kept)
		}
	}
	for range 600 {
		send(1000, 0)
	}
	check("small bodies", 500)
	for range 500 {
		send(100_000, 0)
	}
	check("large bodies", 450)
	if x := q.kept[0]; len(x.body) > 0 || !x.bodyCut || x.header == nil {
		t.Error("the oldest has its body, or has lost its header")
	}
	for range 500 {
		send(100_000, 90_000)
	}
	check("large headers", 200)
	for range 500 {
		send(1000, 40_000)
	}
	check("smaller headers", 500)
	if x := q.kept[0]; x.headerCut || len(x.url.RawQuery) != 5002 {
		t.Error("a header is cut")
	}
}
