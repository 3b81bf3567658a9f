package ledgertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

func wantNote(t *testing.T, l Ledger, name, want string, wantVersion int64) {
	t.Helper()
	if text, version, err := l.Note(t.Context(), name); err != nil || text != want || version != wantVersion {
		t.Errorf("the note is %q, version %d, %v; want %q, version %d", text, version, err, want, wantVersion)
	}
}

func testNote(t *testing.T, l Ledger, subject string) {
	wantNote(t, l, subject, "", 0)
	for _, step := range []struct {
		behaviour string
		text      string
		version   int64
		want      error
	}{
		{"a change of what is not there", "early", 1, ledger.ErrConflict},
		{"the first", "one", 0, nil},
		{"the first again, its answer lost", "one", 0, nil},
		{"another first", "two", 0, ledger.ErrConflict},
		{"a change", "two", 1, nil},
		{"a change again, its answer lost", "two", 1, nil},
		{"a change of an old version", "three", 1, ledger.ErrConflict},
		{"an old change again", "one", 0, ledger.ErrConflict},
		{"a change of a version to come", "two", 3, ledger.ErrConflict},
		{"nothing but another version", "two", 2, nil},
		{"the empty text", "", 3, nil},
		{"back again", "two", 4, nil},
	} {
		if err := l.PutNote(t.Context(), subject, step.text, step.version); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.behaviour, err, step.want)
		}
	}
	wantNote(t, l, subject, "two", 5)
	wantNote(t, l, subject+"0", "", 0)
}

func testNoteAtOnce(t *testing.T, l Ledger, subject string) {
	for version := range int64(3) {
		var group sync.WaitGroup
		var mu sync.Mutex
		var won []string
		for i := range 16 {
			group.Go(func() {
				text := fmt.Sprint(version, " ", i)
				err := l.PutNote(t.Context(), subject, text, version)
				if errors.Is(err, ledger.ErrConflict) {
					return
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				won = append(won, text)
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Fatalf("%d have written version %d", len(won), version+1)
		}
		wantNote(t, l, subject, won[0], version+1)
	}
}

// testNotesAreNoEvents checks that no other method returns a note.
func testNotesAreNoEvents(t *testing.T, l Ledger, subject string) {
	commitAt(t, l, subject, "a", start)
	must(t, l.PutNote(t.Context(), subject, "a note", 0))
	history, err := l.History(t.Context(), subject)
	if must(t, err); len(history) != 1 {
		t.Errorf("the history is %+v", history)
	}
	if _, version, err := l.Agreement(t.Context(), subject); err != nil || version != 1 {
		t.Errorf("the agreement has version %d, %v", version, err)
	}
	wantNote(t, l, subject, "a note", 1)
	must(t, l.Committed(t.Context(), time.Time{}, start.Add(1e6*time.Hour), func(entries []ledger.Entry) error {
		for _, e := range entries {
			if e.Event == nil {
				t.Errorf("committed: %+v", e)
			}
		}
		return nil
	}))
	everything(t, l, func(s ledger.Standing) {
		if s.Provider == "" || s.Subject == "" {
			t.Errorf("on patrol: %+v", s)
		}
	})
	open := commitOf(claimOf(subject, "b"), esign.AgreementSent, esign.Agreement{}, 1) // in the partition of its note
	must(t, l.Commit(t.Context(), open))
}
