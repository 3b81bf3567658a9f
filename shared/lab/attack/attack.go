// Package attack is a suite of attacks on a provider: forgeries, and requests that may crash or overload it. They pass
// through the whole pipeline: the proxy event's JSON, the receiver, the queue's message and the worker. Each row of a
// table is an attack and its outcome.
package attack

import (
	"cmp"
	"crypto/sha256"
	"hash"
	"net/http"
	"testing"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// Run attacks the provider. It is a suite of [webhooktest.Run].
func Run(t *testing.T, p webhook.Provider, claims webhooktest.Claims) {
	claims.AlgorithmHeader = cmp.Or(claims.AlgorithmHeader, "X-Signature-Algorithm")
	v := vendor{p, claims}
	for name, test := range map[string]func(*testing.T, vendor){
		"examples":                       examples,
		"missing and weaker proofs":      missingProofs,
		"spellings of the proof":         spellings,
		"guessed keys":                   guessedKeys,
		"without a key":                  withoutKey,
		"changed requests":               changedRequests,
		"replays":                        replays,
		"requests of other vendors":      otherVendors,
		"URL tokens":                     urlTokens,
		"client certificates":            clientCertificates,
		"ambiguous JSON":                 ambiguousJSON,
		"IDs beyond the precision":       bigIDs,
		"wrong content types":            contentTypes,
		"compressed bodies":              compressedBodies,
		"bodies that claim their proof":  claimedProofs,
		"other methods":                  otherMethods,
		"GET leaves no trace":            getLeavesNoTrace,
		"headers of all sizes":           headerSizes,
		"bodies over the limit":          bodySizes,
		"control characters in the logs": logInjection,
	} {
		t.Run(name, func(t *testing.T) { test(t, v) })
	}
}

// vendor is a provider under attack.
type vendor struct {
	webhook.Provider
	webhooktest.Claims
}

func (v vendor) name() string { return v.Info().Name }

// canary is in every key and token, and in every body. It must appear nowhere else.
const canary = "canary"

func keyOf(p webhook.Provider) string   { return canary + "-key-of-" + p.Info().Name }
func tokenOf(p webhook.Provider) string { return canary + "-token-of-" + p.Info().Name }

func (v vendor) key() string   { return keyOf(v) }
func (v vendor) token() string { return tokenOf(v) }

// keysOf returns the keys of p, with a URL token or without.
func keysOf(p webhook.Provider, withToken bool) webhook.Keys {
	k := webhook.Keys{Keys: webhook.Secrets(keyOf(p))}
	if withToken {
		k.URLTokens = webhook.Secrets(tokenOf(p))
	}
	return k
}

// mac returns the MAC that proves r under key, before it is encoded. If the vendor signs nothing, it returns the key
// itself.
func (v vendor) mac(h func() hash.Hash, key string, r *webhook.Request) []byte {
	if v.Covered == nil {
		return []byte(key)
	}
	return webhooktest.MAC(h, key, v.Covered(r))
}

// proof returns the value of the header that proves r under key.
func (v vendor) proof(key string, r *webhook.Request) string {
	return v.Spellings[0](v.mac(sha256.New, key, r))
}

// signed returns a POST of the body that is genuine under key.
func (v vendor) signed(key, body string) *webhook.Request {
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	r.Header.Set("Content-Type", "application/json")
	for name, values := range v.Headers {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	r.Header.Set(v.Header, v.proof(key, r))
	return r
}

// genuine returns a POST about the agreement "genuine", under the vendor's key and with its token.
func (v vendor) genuine() *webhook.Request {
	r := v.signed(v.key(), v.Body(v.key(), "genuine"))
	r.URLToken = v.token()
	return r
}

// unsign removes what proves a request, and leaves the URL token.
func (v vendor) unsign(r *webhook.Request) {
	r.Header.Del(v.Header)
	for name := range v.Headers {
		r.Header.Del(name)
	}
}
