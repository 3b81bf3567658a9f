package provider_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook/webhooktest"
)

// TestEventIDsAreFrozen: an identity that changes makes new events of old ones when a vendor sends them again. A new
// example is added to the file by -update; what stands there is never changed.
func TestEventIDsAreFrozen(t *testing.T) {
	const file = "testdata/event-ids.json"
	got := map[string]string{}
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != "POST" {
				continue
			}
			ids, err := p.Identify(r)
			if err != nil {
				t.Fatal(err)
			}
			got[p.Info().Name+"/"+name] = ids[0].EventID
		}
	}
	frozen := map[string]string{}
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &frozen); err != nil {
			t.Fatal(err)
		}
	}
	for name, id := range frozen {
		if got[name] != id {
			t.Errorf("the identity of events/%s.json has changed: was %s, is %s", name, id, got[name])
		}
	}
	maps.Copy(got, frozen)
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	webhooktest.Golden(t, file, append(b, '\n'))
}

// TestNothingIsMissing tells who adds a provider what else it takes.
func TestNothingIsMissing(t *testing.T) {
	root := webhooktest.Root(t)
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			t.Errorf("missing: %v", err)
		}
		return string(b)
	}
	template, readme := read("template.yaml"), read("README.md")
	var names []string
	for _, p := range provider.All() {
		info := p.Info()
		names = append(names, info.Name)
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(info.Name) || info.Title == "" || info.KeysVariable == "" || info.DevelopmentKey == "" || info.Allow == "" {
			t.Errorf("incomplete: %+v", info)
		}
		main := read("functions", info.Name, "main.go")
		if lines := strings.Count(main, "\n"); lines > 25 {
			t.Errorf("functions/%s/main.go has %d lines: it only wires", info.Name, lines)
		}
		if main := strings.ReplaceAll(strings.ReplaceAll(main, info.Name, "x"), info.Title, "X"); len(names) > 1 {
			first := provider.All()[0].Info()
			if want := strings.ReplaceAll(strings.ReplaceAll(read("functions", first.Name, "main.go"), first.Name, "x"), first.Title, "X"); main != want {
				t.Errorf("functions/%s/main.go differs from %s's in more than the provider", info.Name, first.Name)
			}
		}
		for _, path := range []string{"/webhooks/" + info.Name, "/webhooks/" + info.Name + "/{token}"} {
			if !strings.Contains(template, path+"\n") {
				t.Errorf("template.yaml has no path %s", path)
			}
		}
		for _, word := range []string{info.Title, info.KeysVariable, info.DevelopmentKey, "/webhooks/" + info.Name} {
			if !strings.Contains(readme, word) {
				t.Errorf("README.md does not mention %s", word)
			}
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
