package process_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func TestAnEventHasItsEffectOnce(t *testing.T) {
	w, d := newWorld(t), step("completed")
	w.handle(t, d, d, d)
	agreement := w.wantAgreement(t, subject, esign.Completed, 1)
	e := w.history(t, subject, 1)[0]
	if e.State != ledger.Processed || e.StatusBefore != "" || e.StatusAfter != esign.Completed || e.ID != d.EventID ||
		e.Event.ID != d.EventID || e.Event.Proof != esign.ProofSigned || !e.Event.ReceivedAt.Equal(d.ReceivedAt) ||
		!e.ProcessedAt.Equal(now) || e.Size != len(d.Payload) {
		t.Errorf("%+v", e)
	}
	if diff := cmp.Diff(agreement, *e.Agreement); diff != "" {
		t.Errorf("the event's agreement: %s", diff)
	}
}

// In any order of arrival, each event starts from the status that the one before has left, and no status is entered
// twice.
func TestStatusesAreEnteredOnce(t *testing.T) {
	order := slices.Clone(story)
	random := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		w := newWorld(t)
		var status esign.Status
		entered := map[esign.Status]bool{}
		for n, typ := range order {
			d := step(typ)
			w.handle(t, d, d)
			history := w.history(t, subject, n+1)
			e := history[slices.IndexFunc(history, func(e ledger.Entry) bool { return e.ID == d.EventID })]
			if e.StatusBefore != status || e.StatusAfter != status && entered[e.StatusAfter] {
				t.Errorf("%v: from %q to %q, was %q", order, e.StatusBefore, e.StatusAfter, status)
			}
			status = e.StatusAfter
			entered[status] = true
		}
		if status != esign.Completed {
			t.Errorf("%v ended %q", order, status)
		}
	}
}

func TestAFailureIsReportedWithTheRestOfItsGroup(t *testing.T) {
	w := newWorld(t)
	w.refuse = func(effects []ledger.Commit) error {
		if effects[0].Subject == subject {
			return errDown
		}
		return nil
	}
	records := []events.SQSMessage{record("sent", step("sent")), record("completed", step("completed"))}
	w.handleRecords(t, append(records, record("other", other())), "sent", "completed")
	w.wantAgreement(t, other().Subject, esign.Created, 1) // another group is not blocked
	w.refuse = nil
	w.handleRecords(t, records)
	w.wantAgreement(t, subject, esign.Completed, 2)
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

func TestACommitThatFailedButHappenedIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	w.commitErr, w.happens = errDown, true
	w.wantFailure(t, step("completed"))
	w.commitErr = nil
	w.handle(t, step("completed"))
	w.wantAgreement(t, subject, esign.Completed, 1)
}

func TestAConcurrentWriterIsFoldedIn(t *testing.T) {
	w := newWorld(t)
	w.beforeCommit = func() { w.handle(t, step("completed")) }
	w.handle(t, step("sent"))
	if agreement := w.wantAgreement(t, subject, esign.Completed, 2); agreement.Reached[esign.Sent].IsZero() {
		t.Errorf("%+v", agreement)
	}
}

func TestAnEndlessConflictIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		w.commitErr = ledger.ErrConflict
		w.wantFailure(t, step("completed"))
		w.wantCommitted(t, 1, 1, 1, 1, 1, 1, 1, 1)
		if took := time.Since(began); took == 0 || took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnEventWithoutAnAgreementCreatesNone(t *testing.T) {
	w := newWorld(t)
	w.handle(t, ping())
	if agreements, err := w.Agreements(); err != nil || len(agreements) > 0 {
		t.Errorf("%+v, %v", agreements, err)
	}
	if e := w.history(t, ping().Subject, 1)[0]; e.Type != esign.Test {
		t.Errorf("%+v", e)
	}
}

func TestUnreadableDeliveriesGoToTheDeadLetters(t *testing.T) {
	w, d := newWorld(t), unreadable(`{"event":`)
	w.handle(t, d, unreadable("other"))
	w.wantDeadLetters(t, 2)
	want := process.Message(record("0", d)).Message
	want.DeduplicationID = "0" // so that one that is redriven is accepted, also within five minutes
	if diff := cmp.Diff(want, w.deadLetters[0]); diff != "" {
		t.Error(diff)
	}
	if e := w.history(t, d.Subject, 2)[0]; e.State != ledger.Unreadable {
		t.Errorf("%+v", e)
	}
	if strings.Contains(w.log.String(), `{\"event`) {
		t.Errorf("the log quotes the payload: %s", &w.log)
	}
}

func TestAFailedDeadLetterIsRetried(t *testing.T) {
	w, d := newWorld(t), unreadable("nonsense")
	w.sendErr = errDown
	w.wantFailure(t, d)
	w.history(t, d.Subject, 0) // not marked before it is among the dead letters
	w.sendErr, w.markErr = nil, errDown
	w.wantFailure(t, d)
	w.wantMetrics(t)
	w.markErr = nil
	w.handle(t, d)
	w.wantMetrics(t, map[string]float64{"Unreadable": 1})
	w.wantDeadLetters(t, 2)
	if w.deadLetters[0].DeduplicationID != w.deadLetters[1].DeduplicationID {
		t.Errorf("%+v", w.deadLetters)
	}
}

// TestAnUnreadableEventHasOneDeadLetter checks when a copy that cannot be read either becomes a further dead letter.
func TestAnUnreadableEventHasOneDeadLetter(t *testing.T) {
	const kept = queue.DeadLetterRetention
	for name, tt := range map[string]struct {
		age      time.Duration // of the mark
		redriven bool
		want     int
		marked   time.Duration // the mark afterwards
	}{
		"a copy while the dead letter is kept":          {time.Hour, false, 1, 0},
		"a copy when it has expired":                    {kept, false, 2, kept},
		"a copy for which another clock is behind":      {kept - time.Hour, false, 2, kept - time.Hour},
		"the dead letter itself, after it was redriven": {time.Hour, true, 2, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(t), unreadable("nonsense")
			w.handle(t, d)
			w.Now = func() time.Time { return now.Add(tt.age) }
			again := record("1", d)
			again.Attributes["MessageDeduplicationId"] += ".unreadable0"
			if tt.redriven {
				again.Attributes["MessageDeduplicationId"] = "0"
			}
			w.handleRecords(t, []events.SQSMessage{again})
			w.wantDeadLetters(t, tt.want)
			if e := w.history(t, d.Subject, 1)[0]; !e.UnreadableAt.Equal(now.Add(tt.marked)) {
				t.Errorf("marked at %v", e.UnreadableAt)
			}
			w.eventErr = errDown
			w.handleRecords(t, []events.SQSMessage{record("2", d)}, "2")
			w.wantDeadLetters(t, tt.want)
		})
	}
}

// A copy of an unreadable event can be read.
func TestAnEventThatWasUnreadableIsProcessed(t *testing.T) {
	w, d := newWorld(t), step("completed")
	claim := ledger.NewClaim(d, "", "", time.Time{})
	if err := w.Ledger.MarkUnreadable(t.Context(), claim, now); err != nil {
		t.Fatal(err)
	}
	w.handle(t, d)
	w.wantAgreement(t, subject, esign.Completed, 1)
	w.wantDeadLetters(t, 0)
}

// The receiver could not read the delivery, but this worker can.
func TestARedrivenDeliveryIsIdentifiedAgain(t *testing.T) {
	w, d := newWorld(t), step("completed")
	w.handle(t, unreadable(string(d.Payload)))
	if e := w.history(t, subject, 1)[0]; e.ID != d.EventID || e.State != ledger.Processed ||
		!slices.Equal(e.Via, []string{d.Via}) {
		t.Errorf("%+v", e)
	}
	w.handle(t, d) // the vendor retries
	w.wantAgreement(t, subject, esign.Completed, 1)
	w.wantDeadLetters(t, 0)
}

func TestARedrivenDeliveryMayHoldSeveralEvents(t *testing.T) {
	w := newWorld(t)
	request := acmesign.Request(acmesign.Event{Number: 1, Type: "sent", Agreement: "a"},
		acmesign.Event{Number: 2, Type: "sent", Agreement: "b"})
	w.handle(t, unreadable(string(request.Body)))
	w.wantAgreement(t, "acmesign#a", esign.Sent, 1)
	w.wantAgreement(t, "acmesign#b", esign.Sent, 1)
}

// silent finds no event in any request.
type silent struct{ acmesign.Provider }

func (silent) Identify(*webhook.Request) ([]webhook.Identity, error) { return nil, nil }

func TestARedrivenDeliveryWithoutAnEventIsKept(t *testing.T) {
	w := newWorld(t, silent{})
	w.handle(t, unreadable("nonsense"))
	w.wantDeadLetters(t, 1)
}

// panicky panics in Normalize, as a bug in a provider would.
type panicky struct{ acmesign.Provider }

func (panicky) Normalize(*webhook.Delivery) (esign.Event, error) { panic("secret of the payload") }

func TestAPanicSendsTheDeliveryToTheDeadLetters(t *testing.T) {
	w := newWorld(t, panicky{})
	w.handle(t, step("completed"))
	w.wantDeadLetters(t, 1)
	if e := w.history(t, subject, 1)[0]; e.State != ledger.Unreadable {
		t.Errorf("%+v", e)
	}
	if log := w.log.String(); strings.Contains(log, "secret of the payload") || !strings.Contains(log, "panic") {
		t.Errorf("the log: %s", log)
	}
}

// Their metrics have no provider that is not ours.
func TestMalformedMessagesAndUnknownProvidersGoToTheDeadLetters(t *testing.T) {
	w, unknown := newWorld(t), step("sent")
	unknown.Provider = "nobody"
	malformed, malformedUnknown := record("1", step("sent")), record("2", unknown)
	delete(malformed.MessageAttributes, "eventId")
	delete(malformedUnknown.MessageAttributes, "eventId")
	w.handleRecords(t, []events.SQSMessage{malformed, malformedUnknown, record("3", unknown)})
	w.wantDeadLetters(t, 3)
	// A malformed message has no identity, so no event is marked.
	if events, err := w.Events(); err != nil || len(events) != 1 || events[0].ID != unknown.EventID {
		t.Errorf("%+v, %v", events, err)
	}
	one := map[string]float64{"Unreadable": 1}
	w.wantLines(t, []metrictest.Line{{Provider: acmesign.Name, Values: one}, {Values: one}, {Values: one}})
}

func TestAMessageOfANewerReleaseStaysInTheQueue(t *testing.T) {
	w, newer, two := newWorld(t), record("newer", step("sent")), "2"
	v := newer.MessageAttributes["v"]
	v.StringValue = &two
	newer.MessageAttributes["v"] = v
	records := []events.SQSMessage{newer, record("completed", step("completed")), record("other", other())}
	w.handleRecords(t, records, "newer", "completed")
	w.wantDeadLetters(t, 0)
	w.wantAgreement(t, other().Subject, esign.Created, 1) // another group is not blocked
}

func TestAMissingPayloadIsRetried(t *testing.T) {
	w, d := newWorld(t), step("completed")
	key := large(d)
	w.wantFailure(t, d)
	if err := w.Payloads.Put(t.Context(), key, d.Payload); err != nil {
		t.Fatal(err)
	}
	w.handle(t, d)
	w.wantDeadLetters(t, 0)
}

func TestEachEffectIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.handle(t, step("sent"), step("completed"), step("completed"), step("viewed"), ping())
	changed := map[string]float64{"Processed": 1, "NoStatusChange": 0}
	unchanged := map[string]float64{"Processed": 1, "NoStatusChange": 1}
	w.wantMetrics(t, changed, changed, unchanged, map[string]float64{"Processed": 1})
	w.commitErr = errDown
	w.wantFailure(t, step("created"))
	w.wantMetrics(t)
}

func TestNothingHappensBeforeThePayloadIsInTheArchive(t *testing.T) {
	for name, d := range map[string]*webhook.Delivery{
		"an event":               step("completed"),
		"an unreadable delivery": unreadable("nonsense"),
	} {
		t.Run(name, func(t *testing.T) {
			w, archive := newWorld(t), newStore(t)
			w.Archive, archive.err = archive, errDown
			w.wantFailure(t, d)
			w.history(t, d.Subject, 0)
			w.wantDeadLetters(t, 0)
			w.wantMetrics(t)
			archive.err = nil
			w.handle(t, d)
			w.wantArchived(t, archive, d)
		})
	}
}

// wantArchived checks that the history leads to the payload of a delivery. It returns the payload's key.
func (w *world) wantArchived(t *testing.T, archive *store, d *webhook.Delivery) string {
	t.Helper()
	e := w.history(t, d.Subject, 1)[0]
	key := payload.ArchiveKey(e.Provider, e.SHA256)
	if body, err := archive.Get(t.Context(), key); err != nil || !bytes.Equal(body, d.Payload) {
		t.Errorf("the history leads to %q, %v", body, err)
	}
	return key
}

func TestTheArchiveKeepsTheProcessedPayloadOnce(t *testing.T) {
	w, archive := newWorld(t), newStore(t)
	w.Archive = archive
	first, later := step("completed"), step("completed")
	later.ReceivedAt, later.Payload = first.ReceivedAt.Add(48*time.Hour), append(later.Payload, ' ')
	claim := ledger.NewClaim(first, "", "", time.Time{}) // of a message that was lost
	if _, err := w.Claim(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	repeated := *later
	repeated.ReceivedAt = later.ReceivedAt.Add(48 * time.Hour)
	w.handle(t, later, &repeated)
	key := w.wantArchived(t, archive, later)
	want := &esign.Payload{SHA256: strings.TrimPrefix(key, later.Provider+"/"), Location: "kept at " + key}
	if diff := cmp.Diff(want, w.history(t, later.Subject, 1)[0].Event.Payload); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{key, key}, archive.keys); diff != "" {
		t.Error(diff)
	}
}

func TestAnEventWithoutATimeHasItsDeliverys(t *testing.T) {
	w, e := newWorld(t), acmesign.Event{Type: "sent", Agreement: "a"}
	for i := range 2 * esign.MaxParticipants { // and too many participants
		e.People = append(e.People, esign.Participant{ID: string(rune(0x10000 - i)), Status: esign.Sent})
	}
	d := deliver(e)
	w.handle(t, d)
	got := w.history(t, subject, 1)[0].Event
	if !got.OccurredAt.Equal(d.ReceivedAt) || !got.Approximate || len(got.Participants) != esign.MaxParticipants {
		t.Errorf("occurred %v, approximate %v, %d participants", got.OccurredAt, got.Approximate, len(got.Participants))
	}
}

// handleLater processes deliveries one after the other, each a nanosecond after the one before.
func (w *world) handleLater(t *testing.T, deliveries ...*webhook.Delivery) {
	t.Helper()
	for i, d := range deliveries {
		w.Now = func() time.Time { return now.Add(time.Duration(i)) }
		w.handle(t, d)
	}
}

func TestALateWebhookChangesNoStatus(t *testing.T) {
	late := step("completed")
	found := func(at time.Time) *webhook.Delivery {
		d := finding.Reconciled(acmesign.Name, "a", esign.Completed, "completed", now.Add(-time.Hour), at, finding.Said{})
		return &d
	}
	const findingFirst, findingSecond = `reconciled: "" to "completed"`, `reconciled: "completed" to "completed"`
	const webhookFirst, webhookSecond = `completed: "" to "completed"`, `completed: "completed" to "completed"`
	for name, tt := range map[string]struct {
		deliveries []*webhook.Delivery
		want       []string
	}{
		"after the finding":  {[]*webhook.Delivery{found(now), late}, []string{findingFirst, webhookSecond}},
		"before the finding": {[]*webhook.Delivery{late, found(now)}, []string{webhookFirst, findingSecond}},
		"the finding is repeated": {
			[]*webhook.Delivery{found(now), found(now), found(now.Add(time.Hour)), late, found(now.Add(24 * time.Hour))},
			[]string{findingFirst, webhookSecond},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.handleLater(t, tt.deliveries...)
			w.wantStatuses(t, subject, tt.want...)
			if agreement := w.wantAgreement(t, subject, esign.Completed, 2); agreement.Conflict {
				t.Errorf("%+v", agreement)
			}
			w.wantDeadLetters(t, 0)
		})
	}
}

func TestFindingsAboutACompletionChangeNoStatus(t *testing.T) {
	w := newWorld(t)
	documents := []esign.Document{
		{Name: "document.pdf", Location: "s3://b/k", ContentType: "application/pdf", SHA256: "00", Size: 1},
	}
	at := now.Add(2 * time.Minute)
	w.Policy.References = []string{"deal"}
	want := map[string]string{"deal": "1"}
	confirmed := finding.Confirmed(acmesign.Name, "a", "completed", now.Add(time.Minute),
		finding.Said{References: map[string]string{"deal": "1", "secret": "2"}})
	archived := finding.Archived(acmesign.Name, "a", documents, at, at)
	w.handleLater(t, step("completed"), &confirmed, &archived, &confirmed, &archived)
	w.wantStatuses(t, subject,
		`completed: "" to "completed"`, `confirmed: "completed" to "completed"`, `archived: "completed" to "completed"`)
	history := w.history(t, subject, 3)
	if e := history[1].Event; e.Type != esign.AgreementConfirmed || e.Proof != esign.ProofConfirmed ||
		e.ID != confirmed.EventID || e.AgreementID != "a" {
		t.Errorf("%+v", e)
	}
	for _, e := range history[1:] { // what is published has the agreement
		if diff := cmp.Diff(want, e.Agreement.References); diff != "" {
			t.Errorf("%s: %s", e.Type, diff)
		}
	}
	if e := history[2].Event; e.Type != esign.AgreementArchived || cmp.Diff(documents, e.Documents) != "" {
		t.Errorf("%+v", e)
	}
}

func TestAMalformedFindingGoesToTheDeadLetters(t *testing.T) {
	w := newWorld(t)
	good := finding.Reconciled(acmesign.Name, "a", esign.Completed, "", now, now, finding.Said{})
	bad := good
	bad.Payload = []byte("nonsense")
	w.handle(t, &bad)
	w.wantDeadLetters(t, 1)
	if e := w.history(t, subject, 1)[0]; e.State != ledger.Unreadable {
		t.Errorf("%+v", e)
	}
	w.handle(t, &good) // found again
	w.wantAgreement(t, subject, esign.Completed, 1)
}

func TestAVendorsRequestIsNeverReadAsAFinding(t *testing.T) {
	proofs := []esign.Proof{
		esign.ProofSigned, esign.ProofPartlySigned, esign.ProofURLToken, esign.ProofClientID, "Confirmed",
	}
	for _, p := range append(provider.All(), acmesign.Provider{}) {
		for _, proof := range proofs {
			w := newWorld(t, p)
			d := finding.Reconciled(p.Info().Name, "a", esign.Completed, "", now, now, finding.Said{})
			d.Proof = proof
			w.handle(t, &d)
			w.wantAgreement(t, d.Subject, "", 0)
			for _, e := range w.history(t, d.Subject, 1) {
				if e.Event != nil && e.VendorType == "reconciled" {
					t.Errorf("%s, %s: %+v", p.Info().Name, proof, e)
				}
			}
		}
	}
}

// The worker can process every example of every provider, and logs nothing personal.
func TestEveryExample(t *testing.T) {
	w := newWorld(t, provider.All()...)
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != http.MethodPost {
				continue
			}
			ids, err := p.Identify(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			w.handle(t, webhooktest.Delivery(p, r, ids[0], esign.ProofSigned))
		}
	}
	w.wantDeadLetters(t, 0)
	for _, personal := range []string{"example.com", "Example"} {
		if strings.Contains(w.log.String(), personal) {
			t.Errorf("the log contains %q", personal)
		}
	}
}

// telling is a vendor whose events carry a sender's texts.
type telling struct{ acmesign.Provider }

func (telling) Info() webhook.Info {
	info := acmesign.Provider{}.Info()
	info.PersonReference = "personId"
	return info
}

// unreached is a vendor that reaches nobody.
type unreached struct{ acmesign.Provider }

func (p unreached) Normalize(d *webhook.Delivery) (esign.Event, error) {
	e, err := p.Provider.Normalize(d)
	e.Type, e.Cause = esign.AgreementUndeliverable, esign.CauseBounced
	return e, err
}

func TestWhoIsNotReachedIsCounted(t *testing.T) {
	w := newWorld(t, unreached{})
	w.handle(t, step("sent"))
	w.wantMetrics(t, map[string]float64{"Processed": 1, "NoStatusChange": 1, "Undeliverable": 1})
}

func (p telling) Normalize(d *webhook.Delivery) (esign.Event, error) {
	e, err := p.Provider.Normalize(d)
	e.References, e.Reason = map[string]string{"deal": "1", "canary": "2"}, "too dear"
	e.Participants = []esign.Participant{{ID: "1", Status: esign.Sent, Reference: "canary"}}
	return e, err
}

func TestAnEventCarriesWhatTheOperatorLets(t *testing.T) {
	w := newWorld(t, telling{})
	w.Policy = esign.Policy{References: []string{"deal"}}
	w.handle(t, step("sent"))
	w.handle(t, step("completed"))
	for _, e := range w.history(t, subject, 2) {
		person := e.Agreement.Participants["1"]
		if e.Event.References["deal"] != "1" || e.Agreement.References["deal"] != "1" || e.Event.ReferencesLeftOut != 2 ||
			len(e.Agreement.References) != 1 || e.Event.Reason != "" || person.Reference != "" || e.Event.Payload == nil {
			t.Errorf("%+v %+v", e.Event, e.Agreement)
		}
	}
	if log := w.log.String(); strings.Count(log, "references left out") != 1 || strings.Contains(log, "canary") {
		t.Error(log)
	}
	w = newWorld(t, telling{})
	w.Policy = esign.Policy{References: []string{"personId"}, Reasons: true}
	w.handle(t, step("sent"))
	e := w.history(t, subject, 1)[0].Event
	if e.Reason != "too dear" || e.Participants[0].Reference != "canary" || e.References != nil {
		t.Errorf("%+v", e)
	}
}
