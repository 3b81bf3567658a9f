package dynamodb

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/store/ledger"
)

func TestAPlaceIsAnyKey(t *testing.T) {
	for _, key := range [][2]string{{"docusign#a", "0f"}, {"@adobesign/changed", "@"}, {`a"b,[c]\`, "d\x00e\u2028<&é"}} {
		want := item{"pk": text(key[0]), "sk": text(key[1])}
		got, err := placeKey(place(want))
		if err != nil {
			t.Errorf("%q: %v", key, err)
		}
		for _, name := range []string{"pk", "sk"} {
			if diff := cmp.Diff(get(want, name), get(got, name)); diff != "" {
				t.Error(diff)
			}
		}
	}
	if key, err := placeKey(place(nil)); key != nil || err != nil {
		t.Errorf("the beginning is %v, %v", key, err)
	}
	for _, place := range []string{"docusign#a", `["docusign#a"]`, `["a","b","c"]`, `{"pk":"a"}`} {
		if key, err := placeKey(place); err == nil {
			t.Errorf("%s is %v", place, key)
		}
	}
}

// TestWhatCannotBeReadStopsNoPatrol: one item, whoever has written it, would be in the way of all providers.
func TestWhatCannotBeReadStopsNoPatrol(t *testing.T) {
	want := ledger.Standing{Provider: "docusign", Subject: "docusign#a", AgreementID: "a", Status: "sent"}
	for name, spoil := range map[string]func(item){
		"no time":      func(i item) { delete(i, "updatedAt") },
		"no such time": func(i item) { i["updatedAt"] = text("yesterday") },
	} {
		i := item{"pk": text("docusign#a"), "sk": text(agreementSK), "provider": text("docusign"), "agreementId": text("a"), "status": text("sent")}
		i["updatedAt"] = text("2026-11-23T10:00:00Z")
		spoil(i)
		if diff := cmp.Diff(want, standing(i)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
