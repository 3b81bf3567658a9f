package receive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/provider"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var errDown = errors.New("out of reach")

// world is what stands behind a receiver: a real ledger, a queue that only remembers, and faults.
type world struct {
	*receive.Receiver
	ledger *embedded.Ledger
	sent   []queue.Message
	log    bytes.Buffer
	lines  bytes.Buffer // of metrics

	keysErr, claimErr, countErr, putErr, sendErr error
	happens                                      bool // the failed call takes effect all the same
}

func newWorld(t *testing.T, p webhook.Provider, keys webhook.Keys) *world {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{}
	if w.ledger, err = embedded.New(groupcommit.New(db)); err != nil {
		t.Fatal(err)
	}
	w.Receiver = &receive.Receiver{
		Provider: p, Keys: func(context.Context) (webhook.Keys, error) { return keys, w.keysErr },
		Claims: w, Payloads: faultyStore{folder.New(t.TempDir()), w}, Queue: w,
		Now: func() time.Time { return webhooktest.ReceivedAt }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	w.Metrics = metric.New(&w.lines, namespace, w.Now)
	return w
}

const namespace = "esignhooks/stack"

func (w *world) Claim(ctx context.Context, c ledger.Claim) (ledger.State, error) {
	if w.claimErr != nil {
		if w.happens {
			w.ledger.Claim(ctx, c)
		}
		return ledger.New, w.claimErr
	}
	return w.ledger.Claim(ctx, c)
}

func (w *world) Repeated(ctx context.Context, key ledger.Key, via string) error {
	if w.countErr != nil {
		return w.countErr
	}
	return w.ledger.Repeated(ctx, key, via)
}

func (w *world) Send(_ context.Context, m queue.Message) error {
	if w.sendErr == nil || w.happens {
		w.sent = append(w.sent, m)
	}
	return w.sendErr
}

type faultyStore struct {
	payload.Store
	w *world
}

func (s faultyStore) Put(ctx context.Context, key string, body []byte) error {
	if s.w.putErr != nil {
		return s.w.putErr
	}
	return s.Store.Put(ctx, key, body)
}

func example(t *testing.T, p webhook.Provider, name string) *webhook.Request {
	t.Helper()
	r, ok := webhooktest.Examples(t, p.Info().Name)[name]
	if !ok {
		t.Fatalf("no example %s", name)
	}
	return r
}

func (w *world) history(t *testing.T, subject string) []ledger.Entry {
	t.Helper()
	history, err := w.ledger.History(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return history
}

func completed(t *testing.T) *webhook.Request {
	return example(t, docusign.Provider{}, "envelope-completed")
}

func subject(t *testing.T, p webhook.Provider, r *webhook.Request) string {
	t.Helper()
	ids, err := p.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0].Subject
}

// TestAnswers is the table of answers.
func TestAnswers(t *testing.T) {
	genuine := webhooktest.DevelopmentKeys(docusign.Provider{})
	withToken := webhook.Keys{Keys: genuine.Keys, URLTokens: webhook.Secrets("token-one", "token-two")}
	signed := func(body string) *webhook.Request {
		r := &webhook.Request{Method: "POST", Header: http.Header{}, Body: []byte(body)}
		if err := (docusign.Provider{}).Sign(r, genuine.Keys[0], time.Time{}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, tt := range map[string]struct {
		keys    webhook.Keys
		request *webhook.Request
		fault   func(*world)
		want    int
		sent    int
		header  string // name: value
		metric  string // and the reason in the log line of a refusal
	}{
		"genuine":                               {genuine, completed(t), nil, 200, 1, "", "Received"},
		"genuine, unknown event":                {genuine, signed(`{"event":"envelope-teleported","data":{"envelopeId":"e"}}`), nil, 200, 1, "", "Received"},
		"genuine, unreadable":                   {genuine, signed(`{"event":`), nil, 200, 1, "", "Received"},
		"genuine, empty":                        {genuine, signed(``), nil, 200, 1, "", "Received"},
		"genuine, not UTF-8":                    {genuine, signed("\xff\xfe\x00"), nil, 200, 1, "", "Received"},
		"genuine, nested too deep":              {genuine, signed(strings.Repeat("[", 200000)), nil, 200, 1, "", "Received"},
		"no signature":                          {genuine, &webhook.Request{Method: "POST", Header: http.Header{}, Body: []byte(`{}`)}, nil, 401, 0, "", "Refused signature"},
		"no key":                                {webhook.Keys{}, completed(t), nil, 401, 0, "", "Refused no key"},
		"GET":                                   {genuine, &webhook.Request{Method: "GET", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method"},
		"HEAD":                                  {genuine, &webhook.Request{Method: "HEAD", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method"},
		"PUT":                                   {genuine, &webhook.Request{Method: "PUT", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method"},
		"no URL token":                          {withToken, completed(t), nil, 404, 0, "", "Refused URL token"},
		"wrong URL token":                       {withToken, tokened(completed(t), "token-three"), nil, 404, 0, "", "Refused URL token"},
		"wrong URL token by GET":                {withToken, &webhook.Request{Method: "GET", URLToken: "token"}, nil, 404, 0, "", "Refused URL token"},
		"second URL token":                      {withToken, tokened(completed(t), "token-two"), nil, 200, 1, "", "Received"},
		"a URL token where none is needed":      {genuine, tokened(completed(t), "token"), nil, 200, 1, "", "Received"},
		"over the size limit":                   {genuine, signed(strings.Repeat(" ", webhook.MaxBody+1)), nil, 413, 0, "", "Refused size"},
		"at the size limit":                     {genuine, signed(strings.Repeat(" ", webhook.MaxBody)), nil, 200, 1, "", "Received"},
		"keys cannot be read":                   {genuine, completed(t), func(w *world) { w.keysErr = errDown }, 503, 0, "Retry-After: 30", "Unavailable"},
		"claim store out of reach":              {genuine, completed(t), func(w *world) { w.claimErr = errDown }, 200, 1, "", "Received"},
		"claim store failed after it had it":    {genuine, completed(t), func(w *world) { w.claimErr, w.happens = errDown, true }, 200, 1, "", "Received"},
		"queue out of reach":                    {genuine, completed(t), func(w *world) { w.sendErr = errDown }, 503, 0, "Retry-After: 30", "Unavailable"},
		"queue failed after it had it":          {genuine, completed(t), func(w *world) { w.sendErr, w.happens = errDown, true }, 503, 1, "Retry-After: 30", "Unavailable"},
		"payload store out of reach, not used":  {genuine, completed(t), func(w *world) { w.putErr = errDown }, 200, 1, "", "Received"},
		"payload store out of reach, large one": {genuine, signed(strings.Repeat(" ", 2<<20)), func(w *world) { w.putErr = errDown }, 503, 0, "Retry-After: 30", "Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, docusign.Provider{}, tt.keys)
			if tt.fault != nil {
				tt.fault(w)
			}
			answer := w.Receive(t.Context(), webhooktest.Clone(tt.request))
			if answer.Status != tt.want || len(w.sent) != tt.sent {
				t.Errorf("answered %d with %d messages, want %d with %d\n%s", answer.Status, len(w.sent), tt.want, tt.sent, &w.log)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && answer.Header.Get(name) != value {
				t.Errorf("header %s: %q, want %q", name, answer.Header.Get(name), value)
			}
			if (tt.want == 401 || tt.want == 404) && (len(answer.Body) > 0 || len(answer.Header) > 0) {
				t.Errorf("a refusal tells %q, %v", answer.Body, answer.Header)
			}
			name, reason, _ := strings.Cut(tt.metric, " ")
			lines := metrictest.Read(t, namespace, w.lines.String())
			if len(lines) != 1 || lines[0].Provider != "docusign" || lines[0].Values[name] != 1 {
				t.Errorf("counted %+v, want %s", lines, tt.metric)
			}
			var wrongKey float64
			if reason == "signature" || reason == "no key" {
				wrongKey = 1
			}
			if got := lines[0].Values["WrongKey"]; got != wrongKey {
				t.Errorf("%v wrong keys, want %v", got, wrongKey)
			}
			if reason != "" && !strings.Contains(w.log.String(), `"reason":"`+reason+`"`) {
				t.Errorf("the log does not name the reason %q: %s", reason, &w.log)
			}
			if events, err := w.ledger.Events(); err != nil || (tt.want == 401 || tt.want == 404 || tt.want == 413 || tt.want == 405) && len(events) > 0 {
				t.Errorf("a refusal left %+v, %v", events, err)
			}
		})
	}
}

func tokened(r *webhook.Request, token string) *webhook.Request {
	r.URLToken = token
	return r
}

func TestEachEventOfAnAcknowledgedRequestIsCounted(t *testing.T) {
	keys := webhooktest.DevelopmentKeys(docusign.Provider{})
	w := newWorld(t, several{}, keys)
	clock := webhooktest.ReceivedAt
	w.Now = func() time.Time { return clock }
	w.Keys = func(context.Context) (webhook.Keys, error) {
		clock = clock.Add(1500 * time.Microsecond)
		return keys, nil
	}
	want := func(what string, duplicates float64) {
		t.Helper()
		w.lines.Reset()
		if answer := w.Receive(t.Context(), completed(t)); answer.Status != 200 {
			t.Fatalf("%s: answered %d", what, answer.Status)
		}
		want := []metrictest.Line{{
			Provider:   "docusign",
			Values:     map[string]float64{"Received": 2, "Duplicate": duplicates, "AcknowledgeTime": 1.5},
			OfProvider: []string{"Received"},
		}}
		if diff := cmp.Diff(want, metrictest.Read(t, namespace, w.lines.String())); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	want("new", 0)
	want("received before", 2)
	done := ledger.Claim{Key: ledger.Key{Subject: "docusign#1", ID: webhook.EventID("docusign", "1")}}
	if err := w.ledger.Commit(t.Context(), ledger.Commit{Claim: done}); err != nil {
		t.Fatal(err)
	}
	want("one of them processed", 2)
	w.claimErr = errDown
	want("unknown whether they are new", 0)
}

func TestAdobeChallenge(t *testing.T) {
	p := adobesign.Provider{}
	w := newWorld(t, p, webhook.Keys{Keys: webhook.Secrets("ONE", "TWO")})
	get := func(id string) *webhook.Response {
		r := &webhook.Request{Method: "GET", Header: http.Header{}}
		if id != "" {
			r.Header.Set("X-AdobeSign-ClientId", id)
		}
		return w.Receive(t.Context(), r)
	}
	if answer := get("TWO"); answer.Status != 200 || string(answer.Body) != `{"xAdobeSignClientId":"TWO"}` {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
	if w.lines.Len() > 0 {
		t.Errorf("a challenge was counted: %s", &w.lines)
	}
	for _, id := range []string{"", "THREE", "ON"} {
		if answer := get(id); answer.Status != 401 || len(answer.Body)+len(answer.Header) > 0 {
			t.Errorf("client ID %q: %+v", id, answer)
		}
	}
	if answer := w.Receive(t.Context(), &webhook.Request{Method: "DELETE"}); answer.Status != 405 || answer.Header.Get("Allow") != "GET, POST" {
		t.Errorf("DELETE: %+v", answer)
	}
	refused, both := map[string]float64{"Refused": 1}, map[string]float64{"Refused": 1, "WrongKey": 1}
	unproved := metrictest.Line{Provider: "adobesign", Values: both, OfProvider: []string{"Refused", "WrongKey"}}
	method := metrictest.Line{Provider: "adobesign", Values: refused, OfProvider: []string{"Refused"}}
	lines := metrictest.Read(t, namespace, w.lines.String())
	if diff := cmp.Diff([]metrictest.Line{unproved, unproved, unproved, method}, lines); diff != "" {
		t.Error(diff)
	}
}

// TestRepetition: what the ledger finds decides whether the queue gets the event again.
func TestRepetition(t *testing.T) {
	p := docusign.Provider{}
	r := completed(t)
	w := newWorld(t, p, webhooktest.DevelopmentKeys(p))

	w.sendErr = errDown // claimed, not sent, not acknowledged
	if answer := w.Receive(t.Context(), r); answer.Status != 503 {
		t.Fatalf("answered %d", answer.Status)
	}
	w.sendErr = nil // the vendor's retry finds "received", and sends
	if answer := w.Receive(t.Context(), r); answer.Status != 200 || len(w.sent) != 1 {
		t.Fatalf("answered %d with %d messages", answer.Status, len(w.sent))
	}
	subject := subject(t, p, r)
	entry := w.history(t, subject)[0]
	if entry.State != ledger.Received || entry.Duplicates != 1 {
		t.Errorf("%+v", entry)
	}

	agreement := esign.Agreement{Provider: "docusign", ID: entry.AgreementID, Status: esign.Completed}
	commit := ledger.Commit{
		Claim:     ledger.Claim{Key: entry.Key, Provider: "docusign"},
		Event:     esign.Event{Type: esign.AgreementCompleted, AgreementID: entry.AgreementID},
		Agreement: &agreement,
	}
	if err := w.ledger.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	w.countErr = errDown // does not matter
	if answer := w.Receive(t.Context(), r); answer.Status != 200 || len(w.sent) != 1 {
		t.Errorf("a duplicate of what is processed: answered %d with %d messages", answer.Status, len(w.sent))
	}
	w.countErr = nil
	w.Receive(t.Context(), r)
	if entry := w.history(t, subject)[0]; entry.State != ledger.Processed || entry.Duplicates != 2 {
		t.Errorf("%+v", entry)
	}
}

func TestMessageCarriesTheIdentityAndTheVeryBytes(t *testing.T) {
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != "POST" {
				continue
			}
			w := newWorld(t, p, webhooktest.DevelopmentKeys(p))
			r.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
			if answer := w.Receive(t.Context(), r); answer.Status != 200 || len(w.sent) != 1 {
				t.Errorf("%s: %d, %d messages", name, answer.Status, len(w.sent))
				continue
			}
			ids, err := p.Identify(r)
			if err != nil {
				t.Fatal(err)
			}
			proof, _ := p.Verify(r, webhooktest.DevelopmentKeys(p))
			want := webhooktest.Delivery(p, r, ids[0], proof)
			want.Trace = r.Trace
			got, err := queue.Decode(t.Context(), w.sent[0], w.Payloads)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", name, err, diff)
			}
			if m := w.sent[0]; m.Group != ids[0].Subject || m.DeduplicationID != ids[0].EventID {
				t.Errorf("%s: group %q, deduplication ID %q", name, m.Group, m.DeduplicationID)
			}
		}
	}
}

func TestUnreadableRequestsAreKeptUnderOneSubject(t *testing.T) {
	p := adobesign.Provider{}
	w := newWorld(t, p, webhook.Keys{Keys: webhook.Secrets("ID")})
	for range 2 {
		for _, body := range []string{`{"event":`, `nonsense`} {
			r := &webhook.Request{Method: "POST", Header: http.Header{}, Body: []byte(body)}
			r.Header.Set("X-AdobeSign-ClientId", "ID")
			if answer := w.Receive(t.Context(), r); answer.Status != 200 || string(answer.Body) != `{"xAdobeSignClientId":"ID"}` {
				t.Errorf("%+v", answer)
			}
		}
	}
	history := w.history(t, "adobesign#unreadable")
	if len(history) != 2 || history[0].Duplicates != 1 || history[1].Duplicates != 1 {
		t.Errorf("%+v", history)
	}
}

// panicky panics while identifying, as a bug in a provider would.
type panicky struct{ docusign.Provider }

func (panicky) Identify(*webhook.Request) ([]webhook.Identity, error) { panic("secret of the payload") }

// several finds several events in a request.
type several struct{ docusign.Provider }

func (several) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	return []webhook.Identity{
		{EventID: webhook.EventID("docusign", "1"), Subject: "docusign#1", AgreementID: "1"},
		{EventID: webhook.EventID("docusign", "2"), Subject: "docusign#2", AgreementID: "2"},
	}, nil
}

func TestAPanicWhileIdentifyingLosesNothing(t *testing.T) {
	w := newWorld(t, panicky{}, webhooktest.DevelopmentKeys(docusign.Provider{}))
	if answer := w.Receive(t.Context(), completed(t)); answer.Status != 200 || len(w.sent) != 1 || w.sent[0].Group != "docusign#unreadable" {
		t.Errorf("answered %d, sent %+v", answer.Status, w.sent)
	}
	if strings.Contains(w.log.String(), "secret of the payload") {
		t.Error("the log quotes the panic")
	}
}

func TestARequestWithSeveralEventsIsAcknowledgedOnceAllAreSent(t *testing.T) {
	w := newWorld(t, several{}, webhooktest.DevelopmentKeys(docusign.Provider{}))
	if answer := w.Receive(t.Context(), completed(t)); answer.Status != 200 || len(w.sent) != 2 {
		t.Errorf("answered %d with %d messages", answer.Status, len(w.sent))
	}
}

// TestDeadlines: whatever hangs behind us, the answer is out within 4 s.
func TestDeadlines(t *testing.T) {
	for name, tt := range map[string]struct {
		hang func(*hanging)
		want int
	}{
		"the claim":                  {func(h *hanging) { h.claim = true }, 200},
		"the count":                  {func(h *hanging) { h.count = true }, 200},
		"the queue":                  {func(h *hanging) { h.send = true }, 503},
		"the payload store":          {func(h *hanging) { h.put = true }, 503},
		"the claim and the queue":    {func(h *hanging) { h.claim, h.send = true, true }, 503},
		"the keys, for their second": {func(h *hanging) { h.keys, h.claim, h.put, h.send = time.Second, true, true, true }, 503},
	} {
		for _, p := range []webhook.Provider{docusign.Provider{}, many{}} {
			t.Run(name, func(t *testing.T) {
				large := &webhook.Request{Method: "POST", Header: http.Header{}, Body: bytes.Repeat([]byte(" "), 2<<20)}
				keys := webhooktest.DevelopmentKeys(docusign.Provider{})
				if err := p.Sign(large, keys.Keys[0], time.Time{}); err != nil {
					t.Fatal(err)
				}
				synctest.Test(t, func(t *testing.T) {
					h := &hanging{}
					tt.hang(h)
					r := receive.Receiver{
						Provider: p, Claims: h, Payloads: h, Queue: h, Now: time.Now, Log: slog.New(slog.DiscardHandler),
						Keys: func(context.Context) (webhook.Keys, error) { time.Sleep(h.keys); return keys, nil },
					}
					start := time.Now()
					answer := r.Receive(t.Context(), large)
					if took := time.Since(start); took >= 4*time.Second {
						t.Errorf("answered after %v", took)
					}
					if answer.Status != tt.want {
						t.Errorf("answered %d, want %d", answer.Status, tt.want)
					}
				})
			})
		}
	}
}

// many finds twenty events in a request.
type many struct{ docusign.Provider }

func (many) Identify(r *webhook.Request) (ids []webhook.Identity, err error) {
	for i := range 20 {
		ids = append(ids, webhook.Identity{EventID: webhook.EventID("docusign", string(rune(i))), Subject: "docusign#1"})
	}
	return ids, nil
}

// hanging is a ledger, payload store and queue that answer only when they are given up.
type hanging struct {
	keys                    time.Duration
	claim, count, send, put bool
}

func hang(ctx context.Context, yes bool) error {
	if yes {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (h *hanging) Claim(ctx context.Context, _ ledger.Claim) (ledger.State, error) {
	return ledger.Received, hang(ctx, h.claim)
}
func (h *hanging) Repeated(ctx context.Context, _ ledger.Key, _ string) error {
	return hang(ctx, h.count)
}
func (h *hanging) Send(ctx context.Context, _ queue.Message) error   { return hang(ctx, h.send) }
func (h *hanging) Put(ctx context.Context, _ string, _ []byte) error { return hang(ctx, h.put) }
func (h *hanging) Get(ctx context.Context, _ string) ([]byte, error) { return nil, errDown }

// TestLogsHoldNoSecretsAndNoBodies sends every example, genuine and forged, and searches the logs.
func TestLogsHoldNoSecretsAndNoBodies(t *testing.T) {
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			keys := webhook.Keys{Keys: webhooktest.DevelopmentKeys(p).Keys, URLTokens: webhook.Secrets("0123456789abcdef")}
			w := newWorld(t, p, keys)
			r.URLToken = "0123456789abcdef"
			w.Receive(t.Context(), r)
			forged := webhooktest.Clone(r)
			for header := range forged.Header {
				if header != "Content-Type" {
					forged.Header.Set(header, "forged-header-value")
				}
			}
			w.Receive(t.Context(), forged)
			w.sendErr = errDown
			w.Receive(t.Context(), r)
			secrets := []string{"0123456789abcdef", p.Info().DevelopmentKey, "forged-header-value", "example.com", "Example"}
			for _, secret := range secrets {
				if strings.Contains(w.log.String()+w.lines.String(), secret) {
					t.Errorf("%s: the log tells %q: %s%s", name, secret, &w.log, &w.lines)
				}
			}
			for line := range strings.Lines(w.log.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%s: not JSON: %s", name, line)
				}
			}
		}
	}
}

func TestTheFirstGenuineRequestTellsItsHeadersByName(t *testing.T) {
	p := docusign.Provider{}
	w := newWorld(t, p, webhooktest.DevelopmentKeys(p))
	r := completed(t)
	r.Header["X-Scheme-Nobody-Documents"] = []string{"secret-value"}
	for range 2 {
		w.Receive(t.Context(), r)
	}
	if log := w.log.String(); strings.Count(log, "X-Scheme-Nobody-Documents") != 1 || strings.Contains(log, "secret-value") {
		t.Error(log)
	}
}

func TestARefusalTellsThatTheBodyCameEncoded(t *testing.T) {
	p := docusign.Provider{}
	w := newWorld(t, p, webhooktest.DevelopmentKeys(p))
	r := completed(t)
	r.Body = append(r.Body, ' ')
	r.Header.Set("Content-Encoding", "gzip")
	if answer := w.Receive(t.Context(), r); answer.Status != 401 || !strings.Contains(w.log.String(), `"encoded":true`) {
		t.Errorf("%d %s", answer.Status, &w.log)
	}
}
