package outlet

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

func key(t *testing.T, secret string) Key {
	t.Helper()
	k, err := ParseKey(webhook.NewSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// SPEC: https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/go/webhook_test.go, read 2026-11-30
const published = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestTheSignatureIsThePublishedOne(t *testing.T) {
	for _, spelling := range []string{published, strings.TrimPrefix(published, "whsec_"), " " + published + "\n"} {
		got := key(t, spelling).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
		if got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
			t.Error(got)
		}
	}
}

func TestOnlySecretsOfStandardWebhooksSign(t *testing.T) {
	for _, secret := range []string{
		"", "whsec_", "hunter2", "whsec_AAAA", "whsec_" + strings.Repeat("A", 88), "whsec_" + strings.Repeat("-", 40),
	} {
		if _, err := ParseKey(webhook.NewSecret(secret)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestARequestHasTheEventsIDAndASignatureOfEachKey(t *testing.T) {
	var got http.Header
	application := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer application.Close()
	s := Sender{URL: application.URL, Client: NewClient(), Now: func() time.Time { return time.Unix(1614265330, 5e8) }}
	first, second := key(t, published), key(t, strings.Repeat("A", 40))
	if err := s.Post(t.Context(), "e1", []byte("{}"), first, second); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Content-Type": "application/json", "Webhook-Id": "e1", "Webhook-Timestamp": "1614265330",
		"Webhook-Signature": first.sign("e1", "1614265330", []byte("{}")) + " " +
			second.sign("e1", "1614265330", []byte("{}")),
	}
	for name, value := range want {
		if diff := cmp.Diff([]string{value}, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if err := s.Post(t.Context(), "e1", []byte("{}")); err != nil || got["Webhook-Signature"] != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAPublicClientConnectsToNoPrivateAddress(t *testing.T) {
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("connected") }))
	defer private.Close()
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		s := Sender{URL: strings.Replace(private.URL, "127.0.0.1", host, 1), Client: NewPublicClient(), Now: time.Now}
		if err := s.Post(t.Context(), "e1", nil); err == nil || !strings.Contains(err.Error(), "private address") {
			t.Errorf("%s: %v", host, err)
		}
	}
	for address, want := range map[string]bool{
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "::1": false, "::": false, "fd00::1": false,
		"fe80::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "::ffff:10.0.0.1": false, "2002:a00:1::": false,
		"52.95.110.1": true, "2600:1f18::1": true,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
