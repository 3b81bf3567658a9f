package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/process"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var (
	errDown = errors.New("unreachable")
	now     = webhooktest.ReceivedAt.Add(time.Second)
)

const namespace = "esignhooks/stack"

// world is a worker with a real ledger, and with faults before and after its commits.
type world struct {
	*process.Processor
	*embedded.Ledger
	deadLetters []queue.Message
	log         bytes.Buffer
	metrics     bytes.Buffer

	commitErr, markErr, sendErr error
	eventErr                    error
	looked                      []string                            // IDs of events that were looked up
	hangs                       bool                                // commits block until their context ends
	happens                     bool                                // a commit takes effect although it returns commitErr
	beforeCommit, beforeCorrect func()                              // run once, between reading and writing
	refuse                      func(effects []ledger.Commit) error // optional: the result of a commit, if not nil
	committed                   []int                               // number of events of each attempted commit
}

// newWorld returns a world with AcmeSign, or with other providers.
func newWorld(t *testing.T, providers ...webhook.Provider) *world {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{}
	if w.Ledger, err = embedded.New(groupcommit.New(db)); err != nil {
		t.Fatal(err)
	}
	if providers == nil {
		providers = []webhook.Provider{acmesign.Provider{}}
	}
	w.Processor = &process.Processor{
		Providers: providers, Ledger: w, Payloads: folder.New(t.TempDir()), DeadLetters: w,
		Now: func() time.Time { return now }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	w.Metrics = metric.New(&w.metrics, namespace, w.Now)
	return w
}

// Commit implements [ledger.Ledger].
func (w *world) Commit(ctx context.Context, effects ...ledger.Commit) error {
	if f := w.beforeCommit; f != nil {
		w.beforeCommit = nil
		f()
	}
	w.committed = append(w.committed, len(effects))
	if w.hangs {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil { // a client sends nothing after that
		return err
	}
	if w.refuse != nil {
		if err := w.refuse(effects); err != nil {
			return err
		}
	}
	if w.commitErr != nil && !w.happens {
		return w.commitErr
	}
	return errors.Join(w.Ledger.Commit(ctx, effects...), w.commitErr)
}

func (w *world) Event(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	if w.eventErr != nil {
		return ledger.Entry{}, w.eventErr
	}
	w.looked = append(w.looked, key.ID)
	return w.Ledger.Event(ctx, key)
}

func (w *world) MarkDuplicate(ctx context.Context, c ledger.Claim, of string) error {
	if w.markErr != nil {
		return w.markErr
	}
	return w.Ledger.MarkDuplicate(ctx, c, of)
}

// Correct implements [ledger.Ledger].
func (w *world) Correct(ctx context.Context, c ledger.Correction) error {
	if f := w.beforeCorrect; f != nil {
		w.beforeCorrect = nil
		f()
	}
	return w.Ledger.Correct(ctx, c)
}

func (w *world) MarkUnreadable(ctx context.Context, c ledger.Claim, at time.Time) error {
	if w.markErr != nil {
		return w.markErr
	}
	return w.Ledger.MarkUnreadable(ctx, c, at)
}

// Send implements [queue.Sender]: it is the dead-letter queue.
func (w *world) Send(_ context.Context, m queue.Message) error {
	if w.sendErr == nil {
		w.deadLetters = append(w.deadLetters, m)
	}
	return w.sendErr
}

// deliver returns what the receiver makes of a request with one event.
func deliver(e acmesign.Event) *webhook.Delivery {
	request := acmesign.Request(e)
	ids, err := acmesign.Provider{}.Identify(request)
	if err != nil {
		panic(err)
	}
	return webhooktest.Delivery(acmesign.Provider{}, request, ids[0], esign.ProofSigned)
}

// story is the types of five events of agreement "a", and at the same time the statuses after them.
var story = []string{"created", "sent", "viewed", "signed", "completed"}

const subject = "acmesign#a"

// step returns the delivery of one event of the story.
func step(typ string) *webhook.Delivery {
	i := slices.Index(story, typ)
	at := now.Add(time.Duration(i-10) * time.Minute)
	return deliver(acmesign.Event{Number: int64(i), Type: typ, Agreement: "a", At: at, Via: "callback/1"})
}

// other returns the delivery of an event of another agreement, and ping of an event without an agreement.
func other() *webhook.Delivery {
	return deliver(acmesign.Event{Number: 100, Type: "created", Agreement: "b", At: now})
}

func ping() *webhook.Delivery { return deliver(acmesign.Event{Number: 101, Type: "test", At: now}) }

// unreadable returns a delivery that the receiver could not read.
func unreadable(body string) *webhook.Delivery {
	id := webhook.Unreadable(acmesign.Name, []byte(body))
	return &webhook.Delivery{
		Provider: acmesign.Name, EventID: id.EventID, Subject: id.Subject, ReceivedAt: now, Proof: esign.ProofSigned,
		Payload: []byte(body),
	}
}

// large makes a delivery's payload too large for a message, and returns its key in the payload store.
func large(d *webhook.Delivery) (key string) {
	d.Payload = append(d.Payload, bytes.Repeat([]byte(" "), 2<<20)...)
	_, key = queue.Encode(d)
	return key
}

// record returns the record of Lambda's event for a delivery.
func record(id string, d *webhook.Delivery) events.SQSMessage {
	m, _ := queue.Encode(d)
	r := events.SQSMessage{
		MessageId: id, Body: m.Body, MessageAttributes: map[string]events.SQSMessageAttribute{},
		Attributes: map[string]string{"MessageGroupId": m.Group, "MessageDeduplicationId": m.DeduplicationID},
	}
	for name, value := range m.Attributes {
		r.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
	}
	return r
}

// storyRecords returns the records of the story, whose message IDs are the types.
func storyRecords() (records []events.SQSMessage) {
	for _, typ := range story {
		records = append(records, record(typ, step(typ)))
	}
	return records
}

// handleRecords processes records, and checks which of them failed.
func (w *world) handleRecords(t *testing.T, records []events.SQSMessage, wantFailed ...string) {
	t.Helper()
	response, err := w.Handle(t.Context(), events.SQSEvent{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, failure := range response.BatchItemFailures {
		failed = append(failed, failure.ItemIdentifier)
	}
	if !slices.Equal(wantFailed, failed) {
		t.Errorf("failed: %q, want %q", failed, wantFailed)
	}
}

// handle processes deliveries in one batch. Their message IDs are "0", "1" and so on. None may fail.
func (w *world) handle(t *testing.T, deliveries ...*webhook.Delivery) {
	t.Helper()
	var records []events.SQSMessage
	for i, d := range deliveries {
		records = append(records, record(strconv.Itoa(i), d))
	}
	w.handleRecords(t, records)
}

// wantFailure processes one delivery, which must fail.
func (w *world) wantFailure(t *testing.T, d *webhook.Delivery) {
	t.Helper()
	w.handleRecords(t, []events.SQSMessage{record("0", d)}, "0")
}

// wantAgreement checks the agreement of a subject. Its version is the number of events.
func (w *world) wantAgreement(t *testing.T, subject string, status esign.Status, version int64) esign.Agreement {
	t.Helper()
	agreement, got, err := w.Ledger.Agreement(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if agreement.Status != status || got != version {
		t.Errorf("%s: %+v, version %d; want %q, version %d", subject, agreement, got, status, version)
	}
	return agreement
}

// history returns the events of a subject, in the order of their commits. It checks their number.
func (w *world) history(t *testing.T, subject string, want int) []ledger.Entry {
	t.Helper()
	history, err := w.History(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != want {
		t.Fatalf("%d events, want %d: %+v", len(history), want, history)
	}
	return ledger.InOrderOfCommits(history)
}

// wantStatuses checks the vendor's type of each event, and the status before and after it, in the order of the commits.
func (w *world) wantStatuses(t *testing.T, subject string, want ...string) {
	t.Helper()
	var steps []string
	for _, e := range w.history(t, subject, len(want)) {
		steps = append(steps, fmt.Sprintf("%s: %q to %q", e.VendorType, e.StatusBefore, e.StatusAfter))
	}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
}

// wantStory checks that the first n events of the story had their effects, in order, and each once.
func (w *world) wantStory(t *testing.T, n int) {
	t.Helper()
	before, want := "", []string(nil)
	for _, typ := range story[:n] {
		want = append(want, fmt.Sprintf("%s: %q to %q", typ, before, typ))
		before = typ
	}
	w.wantStatuses(t, subject, want...)
	if agreement := w.wantAgreement(t, subject, esign.Status(before), int64(n)); len(agreement.Reached) != n {
		t.Errorf("%+v", agreement)
	}
}

func (w *world) wantDeadLetters(t *testing.T, want int) {
	t.Helper()
	if len(w.deadLetters) != want {
		t.Errorf("%d dead letters, want %d: %+v", len(w.deadLetters), want, w.deadLetters)
	}
}

func (w *world) wantCommitted(t *testing.T, want ...int) {
	t.Helper()
	if diff := cmp.Diff(want, w.committed); diff != "" {
		t.Errorf("events of each commit: %s", diff)
	}
}

// wantMetrics checks the metrics since the last call. Each map is a line of AcmeSign.
func (w *world) wantMetrics(t *testing.T, want ...map[string]float64) {
	t.Helper()
	lines := []metrictest.Line{}
	for _, values := range want {
		lines = append(lines, metrictest.Line{Provider: acmesign.Name, Values: values})
	}
	w.wantLines(t, lines)
}

func (w *world) wantLines(t *testing.T, want []metrictest.Line) {
	t.Helper()
	if diff := cmp.Diff(want, metrictest.Read(t, namespace, w.metrics.String())); diff != "" {
		t.Errorf("metrics: %s", diff)
	}
	w.metrics.Reset()
}

// store is a payload store that may fail or be slow.
type store struct {
	payload.Store
	err   error
	delay time.Duration
	keys  []string // of all puts
}

func newStore(t *testing.T) *store { return &store{Store: folder.New(t.TempDir())} }

func (s *store) wait(ctx context.Context) error {
	if s.delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.delay):
		}
	}
	return s.err
}

func (*store) Location(key string) string { return "kept at " + key }

func (s *store) Put(ctx context.Context, key string, body []byte) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	s.keys = append(s.keys, key)
	return s.Store.Put(ctx, key, body)
}

func (s *store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}
