package dynamodb

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
