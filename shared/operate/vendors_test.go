package operate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// TestEachVendorIsRegisteredOnce does it with the vendors' own clients.
func TestEachVendorIsRegisteredOnce(t *testing.T) {
	for _, p := range all.Providers() {
		name := p.Info().Name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stub := vendorstub.New(t)
			address := "https://api.example/live/webhooks/" + name
			if name == "adobesign" { // looks whether we are there
				receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-AdobeSign-ClientId", r.Header.Get("X-AdobeSign-ClientId"))
				}))
				t.Cleanup(receiver.Close)
				address = receiver.URL + "/webhooks/adobesign"
			}
			client, err := all.Open(name, stub.Credentials(name), vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: open(t), Now: time.Now})
			must(t, err)
			target := operate.Target{
				Providers: provider.All(), Clients: func(context.Context, string) (vendorapi.Client, error) { return client, nil },
				Webhook: func(context.Context, string) (string, webhook.Keys, error) {
					return address, webhook.Keys{Keys: webhook.Secrets("canary-key"), URLTokens: webhook.Secrets(token)}, nil
				},
			}
			order := func(command string) (string, error) {
				out, err := act(t, target, command+" -provider "+name)
				silent(t, out, err)
				return out, err
			}
			out, err := order("registered")
			if errors.Is(err, nil) && strings.Contains(out, "by hand") {
				if _, err := order("register -apply"); !errors.Is(err, errors.ErrUnsupported) {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Errorf("healthy before it is there: %s", out)
			}
			if out, err := order("register"); err != nil || !strings.Contains(out, "APPLY=1") || len(stub.Subscriptions(name)) > 0 && stub.Subscriptions(name)[0].URL != "" {
				t.Errorf("%v: %s, %+v", err, out, stub.Subscriptions(name))
			}
			if out, err := order("register -apply"); err != nil || !strings.Contains(out, "read back") {
				t.Errorf("%v: %s", err, out)
			}
			made := stub.Subscriptions(name)
			if len(made) != 1 || made[0].URL != address+"/"+token {
				t.Errorf("%+v", made)
			}
			if out, err := order("register -apply"); err != nil || !strings.Contains(out, "nothing to do") || len(stub.Subscriptions(name)) != 1 {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := order("registered"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestAVendorWithoutAClient: there is nothing to ask, and the operator is told what to do by hand.
func TestAVendorWithoutAClient(t *testing.T) {
	p := acmesign.Provider{}
	target := operate.Target{
		Providers: []webhook.Provider{p}, Ledger: open(t),
		Clients: func(_ context.Context, name string) (vendorapi.Client, error) {
			return all.Open(name, []byte(`{"some":"credentials"}`), vendorapi.Options{})
		},
		Webhook: func(context.Context, string) (string, webhook.Keys, error) {
			return "https://api.example/live/webhooks/acmesign", webhook.Keys{Keys: webhook.Secrets("canary-key")}, nil
		},
	}
	for command, want := range map[string]struct {
		err error
		out string
	}{
		"registered -provider acmesign":      {nil, p.Info().Registration[0]},
		"registered":                         {nil, p.Info().Registration[0]},
		"register -provider acmesign":        {vendorapi.ErrNoClient, p.Info().Registration[0]},
		"register -provider acmesign -apply": {vendorapi.ErrNoClient, p.Info().Registration[0]},
		"archive -provider acmesign -id a1":  {vendorapi.ErrNoClient, ""},
	} {
		out, err := act(t, target, command)
		if !errors.Is(err, want.err) || !strings.Contains(out, want.out) {
			t.Errorf("%s: %v, %s", command, err, out)
		}
	}
}
