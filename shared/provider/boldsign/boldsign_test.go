package boldsign_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/attack"
	"esignhooks/shared/provider/boldsign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var provider = boldsign.Provider{}

const (
	signature = "X-Boldsign-Signature" // as Go spells the header
	at        = "1793610000"
)

var claims = webhooktest.Claims{
	Variables: [3]string{"BOLDSIGN_SECRETS", "BOLDSIGN_URL_TOKENS", "BOLDSIGN_API"},
	Header:    signature,
	Covered: func(r *webhook.Request) []byte {
		return append([]byte(at+"."), r.Body...)
	},
	Spellings: []func([]byte) string{
		func(mac []byte) string { return "t=" + at + ", s0=" + webhooktest.Hex(mac) },
		func(mac []byte) string {
			return "t=" + at + ",s0=" + strings.Repeat("0", 64) + ",s1=" + webhooktest.Hex(mac)
		},
	},
	Object: "data", ID: "documentId",
	Completed: func(_, seed string) string {
		id := sha256.Sum256([]byte(seed))
		return fmt.Sprintf(`"event":{"id":"%x","created":1793610000,"eventType":"Completed"}`, id[:16])
	},
	Named: func(quoted string) string {
		return `"event":{"id":"a","eventType":` + quoted + `,"clientId":` + quoted + `},"data":{"documentId":"a","status":` +
			quoted + `}`
	},
	KeepsObject: true,
	LongLists: map[string]func(func(string) string) string{
		"copies": func(repeat func(string) string) string {
			return `{"event":{"id":"a","eventType":"Sent"},"data":{"documentId":"a","signerDetails":[{"id":"1"}],"ccDetails":[` +
				repeat(`{"emailAddress":"a"},`) + `{}]}}`
		},
		"signers": func(repeat func(string) string) string {
			return `{"event":{"id":"a","eventType":"Sent"},"data":{"documentId":"a","signerDetails":[` + repeat("{},") + `{}]}}`
		},
	},
}

func TestProvider(t *testing.T) { webhooktest.Run(t, provider, claims, attack.Run) }

func BenchmarkProvider(b *testing.B) { webhooktest.Benchmark(b, provider) }

func FuzzGenuine(f *testing.F) { attack.Fuzz(f, provider, claims) }

// TestSignaturesOfOpenSSL verifies signatures that were made with:
//
//	printf %s '1668693823.{"event":{"id":"e1","created":1617180024,"eventType":"Completed"}}' |
//	  openssl dgst -sha256 -hmac test-boldsign-secret
//
// All examples in events/boldsign are signed in the same way, with the development key.
func TestSignaturesOfOpenSSL(t *testing.T) {
	const body = `{"event":{"id":"e1","created":1617180024,"eventType":"Completed"}}`
	const right = "227245c48c6bd61a65031f9a6bc23534472ad1a491fe4a56c02cdfd093221ed1"
	wrong := strings.Repeat("0", 64)
	for name, tt := range map[string]struct {
		headers []string
		want    error
	}{
		"the current secret":      {[]string{"t=1668693823, s0=" + right}, nil},
		"the old secret":          {[]string{"t=1668693823, s0=" + wrong + ", s1=" + right}, nil},
		"no spaces":               {[]string{"t=1668693823,s0=" + right}, nil},
		"another order":           {[]string{"s0=" + right + ", t=1668693823"}, nil},
		"an unknown part":         {[]string{"t=1668693823, s0=" + right + ", s2=" + wrong}, nil},
		"the header twice, equal": {[]string{"t=1668693823, s0=" + right, "t=1668693823, s0=" + right}, nil},
		"the header twice, different": {
			[]string{"t=1668693823, s0=" + right, "t=1668693823, s0=" + wrong}, webhook.ErrNotGenuine,
		},
		"another time":                     {[]string{"t=1668693824, s0=" + right}, webhook.ErrNotGenuine},
		"no time":                          {[]string{"s0=" + right}, webhook.ErrNotGenuine},
		"two times":                        {[]string{"t=1668693823, t=1668693823, s0=" + right}, webhook.ErrNotGenuine},
		"two current signatures":           {[]string{"t=1668693823, s0=" + wrong + ", s0=" + right}, webhook.ErrNotGenuine},
		"an unknown name of the signature": {[]string{"t=1668693823, v1=" + right}, webhook.ErrNotGenuine},
		"capitals":                         {[]string{"t=1668693823, s0=" + strings.ToUpper(right)}, webhook.ErrNotGenuine},
		"no signature":                     {[]string{"t=1668693823"}, webhook.ErrNotGenuine},
		"empty":                            {[]string{""}, webhook.ErrNotGenuine},
		"missing":                          {nil, webhook.ErrNotGenuine},
	} {
		t.Run(name, func(t *testing.T) {
			r := &webhook.Request{Method: http.MethodPost, Header: http.Header{signature: tt.headers}, Body: []byte(body)}
			proof, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets("test-boldsign-secret")})
			if !errors.Is(err, tt.want) || (proof == esign.ProofSigned) != (tt.want == nil) {
				t.Errorf("%q, %v", proof, err)
			}
		})
	}
}

// TestTheTimeCannotExtendIntoTheBody moves the border between the time and the body, under the same signature.
func TestTheTimeCannotExtendIntoTheBody(t *testing.T) {
	const body = `1.{"event":{"id":"e1"}}`
	mac := webhooktest.Hex(webhooktest.MAC(sha256.New, "k", []byte("1668693823."+body)))
	for time, rest := range map[string]string{"1668693823": body, "1668693823.1": body[2:]} {
		r := &webhook.Request{Method: http.MethodPost, Body: []byte(rest)}
		r.Header = http.Header{signature: {"t=" + time + ", s0=" + mac}}
		_, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets("k")})
		if (err == nil) != (rest == body) {
			t.Errorf("time %s: %v", time, err)
		}
	}
}

func TestChallenge(t *testing.T) {
	const verification = `{"event":{"id":"7c872a5b","created":1617180024,"eventType":"Verification","environment":"Test"}}`
	for name, tt := range map[string]struct {
		method, body string
		want         error
	}{
		"a verification": {http.MethodPost, verification, nil},
		"with empty data": {
			http.MethodPost, strings.TrimSuffix(verification, "}") + `,"data":null}`, nil,
		},
		"by GET": {http.MethodGet, verification, webhook.ErrNoChallenge},
		"about a document": {
			http.MethodPost, strings.TrimSuffix(verification, "}") + `,"data":{"documentId":"a"}}`, webhook.ErrNoChallenge,
		},
		"another event that contains the word": {
			http.MethodPost, strings.Replace(verification, "Ver", "IdentityVer", 1), webhook.ErrNoChallenge,
		},
		"the word elsewhere": {
			http.MethodPost, `{"event":{"eventType":"Sent"},"x":"Verification"}`, webhook.ErrNoChallenge,
		},
		"unreadable": {http.MethodPost, verification[1:], webhook.ErrNoChallenge},
		"empty":      {http.MethodPost, "", webhook.ErrNoChallenge},
		"too long": {
			http.MethodPost, verification + strings.Repeat(" ", 3000), webhook.ErrNoChallenge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, keys := range []webhook.Keys{{}, webhooktest.DevelopmentKeys(provider)} { // BoldSign shows the secret later
				got, err := provider.Challenge(&webhook.Request{Method: tt.method, Header: http.Header{}, Body: []byte(tt.body)},
					keys)
				if !errors.Is(err, tt.want) {
					t.Fatalf("%v, want %v", err, tt.want)
				}
				if tt.want == nil && !cmp.Equal(got, &webhook.Response{Status: http.StatusOK}) {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

func TestTypes(t *testing.T) {
	const document, template, identity = `{"documentId":"a"}`, `{"templateId":"a"}`, `{"id":"a"}`
	for _, tt := range []struct {
		event, data string
		want        esign.Type
		subject     string
	}{
		{"Edited", document, esign.AgreementUpdated, "boldsign#a"},
		{"EditFailed", document, esign.AgreementUpdated, "boldsign#a"},
		{"Reminder", document, esign.AgreementUpdated, "boldsign#a"},
		{"DeliveryFailed", document, esign.AgreementUndeliverable, "boldsign#a"},
		{"AuthenticationFailed", document, esign.AgreementUndeliverable, "boldsign#a"},
		{"IdentityVerificationFailed", document, esign.AgreementUndeliverable, "boldsign#a"},
		{"IdentityVerificationInitiated", document, esign.AgreementUpdated, "boldsign#a"},
		{"Notarized", document, esign.AgreementUpdated, "boldsign#a"},
		{"DeliveryFailed", "{}", esign.Other, "boldsign#other:"},
		{"IdentityVerificationSucceeded", document, esign.AgreementUpdated, "boldsign#a"},
		{"TemplateSendFailed", document, esign.AgreementUpdated, "boldsign#a"},
		{"TemplateSendFailed", template, esign.TemplateFailed, "boldsign#template:a"},
		{"TemplateEdited", template, esign.TemplateUpdated, "boldsign#template:a"},
		{"TemplateCreated", "null", esign.TemplateCreated, "boldsign#template:"},
		{"SenderIdentityDenied", identity, esign.Other, "boldsign#account:a"},
		{"Completed", "{}", esign.Other, "boldsign#other:"},
		{"", "[]", esign.Other, "boldsign#other:"},
	} {
		body := []byte(`{"event":{"id":"e","eventType":"` + tt.event + `"},"data":` + tt.data + `}`)
		ids, err := provider.Identify(&webhook.Request{Body: body})
		if err != nil {
			t.Fatal(err)
		}
		event, err := provider.Normalize(&webhook.Delivery{Payload: body})
		undeliverable := tt.want == esign.AgreementUndeliverable
		if err != nil || event.Type != tt.want || ids[0].Subject != tt.subject || undeliverable != (event.Cause != "") {
			t.Errorf("%s of %s: %s, subject %q, %v", tt.event, tt.data, event.Type, ids[0].Subject, err)
		}
	}
}

// TestIdentity tests which requests have the same event ID.
func TestIdentity(t *testing.T) {
	id := func(body string) string {
		ids, err := provider.Identify(&webhook.Request{Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		return ids[0].EventID
	}
	first := id(`{"event":{"id":"e1","eventType":"Sent"},"data":{"documentId":"a"}}`)
	if first != id(`{"event":{"id":"e1","clientId":"app"},"data":{"documentId":"a","status":"Completed"}}`) {
		t.Error("one event ID makes two events")
	}
	if first == id(`{"event":{"id":"e2","eventType":"Sent"},"data":{"documentId":"a"}}`) {
		t.Error("two event IDs make one event")
	}
	if id(`{"event":{},"x":1}`) == id(`{"event":{},"x":2}`) {
		t.Error("without an ID, two bodies make one event")
	}
}
