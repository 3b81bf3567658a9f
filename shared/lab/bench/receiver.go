package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/webhook"
)

const (
	small   = 2 << 10 // a body
	setting = 256     // MB, of a receiver
)

// cold measures from the start of a process to its first acknowledgement, its keys being read.
func (b *bench) cold() error {
	type entrant struct {
		function bootstrap
		provider string
		account  *account
		load     *workload
	}
	var entrants []entrant
	for _, a := range []*account{b.plain, b.secure} {
		for _, p := range provider.All() {
			w, err := completed(p, small)
			if err != nil {
				return err
			}
			entrants = append(entrants, entrant{b.built[receivers()[p.Info().Name]], p.Info().Name, a, w})
		}
		entrants = append(entrants, entrant{b.built["ok"], "", a, entrants[1].load}, entrant{b.built["calls"], "", a, entrants[1].load})
	}
	var contestants []func() (cost, error)
	inits := make([][]time.Duration, len(entrants))
	for i, e := range entrants {
		contestants = append(contestants, func() (cost, error) {
			event, err := e.load.fresh()
			if err != nil {
				return cost{}, err
			}
			f, err := start(b, e.function, e.account.environment(e.provider, setting)...)
			if err != nil {
				return cost{}, err
			}
			defer f.stop()
			a := f.invoke(b, event)
			c := cost{wall: time.Since(f.process.started)}
			if err := cmp.Or(a.err, status(http.StatusOK)(a.body)); err != nil {
				return c, err
			}
			inits[i] = append(inits[i], f.initialised())
			c.cpu, err = f.process.cpu()
			return c, err
		})
	}
	all, err := rounds(2*b.rounds, contestants...)
	if err != nil {
		return err
	}
	group := len(entrants) / 2
	for i, e := range entrants {
		bare := i/group*group + group - 2 // answers 200
		if i == bare {
			continue
		}
		name, goal := e.provider, ""
		if name == "" {
			name = "a bare function's with the two calls"
		} else if e.account == b.plain {
			goal = "≤ 2.0"
		}
		if e.account == b.secure {
			name += ", by TLS"
		}
		r := ratio(all[i], all[bare], cost.wallOf)
		b.report.add(row{
			figure: "cold start, " + name, ratio: r, goal: goal, met: r <= 2,
			measured: fmt.Sprintf("%s, of it %s to INIT's end; CPU %s", milli(all[i].middle(cost.wallOf)), milli(median(inits[i])), milli(all[i].middle(cost.cpuOf))),
			beside:   fmt.Sprintf("a bare function that answers 200: %s; CPU %s", milli(all[bare].middle(cost.wallOf)), milli(all[bare].middle(cost.cpuOf))),
		})
	}
	return nil
}

// pair starts the function of a provider, and a bare one, on empty stores, and forgets what they did at INIT.
func (b *bench) pair(name, bare string) (ours, floor *function, err error) {
	if ours, err = start(b, b.built[receivers()[name]], b.plain.environment(name, setting)...); err != nil {
		return nil, nil, err
	}
	if floor, err = start(b, b.built[bare], b.plain.environment("", setting)...); err != nil {
		ours.stop()
		return nil, nil, err
	}
	if err := cmp.Or(ours.wait(b), floor.wait(b)); err != nil {
		return nil, nil, errors.Join(err, ours.stop(), floor.stop())
	}
	b.plain.reset(true)
	return ours, floor, nil
}

// turn makes a contestant that is given n fresh events a round.
func (b *bench) turn(f *function, n int, event func() ([]byte, error), want int) func() (cost, error) {
	return func() (cost, error) {
		events, err := repeat(n, event)
		if err != nil {
			return cost{}, err
		}
		return invokeAll(b, f, events, status(want))
	}
}

// warm measures acknowledgements beside a bare handler that makes the same two calls.
func (b *bench) warm() error {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		for _, p := range provider.All() {
			if err := b.acknowledge(p, delay); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) acknowledge(p webhook.Provider, delay time.Duration) error {
	name := p.Info().Name
	w, err := completed(p, small)
	if err != nil {
		return err
	}
	ours, floor, err := b.pair(name, "calls")
	if err != nil {
		return err
	}
	defer ours.stop()
	defer floor.stop()
	n := 120
	if delay > 0 {
		n = 15
	}
	b.plain.delay.Store(int64(delay))
	defer b.plain.delay.Store(0)
	logged := ours.process.output.count()
	all, err := rounds(b.rounds, b.turn(ours, n, w.fresh, http.StatusOK), b.turn(floor, n, w.fresh, http.StatusOK))
	if err != nil {
		return err
	}
	requests := n * (b.rounds + 1)
	figure := fmt.Sprintf("warm acknowledgement, %s, 2 KB, AWS answers after %d ms", name, delay.Milliseconds())
	wall, cpu := ratio(all[0], all[1], cost.wallOf), ratio(all[0], all[1], cost.cpuOf)
	b.report.add(
		row{figure + ": wall", wall, "≤ 1.10", wall <= 1.1, micro(all[0].middle(cost.wallOf)), "a bare handler with the two calls: " + micro(all[1].middle(cost.wallOf))},
		row{figure + ": CPU", cpu, "≤ 1.25", cpu <= 1.25,
			fmt.Sprintf("%s, %.1f calls of AWS, %d bytes of log", micro(all[0].middle(cost.cpuOf)), float64(b.plain.used("").calls)/float64(requests)-2, (ours.process.output.count()-logged)/requests),
			micro(all[1].middle(cost.cpuOf))},
	)
	return nil
}

// refusal measures what a forgery costs, beside a bare function that answers 200.
func (b *bench) refusal() error {
	for _, p := range provider.All() {
		w, err := completed(p, small)
		if err != nil {
			return err
		}
		ours, floor, err := b.pair(p.Info().Name, "ok")
		if err != nil {
			return err
		}
		defer ours.stop()
		defer floor.stop()
		want := http.StatusUnauthorized
		all, err := rounds(b.rounds, b.turn(ours, 300, w.forged, want), b.turn(floor, 300, w.forged, http.StatusOK))
		if err != nil {
			return err
		}
		above := all[0].middle(cost.cpuOf) - all[1].middle(cost.cpuOf)
		calls := b.plain.used("").calls
		b.report.add(row{
			"refusal of a forgery, " + p.Info().Name + ", 2 KB: CPU", ratio(all[0], all[1], cost.cpuOf), "≤ 100 µs above the bare loop, no call",
			above <= 100*time.Microsecond && calls == 0,
			fmt.Sprintf("%s, %s above the loop; %d calls of AWS", micro(all[0].middle(cost.cpuOf)), micro(above), calls),
			"a bare function that answers 200: " + micro(all[1].middle(cost.cpuOf)),
		})
	}
	return nil
}

// large measures long bodies: processor time beside copying the body once, memory beside the bare handler with the calls.
func (b *bench) large() error {
	p := docusign.Provider{}
	sizes := []struct {
		name     string
		bytes, n int
	}{{"2 KB", small, 60}, {"100 KB", 100_000, 40}, {"1 MB", 1_000_000, 10}, {"5 MB", 5_000_000, 6}}
	var first float64
	for _, size := range sizes {
		w, err := completed(p, size.bytes)
		if err != nil {
			return err
		}
		ours, floor, err := b.pair(p.Info().Name, "calls")
		if err != nil {
			return err
		}
		defer ours.stop()
		defer floor.stop()
		once, err := start(b, b.built["copy"], b.plain.environment("", setting)...)
		if err != nil {
			return err
		}
		defer once.stop()
		ok := http.StatusOK
		all, err := rounds(max(1, b.rounds/2), b.turn(ours, size.n, w.fresh, ok), b.turn(floor, size.n, w.fresh, ok), b.turn(once, size.n, w.fresh, ok))
		if err != nil {
			return err
		}
		_, peak, err := ours.process.memory()
		if err != nil {
			return err
		}
		_, bare, err := floor.process.memory()
		if err != nil {
			return err
		}
		// What a byte costs must not rise with their number.
		perByte := float64(all[0].middle(cost.cpuOf)) / float64(size.bytes)
		linear := row{}
		if size.bytes == 100_000 {
			first = perByte
		} else if size.bytes > 100_000 {
			linear.goal, linear.met = "a byte costs no more than at 100 KB", perByte <= first*1.1
		}
		b.report.add(row{
			"acknowledgement of " + size.name + ": CPU", ratio(all[0], all[2], cost.cpuOf), linear.goal, linear.met,
			fmt.Sprintf("%s, %.2f ns a byte", milli(all[0].middle(cost.cpuOf)), perByte),
			fmt.Sprintf("copying the body once: %s; the two calls: %s", milli(all[2].middle(cost.cpuOf)), milli(all[1].middle(cost.cpuOf))),
		}, row{
			"acknowledgement of " + size.name + ": memory at its peak", float64(peak) / float64(bare), "≤ 1.5", float64(peak) <= 1.5*float64(bare),
			mebi(peak), "a bare handler with the two calls: " + mebi(bare),
		})
	}
	return nil
}

// memory measures what is resident of a small function after many requests.
func (b *bench) memory() error {
	p := docusign.Provider{}
	w, err := completed(p, small)
	if err != nil {
		return err
	}
	f, err := start(b, b.built["DocuSign"], b.plain.environment(p.Info().Name, 128)...)
	if err != nil {
		return err
	}
	defer f.stop()
	for range 10 {
		if _, err := b.turn(f, 200, w.fresh, http.StatusOK)(); err != nil {
			return err
		}
	}
	now, peak, err := f.process.memory()
	b.report.add(row{
		"memory at 128 MB, 2,000 requests of 2 KB", 0, "≤ 64 MiB", peak <= 64<<20, "resident at most " + mebi(peak) + ", then " + mebi(now), "–",
	})
	return err
}
