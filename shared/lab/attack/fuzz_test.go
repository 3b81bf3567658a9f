package attack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// personal matches the fields of all vendors that hold a person's name, address or text.
var personal = regexp.MustCompile(`(?i)"([a-z_]*(?:email|username|user_?name|signer_name|fullname|firstname|lastname|phone|accesscode|message|subject|title|reason|comment|company|ipaddress))"\s*:\s*"((?:[^"\\]|\\.)*)"`)

// FuzzEventsHoldNoPersonalData replaces the personal fields of an example. The event must not contain the new value,
// unless the value looks like an ID made by a vendor.
func FuzzEventsHoldNoPersonalData(f *testing.F) {
	type example struct {
		webhook.Provider
		name string
	}
	var examples []example
	for _, p := range provider.All() {
		for _, name := range sample.Names(p) {
			examples = append(examples, example{p, name})
		}
	}
	for i := range examples {
		f.Add(uint8(i), "canary.person@example.com")
	}
	f.Add(uint8(3), "Anna Canary-Müller")
	f.Add(uint8(3), "+49 151 2345678")
	f.Add(uint8(3), "0151-23456789")
	requests := map[string]map[string]*webhook.Request{}
	for _, p := range provider.All() {
		requests[p.Info().Name] = webhooktest.Examples(f, p.Info().Name)
	}
	f.Fuzz(func(t *testing.T, n uint8, person string) {
		ex := examples[int(n)%len(examples)]
		r := webhooktest.Clone(requests[ex.Info().Name][ex.name])
		person = strings.TrimSpace(person)
		if r.Method != http.MethodPost || len(person) < 6 || webhook.ParticipantKey(person) == person ||
			strings.ContainsFunc(person, func(c rune) bool { return c < ' ' }) {
			return
		}
		quoted, err := json.Marshal(person)
		if err != nil || !json.Valid(quoted) || r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			return
		}
		before := kept(t, ex.Provider, r)
		r.Body = personal.ReplaceAll(r.Body, []byte(`"$1":`+strings.ReplaceAll(string(quoted), "$", "$$")))
		after := kept(t, ex.Provider, r)
		if strings.Contains(after, person) && !strings.Contains(before, person) {
			t.Fatalf("the event of %s/%s contains %q: %s", ex.Info().Name, ex.name, person, after)
		}
	})
}

// kept is all that is kept of a request but the payload. Reasons, which are personal, are off, as is the default.
func kept(t *testing.T, p webhook.Provider, r *webhook.Request) string {
	ids, err := p.Identify(r)
	if err != nil {
		return ""
	}
	all := ""
	for _, id := range ids {
		d := webhooktest.Delivery(p, r, id, esign.ProofSigned)
		e, err := p.Normalize(d)
		if err != nil {
			t.Fatal(err)
		}
		e = esign.Policy{References: []string{"*"}}.Apply(e, p.Info().PersonReference)
		b, err := json.Marshal([]any{id, e, esign.Fold(esign.Agreement{}, e)})
		if err != nil {
			t.Fatal(err)
		}
		all += string(b)
	}
	return all
}

// FuzzProxyEvent passes any proxy event to the receivers. None may panic. Every answer must be a documented one. A
// refused request must leave no trace, and only a configured public key may be echoed.
func FuzzProxyEvent(f *testing.F) {
	for _, p := range provider.All() {
		for _, r := range webhooktest.Examples(f, p.Info().Name) {
			b, err := json.Marshal(proxyEvent(r))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, uint8(0))
			f.Add(b, uint8(1))
		}
	}
	f.Add([]byte(`{"httpMethod":"POST","headers":{"":"","X-Adobesign-Clientid":"a\r\nb"},"body":"/","isBase64Encoded":true}`), uint8(0))
	f.Fuzz(func(t *testing.T, event []byte, withToken uint8) {
		for _, p := range provider.All() {
			b, keys := newBooks(), webhooktest.DevelopmentKeys(p)
			if withToken%2 == 1 {
				keys.URLTokens = webhook.Secrets("0123456789abcdef")
			}
			answer, err := lambda.NewHandler(b.function(p, keys)).Invoke(t.Context(), event)
			if err != nil {
				if len(b.claims)+len(b.sent) > 0 {
					t.Fatalf("%s: %v, and left a trace", p.Info().Name, err)
				}
				continue // no JSON, or no base64: API Gateway's own mistake
			}
			var response events.APIGatewayProxyResponse
			if err := json.Unmarshal(answer, &response); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains([]int{200, 401, 404, 405, 413}, response.StatusCode) {
				t.Fatalf("%s: answered %d", p.Info().Name, response.StatusCode)
			}
			if response.StatusCode != 200 && len(b.claims)+len(b.sent)+len(b.stored) > 0 {
				t.Fatalf("%s: refused with %d, and left a trace", p.Info().Name, response.StatusCode)
			}
			if withToken%2 == 1 && response.StatusCode != 404 && !bytes.Contains(event, []byte("0123456789abcdef")) &&
				!bytes.Contains(event, []byte(`\u`)) {
				t.Fatalf("%s: answered %d without the token", p.Info().Name, response.StatusCode)
			}
			for name, value := range response.Headers {
				ours := slices.Contains([]string{"Content-Type", "Allow", "Retry-After"}, name)
				if strings.ContainsAny(name+value, "\r\n\x00") || !ours && value != p.Info().DevelopmentKey {
					t.Fatalf("%s: header %q: %q", p.Info().Name, name, value)
				}
			}
			for line := range strings.Lines(b.log.String()) {
				if !json.Valid([]byte(line)) {
					t.Fatalf("%s: not a line of JSON: %q", p.Info().Name, line)
				}
			}
			for i, m := range b.sent {
				if b.work(t, record(i, m), provider.All()...) {
					t.Fatalf("%s: the worker returns it to the queue", p.Info().Name)
				}
			}
			if strings.Contains(b.log.String(), "panic") {
				t.Fatalf("%s: %s", p.Info().Name, b.log.String())
			}
		}
	})
}

// FuzzMessage passes any message to the worker. It must not panic, and must turn the message into events or a dead
// letter.
func FuzzMessage(f *testing.F) {
	for _, p := range provider.All() {
		for _, r := range webhooktest.Examples(f, p.Info().Name) {
			if r.Method != http.MethodPost {
				continue
			}
			ids, err := p.Identify(r)
			if err != nil {
				f.Fatal(err)
			}
			for _, id := range append(ids, webhook.Unreadable(p.Info().Name, r.Body)) {
				m, _ := queue.Encode(webhooktest.Delivery(p, r, id, esign.ProofSigned))
				a := m.Attributes
				f.Add(m.Body, a["provider"], a["eventId"], a["subject"], a["proof"], a["encoding"], a["contentType"],
					a["receivedAt"])
			}
		}
	}
	f.Fuzz(func(t *testing.T, body, name, eventID, subject, proof, encoding, contentType, receivedAt string) {
		m := queue.Message{Group: "g", DeduplicationID: "d", Body: body, Attributes: map[string]string{
			"provider": name, "eventId": eventID, "subject": subject, "proof": proof, "encoding": encoding,
			"contentType": contentType, "receivedAt": receivedAt,
		}}
		b := newBooks()
		if b.work(t, record(1, m), provider.All()...) {
			t.Fatalf("the worker returns it to the queue: %s", b.log.String())
		}
		if len(b.commits) == 0 && len(b.dead) != 1 || len(b.commits) > 0 && len(b.dead) > 0 {
			t.Fatalf("%d events and %d dead letters", len(b.commits), len(b.dead))
		}
		if strings.Contains(b.log.String(), "panic") {
			t.Fatalf("panicked: %s", b.log.String())
		}
	})
}

// FuzzPath requests paths of localhost that do not contain the token. The answer must not show that the webhook exists.
func FuzzPath(f *testing.F) {
	g, _ := gateway(f)
	for _, p := range provider.All() {
		for _, path := range []string{
			"/webhooks/NAME", "/webhooks/NAME/", "/webhooks/NAME/x", "/webhooks/NAME//", "/webhooks/NAME/../NAME/%74",
			"//webhooks/NAME", "/webhooks/NAME?x=%zz", "/webhooks/NAME/x/y", "",
		} {
			f.Add(http.MethodPost, strings.ReplaceAll(path, "NAME", p.Info().Name))
		}
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		if !regexp.MustCompile(`^[A-Za-z]+$`).MatchString(method) {
			return
		}
		unescaped, err := url.PathUnescape(path)
		if strings.Contains(unescaped, canary) || err != nil && strings.Contains(path, canary) {
			return
		}
		if a := ask(g, method, path, http.Header{}, nil); a.Code != http.StatusNotFound ||
			strings.Contains(a.Body.String(), canary) {
			t.Fatalf("%s %q: %d %s", method, path, a.Code, a.Body)
		}
	})
}
