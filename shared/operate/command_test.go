package operate_test

import (
	"strings"
	"testing"

	"esignhooks/shared/operate"
)

func TestWrongCommandsAreRefused(t *testing.T) {
	for arguments, said := range map[string]string{
		"":                                       "no command",
		"delete":                                 `unknown command "delete"`,
		"inspect":                                "provider and id",
		"inspect -provider acmesign":             "provider and id",
		"inspect -id e-1":                        "provider and id",
		"inspect -provider acmesign -id e-1 e-2": `"e-2"`,
		"inspect -reference deal_id":             "like deal_id:123",
		"inspect -reference deal_id:123 -id e-1": "either an agreement or a reference",
		"inspect -reference deal_id:123 -provider acmesign": "either an agreement or a reference",
		"inspect -provider acmesign -reference=":            "REFERENCE=deal_id:123",
		"archive -reference deal_id:123":                    "reference",
		"inspect -from 2026-11-01 -to 2026-11-02":           "from",
		"replay":                                                            "provider and id, or",
		"replay -provider acmesign":                                         "provider and id, or",
		"replay -from 2026-11-01":                                           "later to",
		"replay -to 2026-11-01":                                             "later to",
		"replay -from 2026-11-01 -to 2026-11-01":                            "later to",
		"replay -from yesterday -to 2026-11-01":                             "like 2026-11-02T09:30:00Z",
		"replay -from 2026-11-01T09:30 -to today":                           "like 2026-11-02T09:30:00Z",
		"replay -rebuild":                                                   "provider and id",
		"replay -rebuild -from 2026-11-01 -to 2027-01-01":                   "provider and id",
		"replay -provider acmesign -id e-1 -from 2026-11-01":                "provider and id, or",
		"replay -provider acmesign -id e-1 -from 2026-11-01 -to 2026-11-02": "provider and id, or",
		"replay -provider acmesign -from 2026-11-01 -to 2026-11-02":         "provider and id, or",
		"archive -provider acmesign":                                        "provider and id",
		"archive -id e-1":                                                   "provider and id",
		"archive -provider acmesign -id e-1 -rebuild":                       "rebuild",
		"register": "name a provider, as in PROVIDER=docusign",
		"register -url https://tunnel.example/webhooks/acmesign":   "name a provider",
		"register -provider acmesign -id e-1":                      "id",
		"register -provider acmesign acmesign":                     `unexpected argument "acmesign"`,
		"registered -url https://tunnel.example/webhooks/acmesign": "name the provider of the URL",
		"registered -apply":                                        "apply",
	} {
		if _, err := operate.Parse(strings.Fields(arguments)); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}

func TestAFlagThatIsEmptyIsNotGiven(t *testing.T) { // as make passes them on
	for _, arguments := range [][]string{
		{"inspect", "-provider", "acmesign", "-id", "e-1", "-reference", ""},
		{"inspect", "-provider", "", "-id", "", "-reference", "deal_id:123"},
		{"replay", "-provider", "acmesign", "-id", "e-1", "-from", "", "-to", ""},
		{"replay", "-provider", "", "-id", "", "-from", "2026-11-01", "-to", "2026-11-02"},
		{"replay", "-provider", "acmesign", "-id", "e-1", "-from", "", "-to", "", "-rebuild"},
		{"archive", "-provider", "acmesign", "-id", "e-1"},
		{"register", "-provider", "acmesign", "-url", ""},
		{"registered", "-provider", "", "-url", ""},
	} {
		if _, err := operate.Parse(arguments); err != nil {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}
