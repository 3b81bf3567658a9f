// Package soak lets real processes fail for as long as it is told, while vendors send. It checks what guarantees.md
// promises, and reports what it has exercised and checked, and what not.
package soak

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook/webhooktest"
)

var (
	minutes = flag.Float64("minutes", 0, "how long to soak")
	seed    = flag.Uint64("seed", 0, "of the choices; 0 takes one of the clock")
)

// The kinds of faults.
const (
	kill      = "kill -9"
	pause     = "SIGSTOP, SIGCONT"
	stop      = "SIGTERM, start"
	diskFull  = "disk full"
	clockStep = "clock steps"
	upgrade   = "upgrade"
	refuse    = "network refuses"
	cut       = "network cuts"
	delay     = "network delays and hangs"
	reorder   = "network reorders"
	engine    = "engine restarts"
	fails     = "engine answers with errors"
	redeliver = "vendors send again"
	forge     = "forged requests"
	garbage   = "unreadable requests"
)

var kinds = []string{kill, pause, stop, diskFull, clockStep, upgrade, refuse, cut, delay, reorder, engine, fails,
	redeliver, forge, garbage}

// The promises of guarantees.md that a run can check, by the beginning of their lines.
const (
	safe          = "No event is acknowledged before it is safe"
	effectOnce    = "Every event that was acknowledged takes effect, exactly once"
	oneEvent      = "All copies of one event, through retries and several subscriptions, are one event"
	oneID         = "An event has one ID for its consumers"
	answered      = "Every genuine request gets its vendor's acknowledgement, or 503"
	inOrder       = "The events of one agreement are processed in the order in which they were received"
	chained       = "Events of one agreement that arrive in one batch"
	folded        = "An agreement's state is that of all its events"
	enteredOnce   = "An agreement enters each status once"
	published     = "Every committed event is published at least once"
	unreadable    = "An event that cannot be read is acknowledged, kept for 14 days, and holds nothing back"
	refusedLeaves = "A request that is not genuine leaves only a log line and a metric"
)

var checkable = []string{safe, effectOnce, oneEvent, oneID, answered, inOrder, chained, folded, enteredOnce, published,
	unreadable, refusedLeaves}

// report counts what a run does. It may be used concurrently.
type report struct {
	mu         sync.Mutex
	exercised  map[string]int    // by kind
	skipped    map[string]string // reasons, by kind
	checked    map[string]int    // by promise
	notes      map[string]int
	violations []string
}

func newReport() *report {
	return &report{exercised: map[string]int{}, skipped: map[string]string{}, checked: map[string]int{},
		notes: map[string]int{}}
}

func (r *report) did(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exercised[kind]++
}

func (r *report) skip(kind, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skipped[kind] = reason
}

func (r *report) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes[what]++
}

// check counts a check of a promise, and notes the violation if it does not hold.
func (r *report) check(promise string, ok bool, format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checked[promise]++
	if !ok && len(r.violations) < 50 {
		r.violations = append(r.violations, promise+": "+fmt.Sprintf(format, arguments...))
	}
}

// holds reports whether nothing is violated so far. A violation ends the run: the folder DATA stays as it is.
func (r *report) holds() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.violations) == 0
}

// effect is what an event has done to its agreement. Its place is in the order of the effects.
type effect struct {
	id            string
	before, after esign.Status
	place         int64
}

// checkStory checks the effects on one agreement. They are in the order in which the events were sent.
func (r *report) checkStory(ordered bool, took []effect) {
	for i := 1; ordered && i < len(took); i++ {
		r.check(inOrder, took[i-1].place < took[i].place, "%s was processed before %s", took[i].id, took[i-1].id)
	}
	slices.SortFunc(took, func(a, b effect) int { return cmp.Compare(a.place, b.place) })
	status, entered := esign.Status(""), map[esign.Status]int{}
	for _, e := range took {
		r.check(chained, e.before == status, "%s has the status %q before it, not %q", e.id, e.before, status)
		if status = e.after; e.before != e.after {
			entered[status]++
			r.check(enteredOnce, entered[status] == 1, "%s enters %q again", e.id, status)
		}
	}
}

// promises returns what guarantees.md promises, line by line.
func promises(page string) (all []string) {
	page, _, _ = strings.Cut(page, "## What is not promised")
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(page, -1) {
		if row[1] != "promise" && !strings.HasPrefix(row[1], "---") {
			all = append(all, row[1])
		}
	}
	return all
}

// write writes the report. A promise without evidence is unchecked.
func (r *report) write(all []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	out.WriteString("| fault | exercised |\n|---|---|\n")
	for _, kind := range kinds {
		switch {
		case r.exercised[kind] > 0 && r.skipped[kind] != "":
			fmt.Fprintf(&out, "| %s | %d times; %s |\n", kind, r.exercised[kind], r.skipped[kind])
		case r.exercised[kind] > 0:
			fmt.Fprintf(&out, "| %s | %d times |\n", kind, r.exercised[kind])
		case r.skipped[kind] != "":
			fmt.Fprintf(&out, "| %s | **not exercised**: %s |\n", kind, r.skipped[kind])
		default:
			fmt.Fprintf(&out, "| %s | **not exercised**: the run was too short |\n", kind)
		}
	}
	out.WriteString("\n| promise | checked |\n|---|---|\n")
	for _, promise := range all {
		count := 0
		for key, n := range r.checked {
			if strings.HasPrefix(promise, key) {
				count += n
			}
		}
		if count > 0 {
			fmt.Fprintf(&out, "| %s | %d times |\n", promise, count)
		} else {
			fmt.Fprintf(&out, "| %s | **unchecked** |\n", promise)
		}
	}
	out.WriteByte('\n')
	for _, note := range slices.Sorted(maps.Keys(r.notes)) {
		fmt.Fprintf(&out, "- %s: %d\n", note, r.notes[note])
	}
	for _, violation := range r.violations {
		fmt.Fprintf(&out, "- **violation**: %s\n", violation)
	}
	return out.String()
}

func guarantees(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(webhooktest.Root(t), "shared/docs/guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	return promises(string(page))
}

// TestEveryCheckablePromiseIsMade expects one line of guarantees.md for each promise that a run checks.
func TestEveryCheckablePromiseIsMade(t *testing.T) {
	all := guarantees(t)
	for _, key := range checkable {
		found := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return !strings.HasPrefix(p, key) })
		if len(found) != 1 {
			t.Errorf("%q begins %d lines of guarantees.md", key, len(found))
		}
	}
	if len(all) < 20 {
		t.Errorf("guarantees.md makes only %d promises", len(all))
	}
}

func TestTheReportNamesWhatHasNoEvidence(t *testing.T) {
	r := newReport()
	r.did(kill)
	r.skip(engine, "no Java")
	r.check(folded, true, "")
	r.check(inOrder, false, "%s", "second before first")
	got := r.write([]string{folded + ", whatever their order", inOrder, published})
	for _, want := range []string{
		"| kill -9 | 1 times |", "| engine restarts | **not exercised**: no Java |",
		"| disk full | **not exercised**: the run was too short |", "| " + folded + ", whatever their order | 1 times |",
		"| " + published + " | **unchecked** |", "- **violation**: " + inOrder + ": second before first",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
}

// TestSoak soaks the gateway, and the functions on local engines, for the minutes of the flag, and for one life of a
// gateway at least.
func TestSoak(t *testing.T) {
	if *minutes <= 0 {
		t.Skip("slow: make soak runs it")
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("seed %d", *seed)
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	root, r := webhooktest.Root(t), newReport()
	build := filepath.Join(root, ".build", "soak")
	if err := errors.Join(os.RemoveAll(build), os.MkdirAll(build, 0o755)); err != nil {
		t.Fatal(err)
	}
	binaries := buildGateways(t, root, build)
	functions := buildFunctions(t, root, build)
	t.Run("worlds", func(t *testing.T) {
		t.Run("functions on engines", func(t *testing.T) {
			t.Parallel()
			soakFunctions(t, r, functions, end)
		})
		t.Run("gateway", func(t *testing.T) {
			t.Parallel()
			for life := uint64(0); life == 0 || time.Now().Before(end) && r.holds(); life++ {
				soakGateway(t, r, binaries, filepath.Join(build, fmt.Sprint("data", life%2)),
					rand.New(rand.NewPCG(*seed, life)), end)
			}
		})
	})
	text := r.write(guarantees(t))
	file := filepath.Join(root, ".build", "soak.md")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	fmt.Printf("\nseed %d, %v minutes\n\n%s\n", *seed, *minutes, text)
	if len(r.violations) > 0 {
		t.Errorf("%d violations; repeat with: make soak MINUTES=%v SEED=%d", len(r.violations), *minutes, *seed)
	}
}
