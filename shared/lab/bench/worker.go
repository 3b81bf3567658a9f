package main

import (
	"fmt"
	"time"
)

// processed is the worker's answer if no record failed.
const processed = `{"batchItemFailures":[]}`

// known is the number of agreements that events are about.
const known = 50

// worker compares batches with a bare worker that makes the calls of each agreement, and nothing else.
func (b *bench) worker() {
	for _, shape := range []struct{ size, agreements int }{{1, 1}, {10, 1}, {10, 2}, {10, 5}, {10, 10}} {
		b.batches(newWorkload(referenceProvider(), "envelope-sent", small), shape.size, shape.agreements)
	}
}

func (b *bench) batches(w *workload, size, agreements int) {
	f, stop := b.start("worker", 512, "functions/worker", baselines+"calls")
	defer stop()
	n := quickly(b, max(30, 200/size))
	var calls, bytes [2]int
	var contestants []func() cost
	for i, f := range f {
		turn := 0
		event := func() []byte {
			var about []string
			for record := range size { // each contestant has agreements of its own
				about = append(about, w.id(i*known+(turn+record%agreements)%known))
			}
			turn += agreements
			return w.batch(about)
		}
		measured := contestant(f, n, event, processed)
		contestants = append(contestants, func() cost {
			b.plain.reset()
			c := measured()
			calls[i], bytes[i] = b.plain.used()
			return c
		})
	}
	all := rounds(b.rounds, contestants...)
	perEvent := func(i int) string {
		each := all[i].median(cpu) / time.Duration(size)
		events := float64(n * size)
		return fmt.Sprintf("%s, %.0f events/s and core; %.2f calls and %.0f bytes an event",
			micro(each), float64(time.Second)/float64(each), float64(calls[i])/events, float64(bytes[i])/events)
	}
	r := ratio(all[0], all[1], cpu)
	b.report.add(row{fmt.Sprintf("worker, batch of %d, of %d agreements: CPU of an event", size, agreements), r, "≤ 1.3",
		r <= 1.3, perEvent(0), "the raw calls of each agreement: " + perEvent(1)})
}
