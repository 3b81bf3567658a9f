package vendorapi_test

import (
	"regexp"
	"testing"

	"esignhooks/shared/vendorapi"
)

func TestOtherAccount(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-fA-F]{4}-[0-9a-fA-F]{4}$`)
	for name, tt := range map[string]struct {
		ours, theirs string
		want         bool
	}{
		"another":            {"0000-0001", "0000-0002", true},
		"the same":           {"0000-0001", "0000-0001", false},
		"in upper case":      {"0000-000a", "0000-000A", false},
		"of another form":    {"0000-0001", "1234567", false},
		"none":               {"0000-0001", "", false},
		"ours is not known":  {"", "0000-0002", false},
		"both of other form": {"1", "2", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := vendorapi.OtherAccount(form, tt.ours, tt.theirs); got != tt.want {
				t.Errorf("OtherAccount(%q, %q) = %v", tt.ours, tt.theirs, got)
			}
		})
	}
}
