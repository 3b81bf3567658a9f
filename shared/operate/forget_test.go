package operate_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/operate"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/webhook"
)

// shelf is a place with things of the agreement e-1.
type shelf struct {
	holds, kept int
	err         error
	buried      func() bool // the tombstone is there
	t           *testing.T
	events      int // that the last call was told of
}

func (s *shelf) forget(_ context.Context, t operate.Traces, remove bool) (found, kept int, err error) {
	if remove && !s.buried() {
		s.t.Error("something is removed before the tombstone is written")
	}
	if t.AgreementID != "e-1" || s.err != nil {
		return 0, 0, s.err
	}
	s.events = len(t.Events)
	found = s.holds
	if remove {
		s.holds, kept = s.kept, s.kept
	}
	return found, kept, nil
}

func forgetting(t *testing.T) (*embedded.Ledger, *shelf, operate.Target) {
	l := open(t)
	takeAll(t, l, story...)
	s := &shelf{holds: 2, t: t, buried: func() bool {
		at, err := l.Forgotten(t.Context(), webhook.AgreementSubject("acmesign", "e-1"))
		must(t, err)
		return at.Equal(start)
	}}
	completions, err := json.Marshal(map[string]any{"v": 1, "completions": []archive.Completion{
		{AgreementID: "e-1", AccountID: "other"}, {AgreementID: "e-2", AccountID: "other"},
	}})
	must(t, err)
	must(t, l.PutNote(t.Context(), "acmesign/not-asked", string(completions), 0))
	must(t, l.PutNote(t.Context(), "acmesign/reconciled", `{"v":1,"round":{"waiting":["e-2","e-1"]}}`, 0))
	must(t, l.PutNote(t.Context(), reconcile.LastAskedNote("acmesign", "e-1"), "{}", 0))
	return l, s, operate.Target{
		Providers: []webhook.Provider{acmesign.Provider{}}, Ledger: l, Notes: l, Forgetter: l,
		Places: []operate.Place{{Name: "shelf", Forget: s.forget}}, Now: func() time.Time { return start },
		InFlight: time.Millisecond,
	}
}

func wantForgotten(t *testing.T, l *embedded.Ledger) {
	t.Helper()
	subject := webhook.AgreementSubject("acmesign", "e-1")
	left, err := l.Remains(t.Context(), subject)
	must(t, err)
	_, version, err := l.Agreement(t.Context(), subject)
	if must(t, err); len(left) > 0 || version > 0 {
		t.Errorf("version %d, %+v", version, left)
	}
	for _, name := range []string{"not-asked", "reconciled"} {
		note, _, err := l.Note(t.Context(), "acmesign/"+name)
		if must(t, err); strings.Contains(note, "e-1") || !strings.Contains(note, "e-2") {
			t.Errorf("%s: %s", name, note)
		}
	}
	if _, version, err := l.Note(t.Context(), reconcile.LastAskedNote("acmesign", "e-1")); version > 0 || err != nil {
		t.Errorf("what the vendor said last is left, %v", err)
	}
}

func TestForget(t *testing.T) {
	l, s, target := forgetting(t)
	out, err := act(t, target, "forget -provider acmesign -id E-1")
	got := strings.Join(strings.Fields(out), " ")
	const list = "of acmesign e-1 there is: shelf 2 notes 2 items of the table 5 nothing is removed yet: APPLY=1 " +
		"removes it"
	if err != nil || got != list || s.holds != 2 || s.buried() {
		t.Errorf("%q, %v", got, err)
	}
	for range 2 {
		out, err = act(t, target, "forget -provider acmesign -id e-1 -apply")
		if err != nil || !strings.HasSuffix(out,
			"it is forgotten: an event that still arrives is acknowledged and dropped\n") ||
			s.holds != 0 {
			t.Errorf("%s, %v", out, err)
		}
		wantForgotten(t, l)
	}
	if !strings.Contains(out, "it was forgotten at 2026-11-02 09:30:00 UTC") {
		t.Error(out)
	}
	if _, err := act(t, target, "forget -provider acmesign -id unknown -apply"); !errors.Is(err, operate.ErrUnknown) {
		t.Error(err)
	}
}

// TestForgetGoesOnAfterAFailure checks that what a place holds is still found by the events after a failure.
func TestForgetGoesOnAfterAFailure(t *testing.T) {
	l, s, target := forgetting(t)
	failing := operate.Place{Name: "failing",
		Forget: func(_ context.Context, _ operate.Traces, remove bool) (int, int, error) {
			if remove {
				return 0, 0, errors.New("on purpose")
			}
			return 0, 0, nil
		}}
	places := target.Places
	target.Places = []operate.Place{failing, places[0]}
	if out, err := act(t, target, "forget -provider acmesign -id e-1 -apply"); err == nil || s.holds != 2 ||
		!strings.Contains(err.Error(), "run the command again") {
		t.Errorf("%s, %v", out, err)
	}
	target.Places = places
	_, err := act(t, target, "forget -provider acmesign -id e-1 -apply")
	if must(t, err); s.holds != 0 || s.events < 3 {
		t.Errorf("%+v", s)
	}
	wantForgotten(t, l)
}

// TestForgetReportsWhatStays also lets an event be committed after the first sweep, as a worker may that looked before.
func TestForgetReportsWhatStays(t *testing.T) {
	l, s, target := forgetting(t)
	s.kept = 1
	target.Forgetter = late{l, func() { take(t, l, happening{"e-1", "d", esign.AgreementViewed, 9}, nil) }}
	out, err := act(t, target, "forget -provider acmesign -id e-1 -apply")
	if err == nil || !strings.Contains(err.Error(), "1 objects stay") || !strings.Contains(out, "1 stay") || s.events < 4 {
		t.Errorf("%s, %v, %d events", out, err, s.events)
	}
	wantForgotten(t, l)
}

// late commits an event between two sweeps. The ledger of localhost would refuse the first one of an agreement.
type late struct {
	*embedded.Ledger
	commit func()
}

func (l late) Bury(ctx context.Context, subject string, at time.Time) error {
	err := l.Ledger.Bury(ctx, subject, at)
	l.commit()
	return err
}
