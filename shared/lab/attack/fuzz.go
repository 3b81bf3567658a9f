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
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// books is a pipeline in memory. It writes no file and never waits.
type books struct {
	claims  []ledger.Claim
	sent    []queue.Message
	dead    []queue.Message
	commits []ledger.Commit
	marked  []ledger.Claim
	log     bytes.Buffer
	stored  map[string][]byte
}

func (b *books) Claim(_ context.Context, c ledger.Claim) (ledger.Found, error) {
	b.claims = append(b.claims, c)
	return ledger.Found{}, nil
}
func (b *books) Repeated(context.Context, ledger.Key, string) error { return nil }
func (b *books) Agreement(context.Context, string) (esign.Agreement, int64, error) {
	return esign.Agreement{}, 0, nil
}
func (b *books) Commit(_ context.Context, effects ...ledger.Commit) error {
	b.commits = append(b.commits, effects...)
	return nil
}
func (b *books) Event(_ context.Context, k ledger.Key) (ledger.Entry, error) {
	return ledger.Entry{Key: k}, nil
}
func (b *books) Forgotten(context.Context, string) (time.Time, error)      { return time.Time{}, nil }
func (b *books) Drop(context.Context, ledger.Key, time.Time) error         { return nil }
func (b *books) MarkDuplicate(context.Context, ledger.Claim, string) error { return nil }
func (b *books) Correct(context.Context, ledger.Correction) error          { return nil }
func (b *books) History(context.Context, string) ([]ledger.Entry, error)   { return nil, nil }
func (b *books) MarkUnreadable(_ context.Context, c ledger.Claim, _ time.Time) error {
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
		Provider: p, Keys: func(context.Context) (webhook.Keys, error) { return keys, nil }, Claims: b, Payloads: b, Queue: b,
		Now: now, Log: log,
		Metrics: metric.New(&b.log, "fuzz", now),
	}
	return r.Receive
}

// work processes a message as the worker does, and reports whether it must be redelivered.
func (b *books) work(t *testing.T, m events.SQSMessage, providers ...webhook.Provider) bool {
	log, now := slog.New(slog.NewJSONHandler(&b.log, nil)), func() time.Time { return webhooktest.ReceivedAt }
	worker := &process.Processor{
		Providers: providers, Ledger: b, Payloads: b, DeadLetters: lettersOf{b}, Now: now, Log: log,
		Policy: esign.Policy{References: []string{"*"}},
	}
	response, err := worker.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{m}})
	if err != nil {
		t.Fatal(err)
	}
	return len(response.BatchItemFailures) > 0
}

// Fuzz sends genuine requests with any body under any Content-Type. Each one must be acknowledged and must not panic
// the receiver or the worker. The worker must read what the receiver has verified. The event must not depend on the
// headers around it. All that is kept must be well formed and survive JSON.
//
// The provider's Sign may refuse to sign a body, and a request that RefusesOtherFormats may be refused.
func Fuzz(f *testing.F, p webhook.Provider, claims webhooktest.Claims) {
	for _, r := range webhooktest.Examples(f, p.Info().Name) {
		f.Add(r.Header.Get("Content-Type"), r.Body, "v")
	}
	f.Add("multipart/form-data; boundary=x; a="+strings.Repeat("z", 300),
		[]byte("--y\r\n\r\n\r\n--y--\r\n--x\r\n\r\n\r\n--x--\r\n"), "")
	keys := webhooktest.DevelopmentKeys(p)
	f.Fuzz(func(t *testing.T, contentType string, body []byte, other string) {
		r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: body}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if claims.RefusesOtherFormats {
			r.Header.Set(claims.Header, "") // to be replaced
		}
		if p.Sign(r, keys.Keys[0], webhooktest.ReceivedAt) != nil {
			return
		}
		if answer, err := p.Challenge(r, keys); err == nil && answer.Status == http.StatusOK {
			return // not an event
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
		if response.StatusCode == http.StatusUnauthorized && claims.RefusesOtherFormats && len(b.claims)+len(b.sent) == 0 {
			return // such as a Content-Type that the queue cannot carry
		}
		if response.StatusCode != http.StatusOK || len(b.claims) == 0 || len(b.claims) != len(b.sent) {
			t.Fatalf("answered %d, with %d claims and %d messages", response.StatusCode, len(b.claims), len(b.sent))
		}
		same(t, p, r, other)
		for i, m := range b.sent {
			if b.work(t, record(i, m), p) {
				t.Fatal("the worker returns it to the queue")
			}
		}
		if strings.Contains(b.log.String(), `panic`) {
			t.Fatalf("panicked: %s", b.log.String())
		}
		if len(b.commits)+len(b.marked) != len(b.claims) || len(b.marked) != len(b.dead) {
			t.Fatalf("%d claims became %d events, %d unreadable and %d dead letters", len(b.claims), len(b.commits),
				len(b.marked), len(b.dead))
		}
		for i, c := range b.commits {
			wellFormed(t, b.claims[i], c)
		}
	})
}

// same checks that other headers, and another order and case of headers, do not change the event.
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
	if e.ID != claim.ID || e.Subject != claim.Subject || e.AgreementID != claim.AgreementID ||
		e.VendorType != claim.VendorType || e.Proof != claim.Proof || !e.OccurredAt.Equal(at) {
		t.Fatalf("verified as %+v, processed as %+v", claim, e)
	}
	if !hexID.MatchString(e.ID) || !groupID.MatchString(e.Subject) || len(e.AgreementID) > 512 {
		t.Fatalf("%+v", e)
	}
	if e.AgreementID != "" && e.Subject != webhook.AgreementSubject(e.Provider, e.AgreementID) {
		t.Fatalf("%q is not the subject of %q", e.Subject, e.AgreementID)
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
