package embedded_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/groupcommit/groupcommittest"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/ledger/ledgertest"
)

func open(t *testing.T, file string) *embedded.Ledger {
	t.Helper()
	l, db := openWith(t, file)
	t.Cleanup(func() { checkIndex(t, db) })
	return l
}

func openWith(t *testing.T, file string) (*embedded.Ledger, *groupcommit.DB) {
	t.Helper()
	bolt, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	db := groupcommit.New(bolt)
	l, err := embedded.New(db)
	if err != nil {
		t.Fatal(err)
	}
	return l, db
}

// checkIndex checks that the index is the one that would be made of the items.
func checkIndex(t *testing.T, db *groupcommit.DB) {
	t.Helper()
	kept := index(t, db)
	must(t, db.Update(embedded.DropIndex))
	if _, err := embedded.New(db); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(index(t, db), kept); diff != "" {
		t.Errorf("the index does not fit the items: %s", diff)
	}
}

func index(t *testing.T, db *groupcommit.DB) (keys []string) {
	t.Helper()
	must(t, db.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{"ledger.recent.agreements", "ledger.recent.events", "ledger.duplicates"} {
			tx.Bucket([]byte(name)).ForEach(func(k, _ []byte) error {
				keys = append(keys, name+" "+string(k))
				return nil
			})
		}
		return nil
	}))
	return keys
}

func markFailed(t *testing.T, db *groupcommit.DB, l *embedded.Ledger, c ledger.Claim) {
	t.Helper()
	must(t, db.Update(func(tx *bbolt.Tx) error { return l.MarkFailed(tx, c) }))
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledgertest.Ledger { return open(t, filepath.Join(t.TempDir(), "db")) })
}

// A newer release may store a field in another type.
func TestARecordOfANewerReleaseIsRefusedByItsVersionFirst(t *testing.T) {
	l, db := openWith(t, filepath.Join(t.TempDir(), "db"))
	claim := ledger.Claim{Key: ledger.Key{Subject: "acmesign#newer", ID: "a"}, Provider: "acmesign"}
	must(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("ledger.items")).Put([]byte("acmesign#newer\x00a"), []byte(`{"State":{"now":"done"},"v":2}`))
	}))
	if _, err := l.Claim(t.Context(), claim); !errors.Is(err, format.ErrNewer) {
		t.Errorf("%v, want %v", err, format.ErrNewer)
	}
	markFailed(t, db, l, claim) // or the queue could never give up on the message
}

func TestVersions(t *testing.T) {
	l, db := openWith(t, filepath.Join(t.TempDir(), "db"))
	setVersion := func(t *testing.T, key ledger.Key, version int) {
		t.Helper()
		bucket, k := "ledger.items", key.Subject+"\x00"+key.ID
		if hash, ok := strings.CutPrefix(key.Subject, "@reference#"); ok {
			bucket, k = "ledger.references", hash+"\x00"+key.ID
		} else if note, ok := strings.CutPrefix(key.Subject, "@"); ok {
			bucket, k = "ledger.notes", note
		}
		must(t, db.Update(func(tx *bbolt.Tx) error {
			var record map[string]any
			if err := json.Unmarshal(tx.Bucket([]byte(bucket)).Get([]byte(k)), &record); err != nil {
				return err
			}
			if record["v"] = version; version == 0 {
				delete(record, "v")
			}
			b, err := json.Marshal(record)
			if err != nil {
				return err
			}
			return tx.Bucket([]byte(bucket)).Put([]byte(k), b)
		}))
	}
	ledgertest.Versions(t, l, setVersion)
	ledgertest.References(t, l, setVersion)
}

func TestAPatrolFindsFailedEvents(t *testing.T) {
	l, db := openWith(t, filepath.Join(t.TempDir(), "db"))
	markFailed(t, db, l, claimOf("failed"))
	var found []string
	for from, more := "", true; more; more = from != "" {
		var err error
		from, err = l.Patrol(t.Context(), from, func(s ledger.Standing) error {
			found = append(found, s.EventID)
			return nil
		})
		must(t, err)
	}
	if len(found) != 1 || found[0] != "failed" {
		t.Errorf("found %q", found)
	}
}

func TestNotesOutliveTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(file, 0o600, nil)
	must(t, err)
	l, err := embedded.New(groupcommit.New(db))
	must(t, err)
	must(t, l.PutNote(t.Context(), "acmesign/changed", "here", 0))
	must(t, db.Close())
	if text, version, err := open(t, file).Note(t.Context(), "acmesign/changed"); text != "here" || version != 1 ||
		err != nil {
		t.Errorf("%q, version %d, %v", text, version, err)
	}
}

// The group commit retries changes when another change of their batch fails.
func TestChangesSurviveTheFailureOfOthersInTheirBatch(t *testing.T) {
	l, db := openWith(t, filepath.Join(t.TempDir(), "db"))
	groupcommittest.Spoil(t, db)
	var group sync.WaitGroup
	const sides, each = 8, 10
	for side := range sides {
		group.Go(func() {
			for i := range each {
				c := commitOf(fmt.Sprint(side, ".", i), int64(i))
				c.Subject = fmt.Sprint("acmesign#", side)
				for _, want := range []ledger.State{ledger.New, ledger.Received} {
					if got, err := l.Claim(t.Context(), c.Claim); got.State != want || err != nil {
						t.Errorf("claimed: %+v, %v; want %q", got, err, want)
					}
				}
				if err := l.Repeated(t.Context(), c.Key, "via"); err != nil {
					t.Error(err)
				}
				if err := l.Commit(t.Context(), c); err != nil {
					t.Error(err)
				}
				if err := l.Commit(t.Context(), c); !errors.Is(err, ledger.ErrProcessed) {
					t.Errorf("committed again: %v", err)
				}
			}
		})
	}
	group.Wait()
	changes, err := l.Changes(2 * sides * each)
	must(t, err)
	if len(changes) != sides*each {
		t.Errorf("%d changes", len(changes))
	}
	for _, c := range changes {
		if c.Entry.Duplicates != 1 {
			t.Errorf("%s was repeated %d times", c.Entry.ID, c.Entry.Duplicates)
		}
	}
}

func TestListsHavePages(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "db"))
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	var want []string
	for i, e := range []struct {
		provider string
		at       time.Time
	}{
		{"acmesign", time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)}, {"acmesign", at.Add(1)}, {"acmesign", at},
		{"acmesign", at}, {"other", at}, {"acmesign", at.Add(-time.Hour)}, {"acmesign", time.Time{}},
	} {
		subject := fmt.Sprint(e.provider, "#", i)
		a := esign.Agreement{Provider: e.provider, ID: subject, UpdatedAt: e.at}
		must(t, l.Commit(t.Context(), ledger.Commit{
			Claim:     ledger.Claim{Key: ledger.Key{Subject: subject, ID: "e"}, Provider: e.provider, ReceivedAt: e.at},
			Agreement: &a,
		}))
		want = append(want, subject)
	}
	events := func(provider, cursor string, limit int) (subjects []string, next string) {
		found, next, err := l.EventsAfter(provider, cursor, limit)
		must(t, err)
		for _, e := range found {
			subjects = append(subjects, e.Subject)
		}
		return subjects, next
	}
	agreements := func(provider, cursor string, limit int) (subjects []string, next string) {
		found, next, err := l.AgreementsAfter(provider, cursor, limit)
		must(t, err)
		for _, a := range found {
			subjects = append(subjects, a.ID)
		}
		return subjects, next
	}
	acme := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.HasPrefix(s, "other") })
	for name, list := range map[string]func(string, string, int) ([]string, string){
		"events": events, "agreements": agreements,
	} {
		for provider, want := range map[string][]string{"": want, "acmesign": acme, "other": {"other#4"}, "acme": nil} {
			for limit := range 8 {
				var got []string
				page, next := list(provider, "", limit+1)
				for got = page; next != ""; got = append(got, page...) {
					if len(page) != limit+1 {
						t.Errorf("%s of %q: a page has %d items, want %d", name, provider, len(page), limit+1)
					}
					page, next = list(provider, next, limit+1)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s of %q, %d a page: %s", name, provider, limit+1, diff)
				}
			}
		}
	}
}
