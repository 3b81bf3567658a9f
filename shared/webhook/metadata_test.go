package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

func TestMetadata(t *testing.T) {
	long := strings.Repeat("ö", 128)
	for name, tt := range map[string]struct {
		object string
		want   map[string]string
	}{
		"a string": {`{"deal_id":"\u00e9 \/ 7"}`, map[string]string{"deal_id": "é / 7"}},
		"numbers": {
			`{"a":12345678901234567890,"b":-1.50,"c":1e3}`,
			map[string]string{"a": "12345678901234567890", "b": "-1.50", "c": "1e3"},
		},
		"booleans": {`{"a":true,"b":false}`, map[string]string{"a": "true", "b": "false"}},
		"a list": {
			`{"a":[1, "b", {"c" : [null]}],"b":2}`, map[string]string{"a": `[1,"b",{"c":[null]}]`, "b": "2"},
		},
		"nested": {
			`{"crm":{"deal":"D-7","x":{"y":1}},"z":2}`, map[string]string{"crm.deal": "D-7", "crm.x.y": "1", "z": "2"},
		},
		"null and empty":   {`{"a":null,"b":"","c":[],"d":{},"e":[ ],"f":{"g":null}}`, nil},
		"the last counts":  {`{"a":"1","b":"1","a":null,"b":2}`, map[string]string{"b": "2"}},
		"no object":        {`[]`, nil},
		"a list of values": {`[{"a":1}]`, nil},
		"a text":           {`"a"`, nil},
		"nothing":          {``, nil},
		"cut off":          {`{"a":1,"b":{"c":`, map[string]string{"a": "1"}},
		"a long name": {
			`{"` + long + `":1,"` + long + `o":2,"a":{"` + long + `":{"b":[3]},"c":4},"` + strings.Repeat("x", 1000) +
				`":[5],"z":6}`,
			map[string]string{long: "1", "a.c": "4", "z": "6"},
		},
	} {
		if diff := cmp.Diff(tt.want, webhook.Metadata([]byte(tt.object))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMuchMetadata(t *testing.T) {
	var wide strings.Builder
	for i := range 120_000 {
		fmt.Fprintf(&wide, `"k%d":%d,`, i, i)
	}
	got := webhook.Metadata([]byte("{" + wide.String() + `"z":{"z":1}}`))
	if len(got) != 100_000 || got["k0"] != "0" {
		t.Errorf("%d values", len(got))
	}
	const deep = 5000
	nested := strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep)
	got = webhook.Metadata([]byte(`{"a":1,"b":` + nested + `,"c":3}`))
	if diff := cmp.Diff(map[string]string{"a": "1", "c": "3"}, got); diff != "" {
		t.Error(diff)
	}
}
