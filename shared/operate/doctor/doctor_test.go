package doctor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

func find(t *testing.T, name string) webhook.Provider {
	t.Helper()
	p, ok := webhook.Find(provider.All(), name)
	if !ok {
		t.Fatalf("no provider %s", name)
	}
	return p
}

// patient has a key of its own, and a URL token if it needs one.
func patient(t *testing.T, name string) doctor.Patient {
	p := doctor.Patient{
		Provider: find(t, name), Keys: webhook.Keys{Keys: webhook.Secrets("canary-key-of-the-vendor")},
		Place: "$KEYS", TokenPlace: "$TOKENS", ClientErr: vendorapi.ErrOff,
	}
	if !p.Provider.Info().SignsAll {
		p.Keys.URLTokens = webhook.Secrets("canary-token")
	}
	return p
}

// gateway answers as the product does. Requests may arrive changed, and answers may be changed.
type gateway struct {
	doctor.Patient
	arrived map[string]bool
	change  func(w *httptest.ResponseRecorder)
	stored  int
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.arrived[r.Header.Get(doctor.NonceHeader)] = true
	body, _ := io.ReadAll(r.Body)
	answer := httptest.NewRecorder()
	g.answer(answer, &webhook.Request{Method: r.Method, Header: r.Header, Query: r.URL.Query(), Body: body}, r.URL.Path)
	if g.change != nil {
		g.change(answer)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

func (g *gateway) answer(w http.ResponseWriter, r *webhook.Request, path string) {
	r.TokenMatched = len(g.Keys.URLTokens) > 0
	if r.TokenMatched && !strings.HasSuffix(path, "/canary-token") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer, err := g.Provider.Challenge(r, g.Keys)
	if errors.Is(err, webhook.ErrNoChallenge) && r.Method == http.MethodPost {
		if _, err = g.Provider.Verify(r, g.Keys); err == nil {
			g.stored++
			answer = g.Provider.Acknowledge(r)
		}
	}
	switch {
	case errors.Is(err, webhook.ErrNoChallenge):
		w.WriteHeader(http.StatusMethodNotAllowed)
	case err != nil:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Status)
		w.Write(answer.Body)
	}
}

// examine examines a patient through a tunnel to its gateway. at moves the clock, and change what the doctor knows.
func examine(t *testing.T, p doctor.Patient, change func(*httptest.Server, *gateway, *doctor.Doctor, *doctor.Patient),
) (levels map[string]doctor.Level, report string, g *gateway) {
	t.Helper()
	g = &gateway{Patient: p, arrived: map[string]bool{}}
	tunnel := httptest.NewUnstartedServer(g)
	tunnel.Config.ErrorLog = log.New(io.Discard, "", 0)
	tunnel.StartTLS()
	t.Cleanup(tunnel.Close)
	roots := tunnel.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	d := &doctor.Doctor{Now: func() time.Time { return time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC) }, Roots: roots,
		Arrived: func(_ context.Context, nonce string) bool { return g.arrived[nonce] }}
	address, err := doctor.Address(tunnel.URL, p.Provider, p.Keys)
	if err != nil {
		t.Fatal(err)
	}
	p.Address = address
	if change != nil {
		change(tunnel, g, d, &p)
	}
	findings := d.Examine(t.Context(), []doctor.Patient{p}, []doctor.Patient{p})
	levels = map[string]doctor.Level{}
	for _, f := range findings {
		levels[f.Check] = f.Level
	}
	var b bytes.Buffer
	failed := doctor.Report(&b, findings)
	for check, level := range levels {
		if level == doctor.Failure && failed == nil {
			t.Errorf("%s failed, and the report did not", check)
		}
	}
	if report = b.String(); strings.Contains(report, "canary") {
		t.Errorf("a secret is shown:\n%s", report)
	}
	return levels, report, g
}

func TestHealthyWebhooks(t *testing.T) {
	for _, p := range provider.All() {
		for _, production := range []bool{false, true} {
			levels, report, g := examine(t, patient(t, p.Info().Name), func(_ *httptest.Server, _ *gateway, d *doctor.Doctor,
				_ *doctor.Patient) {
				if production {
					d.Arrived = nil
				}
			})
			for check, level := range levels {
				optional := check == "handshake" || check == "wrong token" || check == "vendor" ||
					check == "acknowledgement" && production
				if level != doctor.OK && (level != doctor.NotChecked || !optional) {
					t.Errorf("%s, production %v: %s\n%s", p.Info().Name, production, check, report)
				}
			}
			if want := map[bool]int{false: 1, true: 0}[production]; g.stored != want {
				t.Errorf("%s, production %v: %d samples were stored", p.Info().Name, production, g.stored)
			}
		}
	}
}

func TestWhatIsWrong(t *testing.T) {
	type change = func(*httptest.Server, *gateway, *doctor.Doctor, *doctor.Patient)
	answer := func(edit func(*httptest.ResponseRecorder)) change {
		return func(_ *httptest.Server, g *gateway, _ *doctor.Doctor, _ *doctor.Patient) { g.change = edit }
	}
	at := func(moment time.Time) change {
		return func(_ *httptest.Server, _ *gateway, d *doctor.Doctor, _ *doctor.Patient) {
			d.Now = func() time.Time { return moment }
		}
	}
	keys := func(values ...string) change {
		return func(_ *httptest.Server, g *gateway, _ *doctor.Doctor, p *doctor.Patient) {
			p.Keys.Keys, p.Problems = webhook.Secrets(values...), doctor.Written(values)
			g.Keys = p.Keys
		}
	}
	for name, tt := range map[string]struct {
		provider, check string
		level           doctor.Level
		says            string
		change          change
	}{
		"no key": {"docusign", "keys", doctor.Failure, "put the vendor's key into $KEYS", keys()},
		"the development key": {"docusign", "keys", doctor.Warning, "put the vendor's key",
			func(_ *httptest.Server, _ *gateway, _ *doctor.Doctor, p *doctor.Patient) { p.Development = true }},
		"the development key among others": {"docusign", "keys", doctor.Failure, "everybody knows it",
			keys("canary-key-of-the-vendor", "development-docusign-hmac-key")},
		"a short key":              {"docusign", "keys", doctor.Warning, "only 12 characters", keys("canary-short")},
		"a client ID may be short": {"adobesign", "keys", doctor.OK, "1: ", keys("CANARYID")},
		"a quoted key": {"docusign", "keys", doctor.Warning, "white space or quotes around the key 7816",
			keys(`"canary-key-of-the-vendor"`)},
		"no token": {"dropboxsign", "URL token", doctor.Warning, "openssl rand -hex 16",
			func(_ *httptest.Server, g *gateway, _ *doctor.Doctor, p *doctor.Patient) {
				p.Keys.URLTokens, g.Keys.URLTokens = nil, nil
				p.Address = strings.TrimSuffix(p.Address, "/canary-token")
			}},
		"no tunnel": {"docusign", "reachability", doctor.Failure, "cloudflared tunnel --url http://127.0.0.1:3000",
			func(s *httptest.Server, _ *gateway, _ *doctor.Doctor, _ *doctor.Patient) { s.Close() }},
		"a tunnel to something else": {"docusign", "reachability", doctor.Failure, "has not arrived at this gateway",
			func(_ *httptest.Server, _ *gateway, d *doctor.Doctor, _ *doctor.Patient) {
				d.Arrived = func(context.Context, string) bool { return false }
			}},
		"a login page": {"docusign", "reachability", doctor.Failure, "302 instead of 405",
			answer(func(w *httptest.ResponseRecorder) { w.Code = http.StatusFound })},
		"an unknown authority": {"docusign", "TLS", doctor.Failure, "install the whole chain",
			func(_ *httptest.Server, _ *gateway, d *doctor.Doctor, _ *doctor.Patient) { d.Roots = nil }},
		"the certificate of another host": {"docusign", "TLS", doctor.Failure, "for another host",
			func(_ *httptest.Server, _ *gateway, _ *doctor.Doctor, p *doctor.Patient) {
				p.Address = strings.Replace(p.Address, "127.0.0.1", "localhost", 1)
			}},
		"an expired certificate":     {"docusign", "TLS", doctor.Failure, "renew it", at(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))},
		"a certificate that expires": {"docusign", "TLS", doctor.Warning, "expires in 8 days", at(time.Date(2084, 1, 20, 17, 0, 0, 0, time.UTC))},
		"only TLS 1.3": {"docusign", "TLS", doctor.Warning, "allow TLS 1.2 too",
			func(s *httptest.Server, _ *gateway, _ *doctor.Doctor, _ *doctor.Patient) {
				s.TLS.MinVersion = tls.VersionTLS13
			}},
		"no TLS": {"docusign", "TLS", doctor.Failure, "not https",
			func(_ *httptest.Server, g *gateway, _ *doctor.Doctor, p *doctor.Patient) {
				s := httptest.NewServer(g)
				t.Cleanup(s.Close)
				p.Address = s.URL + "/webhooks/docusign"
			}},
		"a handshake without echo": {"adobesign", "handshake", doctor.Failure, "the body of the answer is another",
			answer(func(w *httptest.ResponseRecorder) { w.Body.Reset() })},
		"a changed acknowledgement": {"dropboxsign", "acknowledgement", doctor.Failure, "of 25 bytes instead of 24",
			answer(func(w *httptest.ResponseRecorder) {
				if w.Code == http.StatusOK {
					w.Body.WriteString("\n")
				}
			})},
		"another content type": {"esignglobal", "acknowledgement", doctor.Failure, "the header Content-Type",
			answer(func(w *httptest.ResponseRecorder) { w.Header().Set("Content-Type", "application/json; charset=utf-8") })},
		"forgeries are accepted": {"docusign", "refusal", doctor.Failure, "200 instead of 401",
			answer(func(w *httptest.ResponseRecorder) {
				if w.Code == http.StatusUnauthorized {
					w.Code = http.StatusOK
				}
			})},
		"a refusal that talks": {"docusign", "refusal", doctor.Failure, "the body of the answer is another",
			answer(func(w *httptest.ResponseRecorder) {
				if w.Code == http.StatusUnauthorized {
					w.Body.WriteString("why")
				}
			})},
		"any token will do": {"dropboxsign", "wrong token", doctor.Failure, "405 instead of 404",
			answer(func(w *httptest.ResponseRecorder) {
				if w.Code == http.StatusNotFound {
					w.Code = http.StatusMethodNotAllowed
				}
			})},
		"slow": {"esignglobal", "acknowledgement", doctor.Failure, "took 6s, and the vendor waits 5 s", slowly(3 * time.Second)},
		"slowish": {"esignglobal", "acknowledgement", doctor.Warning, "took 4s, and the vendor waits only 5 s",
			slowly(2 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			levels, report, _ := examine(t, patient(t, tt.provider), tt.change)
			if levels[tt.check] != tt.level || !strings.Contains(report, tt.says) {
				t.Errorf("%s is %s, want %s and %q:\n%s", tt.check, levels[tt.check], tt.level, tt.says, report)
			}
		})
	}
}

// slowly lets each look at the clock take a time. An answer takes two of them.
func slowly(step time.Duration) func(*httptest.Server, *gateway, *doctor.Doctor, *doctor.Patient) {
	return func(_ *httptest.Server, _ *gateway, d *doctor.Doctor, _ *doctor.Patient) {
		now := d.Now()
		d.Now = func() time.Time { // the handshake of TLS looks too
			now = now.Add(step)
			return now
		}
	}
}

// TestMutualTLS examines a URL that must let in nobody without a client certificate.
func TestMutualTLS(t *testing.T) {
	type change = func(*httptest.Server, *gateway, *doctor.Doctor, *doctor.Patient)
	demanded := func(domain string) change {
		return func(s *httptest.Server, _ *gateway, _ *doctor.Doctor, p *doctor.Patient) {
			s.TLS.ClientAuth = tls.RequireAnyClientCert
			p.Keys.Certificates, _ = webhook.ParseClientCertificates(domain, "CN=a")
		}
	}
	for name, tt := range map[string]struct {
		change change
		level  doctor.Level
		says   string
	}{
		"it is demanded": {demanded("127.0.0.1"), doctor.OK, "lets nobody in"},
		"403 to all": {func(s *httptest.Server, g *gateway, d *doctor.Doctor, p *doctor.Patient) {
			demanded("127.0.0.1")(s, g, d, p)
			s.TLS.ClientAuth = tls.NoClientCert
			g.change = func(w *httptest.ResponseRecorder) { w.Code = http.StatusForbidden }
		}, doctor.NotChecked, "answers 403"},
		"it is not demanded": {func(s *httptest.Server, g *gateway, d *doctor.Doctor, p *doctor.Patient) {
			demanded("127.0.0.1")(s, g, d, p)
			s.TLS.ClientAuth = tls.NoClientCert
		}, doctor.Failure, "answers 405 without"},
		"another URL": {demanded("mtls.example.com"), doctor.Failure, "register the URL"},
		"unknown root": {func(s *httptest.Server, g *gateway, d *doctor.Doctor, p *doctor.Patient) {
			demanded("127.0.0.1")(s, g, d, p)
			d.Roots = x509.NewCertPool()
		}, doctor.Failure, "no known authority"},
		"nobody listens": {func(s *httptest.Server, g *gateway, d *doctor.Doctor, p *doctor.Patient) {
			demanded("127.0.0.1")(s, g, d, p)
			s.Close()
		}, doctor.Failure, "MutualTlsTarget"},
	} {
		t.Run(name, func(t *testing.T) {
			levels, report, g := examine(t, patient(t, "docusign"), tt.change)
			if levels["client certificate"] != tt.level || !strings.Contains(report, tt.says) ||
				levels["reachability"] != doctor.NotChecked || levels["acknowledgement"] != doctor.NotChecked || g.stored > 0 {
				t.Errorf("%d stored\n%s", g.stored, report)
			}
		})
	}
}

// TestQuiet expects nothing that would start the alarm of wrong keys.
func TestQuiet(t *testing.T) {
	p := patient(t, "adobesign")
	p.Address, p.Keys.Keys = "https://127.0.0.1:1/webhooks/adobesign", nil
	for quiet, want := range map[bool]doctor.Level{true: doctor.NotChecked, false: doctor.Failure} {
		d := &doctor.Doctor{Now: time.Now, Quiet: quiet}
		for _, f := range d.Examine(t.Context(), []doctor.Patient{p}, nil) {
			if f.Check == "reachability" && f.Level != want {
				t.Errorf("quiet %v: %v", quiet, f)
			}
		}
	}
}

func TestOneKeyAtTwoVendors(t *testing.T) {
	d := &doctor.Doctor{Now: time.Now}
	all := []doctor.Patient{patient(t, "docusign"), patient(t, "boldsign")}
	for _, f := range d.Examine(t.Context(), all[:1], all) {
		if f.Check == "keys" && (f.Level != doctor.Warning || !strings.Contains(f.Text, "is also one of ")) {
			t.Error(f)
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		date string
		want doctor.Level
		says string
	}{
		"right":           {now.Format(http.TimeFormat), doctor.OK, "at most 5s"},
		"5 s behind":      {now.Add(5 * time.Second).Format(http.TimeFormat), doctor.OK, "at most 5s"},
		"a minute behind": {now.Add(time.Minute).Format(http.TimeFormat), doctor.Failure, "is 1m0s behind that of 127.0.0.1"},
		"7 s ahead":       {now.Add(-7 * time.Second).Format(http.TimeFormat), doctor.Failure, "ahead of"},
		"unknown":         {"yesterday", doctor.NotChecked, "no server"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", tt.date)
			}))
			defer s.Close()
			d := &doctor.Doctor{Now: func() time.Time { return now }}
			if f := d.Clock(t.Context(), "https://127.0.0.1:1/", s.URL); f.Level != tt.want || !strings.Contains(f.Text, tt.says) {
				t.Error(f)
			}
		})
	}
}

func TestTunnel(t *testing.T) {
	for name, tt := range map[string]struct {
		answers   map[string]string // by URL
		installed string
		want      string // the public URL
		level     doctor.Level
		says      string
	}{
		"ngrok": {map[string]string{"http://127.0.0.1:4040/api/tunnels": `{"tunnels":[
			{"public_url":"https://other.example","config":{"addr":"http://localhost:80"}},
			{"public_url":"http://plain.example","config":{"addr":"http://localhost:3000"}},
			{"public_url":"https://a.ngrok.example","config":{"addr":"http://localhost:3000"}}]}`},
			"", "https://a.ngrok.example", doctor.OK, "ngrok forwards https://a.ngrok.example"},
		"cloudflared": {map[string]string{"http://127.0.0.1:20242/quicktunnel": `{"hostname":"a.example"}`},
			"", "https://a.example", doctor.OK, "cloudflared forwards"},
		"installed only": {nil, "ngrok", "", doctor.NotChecked, "start it with ngrok http 3000"},
		"neither": {nil, "", "", doctor.NotChecked,
			"cloudflared tunnel --url http://127.0.0.1:3000 or ngrok http 3000"},
	} {
		t.Run(name, func(t *testing.T) {
			local := doctor.Local{
				Get: func(_ context.Context, url string) ([]byte, error) {
					if body, ok := tt.answers[url]; ok {
						return []byte(body), nil
					}
					return nil, errors.New("nothing listens")
				},
				Find: func(program string) (string, error) {
					if program != tt.installed {
						return "", errors.New("not installed")
					}
					return program, nil
				},
			}
			got, f := local.Tunnel(t.Context(), "3000")
			if got != tt.want || f.Level != tt.level || !strings.Contains(f.Text, tt.says) {
				t.Errorf("%q, %v", got, f)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	p := patient(t, "dropboxsign")
	for given, want := range map[string]string{
		"https://t.example":                                "https://t.example/webhooks/dropboxsign/canary-token",
		"https://t.example/live/":                          "https://t.example/live/webhooks/dropboxsign/canary-token",
		"https://t.example/webhooks/":                      "https://t.example/webhooks/dropboxsign/canary-token",
		"https://t.example/live/webhooks/dropboxsign":      "https://t.example/live/webhooks/dropboxsign/canary-token",
		"https://t.example/webhooks/dropboxsign/old-token": "https://t.example/webhooks/dropboxsign/old-token",
		"https://t.example/webhooks/docusign":              "",
		"t.example":                                        "error",
		"https://t.example/?a=b":                           "error",
	} {
		got, err := doctor.Address(given, p.Provider, p.Keys)
		if err != nil {
			got = "error"
			if strings.Contains(fmt.Sprint(err), "t.example/?") {
				t.Errorf("%s is quoted", given)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}

// office is a vendor's API with these subscriptions.
type office struct {
	vendorapi.Client
	subscriptions []vendorapi.Subscription
	err           error
}

func (o office) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return o.subscriptions, o.err
}

func TestWhatIsSetAtTheVendor(t *testing.T) {
	const ours = "https://t.example/webhooks/dropboxsign"
	active := func(url string) vendorapi.Subscription {
		return vendorapi.Subscription{Name: "s", URL: url, Active: true}
	}
	paused, failing, broken := active(ours+"/canary-token"), active(ours+"/canary-token"), active(ours+"/canary-token")
	paused.Active, failing.Failures, broken.Problems = false, 3, []string{"it sends \x1b nothing"}
	for name, tt := range map[string]struct {
		found []vendorapi.Subscription
		err   error
		want  doctor.Level
		says  string
	}{
		"healthy":           {[]vendorapi.Subscription{paused, active(ours + "/canary-token")}, nil, doctor.OK, "s is active"},
		"nothing":           {nil, nil, doctor.Failure, "nothing is registered for the URL: make register PROVIDER=dropboxsign"},
		"another URL":       {[]vendorapi.Subscription{active("https://o.example")}, nil, doctor.Failure, "nothing is registered"},
		"an old token":      {[]vendorapi.Subscription{active(ours + "/old")}, nil, doctor.Failure, "token is not one of"},
		"paused":            {[]vendorapi.Subscription{paused}, nil, doctor.Failure, "it is not active"},
		"undelivered":       {[]vendorapi.Subscription{failing}, nil, doctor.Failure, "3 events are undelivered"},
		"a problem":         {[]vendorapi.Subscription{broken}, nil, doctor.Failure, "it sends   nothing"},
		"wrong credentials": {nil, errors.New("401"), doctor.Failure, "check the credentials"},
		"no list":           {nil, errors.ErrUnsupported, doctor.NotChecked, "compare by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			p := patient(t, "dropboxsign")
			p.Address, p.ClientErr, p.Client = ours+"/canary-token", nil, office{subscriptions: tt.found, err: tt.err}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // no request is sent
			d := &doctor.Doctor{Now: time.Now}
			for _, f := range d.Examine(ctx, []doctor.Patient{p}, nil) {
				if f.Check == "vendor" && (f.Level != tt.want || !strings.Contains(f.Text, tt.says) ||
					strings.Contains(f.Text, "canary")) {
					t.Error(f)
				}
			}
		})
	}
}
