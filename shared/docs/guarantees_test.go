package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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

// plantedMistakes returns the names of those that shared/lab/mutants plants.
func plantedMistakes(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../lab/mutants/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			mistake, ok := n.(*ast.CompositeLit)
			if !ok || mistake.Type != nil || len(mistake.Elts) < 3 { // the name, and what is planted
				return true
			}
			if text, ok := mistake.Elts[0].(*ast.BasicLit); ok {
				if name, err := strconv.Unquote(text.Value); err == nil {
					names[name] = true
				}
			}
			return true
		})
	}
	if len(names) < 60 {
		t.Fatalf("found only %d planted mistakes", len(names))
	}
	return names
}

// TestEveryGuaranteeIsGuarded checks that each line names a test, and the planted mistakes that guard it. A dash says why
// there are none. The line also says under which faults it holds.
func TestEveryGuaranteeIsGuarded(t *testing.T) {
	planted, lines := plantedMistakes(t), 0
	named, without := regexp.MustCompile(`mistake "([^"]+)"`), regexp.MustCompile(`^—: \w.{15,}`)
	shown := regexp.MustCompile("`(Test|Fuzz)\\w+`|attack \"")
	var columns []string
	for line := range strings.Lines(pages(t)["guarantees.md"]) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = nil
			continue
		case columns == nil:
			columns = cells
			continue
		case strings.HasPrefix(cells[0], "---"), strings.TrimSpace(columns[0]) == "not promised":
			continue
		}
		lines++
		if len(cells) != len(columns) || strings.TrimSpace(columns[len(columns)-1]) != "guarded by" {
			t.Errorf("%d cells of %d: %s", len(cells), len(columns), line)
			continue
		}
		for i, cell := range cells {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("nothing says %s: %s", columns[i], line)
			}
		}
		if !shown.MatchString(cells[len(cells)-2]) {
			t.Errorf("no test shows: %s", line)
		}
		guards := strings.TrimSpace(cells[len(cells)-1])
		found := named.FindAllStringSubmatch(guards, -1)
		for _, m := range found {
			if !planted[m[1]] {
				t.Errorf("no mistake %q is planted", m[1])
			}
		}
		if len(found) == 0 && !without.MatchString(guards) {
			t.Errorf("no planted mistake guards, and no reason says why: %s", line)
		}
	}
	if lines < 40 {
		t.Errorf("found only %d lines", lines)
	}
}
