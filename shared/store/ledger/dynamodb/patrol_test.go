package dynamodb

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

func TestACursorIsAnyKey(t *testing.T) {
	for _, key := range []ledger.Key{
		{Subject: "acmesign#a", ID: "0f"}, {Subject: "@acmesign/changed", ID: "@"},
		{Subject: `a"b,[c]\`, ID: "d\x00e\u2028<&é"},
	} {
		got, err := keyAt(cursorAt(attributesOf(item.Key(key))))
		if diff := cmp.Diff(key, item.KeyOf(itemOf(got))); diff != "" || err != nil {
			t.Errorf("%v, %s", err, diff)
		}
	}
	if key, err := keyAt(cursorAt(nil)); key != nil || err != nil {
		t.Errorf("the beginning is %v, %v", key, err)
	}
	for _, cursor := range []string{"acmesign#a", `["acmesign#a"]`, `["a","b","c"]`, `{"pk":"a"}`} {
		if key, err := keyAt(cursor); err == nil {
			t.Errorf("%s is %v", cursor, key)
		}
	}
}
