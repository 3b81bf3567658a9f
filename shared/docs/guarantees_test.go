package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryGuaranteeHasItsTest checks that every test and attack that guarantees.md names exists.
func TestEveryGuaranteeHasItsTest(t *testing.T) {
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.[TF]\)`)
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, found := range declaration.FindAllSubmatch(b, -1) {
			tests[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page := pages(t)["guarantees.md"]
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(page, -1)
	for _, n := range named {
		if !tests[n[1]] {
			t.Errorf("test %s does not exist", n[1])
		}
	}
	suite, err := os.ReadFile("../lab/attack/attack.go")
	if err != nil {
		t.Fatal(err)
	}
	attacks := regexp.MustCompile(`attack "([a-zA-Z ]+)"`).FindAllStringSubmatch(page, -1)
	for _, a := range attacks {
		if !strings.Contains(string(suite), `"`+a[1]+`":`) {
			t.Errorf("shared/lab/attack has no %q", a[1])
		}
	}
	if len(named)+len(attacks) < 30 {
		t.Errorf("guarantees.md names only %d tests and attacks", len(named)+len(attacks))
	}
}
