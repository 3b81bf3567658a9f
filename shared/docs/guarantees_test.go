package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryGuaranteeHasItsTest checks that every test that guarantees.md names exists.
func TestEveryGuaranteeHasItsTest(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		tests.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(pages(t)["guarantees.md"], -1)
	for _, n := range named {
		declared := regexp.MustCompile(`(?m)^func ` + n[1] + `\(\w+ \*testing\.[TF]\)`)
		if !declared.MatchString(tests.String()) {
			t.Errorf("test %s does not exist", n[1])
		}
	}
	suite, err := os.ReadFile("../lab/attack/attack.go")
	if err != nil {
		t.Fatal(err)
	}
	attacks := regexp.MustCompile(`attack "([a-zA-Z ]+)"`).FindAllStringSubmatch(pages(t)["guarantees.md"], -1)
	for _, a := range attacks {
		if !strings.Contains(string(suite), `"`+a[1]+`":`) {
			t.Errorf("shared/lab/attack has no %q", a[1])
		}
	}
	if len(named)+len(attacks) < 30 {
		t.Errorf("only %d tests are named", len(named)+len(attacks))
	}
}
