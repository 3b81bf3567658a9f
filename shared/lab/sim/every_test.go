package sim

import (
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/docusign"
)

// TestEverySchedule sends two copies of one event at once. It tries every order of the steps of both receivers and of
// the worker, each without a crash and with one crash before or after any step.
func TestEverySchedule(t *testing.T) {
	if !*all {
		t.Skip("slow: make sim runs it")
	}
	schedules, crashes := 0, 0
	for made := []int{}; ; {
		c := replayed(made)
		problems, trace := inBubble(t, c, twoCopies)
		schedules++
		if strings.Contains(strings.Join(trace, "\n"), "process dies") {
			crashes++
		}
		if len(problems) > 0 {
			t.Fatalf("schedule %v:\n%s\n%s", c.made, strings.Join(trace, "\n"), strings.Join(problems, "\n"))
		}
		last := len(c.made) - 1
		for last >= 0 && c.made[last]+1 == c.widths[last] {
			last--
		}
		if last < 0 {
			break
		}
		made = append(append([]int{}, c.made[:last]...), c.made[last]+1)
	}
	t.Logf("%d schedules, %d of them with a crash", schedules, crashes)
	if crashes == 0 || crashes == schedules {
		t.Error("not every schedule was tried")
	}
}

// twoCopies sends one event through two subscriptions at once. A copy that is not acknowledged is retried.
func twoCopies(s *simulation) []string {
	s.world.every, s.world.crashes = true, 1
	base, id := about(s.t, docusign.Provider{}, "envelope-completed", 1)
	h := &happening{provider: docusign.Provider{}, agreement: id, example: "envelope-completed", status: esign.Completed,
		base: base, readable: true}
	s.happenings = []*happening{h}
	return s.simulate(1, func() {
		var copies []chan struct{}
		for subscription := range 2 {
			done := make(chan struct{})
			copies = append(copies, done)
			s.world.start(func() {
				defer close(done)
				s.insist([]string{"one", "other"}[subscription], h, 1+subscription)
			})
		}
		for _, done := range copies {
			<-done
		}
	})
}
