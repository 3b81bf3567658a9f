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

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// newStory returns a world whose clock advances by a second at each call, and the records of the story.
func newStory(t *testing.T) (w *world, records []events.SQSMessage) {
	t.Helper()
	w, at := newWorld(t), now
	w.Now = func() time.Time {
		at = at.Add(time.Second)
		return at
	}
	return w, storyRecords()
}

// eachStep runs a subtest for each event of the story.
func eachStep(t *testing.T, test func(t *testing.T, i int)) {
	for i, typ := range story {
		t.Run(typ, func(t *testing.T) { test(t, i) })
	}
}

func TestEventsOfOneAgreementShareATransaction(t *testing.T) {
	w := newWorld(t)
	w.handleRecords(t, slices.Insert(storyRecords(), 2, record("other", other())))
	w.wantCommitted(t, 5, 1)
	w.wantStory(t, 5)
	for i, e := range w.history(t, subject, 5) {
		if !e.ProcessedAt.Equal(now.Add(time.Duration(i))) {
			t.Errorf("event %d is committed at %v", i, e.ProcessedAt)
		}
		folded := esign.Fold(esign.Agreement{}, *e.Event)
		if e.Agreement.UpdatedAt.Before(folded.UpdatedAt) || len(e.Agreement.Reached) != i+1 ||
			e.Agreement.Status != e.StatusAfter {
			t.Errorf("event %d: the agreement after it is %+v", i, e.Agreement)
		}
	}
	w.wantMetrics(t, slices.Repeat([]map[string]float64{{"Processed": 1, "NoStatusChange": 0}}, 6)...)
}

func TestAProcessedEventDoesNotBlockTheOthers(t *testing.T) {
	eachStep(t, func(t *testing.T, processed int) {
		w := newWorld(t)
		w.handleRecords(t, storyRecords()[processed:processed+1])
		w.handleRecords(t, storyRecords())
		w.wantCommitted(t, 1, 5, 1, 1, 1, 1, 1)
		w.history(t, subject, 5)
		if agreement := w.wantAgreement(t, subject, esign.Completed, 5); len(agreement.Reached) != 5 {
			t.Errorf("%+v", agreement)
		}
		if strings.Contains(w.log.String(), "batch commit failed") {
			t.Errorf("the log has a warning: %s", &w.log)
		}
	})
}

func TestARefusedEventBlocksOnlyLaterEventsOfItsAgreement(t *testing.T) {
	for _, reason := range []error{errDown, ledger.ErrConflict} { // a conflict that does not end, such as throttling
		eachStep(t, func(t *testing.T, poison int) {
			w, records := newStory(t)
			w.Pause = func(context.Context, int) {}
			refused := step(story[poison]).EventID
			w.refuse = func(effects []ledger.Commit) error {
				if slices.ContainsFunc(effects, func(c ledger.Commit) bool { return c.ID == refused }) {
					return reason
				}
				return nil
			}
			w.handleRecords(t, records, story[poison:]...)
			w.wantStory(t, poison)
			w.refuse = nil
			w.handleRecords(t, records[poison:])
			w.wantStory(t, 5)
		})
	}
}

func TestABatchCommitThatFailedButHappenedIsNotRepeated(t *testing.T) {
	w, records := newStory(t)
	w.refuse = func(effects []ledger.Commit) error {
		w.refuse = nil
		if err := w.Ledger.Commit(t.Context(), effects...); err != nil {
			t.Error(err)
		}
		return errDown
	}
	w.handleRecords(t, records)
	w.wantStory(t, 5)
}

func TestABatchIsFoldedIntoWhatAConcurrentWriterLeft(t *testing.T) {
	w, records := newStory(t)
	w.beforeCommit = func() { w.handleRecords(t, records[:1]) }
	w.handleRecords(t, records[1:])
	w.wantStory(t, 5)
	w.wantCommitted(t, 1, 4, 4)
}

func TestADuplicateInABatchIsCommittedByItself(t *testing.T) {
	w, records := newStory(t)
	w.refuse = func(effects []ledger.Commit) error {
		for i, c := range effects {
			if slices.ContainsFunc(effects[:i], func(earlier ledger.Commit) bool { return earlier.ID == c.ID }) {
				t.Errorf("%s is twice in one transaction", c.ID)
			}
		}
		return nil
	}
	duplicate := records[1]
	duplicate.MessageId = "duplicate"
	w.handleRecords(t, slices.Insert(records, 2, duplicate))
	w.wantAgreement(t, subject, esign.Completed, 5)
}

// payloads is a payload store that only reads.
type payloads struct {
	payload.Store
	get func(key string) ([]byte, error)
}

func (p payloads) Get(_ context.Context, key string) ([]byte, error) { return p.get(key) }

func TestAnUnavailablePayloadBlocksOnlyLaterEvents(t *testing.T) {
	eachStep(t, func(t *testing.T, missing int) {
		w, records := newStory(t)
		d := step(story[missing])
		large(d)
		records[missing] = record(story[missing], d)
		err := errDown
		w.Payloads = payloads{get: func(string) ([]byte, error) { return d.Payload, err }}
		w.handleRecords(t, append(slices.Clone(records), record("other", other())), story[missing:]...)
		w.wantStory(t, missing)
		w.wantAgreement(t, other().Subject, esign.Created, 1) // another group is not blocked
		err = nil
		w.handleRecords(t, records[missing:])
		w.wantStory(t, 5)
	})
}

func TestADeadLetterWaitsForTheEventsBeforeIt(t *testing.T) {
	w, records := newStory(t)
	d := step("completed")
	d.EventID, d.Payload = webhook.EventID(acmesign.Name, "broken"), []byte("nonsense")
	records = slices.Insert(records, 2, record("broken", d))
	all := slices.Insert(slices.Clone(story), 2, "broken")
	w.commitErr = errDown
	w.handleRecords(t, records, all...)
	w.wantDeadLetters(t, 0)
	w.commitErr, w.sendErr = nil, errDown
	w.handleRecords(t, records, all[2:]...)
	w.sendErr, w.committed = nil, nil
	w.handleRecords(t, records[2:])
	w.wantCommitted(t, 3)
	w.wantDeadLetters(t, 1)
}

func TestAnUnreadableEventSharesNoTransaction(t *testing.T) {
	w := newWorld(t)
	good, broken := ping(), ping()
	broken.EventID, broken.Payload = webhook.EventID(acmesign.Name, "broken"), []byte("nonsense")
	w.handle(t, good, broken)
	w.wantDeadLetters(t, 1)
	for _, e := range w.history(t, good.Subject, 2) {
		if (e.State == ledger.Processed) != (e.ID == good.EventID) {
			t.Errorf("%+v", e)
		}
	}
}

// crowded finds many events of one subject in every request. Only the first half of them is about the agreement.
type crowded struct{ acmesign.Provider }

const crowdedEvents = 2*ledger.MaxCommits + 100

func (crowded) Identify(*webhook.Request) (all []webhook.Identity, err error) {
	for i := range crowdedEvents {
		all = append(all, webhook.Identity{EventID: fmt.Sprintf("%04d", i), Subject: subject})
	}
	return all, nil
}

func (crowded) Normalize(d *webhook.Delivery) (esign.Event, error) {
	if d.EventID >= fmt.Sprintf("%04d", crowdedEvents/2) {
		return esign.Event{Type: esign.Other}, nil
	}
	return esign.Event{Type: esign.AgreementSent, AgreementID: "a"}, nil
}

func TestATransactionHoldsNoMoreThanTheLedgerAccepts(t *testing.T) {
	w := newWorld(t, crowded{})
	w.handle(t, unreadable("crowded"))
	w.wantCommitted(t, 79, 50, 79, 50)
	w.wantAgreement(t, subject, esign.Sent, crowdedEvents/2)
	w.history(t, subject, crowdedEvents)
}

// Ten of the largest payloads would not fit in a function's memory.
func TestNoPayloadIsHeldWhileItsEventWaits(t *testing.T) {
	w := newWorld(t)
	var records []events.SQSMessage
	bodies, held := map[string]string{}, []weak.Pointer[byte]{}
	for _, typ := range story {
		d := step(typ)
		bodies[large(d)] = string(d.Payload)
		records = append(records, record(typ, d))
	}
	w.Payloads = payloads{get: func(key string) ([]byte, error) {
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
	w.handleRecords(t, records)
	w.wantStory(t, 5)
	if len(held) != len(story) {
		t.Errorf("%d payloads", len(held))
	}
}

func TestABatchThatIsNeverAcceptedIsCommittedOneByOne(t *testing.T) {
	for name, err := range map[string]error{
		"refused":  errors.New("too large"),
		"conflict": ledger.ErrConflict,
	} {
		t.Run(name, func(t *testing.T) {
			w, records := newStory(t)
			w.Pause = func(context.Context, int) {}
			w.refuse = func(effects []ledger.Commit) error {
				if len(effects) > 1 {
					return err
				}
				return nil
			}
			w.handleRecords(t, records)
			w.wantStory(t, 5)
			log := w.log.String()
			if strings.Count(log, "batch commit failed") != 1 || strings.Count(log, err.Error()) != 1 ||
				strings.Count(log, `"processed"`) != 5 {
				t.Error(log)
			}
		})
	}
}

// handleInTime checks that a batch ends before Lambda ends the function, which would report nothing.
func (w *world) handleInTime(t *testing.T, records []events.SQSMessage, wantFailed ...string) {
	t.Helper()
	begun := time.Now()
	w.handleRecords(t, records, wantFailed...)
	if took := time.Since(begun); took >= 30*time.Second {
		t.Fatalf("took %v", took)
	}
}

func TestASlowGroupProgressesWithEachDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, records := newStory(t)
		w.Archive = &store{Store: newStore(t), delay: 7 * time.Second}
		before := 0
		for _, done := range []int{2, 4, 5} {
			w.handleInTime(t, records[before:], story[done:]...)
			w.wantStory(t, done)
			before = done
		}
	})
}

func TestAHangingPayloadBlocksOnlyLaterEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, records := newStory(t)
		w.Payloads = &store{Store: w.Payloads, delay: time.Hour}
		d := step(story[1])
		d.Payload = bytes.Repeat([]byte(" "), queue.MaxMessage)
		records[1] = record(story[1], d)
		w.handleInTime(t, append(records, record("other", other())), story[1:]...)
		w.wantStory(t, 1)
		w.wantAgreement(t, other().Subject, esign.Created, 1)
	})
}

func TestACommitThatHangsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, records := newStory(t)
		w.hangs = true
		w.handleInTime(t, records, story...)
	})
}
