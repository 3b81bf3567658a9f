package all

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// open returns the client of a provider at a stub.
func open(t *testing.T, name string, stub *vendorstub.Server) vendorapi.Client {
	t.Helper()
	client, err := Open(name, stub.Credentials(name), vendorapi.Options{
		HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: time.Now,
	})
	if client == nil || err != nil {
		t.Fatalf("%s: %v, %v", name, client, err)
	}
	return client
}

func TestEveryClientBelongsToAProvider(t *testing.T) {
	if len(Providers()) != len(clients) {
		t.Errorf("%d providers with a client, and %d clients", len(Providers()), len(clients))
	}
	for name := range clients {
		if _, ok := webhook.Find(provider.All(), name); !ok {
			t.Errorf("there is no provider %s", name)
		}
	}
}

// TestAVendorWithoutAClientIsOff checks that it is off with any credentials, and that nothing panics.
func TestAVendorWithoutAClientIsOff(t *testing.T) {
	for _, credentials := range []string{"", "null", "{}", `{"apiKey":"TOPSECRET"}`} {
		client, err := Open(acmesign.Name, []byte(credentials), vendorapi.Options{})
		if client != nil || !errors.Is(err, vendorapi.ErrNoClient) || !errors.Is(err, vendorapi.ErrOff) ||
			!errors.Is(err, errors.ErrUnsupported) {
			t.Fatalf("%s: %v, %v", credentials, client, err)
		}
		if got := err.Error(); got != "acmesign: vendorapi: there is no API client for this vendor" {
			t.Errorf("%s: %s", credentials, got)
		}
	}
	if stub := vendorstub.New(t); Has(acmesign.Name) || string(stub.Credentials(acmesign.Name)) != "null" {
		t.Errorf("there are credentials: %s", stub.Credentials(acmesign.Name))
	}
}

func TestAVendorWithoutCredentialsIsOff(t *testing.T) {
	for name := range clients {
		for _, credentials := range []string{"", "null"} {
			client, err := Open(name, []byte(credentials), vendorapi.Options{})
			if client != nil || !errors.Is(err, vendorapi.ErrOff) || errors.Is(err, vendorapi.ErrNoClient) ||
				!strings.Contains(err.Error(), name) {
				t.Errorf("%s, %q: %v, %v", name, credentials, client, err)
			}
		}
	}
}

func TestTheStubServesEveryClient(t *testing.T) {
	for name := range clients {
		open(t, name, vendorstub.New(t))
	}
}

// TestWrongCredentialsAreNotOff checks that their error says what is wrong, and quotes no value.
func TestWrongCredentialsAreNotOff(t *testing.T) {
	for name := range clients {
		for credentials, want := range map[string]string{
			"{}":                        "missing",
			`{"surprise":"TOPSECRET"}`:  `"surprise"`,
			`{"host":"TOPSECRET/path"}`: "api",
			`"TOPSECRET"`:               "not a JSON object",
			"TOPSECRET":                 "not a JSON object",
		} {
			client, err := Open(name, []byte(credentials), vendorapi.Options{Now: time.Now})
			if client != nil || err == nil || errors.Is(err, vendorapi.ErrOff) {
				t.Errorf("%s, %s: %v, %v", name, credentials, client, err)
				continue
			}
			text := err.Error()
			if !strings.Contains(text, name) || !strings.Contains(text, want) || strings.Contains(text, "TOPSECRET") {
				t.Errorf("%s, %s: %s", name, credentials, text)
			}
		}
	}
}

// TestLongListsCostLittle sends lists of millions of empty objects. One vendor's answer must not use up the memory.
func TestLongListsCostLittle(t *testing.T) {
	slow.Test(t)
	for _, list := range []struct{ provider, path, name string }{
		{"docusign", "/oauth/userinfo", "accounts"}, {"docusign", "/connect", "configurations"},
		{"docusign", "/connect/failures", "failures"}, {"docusign", "/envelopes", "envelopes"},
		{"dropboxsign", "/api_app/list", "api_apps"}, {"dropboxsign", "/signature_request/list", "signature_requests"},
		{"adobesign", "/users", "userInfoList"}, {"adobesign", "/webhooks", "userWebhookList"},
	} {
		t.Run(list.name, func(t *testing.T) {
			stub := vendorstub.New(t)
			body := `{"` + list.name + `":[` + strings.Repeat("{},", 2<<20) + `{}]}` // 6 MiB
			stub.Fail(vendorstub.Failure{Path: list.path, Status: 200, Body: body, Times: 1})
			client := open(t, list.provider, stub)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			client.Subscriptions(t.Context()) // the result does not matter
			client.Changed(t.Context(), time.Now().Add(-time.Hour), time.Now(), "")
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 || stub.Calls(list.path) == 0 {
				t.Errorf("%d MiB", n>>20)
			}
		})
	}
}

// TestAnInvalidCursorIsRefused checks that a caller with an invalid cursor must start again.
func TestAnInvalidCursorIsRefused(t *testing.T) {
	for name := range clients {
		client := open(t, name, vendorstub.New(t))
		_, _, err := client.Changed(t.Context(), time.Now().Add(-time.Hour), time.Now(), "no cursor")
		if !errors.Is(err, vendorapi.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
