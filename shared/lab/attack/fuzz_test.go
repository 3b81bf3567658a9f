package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// books is a pipeline that only remembers: no file, no waiting.
type books struct {
	claims  []ledger.Claim
	sent    []queue.Message
	dead    []queue.Message
	commits []ledger.Commit
	marked  []ledger.Claim
	log     bytes.Buffer
	stored  map[string][]byte
}

func (b *books) Claim(_ context.Context, c ledger.Claim) (ledger.State, error) {
	b.claims = append(b.claims, c)
	return ledger.New, nil
}
func (b *books) Repeated(context.Context, ledger.Key, string) error { return nil }
func (b *books) Agreement(context.Context, string) (esign.Agreement, int64, error) {
	return esign.Agreement{}, 0, nil
}
func (b *books) Commit(_ context.Context, effects ...ledger.Commit) error {
	b.commits = append(b.commits, effects...)
	return nil
}
func (b *books) MarkUnreadable(_ context.Context, c ledger.Claim) error {
	b.marked = append(b.marked, c)
	return nil
}
func (b *books) Put(_ context.Context, key string, body []byte) error {
	b.stored[key] = bytes.Clone(body)
	return nil
}
func (b *books) Get(_ context.Context, key string) ([]byte, error) { return b.stored[key], nil }
func (b *books) Send(_ context.Context, m queue.Message) error {
	b.sent = append(b.sent, m)
	return nil
}

type lettersOf struct{ *books }

func (l lettersOf) Send(_ context.Context, m queue.Message) error {
	l.dead = append(l.dead, m)
	return nil
}

func newBooks() *books { return &books{stored: map[string][]byte{}} }

// function is p's Lambda function in front of b.
func (b *books) function(p webhook.Provider, keys webhook.Keys) apigw.Function {
	log, now := slog.New(slog.NewJSONHandler(&b.log, nil)), func() time.Time { return webhooktest.ReceivedAt }
	r := &receive.Receiver{
		Provider: p, Keys: func(context.Context) (webhook.Keys, error) { return keys, nil }, Claims: b, Payloads: b, Queue: b, Now: now, Log: log,
		Metrics: metric.New(&b.log, "fuzz", now),
	}
	return r.Receive
}

// work processes a message as the worker does, and says whether it must come again.
func (b *books) work(t *testing.T, m events.SQSMessage) bool {
	log, now := slog.New(slog.NewJSONHandler(&b.log, nil)), func() time.Time { return webhooktest.ReceivedAt }
	worker := &process.Processor{Providers: provider.All(), Ledger: b, Payloads: b, DeadLetters: lettersOf{b}, Now: now, Log: log}
	response, err := worker.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{m}})
	if err != nil {
		t.Fatal(err)
	}
	return len(response.BatchItemFailures) > 0
}

// FuzzAdobeSign, FuzzDocuSign, FuzzDropboxSign, FuzzESignGlobal: see [genuine].
func FuzzAdobeSign(f *testing.F)   { genuine(f, "adobesign") }
func FuzzDocuSign(f *testing.F)    { genuine(f, "docusign") }
func FuzzDropboxSign(f *testing.F) { genuine(f, "dropboxsign") }
func FuzzESignGlobal(f *testing.F) { genuine(f, "esignglobal") }

// genuine: a request with any body under any Content-Type, if it is genuine, is acknowledged; it panics neither the
// receiver nor the worker; the worker reads of it what the receiver has verified; which event it is does not depend on
// the headers around it; and what is kept of it is well formed and survives JSON.
func genuine(f *testing.F, name string) {
	p, ok := webhook.Find(provider.All(), name)
	if !ok {
		f.Fatal(name)
	}
	for _, r := range webhooktest.Examples(f, name) {
		f.Add(r.Header.Get("Content-Type"), r.Body, "v")
	}
	f.Add("multipart/form-data; boundary=x; a="+strings.Repeat("z", 300), []byte("--y\r\n\r\n\r\n--y--\r\n--x\r\n\r\n\r\n--x--\r\n"), "")
	keys := webhooktest.DevelopmentKeys(p)
	f.Fuzz(func(t *testing.T, contentType string, body []byte, other string) {
		r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: body}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		r.Header.Set("Content-Sha256", "")
		if name != "dropboxsign" {
			r.Header.Del("Content-Sha256")
		}
		if p.Sign(r, keys.Keys[0], webhooktest.ReceivedAt) != nil {
			return // dropboxsign: a body without an event_hash
		}
		b := newBooks()
		event, err := json.Marshal(proxyEvent(r))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := lambda.NewHandler(b.function(p, keys)).Invoke(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		var response events.APIGatewayProxyResponse
		if err := json.Unmarshal(answer, &response); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode == http.StatusUnauthorized && name == "dropboxsign" && len(b.claims)+len(b.sent) == 0 {
			return // an impossible time or type, or a Content-Type that does not travel
		}
		if response.StatusCode != http.StatusOK || len(b.claims) == 0 || len(b.claims) != len(b.sent) {
			t.Fatalf("answered %d, with %d claims and %d messages", response.StatusCode, len(b.claims), len(b.sent))
		}
		same(t, p, r, other)
		for i, m := range b.sent {
			if b.work(t, record(i, m)) {
				t.Fatal("the worker gives it back")
			}
		}
		if strings.Contains(b.log.String(), `panic`) {
			t.Fatalf("panicked: %s", b.log.String())
		}
		if len(b.commits)+len(b.marked) != len(b.claims) || len(b.marked) != len(b.dead) {
			t.Fatalf("%d claims became %d events, %d unreadable and %d dead letters", len(b.claims), len(b.commits), len(b.marked), len(b.dead))
		}
		for i, c := range b.commits {
			wellFormed(t, b.claims[i], c)
		}
	})
}

// same: other headers, in another order and of another case, make no other event.
func same(t *testing.T, p webhook.Provider, r *webhook.Request, other string) {
	ids, err := p.Identify(r)
	around := webhooktest.Clone(r)
	around.Header = http.Header{}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(r.Header))) {
		around.Header[name] = r.Header[name]
	}
	for _, name := range []string{"X-Other", "User-Agent", "Content-Language", "X-Docusign-Accountid", "Accept"} {
		around.Header.Set(name, other)
	}
	around.URLToken, around.Trace, around.Query = other, other, url.Values{"a": {other}}
	again, againErr := p.Identify(around)
	if diff := cmp.Diff(ids, again); diff != "" || (err == nil) != (againErr == nil) {
		t.Fatalf("%v, %v: %s", err, againErr, diff)
	}
}

var (
	hexID     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	printable = regexp.MustCompile(`^[ -~]*$`)
	groupID   = regexp.MustCompile(`^[!-~]{1,128}$`) // SQS's
)

func wellFormed(t *testing.T, claim ledger.Claim, c ledger.Commit) {
	e := c.Event
	at := claim.OccurredAt
	if at.IsZero() {
		at = e.OccurredAt
	}
	if e.ID != claim.ID || e.Subject != claim.Subject || e.AgreementID != claim.AgreementID || e.VendorType != claim.VendorType || e.Proof != claim.Proof || !e.OccurredAt.Equal(at) {
		t.Fatalf("verified as %+v, processed as %+v", claim, e)
	}
	if !hexID.MatchString(e.ID) || !groupID.MatchString(e.Subject) || len(e.AgreementID) > 512 {
		t.Fatalf("%+v", e)
	}
	if e.AgreementID != "" && e.Subject != webhook.AgreementSubject(e.Provider, e.AgreementID) {
		t.Fatalf("%q is no subject of %q", e.Subject, e.AgreementID)
	}
	texts := []string{string(e.Type), e.VendorType, e.AccountID, e.Participant, claim.Via}
	for _, p := range e.Participants {
		texts = append(texts, p.ID, string(p.Status))
	}
	for key, value := range e.Attributes {
		texts = append(texts, key, value)
	}
	for _, text := range texts {
		if !printable.MatchString(text) || len(text) > 100 {
			t.Fatalf("%q in %+v", text, e)
		}
	}
	for _, id := range append(slices.Collect(maps.Keys(participants(c))), e.Participant) {
		if strings.Contains(id, "@") {
			t.Fatalf("an address: %+v", e)
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back esign.Event
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, back, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("through JSON: %s", diff)
	}
}

func participants(c ledger.Commit) map[string]esign.Progress {
	if c.Agreement == nil {
		return nil
	}
	return c.Agreement.Participants
}

// personal are the fields of all vendors that hold what a person is called, writes or is reached by.
var personal = regexp.MustCompile(`(?i)"([a-z_]*(?:email|username|user_?name|signer_name|fullname|firstname|lastname|phone|accesscode|message|subject|title|reason|comment|company|ipaddress))"\s*:\s*"((?:[^"\\]|\\.)*)"`)

// FuzzNoPersonIsTold: whatever stands where a vendor tells a person's name, address or words, the event does not tell it,
// unless it looks like an ID that a vendor has made.
func FuzzNoPersonIsTold(f *testing.F) {
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
		if r.Method != http.MethodPost || len(person) < 6 || webhook.ParticipantKey(person) == person || strings.ContainsFunc(person, func(c rune) bool { return c < ' ' }) {
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
			t.Fatalf("%s/%s tells %q: %s", ex.Info().Name, ex.name, person, after)
		}
	})
}

// kept is all that is kept of a request but the payload.
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
		b, err := json.Marshal([]any{id, e, esign.Fold(esign.Agreement{}, e)})
		if err != nil {
			t.Fatal(err)
		}
		all += string(b)
	}
	return all
}

// FuzzProxyEvent: whatever API Gateway passes on, no function panics; an answer is one of those that are documented; what
// is refused leaves nothing, and only Adobe's client ID, which is configured, is ever echoed.
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
			if withToken%2 == 1 && response.StatusCode != 404 && !bytes.Contains(event, []byte("0123456789abcdef")) && !bytes.Contains(event, []byte(`\u`)) {
				t.Fatalf("%s: answered %d without the token", p.Info().Name, response.StatusCode)
			}
			for name, value := range response.Headers {
				if strings.ContainsAny(name+value, "\r\n\x00") || name == "X-AdobeSign-ClientId" && value != p.Info().DevelopmentKey {
					t.Fatalf("%s: header %q: %q", p.Info().Name, name, value)
				}
			}
			for line := range strings.Lines(b.log.String()) {
				if !json.Valid([]byte(line)) {
					t.Fatalf("%s: not a line of JSON: %q", p.Info().Name, line)
				}
			}
			for i, m := range b.sent {
				if b.work(t, record(i, m)) {
					t.Fatalf("%s: the worker gives it back", p.Info().Name)
				}
			}
			if strings.Contains(b.log.String(), "panic") {
				t.Fatalf("%s: %s", p.Info().Name, b.log.String())
			}
		}
	})
}

// FuzzMessage: whatever lies in the queue, the worker does not panic, and is done with it: an event, or a dead letter.
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
				f.Add(m.Body, a["provider"], a["eventId"], a["subject"], a["proof"], a["encoding"], a["contentType"], a["receivedAt"])
			}
		}
	}
	f.Fuzz(func(t *testing.T, body, provider, eventID, subject, proof, encoding, contentType, receivedAt string) {
		m := queue.Message{Group: "g", DeduplicationID: "d", Body: body, Attributes: map[string]string{
			"provider": provider, "eventId": eventID, "subject": subject, "proof": proof, "encoding": encoding, "contentType": contentType, "receivedAt": receivedAt,
		}}
		b := newBooks()
		if b.work(t, record(1, m)) {
			t.Fatalf("the worker gives it back: %s", b.log.String())
		}
		if len(b.commits) == 0 && len(b.dead) != 1 || len(b.commits) > 0 && len(b.dead) > 0 {
			t.Fatalf("%d events and %d dead letters", len(b.commits), len(b.dead))
		}
		if strings.Contains(b.log.String(), "panic") {
			t.Fatalf("panicked: %s", b.log.String())
		}
	})
}

// FuzzPath: localhost answers a path that does not hold the token, and begins with no other word, as if there were nothing.
func FuzzPath(f *testing.F) {
	g, _ := gateway(f)
	for _, v := range vendors(f) {
		for _, path := range []string{"/webhooks/NAME", "/webhooks/NAME/", "/webhooks/NAME/x", "/webhooks/NAME//", "/webhooks/NAME/../NAME/%74", "//webhooks/NAME", "/webhooks/NAME?x=%zz", "/webhooks/NAME/x/y", ""} {
			f.Add(http.MethodPost, strings.ReplaceAll(path, "NAME", v.Info().Name))
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
		if a := ask(g, method, path, http.Header{}, nil); a.Code != http.StatusNotFound || strings.Contains(a.Body.String(), canary) {
			t.Fatalf("%s %q: %d %s", method, path, a.Code, a.Body)
		}
	})
}
