package provider_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
	"esignhooks/shared/webhook/webhooktest"
)

// TestEventIDsAreKnown fails if the event ID of an example is no longer what it was, now or in the first release, and
// is not one of its former IDs either: redelivered events would then be processed twice. The flag -update writes the
// IDs of new examples, and those that have changed in this way.
func TestEventIDsAreKnown(t *testing.T) {
	const file, first = "testdata/event-ids.json", "testdata/event-ids.v1.json"
	got, known := map[string]string{}, map[string][]string{}
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != "POST" {
				continue
			}
			ids, err := p.Identify(r)
			if err != nil {
				t.Fatal(err)
			}
			name = p.Info().Name + "/" + name
			got[name] = ids[0].EventID
			known[name] = []string{ids[0].EventID}
			for _, former := range ids[0].FormerIDs {
				known[name] = append(known[name], former.ID)
			}
		}
	}
	for _, golden := range []string{file, first} {
		frozen := map[string]string{}
		if b, err := os.ReadFile(golden); err == nil {
			if err := json.Unmarshal(b, &frozen); err != nil {
				t.Fatal(err)
			}
		}
		for name, id := range frozen {
			if !slices.Contains(known[name], id) {
				t.Fatalf("the identity of events/%s.json has changed: was %s, is one of %s", name, id, known[name])
			}
		}
	}
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	webhooktest.Golden(t, file, append(b, '\n'))
}

// TestRequestsAreRecognised sends the examples of each vendor to the URLs of all others.
func TestRequestsAreRecognised(t *testing.T) {
	for _, sender := range provider.All() {
		for name, r := range webhooktest.Examples(t, sender.Info().Name) {
			for _, p := range provider.All() {
				if !sender.Resembles(r) || p.Resembles(r) != (p.Info().Name == sender.Info().Name) {
					t.Errorf("%s/%s, to %s: %v, %v", sender.Info().Name, name, p.Info().Name, sender.Resembles(r), p.Resembles(r))
					continue
				}
				if p.Info().Name == sender.Info().Name || r.Method != "POST" {
					continue
				}
				keys := webhook.Keys{Keys: webhook.Secrets("a key")}
				if causes := refusal.Explain(p, provider.All(), r, keys); len(causes) == 0 || causes[0].Code != refusal.OtherVendor ||
					!strings.Contains(causes[0].Hint, "/webhooks/"+sender.Info().Name) {
					t.Errorf("%s/%s, to %s: %v", sender.Info().Name, name, p.Info().Name, causes)
				}
			}
		}
	}
}

// mainFile is the main.go of a provider's function.
const mainFile = `// Command NAME is the Lambda function that receives TITLE webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider/NAME"
	wiring "esignhooks/shared/wiring/lambda"
)

func main() { lambda.Start(wiring.Receiver(NAME.Provider{})) }
`

// TestNothingIsMissing lists what a new provider still lacks.
func TestNothingIsMissing(t *testing.T) {
	root := webhooktest.Root(t)
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			t.Errorf("missing: %v", err)
		}
		return string(b)
	}
	pages := read("shared/docs/configuration.md") + read("shared/docs/vendors.md")
	var names []string
	for _, p := range provider.All() {
		info := p.Info()
		names = append(names, info.Name)
		tests, _ := filepath.Glob(filepath.Join(root, "shared/provider", info.Name, "*_test.go"))
		runs := regexp.MustCompile(`webhooktest\.Run\(.*, attack\.Run\)`)
		if !slices.ContainsFunc(tests, func(file string) bool { return runs.MatchString(read(file[len(root):])) }) {
			t.Errorf("no test in shared/provider/%s calls webhooktest.Run with attack.Run", info.Name)
		}
		for _, word := range []string{info.Title, info.KeysVariable, info.DevelopmentKey, "/webhooks/" + info.Name} {
			if !strings.Contains(pages, word) {
				t.Errorf("neither configuration.md nor vendors.md mentions %s", word)
			}
		}
		want := strings.NewReplacer("NAME", info.Name, "TITLE", info.Title).Replace(mainFile)
		if diff := cmp.Diff(want, read("functions", info.Name, "main.go")); diff != "" {
			t.Errorf("functions/%s/main.go does more than wire the provider: %s", info.Name, diff)
		}
	}
	for _, folder := range []string{"shared/provider", "events"} {
		found, err := filepath.Glob(filepath.Join(root, folder, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if name := filepath.Base(filepath.Dir(path)); name != "testdata" && !slices.Contains(names, name) {
				t.Errorf("%s/%s is not in provider.All", folder, name)
			}
		}
	}
}
