package embedded_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
)

var at = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func claimOf(id string) ledger.Claim {
	return ledger.Claim{
		Key: ledger.Key{Subject: "acmesign#a", ID: id}, Provider: "acmesign", VendorType: "agreement-sent", AgreementID: "a",
		ReceivedAt: at,
	}
}

func commitOf(id string, version int64) ledger.Commit {
	event := esign.Event{ID: id, Provider: "acmesign", Type: esign.AgreementSent, VendorType: "agreement-sent",
		AgreementID: "a", OccurredAt: at}
	after := esign.Fold(esign.Agreement{}, event)
	return ledger.Commit{Claim: claimOf(id), Event: event, Agreement: &after, Version: version, At: at}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantChanges compares the stream with sequence numbers, states before, event IDs and counts.
func wantChanges(t *testing.T, l *embedded.Ledger, limit int, want ...string) {
	t.Helper()
	changes, err := l.Changes(limit)
	must(t, err)
	var got []string
	for _, c := range changes {
		if c.Entry.State != ledger.Processed {
			t.Errorf("a change to state %q", c.Entry.State)
		}
		got = append(got, fmt.Sprint(c.Sequence, " ", c.Before, " ", c.Entry.ID, " ", c.Entry.Duplicates))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheStreamHoldsOnlyChangesToProcessedEvents(t *testing.T) {
	l, db := openWith(t, filepath.Join(t.TempDir(), "db"))
	for _, id := range []string{"claimed", "failed", "unreadable"} {
		_, err := l.Claim(t.Context(), claimOf(id))
		must(t, err)
	}
	must(t, l.Repeated(t.Context(), claimOf("claimed").Key, ""))
	markFailed(t, db, l, claimOf("failed"))
	must(t, l.MarkUnreadable(t.Context(), claimOf("unreadable"), at))
	must(t, l.PutNote(t.Context(), "acmesign#a", "a note", 0))
	wantChanges(t, l, 10)

	for version, id := range []string{"claimed", "failed", "unreadable", "new"} {
		must(t, l.Commit(t.Context(), commitOf(id, int64(version))))
	}
	if err := l.Commit(t.Context(), commitOf("new", 4)); !errors.Is(err, ledger.ErrProcessed) {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context(), commitOf("other", 1)); !errors.Is(err, ledger.ErrConflict) {
		t.Fatal(err)
	}
	markFailed(t, db, l, claimOf("new"))                           // too late
	must(t, l.Repeated(t.Context(), claimOf("unknown").Key, "v1")) // nothing to count
	must(t, l.Repeated(t.Context(), claimOf("claimed").Key, "v1"))
	wantChanges(t, l, 10, "1 received claimed 1", "2 failed failed 0", "3 unreadable unreadable 0", "4  new 0",
		"5 processed claimed 2")

	changes, err := l.Changes(1)
	must(t, err)
	history, err := l.History(t.Context(), "acmesign#a")
	must(t, err)
	history[0].Duplicates, history[0].Via = 1, nil // as it was
	if diff := cmp.Diff(history[0], changes[0].Entry); diff != "" {
		t.Error(diff)
	}
}

func TestTheStreamKeepsTheOrderOfEventsCommittedTogether(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "db"))
	_, err := l.Claim(t.Context(), claimOf("m"))
	must(t, err)
	must(t, l.Commit(t.Context(), commitOf("z", 0), commitOf("m", 1), commitOf("a", 2)))
	if err := l.Commit(t.Context(), commitOf("b", 3), commitOf("a", 4)); !errors.Is(err, ledger.ErrProcessed) {
		t.Fatal(err)
	}
	wantChanges(t, l, 10, "1  z 0", "2 received m 0", "3  a 0")
}

func TestTheStreamStaysUntilItIsForgotten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(file, 0o600, nil)
	must(t, err)
	l, err := embedded.New(groupcommit.New(db))
	must(t, err)
	for version, id := range []string{"a", "b", "c"} {
		must(t, l.Commit(t.Context(), commitOf(id, int64(version))))
	}
	wantChanges(t, l, 2, "1  a 0", "2  b 0")
	must(t, l.Forget(1))
	wantChanges(t, l, 1, "1  a 0")
	must(t, l.Forget(3))
	must(t, l.Forget(2)) // again
	wantChanges(t, l, 10, "3  c 0")
	must(t, db.Close())

	l = open(t, file)
	wantChanges(t, l, 10, "3  c 0")
	must(t, l.Forget(100))
	wantChanges(t, l, 10)
	must(t, l.Commit(t.Context(), commitOf("d", 3)))
	wantChanges(t, l, 10, "4  d 0")
}

func TestChangedSignalsNewRecords(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "db"))
	changed := func() bool {
		select {
		case <-l.Changed():
			return true
		default:
			return false
		}
	}
	if !changed() { // by an earlier process
		t.Error("nothing after the start")
	}
	must(t, l.Commit(t.Context(), commitOf("a", 0)))
	must(t, l.Commit(t.Context(), commitOf("b", 1))) // nobody waits, and it does not either
	if !changed() || changed() {
		t.Error("told otherwise than once")
	}
	must(t, l.Repeated(t.Context(), claimOf("a").Key, ""))
	if !changed() {
		t.Error("not told of a counted duplicate")
	}
}

func TestASignalledChangeCanBeRead(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "db"))
	<-l.Changed() // as whenever a file is opened
	for version := range int64(20) {
		found := make(chan int)
		go func() {
			<-l.Changed()
			changes, _ := l.Changes(100)
			found <- len(changes)
		}()
		must(t, l.Commit(t.Context(), commitOf(fmt.Sprint(version), version)))
		if n := <-found; n != int(version)+1 {
			t.Errorf("told of change %d, and found %d", version+1, n)
		}
	}
}
