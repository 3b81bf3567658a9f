package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

// reference is the provider in tests that need only one.
const reference = "docusign"

func providerOf(name string) webhook.Provider {
	p, ok := webhook.Find(provider.All(), name)
	if !ok {
		panic("no provider " + name)
	}
	return p
}

// message returns a genuine request of the reference provider about an agreement, under the development key. Each call
// is another event, a second later than the one before.
func message(id, example string) request { return messageOf(providerOf(reference), id, example) }

func messageOf(p webhook.Provider, id, example string) request {
	at := time.Now().Add(-time.Hour).Add(time.Duration(counter.Add(1)) * time.Second)
	r, _ := signed(p, id, example, p.Info().DevelopmentKey, at)
	return r
}

// signed returns a genuine request made from an example at a time. It also returns the ID of the agreement: a new one
// if id is empty.
func signed(p webhook.Provider, id, example, key string, at time.Time) (request, string) {
	r, known, err := sample.Request(p, example, id, webhook.NewSecret(key), at)
	if err != nil {
		panic(err)
	}
	path := "/webhooks/" + p.Info().Name
	if len(r.Query) > 0 {
		path += "?" + url.Values(r.Query).Encode()
	}
	made := request{method: r.Method, path: path, provider: p, key: key, header: map[string]string{}}
	for name, values := range r.Header {
		if name != "Host" && name != "Content-Length" && !strings.HasPrefix(name, "X-Forwarded-") {
			made.header[name] = values[0]
		}
	}
	made.body = string(r.Body)
	return made, known
}

// genuine returns a new, genuine request of each provider. It completes an agreement.
func genuine() map[string]request {
	return genuineUnder(func(p webhook.Provider) string { return p.Info().DevelopmentKey })
}

func genuineUnder(key func(webhook.Provider) string) map[string]request {
	all := map[string]request{}
	for _, p := range provider.All() {
		all[p.Info().Name], _ = signed(p, "", completion(p), key(p), time.Now())
	}
	return all
}

// completion returns the name of the example that completes an agreement.
func completion(p webhook.Provider) string {
	name, err := sample.Completed(p)
	if err != nil {
		panic(err)
	}
	return name
}

// saying returns r with another body, signed again. It returns false if the vendor cannot sign such a body.
func (r request) saying(body string) (request, bool) {
	wire := r.wire(body)
	err := r.provider.Sign(wire, webhook.NewSecret(r.key), time.Now())
	r.body = string(wire.Body)
	for name, values := range wire.Header {
		r = r.with(name, values[0])
	}
	return r, err == nil && r.isGenuine()
}

// must returns r with another body, signed again. Every vendor must be able to sign the body.
func (r request) must(t *testing.T, body string) request {
	t.Helper()
	r, ok := r.saying(body)
	if !ok {
		t.Fatalf("%s cannot sign %.200q", r.path, body)
	}
	return r
}

// isGenuine reports whether the key proves r.
func (r request) isGenuine() bool {
	_, err := r.provider.Verify(r.wire(r.body), webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(r.key)}})
	return err == nil
}

func (r request) wire(body string) *webhook.Request {
	_, query, _ := strings.Cut(r.path, "?")
	values, _ := url.ParseQuery(query)
	wire := &webhook.Request{Method: http.MethodPost, Query: values, Header: http.Header{}, Body: []byte(body)}
	for name, value := range r.header {
		wire.Header.Set(name, value)
	}
	return wire
}

// field returns the body with a member added to its last JSON object.
func (r request) field(member string) string {
	end := strings.LastIndexByte(r.body, '}')
	return r.body[:end] + "," + member + r.body[end:]
}

// identities returns the identities of the events in r.
func (r request) identities(t *testing.T) []webhook.Identity {
	t.Helper()
	ids, err := r.provider.Identify(r.wire(r.body))
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// forged returns r, signed with a key that is not configured.
func (r request) forged(t *testing.T) request {
	t.Helper()
	r.key = "not-configured-1d9f"
	r, _ = r.saying(r.body)
	return r
}
