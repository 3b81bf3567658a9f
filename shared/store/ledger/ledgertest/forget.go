package ledgertest

import (
	"errors"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// wantGone checks that nothing is left of a subject.
func wantGone(t *testing.T, l Ledger, subject string) {
	t.Helper()
	wantHistory(t, l, subject)
	if _, version, err := l.Agreement(t.Context(), subject); err != nil || version != 0 {
		t.Errorf("the agreement has version %d, %v", version, err)
	}
	found, _ := standing(t, l, subject)
	for key, s := range found {
		if key == "" || key[0] == ' ' { // not of a subject that begins with this one
			t.Errorf("a patrol finds %+v", s)
		}
	}
}

// testErase forgets an agreement with everything that an agreement can have, and not its neighbour.
func testErase(t *testing.T, l Ledger, subject string) {
	first := referring(subject, "1", esign.Agreement{}, 0, map[string]string{"deal " + subject: "old"})
	second := referring(subject, "2", *first.Agreement, 1, map[string]string{"deal " + subject: "new"})
	other := referring(subject+"2", "1", esign.Agreement{}, 0, map[string]string{"deal " + subject: "new"})
	duplicate, unreadable, received := claimOf(subject, "3"), claimOf(subject, "4"), claimOf(subject, "5")
	must(t, errors.Join(l.Commit(t.Context(), first), l.Commit(t.Context(), second), l.Commit(t.Context(), other),
		l.MarkDuplicate(t.Context(), duplicate, "1"), l.MarkUnreadable(t.Context(), unreadable, start)))
	if _, err := l.Claim(t.Context(), received); err != nil {
		t.Fatal(err)
	}
	remains, err := l.Remains(t.Context(), subject)
	if err != nil || len(remains) != 5 {
		t.Errorf("%d events remain, %v", len(remains), err)
	}
	if at, err := l.Forgotten(t.Context(), subject); err != nil || !at.IsZero() {
		t.Errorf("forgotten at %v, %v", at, err)
	}
	for _, at := range []time.Time{start, start.Add(time.Hour)} { // a repetition finds nothing
		must(t, l.Bury(t.Context(), subject, at))
		if found, err := l.Forgotten(t.Context(), subject); err != nil || !found.Equal(at) {
			t.Errorf("forgotten at %v, %v, want %v", found, err, at)
		}
		removed, err := l.Erase(t.Context(), subject, ledger.ReferencesOf(*second.Agreement, remains))
		if want := map[bool]int{true: 5 + 1 + 2}[at.Equal(start)]; err != nil || removed != want {
			t.Errorf("%d removed, %v, want %d", removed, err, want)
		}
		wantGone(t, l, subject)
	}
	if at, err := l.Forgotten(t.Context(), other.Subject); err != nil || !at.IsZero() {
		t.Errorf("another subject is forgotten at %v, %v", at, err)
	}
	wantFound(t, l, "after erasing another agreement", other.Subject, nil)
	wantHistory(t, l, other.Subject, processed(other))
}

func testDrop(t *testing.T, l Ledger, subject string) {
	done := commitOf(claimOf(subject, "done"), esign.AgreementSent, esign.Agreement{}, 0)
	claimed, unknown := claimOf(subject, "claimed"), claimOf(subject, "unknown")
	must(t, l.Commit(t.Context(), done))
	for range 2 { // a vendor repeats it
		if found, err := l.Claim(t.Context(), claimed); err != nil || found.State.Settled() {
			t.Errorf("claim: %+v, %v", found, err)
		}
		for _, key := range []ledger.Key{claimed.Key, claimed.Key, unknown.Key, done.Key} {
			must(t, l.Drop(t.Context(), key, start))
		}
		wantHistory(t, l, subject, processed(done))
		if found, _ := standing(t, l, subject); len(found) != 1 {
			t.Errorf("a patrol finds %+v", found) // the agreement
		}
	}
	remains, err := l.Remains(t.Context(), subject)
	must(t, err)
	for _, e := range remains {
		if e.ID != done.ID && (e.State != ledger.Dropped || e.AgreementID != "" || e.SHA256 != "" || e.Via != nil) {
			t.Errorf("%+v is left", e)
		}
	}
}

// testEraseDuringCommit erases an agreement between being read and being committed.
func testEraseDuringCommit(t *testing.T, l Ledger, subject string) {
	first := commitOf(claimOf(subject, "1"), esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), first))
	next := commitOf(claimOf(subject, "2"), esign.AgreementCompleted, *first.Agreement, 1)
	must(t, l.Bury(t.Context(), subject, start))
	if _, err := l.Erase(t.Context(), subject, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context(), next); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("an erased agreement was continued: %v", err)
	}
	wantGone(t, l, subject)
}
