package all

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

var options = vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Now: time.Now}

func TestEveryClientHasAProvider(t *testing.T) {
	if len(Providers()) != len(clients) {
		t.Errorf("%d providers with a client, and %d clients", len(Providers()), len(clients))
	}
	for name := range clients {
		if _, ok := webhook.Find(provider.All(), name); !ok {
			t.Errorf("%s is no provider", name)
		}
	}
}

func TestWithoutCredentialsItIsOff(t *testing.T) {
	for name := range clients {
		for _, credentials := range []string{"", "null"} {
			client, err := Open(name, []byte(credentials), options)
			if client != nil || !errors.Is(err, vendorapi.ErrOff) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %q: %v, %v", name, credentials, client, err)
			}
		}
	}
	for _, name := range []string{"unknown", acmesign.Name} { // without a client, even with credentials
		if client, err := Open(name, []byte("{}"), options); client != nil || !errors.Is(err, vendorapi.ErrNoClient) || !errors.Is(err, vendorapi.ErrOff) || Has(name) {
			t.Errorf("%s: %v, %v", name, client, err)
		}
	}
}

func TestTheStubsCredentialsAreTaken(t *testing.T) {
	stub := vendorstub.New(t)
	for name := range clients {
		if client, err := Open(name, stub.Credentials(name), options); client == nil || err != nil {
			t.Errorf("%s: %v, %v", name, client, err)
		}
	}
}

// TestWrongCredentialsAreNotOff: their error says what is wrong, and quotes no value.
func TestWrongCredentialsAreNotOff(t *testing.T) {
	for name := range clients {
		for credentials, want := range map[string]string{
			"{}":                        "missing",
			`{"surprise":"TOPSECRET"}`:  `"surprise"`,
			`{"host":"TOPSECRET/path"}`: "api",
			`"TOPSECRET"`:               "not a JSON object",
			"TOPSECRET":                 "not a JSON object",
		} {
			client, err := Open(name, []byte(credentials), options)
			if client != nil || err == nil || errors.Is(err, vendorapi.ErrOff) {
				t.Errorf("%s, %s: %v, %v", name, credentials, client, err)
				continue
			}
			if text := err.Error(); !strings.Contains(text, name) || !strings.Contains(text, want) || strings.Contains(text, "TOPSECRET") {
				t.Errorf("%s, %s: %s", name, credentials, text)
			}
		}
	}
}

// TestListsOfNothingCostLittle: one vendor's answer must not take the memory that the others need too.
func TestListsOfNothingCostLittle(t *testing.T) {
	for _, list := range []struct{ provider, path, name string }{
		{"docusign", "/oauth/userinfo", "accounts"}, {"docusign", "/connect", "configurations"}, {"docusign", "/connect/failures", "failures"},
		{"docusign", "/envelopes", "envelopes"}, {"dropboxsign", "/api_app/list", "api_apps"}, {"dropboxsign", "/signature_request/list", "signature_requests"},
		{"adobesign", "/users", "userInfoList"}, {"adobesign", "/webhooks", "userWebhookList"},
	} {
		t.Run(list.name, func(t *testing.T) {
			stub := vendorstub.New(t)
			body := `{"` + list.name + `":[` + strings.Repeat("{},", 2<<20) + `{}]}` // 6 MiB
			stub.Fail(vendorstub.Failure{Path: list.path, Status: 200, Body: body, Times: 1})
			client, err := Open(list.provider, stub.Credentials(list.provider), vendorapi.Options{
				HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: time.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			client.Subscriptions(t.Context()) // what they say of it is all the same
			client.Changed(t.Context(), time.Now().Add(-time.Hour), time.Now(), "")
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 || stub.Calls(list.path) == 0 {
				t.Errorf("%d MiB", n>>20)
			}
		})
	}
}

// TestAPageThatIsNoneIsInvalid: whoever has kept one that a client no longer knows begins again.
func TestAPageThatIsNoneIsInvalid(t *testing.T) {
	stub := vendorstub.New(t)
	for name := range clients {
		client, err := Open(name, stub.Credentials(name), vendorapi.Options{
			HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: time.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = client.Changed(t.Context(), time.Now().Add(-time.Hour), time.Now(), "no page")
		if !errors.Is(err, vendorapi.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
