package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// cost is the cost of one invocation in a round.
type cost struct {
	wall time.Duration // median
	cpu  time.Duration // mean
}

func wall(c cost) float64 { return float64(c.wall) }
func cpu(c cost) float64  { return float64(c.cpu) }

// series is a contestant's cost in each round.
type series []cost

// rounds lets contestants take turns, so that other load on the machine affects all of them. The first round only warms
// up.
func rounds(n int, contestants ...func() cost) []series {
	all := make([]series, len(contestants))
	for round := range n + 1 {
		for i, contestant := range contestants {
			if c := contestant(); round > 0 {
				all[i] = append(all[i], c)
			}
		}
	}
	return all
}

// ratio returns the median of the rounds' ratios.
func ratio(of, to series, what func(cost) float64) float64 {
	var all []float64
	for i := range of {
		all = append(all, what(of[i])/what(to[i]))
	}
	return median(all)
}

// median returns the median of the rounds.
func (s series) median(what func(cost) float64) time.Duration {
	var all []float64
	for _, c := range s {
		all = append(all, what(c))
	}
	return time.Duration(median(all))
}

// median returns the higher of the two in the middle if their number is even.
func median[T cmp.Ordered](list []T) T { return percentile(list, 0.5) }

// percentile returns the value that this share of the list does not exceed.
func percentile[T cmp.Ordered](list []T, share float64) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// contestant returns a function that makes n events and invokes f with them. Only the invocations are measured.
func contestant(f *function, n int, event func() []byte, want string) func() cost {
	return func() cost {
		var list [][]byte
		for range n {
			list = append(list, event())
		}
		before := f.cpu()
		var walls []time.Duration
		for _, e := range list {
			walls = append(walls, f.invoke(e, want).took)
		}
		return cost{median(walls), (f.cpu() - before) / time.Duration(n)}
	}
}

// parallel calls do from several goroutines, each until do returns false or an error. It returns one of the errors.
func parallel(goroutines int, do func() (more bool, err error)) error {
	var group sync.WaitGroup
	failures := make(chan error, goroutines)
	for range goroutines {
		group.Go(func() {
			for {
				if more, err := do(); err != nil || !more {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// row is one line of the report.
type row struct {
	figure   string
	ratio    float64 // of measured to baseline; 0 prints nothing
	goal     string  // empty: none
	met      bool
	measured string
	baseline string // what measured is compared with
}

type report []row

func (r *report) add(rows ...row) { *r = append(*r, rows...) }

// write writes the report in Markdown.
func (r report) write(w io.Writer) {
	fmt.Fprint(w, "| figure | ratio | goal | met | measured | compared with |\n|---|---|---|---|---|---|\n")
	for _, row := range r {
		met, ratio := "", ""
		if row.goal != "" {
			met = map[bool]string{false: "**no**", true: "yes"}[row.met]
		}
		if row.ratio != 0 && !math.IsInf(row.ratio, 0) && !math.IsNaN(row.ratio) {
			ratio = fmt.Sprintf("%.2f", row.ratio)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n",
			row.figure, ratio, row.goal, met, row.measured, cmp.Or(row.baseline, "–"))
	}
}

// machine returns the processor, the number of cores, and the versions of Go and Linux.
func machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	model := "an unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s %s/%s, Linux %s",
		model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(kernel)))
}

// load returns the machine's load average of the last minute.
func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func micro(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }
func milli(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
func mebi(bytes int) string        { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
