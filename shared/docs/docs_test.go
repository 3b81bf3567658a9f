package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const readme = "../../README.md"

// pages returns README.md and all pages of this folder, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range append(files, readme) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[file] = string(b)
	}
	return found
}

func TestREADMEIsShort(t *testing.T) {
	if lines := strings.Count(pages(t)[readme], "\n"); lines > 200 {
		t.Errorf("README.md has %d lines, more than 200", lines)
	}
}

func TestEveryPageSaysWhoNeedsIt(t *testing.T) {
	for file, text := range pages(t) {
		if file != readme && !regexp.MustCompile(`^# [^\n]+\n\nFor \w`).MatchString(text) {
			t.Errorf(`%s: the line after the title does not begin with "For "`, file)
		}
	}
}

func TestREADMELinksEveryPage(t *testing.T) {
	all := pages(t)
	for file := range all {
		if file != readme && !strings.Contains(all[readme], "](shared/docs/"+file+")") {
			t.Errorf("README.md does not link %s", file)
		}
	}
}

func TestREADMEListsItsSections(t *testing.T) {
	text := pages(t)[readme]
	for _, section := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(text, -1) {
		entry := fmt.Sprintf("- [%s](#%s)\n", section[1], anchor(section[1]))
		if section[1] != "Contents" && !strings.Contains(text, entry) {
			t.Errorf("the contents lack %s", entry)
		}
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	count := 0
	for file, text := range pages(t) {
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(link[1], "https://") {
				continue
			}
			count++
			if err := follow(file, link[1]); err != nil {
				t.Errorf("%s: link to %s: %v", file, link[1], err)
			}
		}
	}
	if count < 20 {
		t.Errorf("found only %d relative links", count)
	}
}

// follow returns an error if the file or the section that a link on the page names does not exist.
func follow(page, link string) error {
	target, section, _ := strings.Cut(link, "#")
	if target == "" {
		target = page
	} else {
		target = filepath.Join(filepath.Dir(page), target)
	}
	b, err := os.ReadFile(target)
	if info, statErr := os.Stat(target); statErr == nil && info.IsDir() && section == "" {
		return nil
	} else if err != nil {
		return err
	}
	if section != "" && !slices.Contains(anchors(string(b)), section) {
		return errors.New("no such section")
	}
	return nil
}

var (
	fenced  = regexp.MustCompile("(?s)```.*?```")
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func anchors(text string) []string {
	var found []string
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		found = append(found, anchor(match[1]))
	}
	return found
}

// anchor returns the anchor that GitHub gives a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func TestArchitectureListsEveryPackage(t *testing.T) {
	text := pages(t)["architecture.md"]
	for _, parent := range []string{"", "store", "plumbing", "wiring", "lab"} {
		folders, err := filepath.Glob(filepath.Join("..", parent, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			info, err := os.Stat(folder)
			if err != nil {
				t.Fatal(err)
			}
			name := "shared" + strings.TrimPrefix(folder, "..")
			if info.IsDir() && !strings.Contains(text, "`"+name) {
				t.Errorf("architecture.md does not mention %s", name)
			}
		}
	}
}

// TestSkeletonCompiles compiles the vendor that adding-a-vendor.md shows, as if its files existed.
func TestSkeletonCompiles(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	shown := regexp.MustCompile("(?s)\n`([a-z_/]+\\.go)`\n\n```go\n(.*?)```")
	replace := map[string]string{}
	for i, block := range shown.FindAllStringSubmatch(pages(t)["adding-a-vendor.md"], -1) {
		replace[filepath.Join(root, block[1])] = write(fmt.Sprintf("%d.go", i), []byte(block[2]))
	}
	if len(replace) != 3 {
		t.Fatalf("the page shows %d files, not package, test and main", len(replace))
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := write("overlay.json", b)
	for _, command := range []*exec.Cmd{
		exec.Command("go", "build", "-overlay", overlay, "-o", os.DevNull, "./functions/northsign"),
		exec.Command("go", "test", "-overlay", overlay, "-vet=off", "-c", "-o", os.DevNull,
			"./shared/provider/northsign"),
	} {
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
