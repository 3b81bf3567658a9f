package main

import (
	"fmt"
	"time"

	"esignhooks/shared/provider/docusign"
)

// worker measures batches beside a bare worker that makes the calls of each agreement, and nothing else.
func (b *bench) worker() error {
	p := docusign.Provider{}
	w, err := newWorkload(p, "envelope-sent", small)
	if err != nil {
		return err
	}
	for _, shape := range []struct{ batch, agreements int }{{1, 1}, {10, 1}, {10, 2}, {10, 5}, {10, 10}} {
		if err := b.batches(w, shape.batch, shape.agreements); err != nil {
			return err
		}
	}
	return nil
}

// known is how many agreements the events are about, that come by turns.
const known = 50

func (b *bench) batches(w *workload, size, agreements int) error {
	ours, err := start(b, b.built["Worker"], b.plain.environment("", 512)...)
	if err != nil {
		return err
	}
	defer ours.stop()
	floor, err := start(b, b.built["worker"], b.plain.environment("", 512)...)
	if err != nil {
		return err
	}
	defer floor.stop()
	b.plain.reset(true)
	n := max(30, 200/size)
	var used [2]usage
	contestant := func(i int, f *function) func() (cost, error) {
		turn := 0
		event := func() ([]byte, error) {
			var about []string
			for record := range size {
				about = append(about, w.id(i*known+(turn+record%agreements)%known)) // each contestant has its own
			}
			turn += agreements
			return w.batch(about)
		}
		return func() (cost, error) {
			events, err := repeat(n, event)
			if err != nil {
				return cost{}, err
			}
			b.plain.reset(false)
			c, err := invokeAll(b, f, events, allProcessed)
			used[i] = b.plain.used("")
			return c, err
		}
	}
	all, err := rounds(b.rounds, contestant(0, ours), contestant(1, floor))
	if err != nil {
		return err
	}
	cpu := ratio(all[0], all[1], cost.cpuOf)
	goal, met := "≤ 1.3", cpu <= 1.3
	perEvent := func(i int) string {
		each := all[i].middle(cost.cpuOf) / time.Duration(size)
		events := float64(n * size)
		return fmt.Sprintf("%s, %.0f events/s and core; %.2f calls and %.0f bytes an event", micro(each), float64(time.Second)/float64(each),
			float64(used[i].calls)/events, float64(used[i].bytes)/events)
	}
	b.report.add(row{
		fmt.Sprintf("worker, batch of %d, of %d agreements: CPU of an event", size, agreements), cpu, goal, met, perEvent(0), "the raw calls of each agreement: " + perEvent(1),
	})
	if used[0].duplicates+used[0].unknown > 0 {
		return fmt.Errorf("bench: %d refused and %d unknown calls", used[0].duplicates, used[0].unknown)
	}
	return nil
}

// allProcessed wants an answer that reports nothing as failed.
func allProcessed(answer []byte) error {
	if string(answer) != `{"batchItemFailures":[]}` {
		return fmt.Errorf("bench: answered %.200s", answer)
	}
	return nil
}
