package ledgertest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

func testEvent(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	wantEvent(t, l, ledger.Entry{Key: c.Key})
	commit := commitOf(c, esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), commit))
	wantEvent(t, l, processed(commit))
	wantEvent(t, l, ledger.Entry{Key: ledger.Key{Subject: subject + "b", ID: "a"}})
}

func wantEvent(t *testing.T, l Ledger, want ledger.Entry) {
	t.Helper()
	got, err := l.Event(t.Context(), want.Key)
	must(t, err)
	if diff := cmp.Diff(want, got, unequal); diff != "" {
		t.Error(diff)
	}
}

// testDuplicate processes an event under one ID, and marks copies with other IDs as its duplicates: "claimed" was
// claimed and has a duplicate itself, "unclaimed" was not claimed.
func testDuplicate(t *testing.T, l Ledger, subject string) {
	commit := commitOf(claimOf(subject, "former"), esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), commit))
	claimed, unclaimed := claimOf(subject, "claimed"), claimOf(subject, "unclaimed")
	claimed.Via, unclaimed.Via = "configuration/2", ""
	_, err := l.Claim(t.Context(), claimed)
	must(t, err)
	must(t, l.MarkUnreadable(t.Context(), unclaimed, start)) // a later release can read it
	for _, c := range []ledger.Claim{claimed, unclaimed} {
		c.OccurredAt = start.Add(-time.Hour)
		for range 2 {
			must(t, l.MarkDuplicate(t.Context(), c, "former"))
		}
		must(t, l.MarkUnreadable(t.Context(), c, start)) // too late
		if got, err := l.Claim(t.Context(), c); err != nil || got.State != ledger.Duplicate {
			t.Errorf("claimed afterwards: %+v, %v", got, err)
		}
		if err := l.Commit(t.Context(), commitOf(c, esign.AgreementViewed, *commit.Agreement, 1)); !errors.Is(err,
			ledger.ErrProcessed) {
			t.Errorf("committed afterwards: %v", err)
		}
		want := ledger.Entry{
			Key: c.Key, State: ledger.Duplicate, DuplicateOf: "former", Provider: c.Provider, VendorType: c.VendorType,
			AgreementID: c.AgreementID, OccurredAt: c.OccurredAt, ReceivedAt: c.ReceivedAt, Proof: c.Proof,
			Via: viaOf(c), SHA256: c.SHA256, Size: c.Size,
		}
		if c.ID == unclaimed.ID {
			want.UnreadableAt = start
		}
		wantEvent(t, l, want)
	}
	must(t, l.Repeated(t.Context(), claimed.Key, "configuration/3"))
	if err := l.MarkDuplicate(t.Context(), commit.Claim, "claimed"); !errors.Is(err, ledger.ErrProcessed) {
		t.Errorf("a processed event became a duplicate: %v", err)
	}

	want := processed(commit)
	want.Duplicates, want.Via = 3, []string{"configuration/1", "configuration/2", "configuration/3"}
	wantHistory(t, l, subject, want)
	must(t, l.Committed(t.Context(), start, start.Add(time.Hour), func(events []ledger.Entry) error {
		if events[0].Subject == subject && len(events) != 1 {
			t.Errorf("committed: %+v", events)
		}
		return nil
	}))
	if _, version, err := l.Agreement(t.Context(), subject); err != nil || version != 1 {
		t.Errorf("the agreement has version %d, %v", version, err)
	}
	if found, _ := standing(t, l, subject); len(found) != 1 {
		t.Errorf("a patrol finds %+v", found) // the agreement
	}
}

func viaOf(c ledger.Claim) []string {
	if c.Via == "" {
		return nil
	}
	return []string{c.Via}
}

// testDuplicateOfNothing checks that a duplicate alone is not shown.
func testDuplicateOfNothing(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	c.OccurredAt = time.Time{} // it does not state its exact time
	must(t, l.MarkDuplicate(t.Context(), c, "expired"))
	wantHistory(t, l, subject)
	if got, err := l.Claim(t.Context(), c); err != nil || got != (ledger.Found{State: ledger.Duplicate, Inexact: true}) {
		t.Errorf("claimed afterwards: %+v, %v", got, err)
	}
}
