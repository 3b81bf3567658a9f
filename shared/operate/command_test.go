package operate_test

import (
	"errors"
	"strings"
	"testing"

	"esignhooks/shared/operate"
)

func TestWrongCommandsAreRefused(t *testing.T) {
	const provider, id = "PROVIDER is missing: name one of adobesign, ", "ID is missing: name an agreement, as in "
	const either = "FROM and TO exclude PROVIDER and ID"
	for arguments, said := range map[string]string{
		"":                                       "COMMAND is missing: name one of inspect, ",
		"delete":                                 "unexpected argument delete",
		"inspect":                                provider,
		"inspect -provider acmesign":             id,
		"inspect -id e-1":                        provider,
		"inspect -provider acmesign -id e-1 e-2": "unexpected argument e-2",
		"inspect -reference deal_id":             "REFERENCE is wrong: ",
		"inspect -reference deal_id:123 -id e-1": "REFERENCE excludes PROVIDER and ID",
		"inspect -reference deal_id:123 -provider acmesign": "REFERENCE excludes PROVIDER and ID",
		"inspect -provider acmesign -reference=":            id,
		"archive -reference deal_id:123":                    "unknown flag --reference",
		"inspect -from 2026-11-01 -to 2026-11-02":           "unknown flag --from",
		"replay":                                                            provider,
		"replay -provider acmesign":                                         id,
		"replay -from 2026-11-01":                                           "TO is missing",
		"replay -to 2026-11-01":                                             "FROM is missing",
		"replay -from 2026-11-01 -to 2026-11-01":                            "TO is not later than FROM",
		"replay -from yesterday -to 2026-11-01":                             "--from: a time must be like ",
		"replay -from 2026-11-01T09:30 -to today":                           "--from: a time must be like ",
		"replay -rebuild":                                                   provider,
		"replay -rebuild -from 2026-11-01 -to 2027-01-01":                   "FROM and TO exclude REBUILD",
		"replay -provider acmesign -id e-1 -from 2026-11-01":                either,
		"replay -provider acmesign -id e-1 -from 2026-11-01 -to 2026-11-02": either,
		"replay -provider acmesign -from 2026-11-01 -to 2026-11-02":         either,
		"archive -provider acmesign":                                        id,
		"archive -id e-1":                                                   provider,
		"archive -provider acmesign -id e-1 -rebuild":                       "unknown flag --rebuild",
		"confirm":     provider,
		"forget":      provider,
		"redrive all": "unexpected argument all",
		"register":    provider,
		"register -url https://tunnel.example/webhooks/acmesign":   provider,
		"register -provider acmesign -id e-1":                      "unknown flag --id",
		"register -provider acmesign acmesign":                     "unexpected argument acmesign",
		"registered -url https://tunnel.example/webhooks/acmesign": provider,
		"registered -apply":                                        "unknown flag --apply",
		"inspect -help":                                            "unknown flag --help",
	} {
		var usage operate.UsageError
		_, err := operate.Parse(strings.Fields(arguments))
		if !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), said) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}

// TestACommandIsPassedOn checks the arguments that reach the gateway on localhost.
func TestACommandIsPassedOn(t *testing.T) {
	for arguments, want := range map[string]string{
		"redrive": "redrive",
		"inspect -reference= --provider docusign -id=-1":          "inspect --provider=docusign --id=-1",
		"replay -from 2026-11-02 -to 2026-11-02T09:30:00.5+01:00": "replay --from=2026-11-02T00:00:00Z --to=2026-11-02T09:30:00.5+01:00",
		"forget --apply -provider docusign -id a":                 "forget --provider=docusign --id=a --apply=true",
	} {
		for range 2 { // the arguments that are passed on mean the same
			ctx, err := operate.ParseAs(&operate.Commands{}, strings.Fields(arguments))
			if err != nil {
				t.Fatal(err)
			}
			if arguments = strings.Join(operate.Arguments(ctx.Selected()), " "); arguments != want {
				t.Errorf("got %s, want %s", arguments, want)
			}
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
