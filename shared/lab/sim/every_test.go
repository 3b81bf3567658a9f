package sim

import (
	"slices"
	"strings"
	"sync/atomic"
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
	c := replayed(nil)
	inBubble(t, c, twoCopies)
	var schedules, crashes atomic.Int64
	t.Cleanup(func() {
		n, crashed := schedules.Load(), crashes.Load()
		t.Logf("%d schedules, %d of them with a crash", n, crashed)
		if !t.Failed() && (crashed == 0 || crashed == n) {
			t.Error("not every schedule was tried")
		}
	})
	for first := range c.widths[0] {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for made := []int{first}; made != nil; {
				c := replayed(made)
				problems, trace := inBubble(t, c, twoCopies)
				schedules.Add(1)
				if strings.Contains(strings.Join(trace, "\n"), "process dies") {
					crashes.Add(1)
				}
				if len(problems) > 0 {
					t.Fatalf("schedule %v:\n%s\n%s", c.made, strings.Join(trace, "\n"), strings.Join(problems, "\n"))
				}
				made = c.next()
			}
		})
	}
}

// next returns the choices after those that were made, with the same first one; nil after the last.
func (c *choices) next() []int {
	for last := len(c.made) - 1; last > 0; last-- {
		if n := c.made[last] + 1; n < c.widths[last] {
			return append(slices.Clone(c.made[:last]), n)
		}
	}
	return nil
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
