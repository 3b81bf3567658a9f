package refusal_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// TestCausesAreOrdered plants two mistakes at a time.
func TestCausesAreOrdered(t *testing.T) {
	p := docusign.Provider{}
	keys := webhook.Keys{Keys: webhook.Secrets("key"), URLTokens: webhook.Secrets("token")}
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(`{"envelopeSummary":1}`)}
	if err := p.Sign(r, webhook.NewSecret("key\n"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	r.Header["X-Other"] = r.Header["X-Docusign-Signature-1"]
	r.Header.Set("Content-Encoding", "person@example.com") // no encoding, and never shown
	delete(r.Header, "X-Docusign-Signature-1")
	var codes []string
	for _, cause := range refusal.Explain(p, provider.All(), r, keys) {
		codes = append(codes, cause.Code)
	}
	if got := strings.Join(codes, " "); got != "url-token-missing other-header key-whitespace" {
		t.Error(got)
	}
}

// TestAMissingCertificateIsExplained expects the cause first, and no other cause if nothing else is wrong.
func TestAMissingCertificateIsExplained(t *testing.T) {
	p := docusign.Provider{}
	keys := webhook.Keys{Keys: webhook.Secrets("key")}
	var err error
	if keys.Certificates, err = webhook.ParseClientCertificates("mtls.example.com", "CN=a"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, domain, subject, key string
		codes, hint                  string
	}{
		"no certificate":    {"POST", "mtls.example.com", "", "key", "client-certificate-missing", "make urls"},
		"the other domain":  {"POST", "hooks.example.com", "CN=a", "key", "client-certificate-missing", "make urls"},
		"a foreign subject": {"POST", "mtls.example.com", "CN=b\n,O=x", "key", "client-certificate-missing", "subject, CN=b\\0A,O=x, is"},
		"a wrong key too": {"POST", "mtls.example.com", "", "other", "client-certificate-missing wrong-key",
			"did not come by mtls.example.com"},
		"another method":    {"GET", "mtls.example.com", "", "key", "", ""},
		"the right subject": {"POST", "mtls.example.com", "CN=a", "other", "wrong-key", ""},
	} {
		r := &webhook.Request{Method: tt.method, Header: http.Header{}, Body: []byte(`{"envelopeSummary":1}`)}
		if err := p.Sign(r, webhook.NewSecret(tt.key), time.Time{}); err != nil {
			t.Fatal(err)
		}
		r.Domain, r.ClientSubject = tt.domain, tt.subject
		causes := refusal.Explain(p, provider.All(), r, keys)
		var codes []string
		for _, cause := range causes {
			codes = append(codes, cause.Code)
		}
		if got := strings.Join(codes, " "); got != tt.codes || got != "" && !strings.Contains(causes[0].Hint, tt.hint) {
			t.Errorf("%s: %v", name, causes)
		}
	}
}

// TestWorkIsLimited explains a large body, whose key has white space at its end, under many keys: hashing it under all
// spellings of all keys would find that.
func TestWorkIsLimited(t *testing.T) {
	p := docusign.Provider{}
	var keys webhook.Keys
	for i := range 50 {
		keys.Keys = append(keys.Keys, webhook.NewSecret(fmt.Sprint("key ", i)))
	}
	for size, want := range map[int]string{1 << 10: refusal.KeyWhitespace, 300 << 10: refusal.WrongKey} {
		r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: bytes.Repeat([]byte("a"), size)}
		if err := p.Sign(r, webhook.NewSecret("key 7\n"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := refusal.Explain(p, nil, r, keys); len(got) == 0 || got[0].Code != want {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

// FuzzExplain checks that whatever is refused has causes, in order.
func FuzzExplain(f *testing.F) {
	f.Add([]byte(`{"event":{"event_time":"1","event_type":"a","event_hash":"b"}}`), "t=1, s0=00", "key", "token")
	f.Add([]byte("<?xml version=\"1.0\"?><a>\r\n<b/></a>"), "sha256=YQ==", " \"key=", "")
	f.Add([]byte("\xff\xfe{\x00}\x00"), "", "6b6579", "{token}")
	f.Fuzz(func(t *testing.T, body []byte, signature, key, token string) {
		for _, p := range provider.All() {
			r := &webhook.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
				URLToken: token}
			for _, name := range []string{"X-Docusign-Signature-1", "X-Boldsign-Signature", "X-Tsign-Open-Signature",
				"X-Tsign-Open-Timestamp", "Content-Sha256", "X-Other", "X-Adobesign-Clientid"} {
				r.Header[name] = []string{signature}
			}
			keys := webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(key)}}
			if token != "" {
				keys.URLTokens = webhook.Secrets("another token")
			}
			r.TokenMatched = webhook.Any(keys.URLTokens, token)
			_, challenge := p.Challenge(r, keys)
			if _, err := p.Verify(r, keys); challenge == nil || err == nil && len(keys.URLTokens) == 0 {
				continue // it is not refused
			}
			causes := refusal.Explain(p, provider.All(), r, keys)
			if len(causes) == 0 {
				t.Errorf("%s: no cause", p.Info().Name)
			}
			for _, cause := range causes {
				if cause.Code == "" || cause.Hint == "" {
					t.Errorf("%s: %+v", p.Info().Name, cause)
				}
			}
		}
	})
}

// costly are requests that could cost much, by what is special. A Dropbox Sign callback has event_hash in each of them.
func costly(tb testing.TB, p webhook.Provider) map[string]*webhook.Request {
	const event = `"event":{"event_time":"1","event_type":"a","event_hash":"@hash@"},`
	dense := strings.Repeat(`"ключ/<&>":["значение",{"a":1.50,"b":null}],`, 20)
	bodies := map[string]string{
		"deep":      `{` + event + `"a":` + strings.Repeat("[", 9000) + strings.Repeat("1,", 20000) + "1" + strings.Repeat("]", 9000) + "}",
		"60 levels": `{` + event + `"a":` + strings.Repeat("[", 60) + strings.Repeat("1,", 20000) + "1" + strings.Repeat("]", 60) + "}",
		"headers":   `{` + event + `"z":0}`,
	}
	for _, size := range []int{2, 20, 60, 250, 1000, 8000} {
		bodies[fmt.Sprint(size, " KB")] = "{" + event + strings.Repeat(dense, size<<10/len(dense)) + `"z":0}`
	}
	bodies["XML"] = "<?xml version=\"1.0\"?>\n<a>" + strings.Repeat("<b c='1'></b>\n<d/>", 3000) + "</a>"
	requests := map[string]*webhook.Request{}
	for name, body := range bodies {
		r := &webhook.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
		if err := p.Sign(r, webhook.NewSecret("another"), time.Unix(1, 0)); err != nil && name != "XML" {
			tb.Fatal(err)
		}
		r.Header["Content-Sha256"] = []string{base64.StdEncoding.EncodeToString(make([]byte, 64))}
		if name == "headers" {
			for i := range 100 {
				r.Header[fmt.Sprint("X-A", i)] = []string{strings.Repeat("a=b=c=d,", 120), strings.Repeat("%25=", 250)}
			}
		}
		requests[name] = r
	}
	return requests
}

// TestMemoryIsLimited finds that no request makes an explanation allocate much, in a function of 256 MB.
func TestMemoryIsLimited(t *testing.T) {
	keys := webhook.Keys{Keys: webhook.Secrets("key")}
	for _, p := range provider.All() {
		for name, r := range costly(t, p) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			refusal.Explain(p, provider.All(), r, keys)
			runtime.ReadMemStats(&after)
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 40<<20 {
				t.Errorf("%s, %s: %d MB", p.Info().Name, name, cost>>20)
			}
		}
	}
}

// BenchmarkExplain measures requests that could cost much, and many keys.
func BenchmarkExplain(b *testing.B) {
	for _, keys := range []int{1, 2, 100} {
		var configured webhook.Keys
		for i := range keys {
			configured.Keys = append(configured.Keys, webhook.NewSecret(fmt.Sprint("key ", i)))
		}
		for _, p := range provider.All() {
			for name, r := range costly(b, p) {
				b.Run(fmt.Sprintf("%s/%s/%d keys", p.Info().Name, name, keys), func(b *testing.B) {
					for b.Loop() {
						refusal.Explain(p, provider.All(), r, configured)
					}
				})
			}
		}
	}
}
