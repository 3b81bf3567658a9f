package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	figure   string
	ratio    float64 // of measured to beside; 0 is none
	goal     string  // empty: none
	met      bool
	measured string
	beside   string // the floor, and what it is
}

// report is what was measured.
type report struct {
	rows    []row
	weights string // a table of its own
	load    string // of the machine, before and after
}

func (r *report) add(rows ...row) { r.rows = append(r.rows, rows...) }

// write writes the report in Markdown.
func (r *report) write(w io.Writer, began time.Time, rounds int) {
	fmt.Fprintf(w, "Medians of %d interleaved rounds, on %s. Load at the beginning and at the end: %s. It took %s.\n\n", rounds, machine(), r.load, time.Since(began).Round(time.Second))
	fmt.Fprintln(w, "| figure | ratio | goal | met | measured | beside |\n|---|---|---|---|---|---|")
	for _, row := range r.rows {
		met := ""
		if row.goal != "" {
			met = "**no**"
			if row.met {
				met = "yes"
			}
		}
		times := ""
		if row.ratio != 0 && !math.IsInf(row.ratio, 0) && !math.IsNaN(row.ratio) {
			times = fmt.Sprintf("%.2f", row.ratio)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", row.figure, times, row.goal, met, row.measured, row.beside)
	}
	fmt.Fprintf(w, "\n%s", r.weights)
}

// machine names the machine: processor, cores, Go, kernel.
func machine() string {
	return fmt.Sprintf("%s, %d cores, %s %s/%s, %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel())
}

func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return "an unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown processor"
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(b))
}

// load is how many processes wanted to run during the last minute.
func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func micro(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }
func milli(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
func mebi(bytes int) string        { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
