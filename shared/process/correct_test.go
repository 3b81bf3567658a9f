package process_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// The deliveries of one agreement. Of the signature there are two copies, and only one states its time.
func copies() (sent, timeless, exact, viewed *webhook.Delivery) {
	e := acmesign.Event{
		Number: 7, Type: "signed", Agreement: "a",
		People: []esign.Participant{{ID: "1", Status: esign.Signed, Aliases: []string{"one"}}},
	}
	timeless = deliver(e)
	e.At = now.Add(-7*time.Minute - 30*time.Second)
	return step("sent"), timeless, deliver(e), step("viewed")
}

func TestTheExactTimeWinsInAnyOrder(t *testing.T) {
	var want esign.Agreement
	for _, order := range []string{
		"sev", "sve", "stve", "stev", "sevt", "setv", "tesv", "ests", "vtse", "ttveets", "vest",
	} {
		for _, together := range []bool{false, true} {
			w, at := newWorld(t), now
			w.Now = func() time.Time { at = at.Add(time.Second); return at }
			sent, timeless, exact, viewed := copies()
			var all []*webhook.Delivery
			for _, c := range order {
				all = append(all, map[rune]*webhook.Delivery{'s': sent, 't': timeless, 'e': exact, 'v': viewed}[c])
			}
			if together {
				w.handle(t, all...)
			} else {
				for _, d := range all {
					w.handle(t, d)
				}
			}
			if !strings.Contains(order, "v") {
				w.handle(t, viewed)
			}
			got, version, err := w.Agreement(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			if want.ID == "" {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", order, diff)
			}
			effects := w.history(t, subject, 3)
			rebuilt := ledger.Rebuild(effects, false)
			if diff := cmp.Diff(rebuilt[2], got); diff != "" || ledger.Gone(effects, version) != 0 {
				t.Errorf("%s: rebuilt %s, version %d", order, diff, version)
			}
			for i, e := range effects {
				if diff := cmp.Diff(rebuilt[i], *e.Agreement); !e.CorrectedAt.IsZero() && diff != "" {
					t.Errorf("%s: after the corrected event: %s", order, diff)
				}
			}
			wantOnce(t, w, order)
		}
	}
	if at := now.Add(-8 * time.Minute); !want.UpdatedAt.After(at) || want.Approximate != nil {
		t.Errorf("%+v", want)
	}
}

// wantOnce checks that the stream publishes each event once, and that the stored signature has its time.
func wantOnce(t *testing.T, w *world, order string) {
	t.Helper()
	changes, err := w.Changes(100)
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]int{}
	for _, c := range changes {
		if c.Before != ledger.Processed {
			published[c.Entry.VendorType]++
		}
	}
	if diff := cmp.Diff(map[string]int{"sent": 1, "viewed": 1, "signed": 1}, published); diff != "" {
		t.Errorf("%s: published %s", order, diff)
	}
	for i, e := range w.history(t, subject, 3) {
		if e.Event.Approximate || !e.OccurredAt.Equal(e.Event.OccurredAt) || e.OccurredAt.After(now.Add(-7*time.Minute)) {
			t.Errorf("%s: event %d occurred at %v: %+v", order, i, e.OccurredAt, e.Event)
		}
		if at, ok := e.Agreement.Reached[esign.Signed]; ok && e.VendorType == "signed" && !at.Equal(e.OccurredAt) {
			t.Errorf("%s: the agreement after the event has it at %v", order, at)
		}
	}
}

func TestAConcurrentWriterSurvivesACorrection(t *testing.T) {
	w := newWorld(t)
	sent, timeless, exact, viewed := copies()
	w.handle(t, sent, timeless)
	w.beforeCorrect = func() { w.handle(t, viewed) }
	w.handle(t, exact)
	if a := w.wantAgreement(t, subject, esign.Signed, 4); len(a.Reached) != 3 || a.Approximate != nil {
		t.Errorf("%+v", a)
	}
	if n := strings.Count(w.log.String(), `"msg":"corrected"`); n != 1 {
		t.Errorf("corrected %d times: %s", n, &w.log)
	}
}

func TestTwoWorkersCorrectOnce(t *testing.T) {
	w := newWorld(t)
	_, timeless, exact, _ := copies()
	w.handle(t, timeless)
	w.beforeCorrect = func() { w.handle(t, exact) }
	w.handle(t, exact)
	w.wantAgreement(t, subject, esign.Signed, 2)
}

// An event is published with the type of its first copy.
func TestACopyOfAnotherTypeCorrectsNothing(t *testing.T) {
	w := newWorld(t)
	w.handle(t, deliver(acmesign.Event{Number: 7, Type: "signed", Agreement: "a"}))
	w.handle(t, deliver(acmesign.Event{Number: 7, Type: "completed", Agreement: "a", At: now.Add(-time.Minute)}))
	if a := w.wantAgreement(t, subject, esign.Signed, 1); !a.Approximate[esign.Signed] {
		t.Errorf("%+v", a)
	}
}

// An event without an agreement has no state that a better time could change.
func TestAnEventWithoutAnAgreementIsNotCorrected(t *testing.T) {
	w := newWorld(t)
	w.handle(t, deliver(acmesign.Event{Number: 9, Type: "test"}))
	w.handle(t, deliver(acmesign.Event{Number: 9, Type: "test", At: now.Add(-time.Minute)}))
	if e := w.history(t, "acmesign#account:", 1)[0]; !e.Event.Approximate || !e.CorrectedAt.IsZero() {
		t.Errorf("%+v", e)
	}
}
