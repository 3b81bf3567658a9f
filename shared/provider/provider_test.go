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

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// TestEventIDsAreFrozen fails if an example's event ID has changed: redelivered events would then be processed twice. The
// flag -update adds new examples to the file, and never changes the others.
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
	template, pages := read("template.yaml"), read("shared/docs/configuration.md")+read("shared/docs/vendors.md")
	first := parts{}
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
		mine := partsOf(t, info, template, read("functions", info.Name, "main.go"))
		if len(first) == 0 {
			first = mine
		}
		for what, text := range first {
			if diff := cmp.Diff(text, mine[what]); diff != "" && mine[what] != "" {
				t.Errorf("%s of %s differs from %s's in more than the provider: %s", what, info.Name, names[0], diff)
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

// parts are the texts that exist once for each provider, with all that is its own replaced.
type parts map[string]string

func partsOf(t *testing.T, info webhook.Info, template, main string) parts {
	t.Helper()
	own := regexp.MustCompile(`(?m)^  (\w+)Function:$`)
	logical := ""
	for _, match := range own.FindAllStringSubmatch(template, -1) {
		if strings.ToLower(match[1]) == info.Name {
			logical = match[1]
		}
	}
	if logical == "" {
		t.Errorf("template.yaml has no function for %s", info.Name)
		return nil
	}
	if lines := strings.Count(main, "\n"); lines > 25 {
		t.Errorf("functions/%s/main.go has %d lines: it only wires", info.Name, lines)
	}
	for _, path := range []string{"/webhooks/" + info.Name, "/webhooks/" + info.Name + "/{token}"} {
		if !regexp.MustCompile(`(?m)^ +Path: ` + regexp.QuoteMeta(path) + `$`).MatchString(template) {
			t.Errorf("template.yaml has no path %s", path)
		}
	}
	for _, output := range []string{logical + "Secret", logical + "WebhookUrl"} {
		if block(template[strings.Index(template, "\nOutputs:"):], output) == "" {
			t.Errorf("template.yaml has no output %s", output)
		}
	}
	if block(template, logical+"Secret") == "" {
		t.Errorf("template.yaml has no %sSecret", logical)
	}
	for _, function := range []string{"ArchiverFunction", "ReconcilerFunction"} {
		if line := " " + strings.ToUpper(info.Name) + "_SECRET_ARN: !Ref " + logical + "Secret\n"; !strings.Contains(block(template, function), line) {
			t.Errorf("the template's %s has no variable%s", function, line)
		}
	}
	same := strings.NewReplacer(info.Title, "TITLE", logical, "TITLE", info.Name, "NAME") // DocuSign is both
	comment := regexp.MustCompile(` #.*|\n +Description: .*`)
	all := parts{"main.go": same.Replace(main)}
	for _, name := range []string{"Function", "Logs", "RefusedAlarm", "SilentAlarm", "WrongKeyAlarm", "SilentAfterHours"} {
		text := block(template, logical+name)
		if text == "" {
			t.Errorf("template.yaml has no %s%s", logical, name)
		}
		all["the template's "+name] = comment.ReplaceAllString(same.Replace(text), "")
	}
	return all
}

// block returns the lines of the first entry of the template with this key.
func block(template, key string) string {
	_, after, ok := strings.Cut(template, "\n  "+key+":\n")
	if !ok {
		return ""
	}
	end := regexp.MustCompile(`\n ? ?[^ \n]`).FindStringIndex(after)
	if end == nil {
		return after
	}
	return after[:end[0]]
}
