package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// cost is what one of a number of like things has cost in a round.
type cost struct {
	wall time.Duration // median
	cpu  time.Duration // of the function's process, mean
}

func (c cost) wallOf() float64 { return float64(c.wall) }
func (c cost) cpuOf() float64  { return float64(c.cpu) }

// series is a contestant's cost in each round.
type series []cost

// rounds lets contestants take turns, so that whatever else the machine does meets all of them. The first round is for
// warming up, and does not count.
func rounds(n int, contestants ...func() (cost, error)) ([]series, error) {
	all := make([]series, len(contestants))
	for round := range n + 1 {
		for i, contestant := range contestants {
			c, err := contestant()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i] = append(all[i], c)
			}
		}
	}
	return all, nil
}

// ratio is the median of the rounds' ratios.
func ratio(of, beside series, what func(cost) float64) float64 {
	var all []float64
	for i := range of {
		all = append(all, what(of[i])/what(beside[i]))
	}
	return median(all)
}

// middle is the median of the rounds.
func (s series) middle(what func(cost) float64) time.Duration {
	var all []float64
	for _, c := range s {
		all = append(all, what(c))
	}
	return time.Duration(median(all))
}

// median of a list that is not empty; of an even number, the higher of the two in the middle.
func median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// percentile is the value that this share of the list does not exceed.
func percentile(list []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// invokeAll gives a function events one after the other, and measures what one has cost.
func invokeAll(ctx context.Context, f *function, events [][]byte, check func([]byte) error) (cost, error) {
	before, err := f.process.cpu()
	if err != nil {
		return cost{}, err
	}
	var walls []time.Duration
	for _, event := range events {
		a := f.invoke(ctx, event)
		if err := errors.Join(a.err, check(a.body)); err != nil {
			return cost{}, err
		}
		walls = append(walls, a.took)
	}
	after, err := f.process.cpu()
	return cost{median(walls), (after - before) / time.Duration(len(events))}, err
}

// repeat makes n events.
func repeat(n int, event func() ([]byte, error)) ([][]byte, error) {
	var all [][]byte
	for range n {
		e, err := event()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
