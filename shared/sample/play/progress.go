package play

import (
	"fmt"
	"io"
)

// Printer returns a function that shows the progress of a play: each request in a line, or if there are many, only
// their number: in one line that changes on a terminal, otherwise ten times in all.
func Printer(w io.Writer, terminal, many bool) func(Progress) {
	if !many {
		return func(p Progress) {
			answer := "no answer"
			if p.Status > 0 {
				answer = fmt.Sprintf("%d in %d ms", p.Status, p.Took.Milliseconds())
			}
			fmt.Fprintf(w, "%s  %-10s %-14s %s\n", p.At.Format("Jan _2 15:04:05"), p.Step, answer, p.Outcome)
		}
	}
	requests, tenth := 0, 0
	return func(p Progress) {
		requests++
		all := p.Done + p.Left
		line := fmt.Sprintf("%d of %d messages, %d requests", p.Done, all, requests)
		switch now := 10 * p.Done / all; {
		case terminal && p.Left == 0:
			fmt.Fprintf(w, "\r%s\n", line)
		case terminal:
			fmt.Fprintf(w, "\r%s", line)
		case now > tenth:
			tenth = now
			fmt.Fprintln(w, line)
		}
	}
}
