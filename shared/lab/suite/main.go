// Suite runs `go test` with its arguments, prints a line for each package as it ends, and at last one that counts what
// passed, failed and was skipped, and why. It prints the output of failed tests only.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	packages := fmt.Sprint("-p=", runtime.NumCPU()+1) // at once: one more than usual, since some tests wait
	command := exec.Command("go", append([]string{"test", "-json", packages}, os.Args[1:]...)...)
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
	s := newSuite(os.Stdout)
	began := time.Now()
	s.read(events)
	err = command.Wait()
	fmt.Println(s.total(time.Since(began)))
	if err != nil || s.failed > 0 {
		os.Exit(1)
	}
}

// suite is what the tests have reported so far.
type suite struct {
	out                     io.Writer
	output                  map[string]*strings.Builder // by package and test, until the test ends
	passed, failed, skipped int                         // tests and subtests; failed also counts packages that fail otherwise
	failing                 map[string]bool             // packages with a failed test
	reasons                 map[string]int              // of the skipped tests
}

func newSuite(out io.Writer) *suite {
	return &suite{
		out: out, output: map[string]*strings.Builder{}, failing: map[string]bool{}, reasons: map[string]int{},
	}
}

// event is a line of `go test -json`.
//
// SPEC: https://pkg.go.dev/cmd/test2json, read 2026-11-30.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// read reads events until the end. What is no event is printed.
func (s *suite) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			s.add(e)
		} else {
			s.out.Write(line)
		}
		if err != nil {
			return
		}
	}
}

func (s *suite) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "pass", "fail", "skip":
		var output string
		if b := s.output[key]; b != nil {
			output = b.String()
		}
		delete(s.output, key)
		if e.Test == "" {
			s.ended(e, output)
			return
		}
		switch e.Action {
		case "pass":
			s.passed++
		case "skip":
			s.skipped++
			s.reasons[reason(output)]++
		case "fail":
			s.failed++
			s.failing[e.Package] = true
			fmt.Fprint(s.out, output)
		}
	}
}

// ended prints the line of a package that has tests.
func (s *suite) ended(e event, output string) {
	name := strings.TrimPrefix(e.Package, "esignhooks/")
	switch {
	case e.Action == "skip": // no test files
	case e.Action == "fail":
		if !s.failing[e.Package] { // it does not build, or it panics
			s.failed++
		}
		for key, running := range s.output { // a panic or a timeout ends no test
			if strings.HasPrefix(key, e.Package+" ") {
				fmt.Fprint(s.out, running)
			}
		}
		fmt.Fprintf(s.out, "%sFAIL %s\n", output, name)
	case strings.Contains(output, "(cached)"):
		fmt.Fprintf(s.out, "ok   %s (cached)\n", name)
	default:
		fmt.Fprintf(s.out, "ok   %s %.1fs\n", name, e.Elapsed)
	}
}

var location = regexp.MustCompile(`(?m)^\s+\S+\.go:\d+: (.+)$`)

// reason returns what a skipped test said last.
func reason(output string) string {
	said := location.FindAllStringSubmatch(output, -1)
	if len(said) == 0 {
		return "no reason"
	}
	return said[len(said)-1][1]
}

// total returns the last line.
func (s *suite) total(took time.Duration) string {
	text := fmt.Sprintf("%d passed, %d failed, %d skipped in %s", s.passed, s.failed, s.skipped, took.Round(time.Second))
	most := slices.SortedFunc(maps.Keys(s.reasons), func(a, b string) int {
		return cmp.Or(s.reasons[b]-s.reasons[a], strings.Compare(a, b))
	})
	for i, reason := range most {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		text += fmt.Sprintf("%s%d × %s", separator, s.reasons[reason], reason)
	}
	return text
}
