package embedded_test

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"esignhooks/shared/ledger"
	"esignhooks/shared/ledger/embedded"
	"esignhooks/shared/ledger/ledgertest"
)

func open(t *testing.T, file string) *embedded.Ledger {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := embedded.New(db)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledgertest.Ledger { return open(t, filepath.Join(t.TempDir(), "db")) })
}

func TestWhatTheQueueGaveUpOnIsMetOnPatrol(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "db"))
	must(t, l.MarkFailed(claimOf("failed")))
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
	l, err := embedded.New(db)
	must(t, err)
	must(t, l.PutNote(t.Context(), "docusign/changed", "here", 0))
	must(t, db.Close())
	if text, version, err := open(t, file).Note(t.Context(), "docusign/changed"); text != "here" || version != 1 || err != nil {
		t.Errorf("%q, version %d, %v", text, version, err)
	}
}
