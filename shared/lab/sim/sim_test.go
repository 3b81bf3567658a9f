// Package sim runs the real receivers, worker and publisher in simulated worlds. A seed decides which steps fail, hang
// or crash. After the faults have ended, the guarantees in check_test.go must hold.
//
//	make sim SEEDS=100000          simulates so many worlds
//	make sim SEED=4711             simulates one world and prints its trace
package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
	"esignhooks/shared/webhook"
)

var (
	seeds = flag.Int("seeds", 100, "how many worlds to simulate")
	first = flag.Uint64("first", 1, "the first seed")
	seed  = flag.Uint64("seed", 0, "simulate only this world, and print its trace")
	all   = flag.Bool("all", false, "also try every schedule of two copies")
	brief = flag.Bool("brief", false, "do not shrink a failure")
)

// TestSeeds simulates worlds. A failure names the seed and prints the shortest trace that still fails.
func TestSeeds(t *testing.T) {
	before, splitBefore, correctedBefore := together.Load(), split.Load(), corrected.Load()
	t.Cleanup(func() {
		n, refused := together.Load()-before, split.Load()-splitBefore
		t.Logf("%d commits of several events; %d were refused because one event was already processed", n, refused)
		if *seed == 0 && *seeds >= 100 && !t.Failed() && (n < int64(*seeds)/10 || refused < int64(*seeds)/100) {
			t.Error("too few such commits: the simulation does not test batches")
		}
		if n := corrected.Load() - correctedBefore; *seed == 0 && *seeds >= 100 && !t.Failed() && n < int64(*seeds)/100 {
			t.Errorf("%d corrections are too few", n)
		}
		if *seed == 0 && *seeds >= 100 && !t.Failed() && min(lookedUp.Load(), stale.Load()) < int64(*seeds)/10 {
			t.Errorf("%d references, and %d earlier ones, are too few", lookedUp.Load(), stale.Load())
		}
	})
	simulateWorlds(t, *seeds, scenario)
}

// TestAfterTheEvent simulates worlds in which vendors drop webhooks or disable subscriptions for a day, and somebody
// sends made-up completions. All other faults happen as well. At the end every agreement has its vendor's status, and
// each agreement that its vendor completed is confirmed and archived.
func TestAfterTheEvent(t *testing.T) { simulateWorlds(t, max(*seeds/5, 100), afterwards) }

func simulateWorlds(t *testing.T, worlds int, play func(*simulation) []string) {
	if *seed > 0 {
		problems, trace := inBubble(t, seeded(*seed), play)
		t.Log("\n" + strings.Join(trace, "\n"))
		report(t, *seed, play, problems)
		return
	}
	var next atomic.Uint64
	next.Store(*first)
	last := *first + uint64(worlds)
	var steps atomic.Int64
	test := t.Name()
	t.Cleanup(func() { t.Logf("%s: %d worlds, %d steps", test, worlds, steps.Load()) })
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := next.Add(1) - 1; seed < last && !t.Failed(); seed = next.Add(1) - 1 {
				problems, trace := inBubble(t, seeded(seed), play)
				steps.Add(int64(len(trace)))
				report(t, seed, play, problems)
			}
		})
	}
}

// A failure can be studied only if its seed always makes the same world.
func TestASeedAlwaysMakesTheSameWorld(t *testing.T) {
	for seed := range uint64(slow.Cases(30, 100)) {
		play := []func(*simulation) []string{afterwards, upgraded, mended, scenario}[min(seed%10, 3)]
		_, one := inBubble(t, seeded(seed+1), play)
		_, other := inBubble(t, seeded(seed+1), play)
		for i := range max(len(one), len(other)) {
			if i >= len(one) || i >= len(other) || one[i] != other[i] {
				t.Fatalf("seed %d, step %d:\n%s\n%s", seed+1, i, strings.Join(one[max(0, i-3):min(i+1, len(one))], "\n"),
					strings.Join(other[max(0, i-3):min(i+1, len(other))], "\n"))
			}
		}
	}
}

func report(t *testing.T, seed uint64, play func(*simulation) []string, problems []string) {
	t.Helper()
	if len(problems) == 0 {
		return
	}
	if *brief {
		t.Errorf("SEED=%d: %s", seed, strings.Join(problems, "; "))
		return
	}
	c := seeded(seed)
	inBubble(t, c, play)
	fewest := shrink(c.made, func(made []int) bool {
		problems, _ := inBubble(t, replayed(made), play)
		return len(problems) > 0
	})
	shorter, trace := inBubble(t, replayed(fewest), play)
	t.Errorf("seed %d:\n%s\n\nthe shortest trace that fails:\n%s\n\n%s\n\nthe whole trace: make sim SEED=%d TEST=%s",
		seed, strings.Join(problems, "\n"), strings.Join(trace, "\n"), strings.Join(shorter, "\n"), seed,
		strings.Split(t.Name(), "/")[0])
}

// busy lists how long workers may be busy with other agreements. Messages that arrive meanwhile form one batch.
var busy = []time.Duration{0, 10 * time.Second, 5 * time.Minute}

// scenario is one world: vendors send the events of a few agreements concurrently, and operators and queues interfere.
func scenario(s *simulation) []string {
	c := s.world.choices
	s.world.rate = []int{30, 100, 10, 4, 0}[c.choose(5)]
	s.world.crashes, s.faultless = c.choose(5), s.world.rate == 0
	s.busy = busy[c.choose(len(busy))]
	var vendors []func()
	for number := range 1 + c.choose(3) {
		vendors = append(vendors, s.agreement(number)...)
	}
	troubles, republished := s.troubles(), c.choose(3) == 2
	if s.upgrade != nil {
		troubles = s.upgradeAt(troubles)
	}
	return s.simulate(2, func() {
		var all []chan struct{}
		for _, v := range vendors {
			done := make(chan struct{})
			all = append(all, done)
			s.world.start(func() {
				defer close(done)
				v()
			})
		}
		for _, t := range troubles {
			time.Sleep(t.after)
			s.mapping(t.name, "", t.happens)
		}
		for _, done := range all {
			<-done
		}
		if s.upgrade != nil && s.upgrade.mends {
			s.resend()
		}
		if republished {
			for i, h := range s.happenings {
				s.deliver(fmt.Sprintf("republish %d", i), h, 99, 1)
			}
		}
	})
}

// trouble is something that an operator, a queue or time does.
type trouble struct {
	after   time.Duration
	name    string
	happens func()
}

func (s *simulation) troubles() (all []trouble) {
	kinds := []trouble{
		{0, "queue redelivers", s.queue.again}, {0, "table expires a claim", s.table.expire},
		{0, "operator redrives", s.queue.redrive}, {0, "all is slow", s.world.slowDown},
	}
	for range s.world.choices.choose(4) {
		t := kinds[s.world.choices.choose(len(kinds))]
		t.after = time.Duration(1+s.world.choices.choose(400)) * time.Second
		all = append(all, t)
	}
	return all
}

// agreement makes up the history of an agreement, and returns the vendors that send its events.
func (s *simulation) agreement(number int) (vendors []func()) {
	c := s.world.choices
	p := simulated()[c.choose(len(simulated()))]
	name := p.Info().Name
	var reported []*happening
	for _, claim := range stories[name] {
		if c.choose(3) > 0 {
			continue
		}
		base, id := about(s.t, p, claim.example, number)
		reported = append(reported, &happening{provider: p, agreement: id, example: claim.example, status: claim.status,
			base:     base,
			readable: true})
		if v2 := timeless[claim.example]; name == "esignglobal" && v2 != "" {
			reported[len(reported)-1].timeless, _ = about(s.t, p, v2, number)
		}
	}
	if name == "docusign" && c.rarely(6) {
		reported = append(reported, s.broken(p, number))
	}
	if len(reported) > 0 && c.rarely(200) {
		fatten(reported[0])
	}
	if c.rarely(4) { // sent in another order than it happened
		for i := range reported {
			j := c.choose(len(reported))
			reported[i], reported[j] = reported[j], reported[i]
		}
	}
	if s.upgrade != nil {
		s.delayMerged(reported)
	}
	s.happenings = append(s.happenings, reported...)
	vendor := func(subscription int) func() {
		pauses := make([]time.Duration, len(reported))
		for i := range pauses {
			pauses[i] = []time.Duration{0, time.Second, 4 * time.Second, 200 * time.Second}[c.choose(4)]
		}
		return func() { s.report(fmt.Sprintf("%s %d/%d", name, number, subscription), reported, subscription, pauses) }
	}
	vendors = append(vendors, vendor(1))
	if c.rarely(3) {
		vendors = append(vendors, vendor(2))
	}
	if len(reported) > 0 && reported[0].readable && c.rarely(3) {
		vendors = append(vendors, func() { s.forge(fmt.Sprintf("forger %d", number), reported[0], number) })
	}
	return vendors
}

// broken returns a genuine request that cannot be read.
func (s *simulation) broken(p webhook.Provider, number int) *happening {
	base, id := about(s.t, p, "envelope-sent", number)
	base.Body = base.Body[:len(base.Body)-20-number]
	return &happening{provider: p, agreement: id, example: "broken", base: base}
}

// fatten makes a request too large for a queue message.
func fatten(h *happening) {
	if name := h.provider.Info().Name; name == "docusign" || name == "adobesign" {
		h.base.Body = append([]byte(`{"filler":"`+strings.Repeat("x", 1<<20)+`",`), h.base.Body[1:]...)
	}
}
