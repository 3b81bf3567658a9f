package all

import (
	"errors"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/vendorstub"
	"esignhooks/shared/webhook"
)

var options = vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Now: time.Now}

func TestEveryProviderIsListed(t *testing.T) {
	for _, p := range provider.All() {
		if _, ok := clients[p.Info().Name]; !ok {
			t.Errorf("%s: no client, and not said that there is none; see clients", p.Info().Name)
		}
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
	if client, err := Open("nobody", []byte("{}"), options); client != nil || !errors.Is(err, vendorapi.ErrOff) {
		t.Errorf("%v, %v", client, err)
	}
}

func TestTheStubsCredentialsAreTaken(t *testing.T) {
	stub := vendorstub.New(t)
	for name, open := range clients {
		if open == nil {
			continue
		}
		if client, err := Open(name, stub.Credentials(name), options); client == nil || err != nil {
			t.Errorf("%s: %v, %v", name, client, err)
		}
	}
}

// TestWrongCredentialsAreNotOff: their error says what is wrong, and quotes no value.
func TestWrongCredentialsAreNotOff(t *testing.T) {
	for name, open := range clients {
		if open == nil {
			continue
		}
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
