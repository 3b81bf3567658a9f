package localhost

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/provider"
)

// TestDoctor examines a gateway with all providers, directly and through a tunnel.
func TestDoctor(t *testing.T) {
	g := openWith(t, map[string]string{
		"DATA": t.TempDir(), "DOCUSIGN_HMAC_KEYS": "canary-key-of-docusign", "DROPBOXSIGN_URL_TOKENS": "canary-token",
	}, provider.All()...)
	here := httptest.NewServer(g)
	t.Cleanup(here.Close)
	address := here.Listener.Addr().String()
	target, _ := url.Parse(here.URL)
	tunnel := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	t.Cleanup(tunnel.Close)
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	around := surroundings{
		local: doctor.Local{
			Get:  func(context.Context, string) ([]byte, error) { return nil, errors.New("nothing") },
			Find: func(string) (string, error) { return "", errors.New("not installed") },
		},
		clocks: []string{here.URL},
		roots:  tunnel.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
	}
	for name, tt := range map[string]struct {
		asked   Examination
		ok, bad []string // the checks of one provider with these results
		says    string
	}{
		"without a tunnel": {Examination{}, []string{"acknowledgement", "refusal"}, nil,
			"cloudflared tunnel --url http://127.0.0.1:"},
		"through a tunnel": {Examination{URL: tunnel.URL},
			[]string{"reachability", "TLS", "acknowledgement", "refusal"}, nil, "has arrived here"},
		"the URL of one webhook": {Examination{URL: tunnel.URL + "/webhooks/adobesign"},
			[]string{"reachability", "handshake"}, nil, "has arrived here"},
		"another server": {Examination{Provider: "docusign", URL: other.URL}, []string{"TLS"}, []string{"reachability"},
			"has not arrived at this gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := g.examine(t.Context(), tt.asked, address, around)
			if err != nil {
				t.Fatal(err)
			}
			var report bytes.Buffer
			failed := doctor.Report(&report, found)
			if (failed != nil) != (tt.bad != nil) || !strings.Contains(report.String(), tt.says) ||
				strings.Contains(report.String(), "canary") {
				t.Errorf("%v, %s", failed, &report)
			}
			for _, f := range found {
				for _, check := range tt.ok {
					if f.Check == check && f.Level != doctor.OK {
						t.Error(f)
					}
				}
				for _, check := range tt.bad {
					if f.Check == check && f.Level != doctor.Failure {
						t.Error(f)
					}
				}
			}
		})
	}
	for _, asked := range []Examination{{Provider: "nosign"}, {Provider: "docusign", URL: tunnel.URL + "/webhooks/boldsign"}} {
		if _, err := g.examine(t.Context(), asked, address, around); err == nil {
			t.Errorf("%v is examined", asked)
		}
	}
}

// TestDoctorCommand asks a running gateway, and finds out that none runs.
func TestDoctorCommand(t *testing.T) {
	was := ours
	t.Cleanup(func() { ours = was })
	ours = surroundings{local: doctor.Local{
		Get:  func(context.Context, string) ([]byte, error) { return nil, errors.New("nothing") },
		Find: func(string) (string, error) { return "", errors.New("not installed") },
	}}
	g := openWith(t, map[string]string{"DATA": t.TempDir(), "BOLDSIGN_SECRETS": " canary"}, provider.All()...)
	here := httptest.NewServer(g)
	config := g.config
	_, config.Port, _ = net.SplitHostPort(here.Listener.Addr().String())
	var report bytes.Buffer
	if err := Doctor(t.Context(), &report, config, g.providers, Examination{Provider: "docusign"}); err != nil {
		t.Error(err, report.String())
	}
	if err := Doctor(t.Context(), &report, config, g.providers, Examination{Provider: "nosign"}); err == nil ||
		!strings.Contains(err.Error(), "the providers are") {
		t.Error(err)
	}
	here.Close()
	report.Reset()
	err := Doctor(t.Context(), &report, config, g.providers, Examination{Provider: "boldsign"})
	for _, says := range []string{"start it with make run", "white space or quotes around the key", "only 6 characters"} {
		if err == nil || !strings.Contains(report.String(), says) {
			t.Errorf("%v, want %q:\n%s", err, says, &report)
		}
	}
	foreign := g.ask("POST", "/api/doctor", "{}", http.Header{"Content-Type": {"application/json"},
		"Sec-Fetch-Site": {"cross-site"}})
	if foreign.Code != http.StatusForbidden {
		t.Errorf("another web page gets %d", foreign.Code)
	}
}
