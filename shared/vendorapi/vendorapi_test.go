package vendorapi_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/vendorapi"
)

func TestSameEndpoint(t *testing.T) {
	const ours = "https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/token"
	for other, want := range map[string]bool{
		ours: true,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/other": true,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/":      true,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign":       true,
		"https://ABC.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign":       true,

		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/other/token":          false,
		"https://abc.execute-api.us-east-1.amazonaws.com/v2/webhooks/acmesign/token":       false,
		"https://abc.execute-api.us-east-1.amazonaws.com/webhooks/acmesign/token":          false,
		"https://abd.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/token":       false,
		"http://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/token":        false,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/token/more":  false,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign/token?a=b":   false,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhook/acmesign/token":        false,
		"https://abc.execute-api.us-east-1.amazonaws.com/v1/webhooks/acmesign%2Ftoken/x/y": false,
		"": false, "%": false,
	} {
		if got := vendorapi.SameEndpoint(ours, other); got != want {
			t.Errorf("%s: %v", other, got)
		}
		if got := vendorapi.SameEndpoint(other, ours); got != want {
			t.Errorf("%s, the other way round: %v", other, got)
		}
		if !vendorapi.SameEndpoint(other, other) {
			t.Errorf("%s is not the same as itself", other)
		}
	}
	if vendorapi.SameEndpoint("https://vendor.example/a", "https://vendor.example/b") || vendorapi.SameEndpoint("", "%") {
		t.Error("URLs that are not ours are the same endpoint")
	}
}

func TestMasked(t *testing.T) {
	for s, want := range map[string]string{
		"https://h.example/v1/webhooks/acmesign/TOPSECRET":              "https://h.example/v1/webhooks/acmesign/…",
		"https://h.example/v1/webhooks/acmesign/TOPSECRET/more":         "https://h.example/v1/webhooks/acmesign/…",
		"https://h.example/v1/webhooks/acmesign/TOP%2FSECRET":           "https://h.example/v1/webhooks/acmesign/…",
		"https://h.example/v1%2Fwebhooks%2Facmesign%2FTOPSECRET":        "https://h.example/v1/webhooks/acmesign/…",
		"https://h.example/v1/webhooks/acmesign":                        "https://h.example/v1/webhooks/acmesign",
		"https://h.example/v1/webhooks/acmesign/":                       "https://h.example/v1/webhooks/acmesign",
		"https://h.example:444/v1/webhooks/a b/TOPSECRET":               "https://h.example:444/v1/webhooks/a%20b/…",
		"https://me:TOPSECRET@h.example/else?TOPSECRET=TOPSECRET#TOPSE": "https://h.example/else",
		"mailto:TOPSECRET":             "(not a URL)",
		"%TOPSECRET":                   "(not a URL)",
		"":                             "(none)",
		"/webhooks/acmesign/TOPSECRET": "(not a URL)",
	} {
		if got := vendorapi.Masked(s); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

// FuzzMasked checks that neither the token of a webhook's URL nor a query is ever shown.
func FuzzMasked(f *testing.F) {
	f.Add("https://h.example/v1", "other", "?a=b")
	f.Add("https://h.example", "", "/x#")
	f.Add("mailto:a", "other", "")
	f.Add("//h/webhooks/a/webhooks/b", "%2F", "%")
	f.Add("a?b", "c#d", "e")
	f.Fuzz(func(t *testing.T, before, provider, after string) {
		const token = "0123456789abcdef"
		if u, err := url.Parse(before); err == nil && u.Scheme != "" && u.Host == "" ||
			strings.Contains(before+provider, token) {
			t.Skip("what follows is the host, or the token is no secret")
		}
		for _, s := range []string{
			before + "/webhooks/" + provider + "/" + token + after, before + "/webhooks/" + provider + "/" + after + token,
			before + "/webhooks/" + provider + "?" + after + token,
		} {
			if got := vendorapi.Masked(s); strings.Contains(got, token) {
				t.Errorf("%q is shown as %q", s, got)
			}
		}
	})
}

func TestHealthy(t *testing.T) {
	for name, tt := range map[string]struct {
		subscription vendorapi.Subscription
		want         bool
	}{
		"nothing is wrong":         {vendorapi.Subscription{Active: true}, true},
		"it sends nothing":         {vendorapi.Subscription{}, false},
		"it has a problem":         {vendorapi.Subscription{Active: true, Problems: []string{"p"}}, false},
		"it has failed deliveries": {vendorapi.Subscription{Active: true, Failures: 1}, false},
	} {
		if got := tt.subscription.Healthy(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLaterErrorText(t *testing.T) {
	if got, want := (&vendorapi.LaterError{After: 90 * time.Second}).Error(), "vendorapi: the vendor's rate limit is "+
		"exhausted for 1m30s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
