package item_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

// A patrol visits all providers' items. One that cannot be read, whatever wrote it, must not stop it.
func TestAMalformedTimeStopsNoPatrol(t *testing.T) {
	want := ledger.Standing{Provider: "acmesign", Subject: "acmesign#a", AgreementID: "a", Status: "sent"}
	for name, updatedAt := range map[string]item.Value{"no time": {}, "no such time": item.S("yesterday"),
		"a number": item.N(1)} {
		i := item.AgreementKey("acmesign#a")
		i[item.Provider], i[item.AgreementID], i[item.Status] = item.S("acmesign"), item.S("a"), item.S("sent")
		i[item.UpdatedAt] = updatedAt
		if diff := cmp.Diff(want, item.ReadStanding(i)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A stream's filter leaves out what is no event. Without one, what is no event is not published either, nor set aside.
func TestOnlyEventsAreCommitted(t *testing.T) {
	reference := item.OfReference(ledger.Reference{Name: "deal", Value: "1"}, "acmesign#a")
	note := item.OfNote("n", "text", 1)
	for name, after := range map[string]item.Item{"a reference": reference, "a note": note} {
		after[item.V], after[item.State] = item.N(item.Version+1), item.S(string(ledger.Processed))
		if e, committed, err := item.Committed(nil, after); committed || err != nil {
			t.Errorf("%s: %+v, %v, %v", name, e, committed, err)
		}
	}
}
