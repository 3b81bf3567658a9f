package main

import (
	"fmt"
	"time"

	"esignhooks/shared/provider"
)

const (
	small   = 2 << 10 // bytes of a body
	setting = 256     // MB of a receiver's memory

	accepted = `"statusCode":200,`
	refused  = `"statusCode":401,`
)

// cold measures from the start of a process to its first acknowledgement. A receiver reads its keys meanwhile.
func (b *bench) cold() {
	b.coldStarts(b.plain, "", "≤ 2.0")
	b.coldStarts(b.secure, ", by TLS", "")
}

func (b *bench) coldStarts(aws *stubs, how, goal string) {
	type entrant struct {
		name, folder, provider, goal string
		load                         *workload
		inits                        []time.Duration
	}
	load := completed(referenceProvider(), small)
	entrants := []*entrant{{folder: baselines + "ok", load: load}}
	for _, p := range provider.All() {
		name := p.Info().Name
		entrants = append(entrants,
			&entrant{name: name, folder: "functions/" + name, provider: name, goal: goal, load: completed(p, small)})
	}
	entrants = append(entrants,
		&entrant{name: "a bare function's with the two calls", folder: baselines + "calls", load: load})
	var contestants []func() cost
	for _, e := range entrants {
		contestants = append(contestants, func() cost {
			event := e.load.fresh()
			f := start(b, b.binaries[e.folder], aws.environment(e.provider, setting))
			defer f.stop()
			f.invoke(event, accepted)
			c := cost{time.Since(f.started), f.cpu()}
			e.inits = append(e.inits, f.wait().Sub(f.started))
			return c
		})
	}
	all := rounds(2*b.rounds, contestants...)
	bare := all[0]
	for i, e := range entrants[1:] {
		s := all[1+i]
		r := ratio(s, bare, wall)
		b.report.add(row{
			figure: "cold start, " + e.name + how, ratio: r, goal: e.goal, met: r <= 2,
			measured: fmt.Sprintf("%s, of it %s to INIT's end; CPU %s",
				milli(s.median(wall)), milli(median(e.inits)), milli(s.median(cpu))),
			baseline: fmt.Sprintf("a bare function that answers 200: %s; CPU %s",
				milli(bare.median(wall)), milli(bare.median(cpu))),
		})
	}
}

// start starts functions, waits until their INIT has ended, and resets the stubs' counts.
func (b *bench) start(role string, megabytes int, folders ...string) (all []*function, stop func()) {
	for _, folder := range folders {
		all = append(all, start(b, b.binaries[folder], b.plain.environment(role, megabytes)))
	}
	for _, f := range all {
		f.wait()
	}
	for before := -1; ; time.Sleep(100 * time.Millisecond) { // a slow call may outlast INIT
		calls, _ := b.plain.used()
		if calls == before {
			break
		}
		before = calls
	}
	b.plain.reset()
	return all, func() {
		for _, f := range all {
			f.stop()
		}
	}
}

// warm compares acknowledgements with a bare function that makes the same two calls.
func (b *bench) warm() {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		for _, p := range provider.All() {
			b.acknowledge(p.Info().Name, completed(p, small), delay)
		}
	}
}

func (b *bench) acknowledge(name string, w *workload, delay time.Duration) {
	f, stop := b.start(name, setting, "functions/"+name, baselines+"calls")
	defer stop()
	n := quickly(b, 120)
	if delay > 0 {
		n = quickly(b, 15)
	}
	b.plain.delay.Store(int64(delay))
	defer b.plain.delay.Store(0)
	before, _, _ := f[0].output()
	all := rounds(b.rounds, contestant(f[0], n, w.fresh, accepted), contestant(f[1], n, w.fresh, accepted))
	requests := n * (b.rounds + 1)
	after, _, _ := f[0].output()
	calls, _ := b.plain.used()
	figure := fmt.Sprintf("warm acknowledgement, %s, 2 KB, AWS answers after %d ms", name, delay.Milliseconds())
	byWall, byCPU := ratio(all[0], all[1], wall), ratio(all[0], all[1], cpu)
	b.report.add(
		row{figure + ": wall", byWall, "≤ 1.10", byWall <= 1.1, micro(all[0].median(wall)),
			"a bare handler with the two calls: " + micro(all[1].median(wall))},
		row{figure + ": CPU", byCPU, "≤ 1.25", byCPU <= 1.25,
			fmt.Sprintf("%s, %.1f calls of AWS, %d bytes of log",
				micro(all[0].median(cpu)), float64(calls)/float64(requests)-2, (after-before)/requests),
			micro(all[1].median(cpu))},
	)
}

// refusal compares the refusal of a forgery with a bare function that answers 200.
func (b *bench) refusal() {
	for _, p := range provider.All() {
		name, w := p.Info().Name, completed(p, small)
		f, stop := b.start(name, setting, "functions/"+name, baselines+"ok")
		n := quickly(b, 300)
		all := rounds(b.rounds, contestant(f[0], n, w.forged, refused), contestant(f[1], n, w.forged, accepted))
		stop()
		above := all[0].median(cpu) - all[1].median(cpu)
		calls, _ := b.plain.used()
		b.report.add(row{
			"refusal of a forgery, " + name + ", 2 KB: CPU", ratio(all[0], all[1], cpu),
			"≤ 100 µs above the bare loop, no call", above <= 100*time.Microsecond && calls == 0,
			fmt.Sprintf("%s, %s above the loop; %d calls of AWS", micro(all[0].median(cpu)), micro(above), calls),
			"a bare function that answers 200: " + micro(all[1].median(cpu)),
		})
	}
}

// large measures long bodies. The CPU time per byte must not grow with the body.
func (b *bench) large() {
	var first float64
	for _, size := range []struct {
		name     string
		bytes, n int
	}{{"2 KB", small, 60}, {"100 KB", 100_000, 40}, {"1 MB", 1_000_000, 10}, {"5 MB", 5_000_000, 6}} {
		event := completed(referenceProvider(), size.bytes).fresh
		f, stop := b.start(reference, setting, referenceIn, baselines+"calls", baselines+"copy")
		var contestants []func() cost
		for _, f := range f {
			contestants = append(contestants, contestant(f, quickly(b, size.n), event, accepted))
		}
		all := rounds(max(1, b.rounds/2), contestants...)
		_, peak := f[0].memory()
		_, bare := f[1].memory()
		stop()
		perByte := float64(all[0].median(cpu)) / float64(size.bytes)
		r := row{
			figure: "acknowledgement of " + size.name + ": CPU", ratio: ratio(all[0], all[2], cpu),
			measured: fmt.Sprintf("%s, %.2f ns a byte", milli(all[0].median(cpu)), perByte),
			baseline: fmt.Sprintf("copying the body once: %s; the two calls: %s",
				milli(all[2].median(cpu)), milli(all[1].median(cpu))),
		}
		if first == 0 && size.bytes > small {
			first = perByte
		} else if size.bytes > small {
			r.goal, r.met = "a byte costs no more than at 100 KB", perByte <= first*1.1
		}
		times := float64(peak) / float64(bare)
		b.report.add(r, row{"acknowledgement of " + size.name + ": memory at its peak", times, "≤ 1.5", times <= 1.5,
			mebi(peak), "a bare handler with the two calls: " + mebi(bare)})
	}
}

// memory measures the resident memory of a small function after many requests.
func (b *bench) memory() {
	f, stop := b.start(reference, 128, referenceIn)
	defer stop()
	rounds(9, contestant(f[0], quickly(b, 200), completed(referenceProvider(), small).fresh, accepted))
	now, peak := f[0].memory()
	b.report.add(row{figure: "memory at 128 MB, 2,000 requests of 2 KB", goal: "≤ 64 MiB", met: peak <= 64<<20,
		measured: "resident at most " + mebi(peak) + ", then " + mebi(now)})
}
