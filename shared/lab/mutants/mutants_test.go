// Package mutants plants mistakes in the product, and expects a test that fails.
package mutants

import (
	"bytes"
	"flag"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"esignhooks/shared/webhook/webhooktest"
)

// A mistake is one that a developer could make, and the test that finds it.
type mistake struct {
	name string
	file string // path from the module's root
	// old is replaced by new. In Go files, layout and comments do not matter in old. In other files, old is the text.
	old, new string
	// found names the test that must fail: its package in shared, its pattern as of -run, and its flags.
	found string
}

// areas are the planted mistakes. In CI, those of the areas always run in full, and one tenth of the others.
var areas = []struct {
	name     string
	always   bool
	mistakes []mistake
}{
	{"template", true, inTemplate},
	{"wiring", true, inWiring},
	{"engine", false, engine},
	{"localhost", false, inLocalhost},
	{"drivers", false, inDrivers},
	{"commands", false, inCommands},
	{"promises", false, inPromises},
	{"adobesign", false, inAdobeSign},
	{"references", false, inReferences},
	{"refusals", false, inRefusals},
	{"forget", false, inForget},
	{"docusign", false, inDocuSign},
	{"forms", false, inForms},
	{"simulate", false, inSimulate},
	{"bench", false, inBench},
	{"terminal", false, inTerminal},
	{"console", false, inConsole},
	{"preflight", false, inPreflight},
	{"certificates", false, inCertificates},
}

var which = flag.String("plant", "",
	"plant all mistakes (all), or those in the template and in the wiring and this tenth of the others (0 to 9)")

// TestPlantedMistakesFitTheCode is quick. It fails when an edit of the product makes a planted mistake impossible.
func TestPlantedMistakesFitTheCode(t *testing.T) {
	root, seen := webhooktest.Root(t), map[string]bool{}
	for _, area := range areas {
		for _, m := range area.mistakes {
			if _, err := plant(filepath.Join(root, m.file), m.old, m.new); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
			if isGo(m.file) && slices.ContainsFunc(tokens([]byte(m.old)), element.isComment) {
				t.Errorf("%s: the pattern contains a comment", m.name)
			}
			if seen[m.name] {
				t.Errorf("two mistakes have the name %q", m.name)
			}
			seen[m.name] = true
			name := strings.Fields(m.found)
			if len(name) < 2 {
				t.Fatalf("%s names no package and test: %q", m.name, m.found)
			}
			for _, test := range testName.FindAllString(name[1], -1) {
				if !strings.Contains(testsOf(t, filepath.Join(root, "shared", name[0])), "\nfunc "+test) {
					t.Errorf("%s: %s has no %s", m.name, name[0], test)
				}
			}
		}
	}
}

var (
	testName = regexp.MustCompile(`\b(Test|Fuzz)\w+`)
	tests    = map[string]string{} // the code of a package's tests, by its folder
)

func testsOf(t *testing.T, folder string) string {
	if tests[folder] == "" {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		must(t, err)
		for _, file := range files {
			code, err := os.ReadFile(file)
			must(t, err)
			tests[folder] += string(code)
		}
	}
	return tests[folder]
}

// TestMistakesAreFound plants each mistake in a copy of the module, and runs the test that finds it.
func TestMistakesAreFound(t *testing.T) {
	tenth, err := strconv.Atoi(*which)
	if *which == "" {
		t.Skip("slow: make mutants runs it")
	} else if *which != "all" && (err != nil || tenth < 0 || tenth > 9) {
		t.Fatalf("-plant is %q, neither all nor 0 to 9", *which)
	}
	root := webhooktest.Root(t)
	copies := make(chan string, runtime.GOMAXPROCS(0))
	for i := range cap(copies) { // at the same path each time, so that Go's build cache serves
		folder := filepath.Join(root, ".build", "mutants", fmt.Sprint(i))
		must(t, os.RemoveAll(folder))
		must(t, copyModule(folder, root))
		copies <- folder
	}
	var planted, found atomic.Int32
	t.Cleanup(func() {
		if n := planted.Load(); n > 0 {
			fmt.Printf("%d of %d planted mistakes found, %.1f %%\n", found.Load(), n, 100*float64(found.Load())/float64(n))
		}
	})
	for _, area := range areas {
		for i, m := range area.mistakes {
			if *which != "all" && !area.always && i%10 != tenth {
				continue
			}
			t.Run(area.name+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				folder := <-copies
				defer func() { copies <- folder }()
				planted.Add(1)
				if err := m.isFound(folder); err != nil {
					t.Error(err)
					return
				}
				found.Add(1)
			})
		}
	}
}

// isFound plants the mistake in the copy, runs the test, and restores the file.
func (m mistake) isFound(folder string) error {
	file := filepath.Join(folder, m.file)
	original, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	mistaken, err := plant(file, m.old, m.new)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, mistaken, 0o600); err != nil {
		return err
	}
	defer os.WriteFile(file, original, 0o600)
	name := strings.Fields(m.found)
	command := exec.Command("go", slices.Concat([]string{"test", "-count=1", "-vet=off", "-timeout=5m", "-failfast",
		"-run=^" + strings.ReplaceAll(name[1], "/", "$/^") + "$", "./shared/" + name[0]}, name[2:])...)
	command.Dir, command.Env = folder, append(os.Environ(), "SLOW=1")
	out, err := command.CombinedOutput()
	switch {
	case err == nil:
		return fmt.Errorf("not found by %s\n%.2000s", m.found, out)
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return fmt.Errorf("the mistake does not compile\n%.2000s", out)
	case bytes.Contains(out, []byte("panic: test timed out")):
		return fmt.Errorf("the test hangs instead of failing\n%.2000s", out)
	case !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic: ")):
		return fmt.Errorf("no test failed: %w\n%.2000s", err, out)
	}
	return nil
}

// copyModule copies what a clone holds: without .git and what builds and runs have made.
func copyModule(folder, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if slices.Contains([]string{".git", ".build", ".local", ".aws-sam"}, name) {
			return filepath.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(folder, name), 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, name), content, info.Mode())
	})
}

func isGo(file string) bool { return strings.HasSuffix(file, ".go") }

// plant returns the file's content with the only occurrence of old replaced by new.
func plant(file, old, new string) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !isGo(file) {
		if n := bytes.Count(source, []byte(old)); n != 1 {
			return nil, fmt.Errorf("%s contains this text %d times, want once: %s", file, n, old)
		}
		return bytes.Replace(source, []byte(old), []byte(new), 1), nil
	}
	code, pattern := slices.DeleteFunc(tokens(source), element.isComment), tokens([]byte(old))
	found, at := 0, 0
	for i := range len(code) - len(pattern) + 1 {
		if slices.EqualFunc(code[i:i+len(pattern)], pattern, func(a, b element) bool { return a.text == b.text }) {
			found, at = found+1, i
		}
	}
	if found != 1 {
		return nil, fmt.Errorf("%s contains this code %d times, want once: %s", file, found, old)
	}
	from, to := code[at].offset, code[at+len(pattern)-1].offset+len(pattern[len(pattern)-1].text)
	return slices.Concat(source[:from], []byte(new), source[to:]), nil
}

// element is a token of Go, or a comment.
type element struct {
	offset int
	text   string
}

func (e element) isComment() bool {
	return strings.HasPrefix(e.text, "//") || strings.HasPrefix(e.text, "/*")
}

// tokens returns the source's tokens and comments, without the semicolons that line ends imply.
func tokens(source []byte) (all []element) {
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, kind, text := s.Scan()
		switch {
		case kind == token.EOF:
			return all
		case kind == token.SEMICOLON && text == "\n":
			continue
		case text == "" || kind.IsOperator():
			text = kind.String()
		}
		all = append(all, element{file.Offset(pos), text})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
