package operate_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// TestEachVendorIsRegisteredOnce registers with the clients of all vendors. A vendor whose API cannot do it must be
// registered by hand.
func TestEachVendorIsRegisteredOnce(t *testing.T) {
	for _, p := range all.Providers() {
		name := p.Info().Name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stub := vendorstub.New(t)
			stub.Receiver("api.example", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				maps.Copy(w.Header(), r.Header) // a vendor that verifies the URL expects its own header back
			}))
			address := here + name
			options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: open(t), Now: time.Now}
			target := operate.Target{
				Providers: provider.All(), Notes: noNotes{}, Clients: func(context.Context, string) (vendorapi.Client, error) {
					return all.Open(name, stub.Credentials(name), options)
				},
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
			if out, err := order("register"); err != nil || !strings.Contains(out, "APPLY=1") ||
				len(stub.Subscriptions(name)) > 0 && stub.Subscriptions(name)[0].URL != "" {
				t.Errorf("%v: %s, %+v", err, out, stub.Subscriptions(name))
			}
			if out, err := order("register -apply"); err != nil || !strings.Contains(out, "read back") {
				t.Errorf("%v: %s", err, out)
			}
			made := stub.Subscriptions(name)
			if len(made) != 1 || made[0].URL != address+"/"+token {
				t.Errorf("%+v", made)
			}
			if out, err := order("register -apply"); err != nil || !strings.Contains(out, "nothing to do") ||
				len(stub.Subscriptions(name)) != 1 {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := order("registered"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	for _, p := range all.Providers() {
		target := operate.Target{Providers: provider.All(), Notes: noNotes{},
			Webhook: func(context.Context, string) (string, webhook.Keys, error) {
				return here + p.Info().Name, webhook.Keys{Keys: webhook.Secrets("canary-key"),
					URLTokens: webhook.Secrets(token)}, nil
			}}
		off(&target)
		_, err := act(t, target, "register -provider "+p.Info().Name)
		if !errors.Is(err, vendorapi.ErrOff) ||
			!strings.Contains(err.Error(), "put them there\n  the credentials are a JSON object with ") {
			t.Error(err)
		}
		out, err := act(t, target, "registered -provider "+p.Info().Name)
		if err != nil || !strings.Contains(out, "a JSON object with ") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestAVendorWithoutAClient must be registered by hand, and its documents cannot be fetched.
func TestAVendorWithoutAClient(t *testing.T) {
	target := (&vendor{}).target()
	target.Ledger = open(t)
	target.Clients = func(_ context.Context, name string) (vendorapi.Client, error) {
		return all.Open(name, []byte(`{"some":"credentials"}`), vendorapi.Options{})
	}
	for command, fails := range map[string]bool{
		"register": true, "register -apply": true, "registered": false, "archive -id a": true,
	} {
		out, err := act(t, target, command+" -provider acmesign")
		silent(t, out, err)
		shown := strings.Contains(out, "Settings → Callbacks")
		if errors.Is(err, vendorapi.ErrNoClient) != fails || err != nil && !fails ||
			shown != strings.HasPrefix(command, "register") {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
}
