package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// story is what DocuSign tells of one envelope.
var story = []string{"envelope-created", "envelope-sent", "envelope-delivered", "recipient-completed", "envelope-completed"}

// told are the records of the story, with its names as message IDs, and the subject.
func told(t *testing.T) (records []events.SQSMessage, subject string) {
	t.Helper()
	for _, name := range story {
		d := delivery(t, docusign.Provider{}, name)
		records, subject = append(records, record(name, d)), d.Subject
	}
	return records, subject
}

// newStory is a world whose clock goes on by a second each time it is looked at, and the records of the story.
func newStory(t *testing.T) (w *world, records []events.SQSMessage) {
	t.Helper()
	w, at := newWorld(t), now
	w.Now = func() time.Time {
		at = at.Add(time.Second)
		return at
	}
	records, _ = told(t)
	return w, records
}

// wantStory checks that the first n events of the story had their effects, in their order, and each once.
func (w *world) wantStory(t *testing.T, n int) {
	t.Helper()
	_, subject := told(t)
	before, statuses := "", []string{"created", "sent", "viewed", "signed", "completed"}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("%s: %q to %q", story[i], before, statuses[i]))
		before = statuses[i]
	}
	if diff := cmp.Diff(want, w.statuses(t, subject)); diff != "" {
		t.Error(diff)
	}
	agreement, version := w.agreement(t, subject)
	if version != int64(n) || string(agreement.Status) != before || len(agreement.Reached) != n {
		t.Errorf("version %d, %+v", version, agreement)
	}
}

func TestEventsOfOneAgreementAreCommittedTogether(t *testing.T) {
	w := newWorld(t)
	records, subject := told(t)
	other := record("other", delivery(t, adobesign.Provider{}, "agreement-created"))
	batch := slices.Insert(records, 2, other)
	if failed := w.handle(t, batch...); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if diff := cmp.Diff([]int{5, 1}, w.committed); diff != "" {
		t.Error(diff)
	}
	w.wantStory(t, 5)
	for i, e := range ledger.InOrderOfCommits(w.history(t, subject)) {
		if !e.ProcessedAt.Equal(now.Add(time.Duration(i))) {
			t.Errorf("event %d is committed at %v", i, e.ProcessedAt)
		}
		folded := esign.Fold(esign.Agreement{}, *e.Event)
		if e.Agreement.UpdatedAt.Before(folded.UpdatedAt) || len(e.Agreement.Reached) != i+1 || e.Agreement.Status != e.StatusAfter {
			t.Errorf("event %d: the agreement after it is %+v", i, e.Agreement)
		}
	}
	var want []metrictest.Line
	for range 5 {
		want = append(want, line("docusign", map[string]float64{"Processed": 1, "NoStatusChange": 0}))
	}
	want = append(want, line("adobesign", map[string]float64{"Processed": 1, "NoStatusChange": 0}))
	if diff := cmp.Diff(want, w.counted(t)); diff != "" {
		t.Error(diff)
	}
}

func TestOneThatIsDoneAlreadyTakesNobodyWithIt(t *testing.T) {
	for done := range story {
		t.Run(story[done], func(t *testing.T) {
			w := newWorld(t)
			records, subject := told(t)
			if failed := w.handle(t, records[done]); failed != nil {
				t.Fatal(failed)
			}
			if failed := w.handle(t, records...); failed != nil {
				t.Errorf("failed: %v", failed)
			}
			if diff := cmp.Diff([]int{1, 5, 1, 1, 1, 1, 1}, w.committed); diff != "" {
				t.Error(diff)
			}
			agreement, version := w.agreement(t, subject)
			if agreement.Status != esign.Completed || version != 5 || len(w.history(t, subject)) != 5 || len(agreement.Reached) != 5 {
				t.Errorf("%+v, version %d", agreement, version)
			}
			if strings.Contains(w.log.String(), "batch commit failed") {
				t.Errorf("the log complains: %s", &w.log)
			}
		})
	}
}

func TestOneThatIsRefusedHoldsBackOnlyWhatIsBehindIt(t *testing.T) {
	for poison := range story {
		t.Run(story[poison], func(t *testing.T) {
			w, records := newStory(t)
			refused := delivery(t, docusign.Provider{}, story[poison]).EventID
			w.refuse = func(effects []ledger.Commit) error {
				if slices.ContainsFunc(effects, func(c ledger.Commit) bool { return c.ID == refused }) {
					return errDown
				}
				return nil
			}
			if diff := cmp.Diff(story[poison:], w.handle(t, records...)); diff != "" {
				t.Error(diff)
			}
			w.wantStory(t, poison)
			w.refuse = nil
			if failed := w.handle(t, records[poison:]...); failed != nil {
				t.Errorf("afterwards: %v", failed)
			}
			w.wantStory(t, 5)
		})
	}
}

func TestEventsThatFailedTogetherAndHappenedAreNotRepeated(t *testing.T) {
	w, records := newStory(t)
	w.refuse = func(effects []ledger.Commit) error {
		w.refuse = nil
		if err := w.Ledger.Commit(t.Context(), effects...); err != nil {
			t.Error(err)
		}
		return errDown
	}
	if failed := w.handle(t, records...); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	w.wantStory(t, 5)
}

func TestEventsTogetherAreFoldedIntoWhatAConcurrentWriterLeft(t *testing.T) {
	w, records := newStory(t)
	w.beforeCommit = func() {
		if failed := w.handle(t, records[0]); failed != nil {
			t.Errorf("the other writer failed: %v", failed)
		}
	}
	if failed := w.handle(t, records[1:]...); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	w.wantStory(t, 5)
	if diff := cmp.Diff([]int{1, 4, 4}, w.committed); diff != "" {
		t.Error(diff)
	}
}

func TestACopyInTheSameBatchIsCommittedByItself(t *testing.T) {
	w, records := newStory(t)
	w.refuse = func(effects []ledger.Commit) error {
		for i, c := range effects {
			if slices.ContainsFunc(effects[:i], func(earlier ledger.Commit) bool { return earlier.ID == c.ID }) {
				t.Errorf("%s is committed twice at once", c.ID)
			}
		}
		return nil
	}
	copied := records[1]
	copied.MessageId = "copy"
	if failed := w.handle(t, records[0], records[1], copied, records[2], records[3], records[4]); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if _, version := w.agreement(t, delivery(t, docusign.Provider{}, story[0]).Subject); version != 5 {
		t.Errorf("version %d", version)
	}
}

// stores fails for some payloads.
type stores struct {
	payload.Store
	get func(key string) ([]byte, error)
}

func (s stores) Get(_ context.Context, key string) ([]byte, error) { return s.get(key) }

// large makes a delivery's payload too large for a message, and returns the key that it is stored under.
func large(d *webhook.Delivery) (key string) {
	d.Payload = append(d.Payload, bytes.Repeat([]byte(" "), 2<<20)...)
	_, key = queue.Encode(d)
	return key
}

func TestWhatIsBeforeAMessageThatCannotBeReadYetIsCommitted(t *testing.T) {
	for missing := range story {
		t.Run(story[missing], func(t *testing.T) {
			w, records := newStory(t)
			d := delivery(t, docusign.Provider{}, story[missing])
			large(d)
			records[missing] = record(story[missing], d)
			err := errDown
			w.Payloads = stores{get: func(string) ([]byte, error) { return d.Payload, err }}
			other := record("other", delivery(t, adobesign.Provider{}, "agreement-created"))
			if diff := cmp.Diff(story[missing:], w.handle(t, append(slices.Clone(records), other)...)); diff != "" {
				t.Error(diff)
			}
			w.wantStory(t, missing)
			if n := len(w.committed); w.committed[n-1] != 1 {
				t.Errorf("another group waited: %v", w.committed)
			}
			err = nil
			if failed := w.handle(t, records[missing:]...); failed != nil {
				t.Errorf("afterwards: %v", failed)
			}
			w.wantStory(t, 5)
		})
	}
}

func TestSettingAsideWaitsForWhatIsBeforeIt(t *testing.T) {
	w, records := newStory(t)
	d := delivery(t, docusign.Provider{}, story[4])
	d.EventID, d.Payload = webhook.EventID("docusign", "broken"), []byte("nonsense")
	records = slices.Insert(records, 2, record("broken", d))
	w.commitErr = errDown
	want := slices.Insert(slices.Clone(story), 2, "broken")
	if diff := cmp.Diff(want, w.handle(t, records...)); diff != "" {
		t.Error(diff)
	}
	if len(w.deadLetters) > 0 {
		t.Errorf("%d dead letters of what comes again", len(w.deadLetters))
	}
	w.commitErr, w.sendErr = nil, errDown
	if diff := cmp.Diff(want[2:], w.handle(t, records...)); diff != "" {
		t.Error(diff)
	}
	w.sendErr, w.committed = nil, nil
	if failed := w.handle(t, records[2:]...); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if diff := cmp.Diff([]int{3}, w.committed); diff != "" || len(w.deadLetters) != 1 {
		t.Errorf("%d dead letters, %s", len(w.deadLetters), diff)
	}
}

func TestWhatCannotBeReadIsCommittedWithNobody(t *testing.T) {
	w := newWorld(t)
	template := delivery(t, docusign.Provider{}, "template-created")
	broken := *template
	broken.EventID, broken.Payload = webhook.EventID("docusign", "broken"), []byte("nonsense")
	if failed := w.handle(t, record("template", template), record("broken", &broken)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if len(w.deadLetters) != 1 || w.deadLetters[0].DeduplicationID != "broken" {
		t.Errorf("dead letters: %+v", w.deadLetters)
	}
	for _, e := range w.history(t, template.Subject) {
		if (e.State == ledger.Processed) != (e.ID == template.EventID) {
			t.Errorf("%+v", e)
		}
	}
}

// crowded finds many events of one subject in every request: about the agreement, and from half of them on not.
type crowded struct{ docusign.Provider }

const crowdedEvents = 2*ledger.MaxCommits + 100

func (crowded) Identify(*webhook.Request) (all []webhook.Identity, err error) {
	for i := range crowdedEvents {
		all = append(all, webhook.Identity{EventID: fmt.Sprintf("%04d", i), Subject: "docusign#a"})
	}
	return all, nil
}

func (crowded) Normalize(d *webhook.Delivery) (esign.Event, error) {
	if d.EventID >= fmt.Sprintf("%04d", crowdedEvents/2) {
		return esign.Event{Type: esign.Other}, nil
	}
	return esign.Event{Type: esign.AgreementSent, AgreementID: "a"}, nil
}

func TestNoMoreIsCommittedTogetherThanTheLedgerTakes(t *testing.T) {
	w := newWorld(t, crowded{})
	if failed := w.handle(t, record("1", empty())); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if diff := cmp.Diff([]int{99, 50, 99, 50}, w.committed); diff != "" {
		t.Error(diff)
	}
	if _, version := w.agreement(t, "docusign#a"); version != crowdedEvents/2 || len(w.history(t, "docusign#a")) != crowdedEvents {
		t.Errorf("version %d, %d events", version, len(w.history(t, "docusign#a")))
	}
}

// TestNoPayloadIsHeldWhileItsEventWaitsForTheOthers: ten of the largest would not fit in a function.
func TestNoPayloadIsHeldWhileItsEventWaitsForTheOthers(t *testing.T) {
	w := newWorld(t)
	var records []events.SQSMessage
	bodies, held := map[string]string{}, []weak.Pointer[byte]{}
	for _, name := range story {
		d := delivery(t, docusign.Provider{}, name)
		bodies[large(d)] = string(d.Payload)
		records = append(records, record(name, d))
	}
	w.Payloads = stores{get: func(key string) ([]byte, error) {
		body := []byte(bodies[key])
		held = append(held, weak.Make(&body[0]))
		return body, nil
	}}
	w.refuse = func([]ledger.Commit) error {
		runtime.GC()
		for i, p := range held {
			if p.Value() != nil {
				t.Errorf("payload %d of %d is held", i, len(held))
			}
		}
		return nil
	}
	if failed := w.handle(t, records...); failed != nil || len(held) != len(story) {
		t.Errorf("failed: %v, %d payloads", failed, len(held))
	}
	w.wantStory(t, 5)
}

func TestTheLogSaysWhyEventsAreNotCommittedTogether(t *testing.T) {
	w, records := newStory(t)
	w.refuse = func(effects []ledger.Commit) error {
		if len(effects) > 1 {
			return errors.New("too much of it")
		}
		return nil
	}
	w.handle(t, records...)
	if log := w.log.String(); strings.Count(log, "batch commit failed") != 1 || strings.Count(log, "too much of it") != 1 || strings.Count(log, `"processed"`) != 5 {
		t.Error(log)
	}
}

// slow is a store of payloads that takes its time, if it is given that.
type slow struct {
	payload.Store
	delay time.Duration
}

func (s slow) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.delay):
		return nil
	}
}

func (s slow) Put(ctx context.Context, key string, body []byte) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Store.Put(ctx, key, body)
}

func (s slow) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

// invoke processes records as Lambda does, which ends the function after 30 s, and returns those that come again.
func (w *world) invoke(t *testing.T, records ...events.SQSMessage) (again []events.SQSMessage) {
	t.Helper()
	begun := time.Now()
	failed := w.handle(t, records...)
	if took := time.Since(begun); took >= 30*time.Second {
		t.Fatalf("took %v, and nothing is reported", took)
	}
	for _, r := range records {
		if slices.Contains(failed, r.MessageId) {
			again = append(again, r)
		}
	}
	return again
}

func TestAGroupThatIsSlowToReadGetsOnWithEachDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, records := newStory(t)
		w.Archive = slow{newArchive(t), 7 * time.Second}
		for _, done := range []int{2, 4, 5} {
			records = w.invoke(t, records...)
			if len(records) != len(story)-done {
				t.Fatalf("%d come again, want %d of %d", len(records), len(story)-done, len(story))
			}
			w.wantStory(t, done)
		}
	})
}

func TestAPayloadThatHangsHoldsBackOnlyWhatIsBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Payloads = slow{w.Payloads, time.Hour}
		records, subject := told(t)
		d := delivery(t, docusign.Provider{}, story[1])
		d.Payload = bytes.Repeat([]byte(" "), queue.MaxMessage)
		records[1] = record(story[1], d)
		other := delivery(t, adobesign.Provider{}, "agreement-created")
		again := w.invoke(t, append(records, record("other", other))...)
		if len(again) != len(story)-1 || again[0].MessageId != story[1] {
			t.Errorf("%d come again", len(again))
		}
		for _, subject := range []string{subject, other.Subject} {
			if _, version := w.agreement(t, subject); version != 1 {
				t.Errorf("%s: %d events had their effects", subject, version)
			}
		}
	})
}

func TestACommitThatHangsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, records := newStory(t)
		w.hangs = true
		if again := w.invoke(t, records...); len(again) != len(records) {
			t.Errorf("%d come again", len(again))
		}
	})
}

func TestWhatIsAlwaysTooMuchAtOnceIsCommittedOneByOne(t *testing.T) {
	w, records := newStory(t)
	w.Pause = func(context.Context, int) {}
	w.refuse = func(effects []ledger.Commit) error {
		if len(effects) > 1 {
			return ledger.ErrConflict
		}
		return nil
	}
	if failed := w.handle(t, records...); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	w.wantStory(t, len(story))
}
