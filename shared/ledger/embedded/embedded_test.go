package embedded_test

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

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
