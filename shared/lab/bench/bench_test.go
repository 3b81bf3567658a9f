package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook/webhooktest"
)

func TestEveryFigureIsMeasured(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs the /proc of Linux")
	}
	slow.Test(t)
	t.Chdir(webhooktest.Root(t))
	b := &bench{Context: t.Context(), rounds: 1, agreements: fewAgreements, quick: true}
	if err := b.run("", ""); err != nil {
		t.Fatal(err)
	}
	measured := map[string]string{} // by figure
	for _, r := range b.report {
		measured[r.figure] = r.measured
	}
	want := map[string]string{ // a part of what is measured
		"cold start, a bare function's with the two calls, by TLS":               "CPU",
		"acknowledgement of 5 MB: CPU":                                           "ns a byte",
		"acknowledgement of 100 KB: memory at its peak":                          "MiB",
		"worker, batch of 1, of 1 agreements: CPU of an event":                   "; 3.00 calls", // agreement, tombstone, commit
		"worker, batch of 10, of 1 agreements: CPU of an event":                  "; 0.20 calls",
		"worker, batch of 10, of 10 agreements: CPU of an event":                 " calls", // a new one needs a third
		"memory at 128 MB, 2,000 requests of 2 KB":                               "resident at most",
		"zipped binary, worker":                                                  "MB",
		"localhost: acknowledged, with a kill -9 meanwhile":                      ", 0 doubled",
		"embedded store with 10000 agreements: claims and commits of new events": "events/s",
	}
	for _, p := range provider.All() {
		name := p.Info().Name
		want["cold start, "+name] = "to INIT's end"
		want["warm acknowledgement, "+name+", 2 KB, AWS answers after 5 ms: wall"] = "µs"
		// a claim and a message
		want["warm acknowledgement, "+name+", 2 KB, AWS answers after 0 ms: CPU"] = " 2.0 calls of AWS"
		want["refusal of a forgery, "+name+", 2 KB: CPU"] = "; 0 calls of AWS"
		want["zipped binary, "+name] = "MB"
	}
	for figure, part := range want {
		if !strings.Contains(measured[figure], part) {
			t.Errorf("%s: measured %q, want %q in it", figure, measured[figure], part)
		}
	}
	if !strings.HasPrefix(measured["localhost: acknowledged, with a kill -9 meanwhile"], "0 of ") {
		t.Error("events are lost")
	}
}

func TestFunctionsAreMeasuredWithTheSettingsOfTheTemplate(t *testing.T) {
	template := string(must(os.ReadFile(filepath.Join(webhooktest.Root(t), "template.yaml"))))
	settings := 0
	for _, v := range (&stubs{}).environment("", setting) {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GO") {
			settings++
			if !regexp.MustCompile(`(?m)^        ` + name + `: '?` + value + `'?( #.*)?$`).MatchString(template) {
				t.Errorf("%s is not in template.yaml", v)
			}
		}
	}
	if want := strings.Count(template, "\n        GO"); settings != want {
		t.Errorf("%d settings of Go, want %d as in template.yaml", settings, want)
	}
}

func TestAProcessIsMeasured(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs the /proc of Linux")
	}
	self := &process{}
	self.Cmd = run(t.Context(), []string{"/bin/true"}).Cmd
	self.Process.Pid = os.Getpid()
	before := self.cpu()
	for began := time.Now(); self.cpu()-before < 50*time.Millisecond; {
		if time.Since(began) > timeout {
			t.Fatal("the processor time does not grow")
		}
	}
	held := slices.Repeat([]byte{1}, 64<<20)
	if now, peak := self.memory(); now < len(held) || peak < now {
		t.Errorf("resident %d and at most %d bytes, want at least %d", now, peak, len(held))
	}
	runtime.KeepAlive(held)
	line := `{"msg":"processed","event":"1"}` + "\n" + `{"msg":"already processed","event":"1"}` + "\n"
	for size := 1; size <= len(line); size++ {
		p := &process{}
		for part := range slices.Chunk([]byte(strings.Repeat(line, 3)), size) {
			p.Write(part)
		}
		if written, effects, _ := p.output(); effects != 3 || written != 3*len(line) {
			t.Errorf("%d bytes at a time: %d effects, %d bytes", size, effects, written)
		}
	}
}

func TestRoundsTakeTurnsAndTheFirstDoesNotCount(t *testing.T) {
	turns := ""
	contestant := func(name string, costs ...time.Duration) func() cost {
		return func() cost {
			turns += name
			c := cost{wall: costs[0], cpu: 1}
			costs = costs[1:]
			return c
		}
	}
	all := rounds(3, contestant("a", 1000, 40, 20, 60), contestant("b", 1, 20, 5, 20))
	if turns != "abababab" {
		t.Error(turns)
	}
	if r := ratio(all[0], all[1], wall); r != 3 { // of 2, 4 and 3
		t.Errorf("the ratio is %v", r)
	}
	if m := all[0].median(wall); m != 40 {
		t.Errorf("the median is %v", m)
	}
	if p := percentile([]int{5, 1, 4, 2, 3}, 0.99); p != 5 {
		t.Errorf("the percentile is %v", p)
	}
}

func TestTheReportShowsGoalsAndRatios(t *testing.T) {
	var out strings.Builder
	report{
		{"one", 1.256, "≤ 1.25", false, "5 µs", "4 µs"}, {"two", 0, "", false, "7", ""},
		{"three", 0.5, "≤ 1", true, "1", "2"},
	}.write(&out)
	for _, line := range []string{
		"| one | 1.26 | ≤ 1.25 | **no** | 5 µs | 4 µs |", "| two |  |  |  | 7 | – |", "| three | 0.50 | ≤ 1 | yes | 1 | 2 |",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, &out)
		}
	}
}
