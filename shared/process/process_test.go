package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var (
	errDown = errors.New("out of reach")
	now     = webhooktest.ReceivedAt.Add(time.Second)
)

// world is a worker with a real ledger, and faults before and after its commits.
type world struct {
	*process.Processor
	*embedded.Ledger
	deadLetters []queue.Message
	log         bytes.Buffer
	lines       bytes.Buffer // of metrics

	commitErr, markErr, sendErr error
	hangs                       bool                                // commits do, until nobody waits
	happens                     bool                                // the failed commit takes effect all the same
	beforeCommit                func()                              // what somebody else does between reading and writing
	refuse                      func(effects []ledger.Commit) error // nil: nothing is
	committed                   []int                               // how many events each commit was of, refused or not
}

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
		providers = provider.All()
	}
	w.Processor = &process.Processor{
		Providers: providers, Ledger: w, Payloads: folder.New(t.TempDir()), DeadLetters: w,
		Now: func() time.Time { return now }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	w.Metrics = metric.New(&w.lines, namespace, w.Now)
	return w
}

const namespace = "esignhooks/stack"

// counted reads the metrics so far, and forgets them.
func (w *world) counted(t *testing.T) []metrictest.Line {
	t.Helper()
	defer w.lines.Reset()
	return metrictest.Read(t, namespace, w.lines.String())
}

func line(provider string, values map[string]float64) metrictest.Line {
	return metrictest.Line{Provider: provider, Values: values}
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
	if err := ctx.Err(); err != nil { // no client asks any more
		return err
	}
	if w.refuse != nil {
		if err := w.refuse(effects); err != nil {
			return err
		}
	}
	if w.commitErr != nil {
		if w.happens {
			w.Ledger.Commit(ctx, effects...)
		}
		return w.commitErr
	}
	return w.Ledger.Commit(ctx, effects...)
}

func (w *world) MarkUnreadable(ctx context.Context, c ledger.Claim) error {
	if w.markErr != nil {
		return w.markErr
	}
	return w.Ledger.MarkUnreadable(ctx, c)
}

func (w *world) Send(_ context.Context, m queue.Message) error {
	if w.sendErr == nil {
		w.deadLetters = append(w.deadLetters, m)
	}
	return w.sendErr
}

// delivery is what the receiver makes of an example.
func delivery(t *testing.T, p webhook.Provider, example string) *webhook.Delivery {
	t.Helper()
	r, ok := webhooktest.Examples(t, p.Info().Name)[example]
	if !ok {
		t.Fatalf("no example %s", example)
	}
	ids, err := p.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := p.Verify(r, webhooktest.DevelopmentKeys(p))
	if err != nil {
		t.Fatal(err)
	}
	return webhooktest.Delivery(p, r, ids[0], proof)
}

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

// handle processes records and returns the IDs of those that failed.
func (w *world) handle(t *testing.T, records ...events.SQSMessage) []string {
	t.Helper()
	response, err := w.Handle(t.Context(), events.SQSEvent{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, failure := range response.BatchItemFailures {
		failed = append(failed, failure.ItemIdentifier)
	}
	return failed
}

func (w *world) agreement(t *testing.T, subject string) (esign.Agreement, int64) {
	t.Helper()
	agreement, version, err := w.Ledger.Agreement(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return agreement, version
}

func (w *world) history(t *testing.T, subject string) []ledger.Entry {
	t.Helper()
	history, err := w.History(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return history
}

func TestTheEffectHappensOnce(t *testing.T) {
	w := newWorld(t)
	d := delivery(t, docusign.Provider{}, "envelope-completed")
	if failed := w.handle(t, record("1", d), record("2", d), record("3", d)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	agreement, version := w.agreement(t, d.Subject)
	if agreement.Status != esign.Completed || version != 1 {
		t.Errorf("%+v, version %d", agreement, version)
	}
	history := w.history(t, d.Subject)
	if len(history) != 1 {
		t.Fatalf("%+v", history)
	}
	e := history[0]
	if e.State != ledger.Processed || e.StatusBefore != "" || e.StatusAfter != esign.Completed || e.Event.Proof != esign.ProofSigned ||
		e.Event.ID != d.EventID || !e.Event.ReceivedAt.Equal(d.ReceivedAt) || !e.ProcessedAt.Equal(now) || e.Size != len(d.Payload) {
		t.Errorf("%+v", e)
	}
	if diff := cmp.Diff(agreement, *e.Agreement); diff != "" {
		t.Errorf("the event's agreement: %s", diff)
	}
}

// TestStatusesAreEnteredOnce: whatever the order, the chain of statuses has no gap and repeats none.
func TestStatusesAreEnteredOnce(t *testing.T) {
	names := []string{"envelope-created", "envelope-sent", "envelope-delivered", "recipient-completed", "recipient-completed-second", "envelope-completed"}
	random := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		w := newWorld(t)
		var status esign.Status
		entered := map[esign.Status]bool{}
		for _, name := range names {
			d := delivery(t, docusign.Provider{}, name)
			if failed := w.handle(t, record(name, d), record(name+" again", d)); failed != nil {
				t.Fatalf("%v: %v", names, failed)
			}
			i := slices.IndexFunc(w.history(t, d.Subject), func(e ledger.Entry) bool { return e.ID == d.EventID })
			e := w.history(t, d.Subject)[i]
			if e.StatusBefore != status || e.StatusAfter != status && entered[e.StatusAfter] {
				t.Errorf("%v: from %q to %q, was %q", names, e.StatusBefore, e.StatusAfter, status)
			}
			status = e.StatusAfter
			entered[status] = true
		}
		if status != esign.Completed {
			t.Errorf("%v ended %q", names, status)
		}
	}
}

func TestFailuresAreReportedWithWhatWaitsBehindThem(t *testing.T) {
	w := newWorld(t)
	sent, completed := delivery(t, docusign.Provider{}, "envelope-sent"), delivery(t, docusign.Provider{}, "envelope-completed")
	other := delivery(t, adobesign.Provider{}, "agreement-created")
	w.refuse = func(effects []ledger.Commit) error {
		if effects[0].Subject == sent.Subject {
			return errDown
		}
		return nil
	}
	failed := w.handle(t, record("sent", sent), record("completed", completed), record("other", other))
	if diff := cmp.Diff([]string{"sent", "completed"}, failed); diff != "" {
		t.Error(diff)
	}
	if agreement, _ := w.agreement(t, other.Subject); agreement.Status != esign.Created {
		t.Errorf("another group waited: %+v", agreement)
	}
	w.refuse = nil
	if failed := w.handle(t, record("sent", sent), record("completed", completed)); failed != nil {
		t.Errorf("afterwards: %v", failed)
	}
	if agreement, version := w.agreement(t, sent.Subject); agreement.Status != esign.Completed || version != 2 {
		t.Errorf("%+v, version %d", agreement, version)
	}
}

func TestSuccessIsAnEmptyListAndNeverNull(t *testing.T) {
	response, err := newWorld(t).Handle(t.Context(), events.SQSEvent{})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(response); string(b) != `{"batchItemFailures":[]}` {
		t.Errorf("%s", b)
	}
}

func TestACommitThatFailedAndHappenedIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	d := delivery(t, docusign.Provider{}, "envelope-completed")
	w.commitErr, w.happens = errDown, true
	if failed := w.handle(t, record("1", d)); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
	w.commitErr = nil
	if failed := w.handle(t, record("1", d)); failed != nil {
		t.Errorf("failed again: %v", failed)
	}
	if _, version := w.agreement(t, d.Subject); version != 1 {
		t.Errorf("version %d", version)
	}
}

func TestAConcurrentWriterIsFoldedIn(t *testing.T) {
	w := newWorld(t)
	sent, completed := delivery(t, docusign.Provider{}, "envelope-sent"), delivery(t, docusign.Provider{}, "envelope-completed")
	w.beforeCommit = func() {
		if failed := w.handle(t, record("completed", completed)); failed != nil {
			t.Errorf("the other writer failed: %v", failed)
		}
	}
	if failed := w.handle(t, record("sent", sent)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	agreement, version := w.agreement(t, sent.Subject)
	if agreement.Status != esign.Completed || version != 2 || agreement.Reached[esign.Sent].IsZero() {
		t.Errorf("%+v, version %d", agreement, version)
	}
}

func TestAnEndlessConflictIsGivenBackToTheQueue(t *testing.T) {
	w := newWorld(t)
	w.commitErr = ledger.ErrConflict
	if failed := w.handle(t, record("1", delivery(t, docusign.Provider{}, "envelope-completed"))); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
}

func TestWhatIsNotAboutAnAgreementLeavesNone(t *testing.T) {
	w := newWorld(t)
	d := delivery(t, docusign.Provider{}, "template-created")
	if failed := w.handle(t, record("1", d)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if agreements, err := w.Agreements(); err != nil || len(agreements) > 0 {
		t.Errorf("%+v, %v", agreements, err)
	}
	if history := w.history(t, d.Subject); len(history) != 1 || history[0].Type != esign.TemplateCreated {
		t.Errorf("%+v", history)
	}
}

// unreadable is a delivery that the receiver could not identify.
func unreadable(body string) *webhook.Delivery {
	id := webhook.Unreadable("adobesign", []byte(body))
	return &webhook.Delivery{
		Provider: "adobesign", EventID: id.EventID, Subject: id.Subject, ReceivedAt: webhooktest.ReceivedAt,
		Proof: esign.ProofClientID, Payload: []byte(body),
	}
}

func TestUnreadableDeliveriesAreSetAside(t *testing.T) {
	w := newWorld(t)
	d := unreadable(`{"event":`)
	if failed := w.handle(t, record("m-1", d), record("m-2", unreadable("other"))); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if len(w.deadLetters) != 2 {
		t.Fatalf("%d dead letters", len(w.deadLetters))
	}
	letter, want := w.deadLetters[0], process.Message(record("m-1", d)).Message
	want.DeduplicationID = "m-1" // one that is redriven must be taken again, within five minutes too
	if diff := cmp.Diff(want, letter); diff != "" {
		t.Error(diff)
	}
	if history := w.history(t, d.Subject); len(history) != 2 || history[0].State != ledger.Unreadable {
		t.Errorf("%+v", history)
	}
	if strings.Contains(w.log.String(), `{\"event`) {
		t.Errorf("the log quotes the payload: %s", &w.log)
	}
}

func TestSettingAsideIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	d := unreadable("nonsense")
	w.sendErr = errDown
	if failed := w.handle(t, record("1", d)); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
	if history := w.history(t, d.Subject); len(history) > 0 {
		t.Errorf("marked before it was kept: %+v", history)
	}
	w.sendErr, w.markErr = nil, errDown
	if failed := w.handle(t, record("1", d)); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
	w.markErr = nil
	if failed := w.handle(t, record("1", d)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if len(w.deadLetters) != 2 || w.deadLetters[0].DeduplicationID != w.deadLetters[1].DeduplicationID {
		t.Errorf("%+v", w.deadLetters)
	}
}

func TestARedrivenDeliveryIsIdentifiedAnew(t *testing.T) {
	w := newWorld(t)
	d := delivery(t, docusign.Provider{}, "envelope-completed") // by now, it can be read
	id := webhook.Unreadable("docusign", d.Payload)
	redriven := *d
	redriven.EventID, redriven.Subject, redriven.Via = id.EventID, id.Subject, ""
	if failed := w.handle(t, record("1", &redriven)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if history := w.history(t, d.Subject); len(history) != 1 || history[0].ID != d.EventID || history[0].State != ledger.Processed ||
		!slices.Equal(history[0].Via, []string{d.Via}) {
		t.Errorf("%+v", history)
	}
	if failed := w.handle(t, record("2", d)); failed != nil { // the vendor sends it again
		t.Errorf("failed: %v", failed)
	}
	if _, version := w.agreement(t, d.Subject); version != 1 || len(w.deadLetters) > 0 {
		t.Errorf("version %d, %d dead letters", version, len(w.deadLetters))
	}
}

// empty is a delivery that DocuSign's receiver could not read, for those below to find events in.
func empty() *webhook.Delivery {
	id := webhook.Unreadable("docusign", nil)
	return &webhook.Delivery{Provider: "docusign", EventID: id.EventID, Subject: id.Subject, ReceivedAt: now, Proof: esign.ProofSigned}
}

// several finds two events in every request.
type several struct{ docusign.Provider }

func (several) Identify(*webhook.Request) ([]webhook.Identity, error) {
	return []webhook.Identity{
		{EventID: webhook.EventID("docusign", "1"), Subject: "docusign#a1"},
		{EventID: webhook.EventID("docusign", "2"), Subject: "docusign#a2"},
	}, nil
}

func (several) Normalize(d *webhook.Delivery) (esign.Event, error) {
	return esign.Event{Type: esign.AgreementSent, AgreementID: strings.TrimPrefix(d.Subject, "docusign#")}, nil
}

func TestARedrivenDeliveryMayHoldSeveralEvents(t *testing.T) {
	w := newWorld(t, several{})
	if failed := w.handle(t, record("1", empty())); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	for _, subject := range []string{"docusign#a1", "docusign#a2"} {
		if agreement, _ := w.agreement(t, subject); agreement.Status != esign.Sent {
			t.Errorf("%s: %+v", subject, agreement)
		}
	}
}

// silent finds nothing in a request.
type silent struct{ docusign.Provider }

func (silent) Identify(*webhook.Request) ([]webhook.Identity, error) { return nil, nil }

func TestARedrivenDeliveryWithoutAnEventIsKept(t *testing.T) {
	w := newWorld(t, silent{})
	if failed := w.handle(t, record("1", empty())); failed != nil || len(w.deadLetters) != 1 {
		t.Errorf("failed: %v; %d dead letters", failed, len(w.deadLetters))
	}
}

// panicky panics while normalising, as a bug in a provider would.
type panicky struct{ docusign.Provider }

func (panicky) Normalize(*webhook.Delivery) (esign.Event, error) { panic("secret of the payload") }

func TestAPanicSetsTheDeliveryAside(t *testing.T) {
	w := newWorld(t, panicky{})
	d := delivery(t, docusign.Provider{}, "envelope-completed")
	if failed := w.handle(t, record("1", d)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if len(w.deadLetters) != 1 || w.history(t, d.Subject)[0].State != ledger.Unreadable {
		t.Errorf("%+v, %+v", w.deadLetters, w.history(t, d.Subject))
	}
	if strings.Contains(w.log.String(), "secret of the payload") || !strings.Contains(w.log.String(), "panic") {
		t.Errorf("the log: %s", &w.log)
	}
}

func TestMalformedMessagesAndUnknownProvidersAreSetAside(t *testing.T) {
	w := newWorld(t)
	malformed := record("1", delivery(t, docusign.Provider{}, "envelope-sent"))
	delete(malformed.MessageAttributes, "eventId")
	unknown := *delivery(t, docusign.Provider{}, "envelope-sent")
	unknown.Provider = "nobody"
	if failed := w.handle(t, malformed, record("2", &unknown)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if len(w.deadLetters) != 2 {
		t.Errorf("%+v", w.deadLetters)
	}
	if events, err := w.Events(); err != nil || len(events) != 1 || events[0].ID != unknown.EventID {
		t.Errorf("%+v, %v", events, err) // a malformed message has no identity
	}
}

func TestAStoredPayloadIsFetchedAndAMissingOneWaits(t *testing.T) {
	w := newWorld(t)
	d := delivery(t, docusign.Provider{}, "envelope-completed")
	d.Payload = append(d.Payload, bytes.Repeat([]byte(" "), 2<<20)...)
	if failed := w.handle(t, record("1", d)); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
	_, key := queue.Encode(d)
	if err := w.Payloads.Put(t.Context(), key, d.Payload); err != nil {
		t.Fatal(err)
	}
	if failed := w.handle(t, record("1", d)); failed != nil || len(w.deadLetters) > 0 {
		t.Errorf("failed: %v, %d dead letters", failed, len(w.deadLetters))
	}
}

func TestEachEffectIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	sent, completed := delivery(t, docusign.Provider{}, "envelope-sent"), delivery(t, docusign.Provider{}, "envelope-completed")
	viewed, template := delivery(t, docusign.Provider{}, "envelope-delivered"), delivery(t, docusign.Provider{}, "template-created")
	w.handle(t, record("1", sent), record("2", completed), record("3", completed), record("4", viewed), record("5", template))
	want := []metrictest.Line{
		line("docusign", map[string]float64{"Processed": 1, "NoStatusChange": 0}),
		line("docusign", map[string]float64{"Processed": 1, "NoStatusChange": 0}),
		line("docusign", map[string]float64{"Processed": 1, "NoStatusChange": 1}),
		line("docusign", map[string]float64{"Processed": 1}),
	}
	if diff := cmp.Diff(want, w.counted(t)); diff != "" {
		t.Error(diff)
	}
	w.commitErr = errDown
	w.handle(t, record("6", delivery(t, docusign.Provider{}, "envelope-created")))
	if got := w.counted(t); len(got) > 0 {
		t.Errorf("counted %+v of what failed", got)
	}
}

func TestWhatIsSetAsideIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.markErr = errDown
	w.handle(t, record("1", unreadable("nonsense")))
	if got := w.counted(t); len(got) > 0 {
		t.Errorf("counted %+v of what comes again", got)
	}
	w.markErr = nil
	w.handle(t, record("1", unreadable("nonsense")))
	if diff := cmp.Diff([]metrictest.Line{line("adobesign", map[string]float64{"Unreadable": 1})}, w.counted(t)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatStandsInAMessageMakesNoDimension(t *testing.T) {
	w := newWorld(t)
	unknown := *delivery(t, docusign.Provider{}, "envelope-sent")
	unknown.Provider = "nobody"
	malformed, known := record("2", &unknown), record("3", delivery(t, docusign.Provider{}, "envelope-sent"))
	delete(malformed.MessageAttributes, "eventId")
	delete(known.MessageAttributes, "eventId")
	w.handle(t, record("1", &unknown), malformed, known)
	one := map[string]float64{"Unreadable": 1}
	if diff := cmp.Diff([]metrictest.Line{line("", one), line("", one), line("docusign", one)}, w.counted(t)); diff != "" {
		t.Error(diff)
	}
}

// archive is a store that says what it got, and may fail.
type archive struct {
	payload.Store
	keys []string
	err  error
}

func (a *archive) Put(ctx context.Context, key string, body []byte) error {
	if a.err != nil {
		return a.err
	}
	a.keys = append(a.keys, key)
	return a.Store.Put(ctx, key, body)
}

func newArchive(t *testing.T) *archive { return &archive{Store: folder.New(t.TempDir())} }

func TestNothingHappensBeforeItIsInTheArchive(t *testing.T) {
	for name, d := range map[string]*webhook.Delivery{
		"an event":      delivery(t, docusign.Provider{}, "envelope-completed"),
		"an unreadable": unreadable("nonsense"),
	} {
		t.Run(name, func(t *testing.T) {
			w, a := newWorld(t), newArchive(t)
			w.Archive, a.err = a, errDown
			if failed := w.handle(t, record("1", d)); len(failed) != 1 {
				t.Errorf("failed: %v", failed)
			}
			if history := w.history(t, d.Subject); len(history)+len(w.deadLetters)+w.lines.Len() > 0 {
				t.Errorf("not archived, and left %+v, %+v, %s", history, w.deadLetters, &w.lines)
			}
			a.err = nil
			if failed := w.handle(t, record("1", d)); failed != nil {
				t.Errorf("afterwards: %v", failed)
			}
			e := w.history(t, d.Subject)[0]
			body, err := a.Get(t.Context(), payload.ArchiveKey(e.Provider, e.SHA256))
			if err != nil || !bytes.Equal(body, d.Payload) {
				t.Errorf("the history finds %q, %v", body, err)
			}
		})
	}
}

func TestTheArchiveKeepsEachPayloadOnceAndFindsTheOneThatWasProcessed(t *testing.T) {
	w, a := newWorld(t), newArchive(t)
	w.Archive = a
	first := delivery(t, docusign.Provider{}, "envelope-completed")
	later := *first
	later.ReceivedAt, later.Payload = first.ReceivedAt.Add(48*time.Hour), append(slices.Clone(first.Payload), ' ')
	if _, err := w.Claim(t.Context(), ledger.NewClaim(first, "", "", time.Time{})); err != nil { // and the queue lost it
		t.Fatal(err)
	}
	repeated := later
	repeated.ReceivedAt = later.ReceivedAt.Add(48 * time.Hour)
	if failed := w.handle(t, record("1", &later), record("2", &repeated)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	e := w.history(t, first.Subject)[0]
	key := payload.ArchiveKey(e.Provider, e.SHA256)
	if diff := cmp.Diff([]string{key, key}, a.keys); diff != "" {
		t.Error(diff)
	}
	if body, err := a.Get(t.Context(), key); err != nil || !bytes.Equal(body, later.Payload) {
		t.Errorf("the history finds %q, %v", body, err)
	}
}

// crowd says something of more participants than are kept.
type crowd struct{ docusign.Provider }

func (crowd) Normalize(*webhook.Delivery) (esign.Event, error) {
	e := esign.Event{Type: esign.AgreementSent, AgreementID: "e"}
	for i := range 2 * esign.MaxParticipants {
		e.Participants = append(e.Participants, esign.Participant{ID: string(rune(0x10000 - i)), Status: esign.Sent})
	}
	return e, nil
}

func TestAnEventWithoutTimeTakesThatOfItsReceipt(t *testing.T) {
	w := newWorld(t, crowd{})
	d := delivery(t, docusign.Provider{}, "envelope-completed")
	if failed := w.handle(t, record("1", d)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	e := w.history(t, d.Subject)[0].Event
	if !e.OccurredAt.Equal(d.ReceivedAt) || !e.Approximate || len(e.Participants) != esign.MaxParticipants {
		t.Errorf("occurred %v, approximate %v, %d participants", e.OccurredAt, e.Approximate, len(e.Participants))
	}
}

// statuses are those before and after each event of a subject, in the order of the commits, with the vendor's type.
func (w *world) statuses(t *testing.T, subject string) (steps []string) {
	t.Helper()
	for _, e := range ledger.InOrderOfCommits(w.history(t, subject)) {
		steps = append(steps, fmt.Sprintf("%s: %q to %q", e.VendorType, e.StatusBefore, e.StatusAfter))
	}
	return steps
}

func TestAWebhookThatComesLateChangesNoStatus(t *testing.T) {
	late := delivery(t, docusign.Provider{}, "envelope-completed")
	id := strings.TrimPrefix(late.Subject, "docusign#")
	found := func(at time.Time) *webhook.Delivery {
		d := finding.Reconciled("docusign", id, esign.Completed, "completed", now.Add(-time.Hour), at)
		return &d
	}
	for name, tt := range map[string]struct {
		deliveries []*webhook.Delivery
		want       []string
	}{
		"it comes after the finding": {
			[]*webhook.Delivery{found(now), late},
			[]string{`reconciled: "" to "completed"`, `envelope-completed: "completed" to "completed"`},
		},
		"the finding comes after it": {
			[]*webhook.Delivery{late, found(now)},
			[]string{`envelope-completed: "" to "completed"`, `reconciled: "completed" to "completed"`},
		},
		"the same is found again and again": {
			[]*webhook.Delivery{found(now), found(now), found(now.Add(time.Hour)), late, found(now.Add(24 * time.Hour))},
			[]string{`reconciled: "" to "completed"`, `envelope-completed: "completed" to "completed"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, d := range tt.deliveries {
				w.Now = func() time.Time { return now.Add(time.Duration(i)) }
				if failed := w.handle(t, record(fmt.Sprint(i), d)); failed != nil {
					t.Fatal(failed)
				}
			}
			if diff := cmp.Diff(tt.want, w.statuses(t, late.Subject)); diff != "" {
				t.Error(diff)
			}
			agreement, version := w.agreement(t, late.Subject)
			if agreement.Status != esign.Completed || agreement.Conflict || version != 2 || len(w.deadLetters) > 0 {
				t.Errorf("%+v, version %d, %d dead letters", agreement, version, len(w.deadLetters))
			}
		})
	}
}

func TestFindingsAboutACompletionChangeNoStatus(t *testing.T) {
	w := newWorld(t)
	completed := delivery(t, docusign.Provider{}, "envelope-completed")
	id := strings.TrimPrefix(completed.Subject, "docusign#")
	documents := []esign.Document{{Name: "document.pdf", Location: "s3://b/k", ContentType: "application/pdf", SHA256: "00", Size: 1}}
	confirmed := finding.Confirmed("docusign", id, "completed", now.Add(time.Minute))
	archived := finding.Archived("docusign", id, documents, now.Add(2*time.Minute), now.Add(2*time.Minute))
	for i, d := range []*webhook.Delivery{completed, &confirmed, &archived, &confirmed, &archived} {
		w.Now = func() time.Time { return now.Add(time.Duration(i)) }
		if failed := w.handle(t, record(fmt.Sprint(i), d)); failed != nil {
			t.Fatal(failed)
		}
	}
	want := []string{
		`envelope-completed: "" to "completed"`, `confirmed: "completed" to "completed"`, `archived: "completed" to "completed"`,
	}
	if diff := cmp.Diff(want, w.statuses(t, completed.Subject)); diff != "" {
		t.Error(diff)
	}
	history := ledger.InOrderOfCommits(w.history(t, completed.Subject))
	if e := history[1].Event; e.Type != esign.AgreementConfirmed || e.Proof != esign.ProofConfirmed || e.ID != confirmed.EventID || e.AgreementID != id {
		t.Errorf("%+v", e)
	}
	if e := history[2].Event; e.Type != esign.AgreementArchived || cmp.Diff(documents, e.Documents) != "" {
		t.Errorf("%+v", e)
	}
}

func TestAMalformedFindingIsSetAside(t *testing.T) {
	w := newWorld(t)
	good := finding.Reconciled("docusign", "a", esign.Completed, "", now, now)
	bad := good
	bad.Payload = []byte("nonsense")
	if failed := w.handle(t, record("bad", &bad)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if history := w.history(t, good.Subject); len(w.deadLetters) != 1 || len(history) != 1 || history[0].State != ledger.Unreadable {
		t.Errorf("%d dead letters, %+v", len(w.deadLetters), history)
	}
	if failed := w.handle(t, record("good", &good)); failed != nil { // found again
		t.Errorf("failed: %v", failed)
	}
	if agreement, _ := w.agreement(t, good.Subject); agreement.Status != esign.Completed {
		t.Errorf("%+v", agreement)
	}
}

// TestWhatAVendorSendsIsNeverReadAsAFinding: even if it looks like one.
func TestWhatAVendorSendsIsNeverReadAsAFinding(t *testing.T) {
	for _, p := range provider.All() {
		for _, proof := range []esign.Proof{esign.ProofSigned, esign.ProofPartlySigned, esign.ProofURLToken, esign.ProofClientID, "Confirmed"} {
			w := newWorld(t)
			d := finding.Reconciled(p.Info().Name, "a", esign.Completed, "", now, now)
			d.Proof = proof
			if failed := w.handle(t, record("1", &d)); failed != nil {
				t.Errorf("failed: %v", failed)
			}
			if agreement, version := w.agreement(t, d.Subject); agreement.Status != "" || version != 0 {
				t.Errorf("%s, %s: %+v", p.Info().Name, proof, agreement)
			}
			for _, e := range w.history(t, d.Subject) {
				if e.Event != nil && e.VendorType == "reconciled" {
					t.Errorf("%s, %s: %+v", p.Info().Name, proof, e)
				}
			}
		}
	}
}

// TestEveryExample: no example of any provider is too much for the worker, and logs tell nothing personal.
func TestEveryExample(t *testing.T) {
	w := newWorld(t)
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != http.MethodPost {
				continue
			}
			if failed := w.handle(t, record(name, delivery(t, p, name))); failed != nil {
				t.Errorf("%s %s failed", p.Info().Name, name)
			}
		}
	}
	if len(w.deadLetters) > 0 {
		t.Errorf("%d dead letters", len(w.deadLetters))
	}
	for _, personal := range []string{"example.com", "Example"} {
		if strings.Contains(w.log.String(), personal) {
			t.Errorf("the log tells %q", personal)
		}
	}
}
