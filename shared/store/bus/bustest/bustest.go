// Package bustest has committed events for tests of the bus.
package bustest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// Committed returns a ledger entry for every event in the providers' golden files. Each is committed as the first event
// of its agreement. providers is the folder of the providers' packages.
func Committed(t testing.TB, providers string) map[string]ledger.Entry {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(providers, "*", "testdata", "*.want.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", providers, err)
	}
	entries := map[string]ledger.Entry{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Identities []webhook.Identity
			Events     []esign.Event
		}
		if err := json.Unmarshal(b, &golden); err != nil || len(golden.Events) == 0 {
			t.Fatalf("%s: %d events, %v", file, len(golden.Events), err)
		}
		provider := filepath.Base(filepath.Dir(filepath.Dir(file)))
		for i, e := range golden.Events {
			e.Provider = provider
			entries[provider+"/"+filepath.Base(file)+"/"+e.VendorType] = committed(e, golden.Identities[i])
		}
	}
	return entries
}

func committed(e esign.Event, id webhook.Identity) ledger.Entry {
	at := time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	e.ID, e.Subject, e.ReceivedAt, e.Proof = id.EventID, id.Subject, at.Add(-time.Second), esign.ProofSigned
	if e.OccurredAt.IsZero() {
		e.OccurredAt, e.Approximate = e.ReceivedAt, true
	}
	key := ledger.Key{Subject: e.Subject, ID: e.ID}
	entry := ledger.Entry{Key: key, State: ledger.Processed, ProcessedAt: at, Event: &e}
	if e.AgreementID != "" {
		agreement := esign.Fold(esign.Agreement{}, e)
		entry.Agreement, entry.StatusAfter = &agreement, agreement.Status
	}
	return entry
}
