package attack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"testing"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// vendor is what it takes to forge a vendor's requests, made of the vendor's documents and not of our code.
type vendor struct {
	webhook.Provider
	header       string                // that proves a request
	outer, inner string                // where the ID of an agreement stands
	event        func(k string) string // the fields that say, under key k, that the agreement is completed
	// covered are the bytes under the signature; nil if there is none, but the key itself.
	covered func(*webhook.Request) []byte
	// spellings are the forms of a MAC that the vendor may use; the first is used here.
	spellings []func([]byte) string
}

const timestamp = "X-Tsign-Open-Timestamp"

func bodyOf(r *webhook.Request) []byte { return r.Body }

func plain(b []byte) string       { return string(b) }
func base64Of(b []byte) string    { return base64.StdEncoding.EncodeToString(b) }
func base64OfHex(b []byte) string { return base64Of([]byte(hex.EncodeToString(b))) }

// vendors are those of [provider.All], each of them.
func vendors(t testing.TB) []vendor {
	t.Helper()
	known := map[string]vendor{
		"adobesign": {
			header: "X-AdobeSign-ClientId", outer: "agreement", inner: "id", spellings: []func([]byte) string{plain},
			event: func(string) string {
				return `"event":"AGREEMENT_WORKFLOW_COMPLETED","eventDate":"2026-11-02T09:00:00Z"`
			},
		},
		"docusign": {
			header: "X-DocuSign-Signature-1", outer: "data", inner: "envelopeId", covered: bodyOf, spellings: []func([]byte) string{base64Of},
			event: func(string) string { return `"event":"envelope-completed"` },
		},
		"dropboxsign": {
			header: "Content-Sha256", outer: "signature_request", inner: "signature_request_id", covered: bodyOf, // of JSON, which is its own message
			spellings: []func([]byte) string{base64OfHex, base64Of},
			event: func(k string) string {
				const at, what = "1793610000", "signature_request_all_signed"
				return fmt.Sprintf(`"event":{"event_time":%q,"event_type":%q,"event_hash":"%x"}`, at, what, keyed(sha256.New, k, []byte(at+what)))
			},
		},
		"esignglobal": {
			header: "X-Tsign-Open-Signature", outer: "callBackEnvelopeVO", inner: "envelopeId", spellings: []func([]byte) string{hex.EncodeToString},
			event: func(string) string { return `"callBackDesc":"ENVELOPE_FINISH"` },
			covered: func(r *webhook.Request) []byte {
				return append([]byte(r.Header.Get(timestamp)), r.Body...) // there is no query
			},
		},
	}
	var all []vendor
	for _, p := range provider.All() {
		v, ok := known[p.Info().Name]
		if !ok {
			t.Fatalf("nobody attacks %s: say here what its requests are made of", p.Info().Name)
		}
		v.Provider = p
		all = append(all, v)
	}
	return all
}

// keyed is the HMAC of b under k.
func keyed(h func() hash.Hash, k string, b []byte) []byte {
	mac := hmac.New(h, []byte(k))
	mac.Write(b)
	return mac.Sum(nil)
}

// mac is what proves r under k, before it is spelled: the key itself where nothing is signed.
func (v vendor) mac(h func() hash.Hash, k string, r *webhook.Request) []byte {
	if v.covered == nil {
		return []byte(k)
	}
	return keyed(h, k, v.covered(r))
}

// proof is the value of the header that proves r under k.
func (v vendor) proof(k string, r *webhook.Request) string {
	return v.spellings[0](v.mac(sha256.New, k, r))
}

// body is a message about the agreement with this ID, and about a person.
func (v vendor) body(k, id string) string {
	return v.message(k, fmt.Sprintf(`%q:{%q:%q}`, v.outer, v.inner, id))
}

// message has rest beside the event. OUTER and INNER stand for the vendor's words.
func (v vendor) message(k, rest string) string {
	rest = strings.NewReplacer("OUTER", v.outer, "INNER", v.inner).Replace(rest)
	return `{` + v.event(k) + `,` + rest + `,"leak":"canary.person@example.com"}`
}

// signed is a POST of the body, genuine under k.
func (v vendor) signed(k, body string) *webhook.Request {
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	r.Header.Set("Content-Type", "application/json")
	if v.header == "X-Tsign-Open-Signature" {
		r.Header.Set(timestamp, "1793610000000")
	}
	r.Header.Set(v.header, v.proof(k, r))
	return r
}

// genuine is a POST about the agreement "genuine", under the vendor's key and with its token.
func (v vendor) genuine() *webhook.Request {
	r := v.signed(keyOf(v), v.body(keyOf(v), "genuine"))
	r.URLToken = tokenOf(v)
	return r
}
