package gateway

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// crowd sends requests concurrently until the gateway ends.
type crowd struct {
	mu           sync.Mutex
	sent         map[string]request // by envelope
	acknowledged map[string]bool
}

func (c *crowd) work(g *gateway) {
	for {
		id := guid()
		r := message(id, "envelope-completed")
		c.mu.Lock()
		c.sent[id] = r
		c.mu.Unlock()
		got, err := g.try(r)
		if err != nil {
			return
		}
		if acknowledged(r, got) == "" {
			c.mu.Lock()
			c.acknowledged[id] = true
			c.mu.Unlock()
		}
	}
}

func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acknowledged)
}

func TestAcknowledgedEventsSurviveAKill(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		t.Run(fmt.Sprint("round ", round+1), func(t *testing.T) {
			t.Parallel()
			g := start(t)
			c := crowd{sent: map[string]request{}, acknowledged: map[string]bool{}}
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() { c.work(g) })
			}
			g.await("acknowledgements", func() bool { return c.count() > 10+35*round })
			g.stop(syscall.SIGKILL)
			group.Wait()
			g = startIn(t, g.data, g.env...)
			t.Logf("%d of %d deliveries were acknowledged before the kill", len(c.acknowledged), len(c.sent))
			var found map[string]event
			g.await("effect of all that was acknowledged", func() bool {
				found = byAgreement(t, g.list())
				for id := range c.acknowledged {
					if found[id].State == "received" {
						return false
					}
				}
				return true // what was claimed and not acknowledged waits for the vendor's retry
			})
			for id := range c.acknowledged {
				if e := found[id]; e.State != "processed" || e.Duplicates != 0 {
					t.Errorf("%s was acknowledged; after the restart its state is %q, with %d duplicates", id, e.State, e.Duplicates)
				}
			}
			var again []request // the vendor sends everything again
			for _, r := range c.sent {
				again = append(again, r)
			}
			for batch := range slices.Chunk(again, 50) {
				g.atOnce(batch)
			}
			found = byAgreement(t, g.events())
			for id := range c.sent {
				e := found[id]
				if e.State != "processed" || c.acknowledged[id] && e.Duplicates != 1 || e.Duplicates > 1 {
					t.Errorf("%s, acknowledged: %v: after its redelivery it is %q with %d duplicates", id, c.acknowledged[id], e.State,
						e.Duplicates)
				}
			}
			if agreements := g.agreements(); len(agreements) != len(c.sent) {
				t.Errorf("got %d agreements, want %d", len(agreements), len(c.sent))
			}
		})
	}
}

// byAgreement wants one event for each agreement.
func byAgreement(t *testing.T, events []event) map[string]event {
	t.Helper()
	found := map[string]event{}
	for _, e := range events {
		if _, ok := found[e.AgreementID]; ok {
			t.Errorf("%s was processed more than once", e.AgreementID)
		}
		found[e.AgreementID] = e
	}
	return found
}

func TestTheLastAcknowledgedEventSurvivesAKill(t *testing.T) {
	t.Parallel()
	for provider := range genuine() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			g := start(t)
			for round := range 3 {
				r := genuine()[provider]
				g.accept(r)
				g = g.kill()
				events := g.events()
				if len(events) != round+1 {
					t.Fatalf("round %d: got %d events, want %d", round+1, len(events), round+1)
				}
				for _, e := range events {
					if e.State != "processed" || e.Duplicates != 0 && e.ID == events[0].ID {
						t.Errorf("round %d: got %+v", round+1, e)
					}
				}
				g.accept(r)
				if e := g.events()[0]; e.Duplicates != 1 {
					t.Errorf("round %d: redelivered, it has %d duplicates, want one", round+1, e.Duplicates)
				}
			}
		})
	}
}

func TestALargePayloadSurvivesAKill(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	r := message(id, "envelope-completed")
	g.accept(r.must(t, r.field(`"filler":"`+strings.Repeat("x", 2<<20)+`"`)))
	g = g.kill()
	g.one(reference, id, 0)
}

func TestDuplicatesAreKnownAfterAKill(t *testing.T) {
	t.Parallel()
	g := start(t)
	requests := genuine()
	for _, r := range requests {
		g.accept(r)
	}
	g.events()
	g = g.kill()
	for _, r := range requests {
		g.accept(r)
	}
	events := g.events()
	if len(events) != len(requests) {
		t.Errorf("got %d events, want %d", len(events), len(requests))
	}
	for _, e := range events {
		if e.Duplicates != 1 {
			t.Errorf("%s: got %d duplicates, want one", e.Provider, e.Duplicates)
		}
	}
}
