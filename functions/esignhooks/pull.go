package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"esignhooks/shared/operate"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/wiring/localhost"
)

type pull struct {
	Since string `placeholder:"TIME" help:"Since when: 2026-11-02T09:30:00Z, a day (midnight UTC), or as long ago as 8h."`
	Apply bool   `help:"Copy the payloads, which hold personal data, to this computer."`
}

// Validate requires a time.
func (c pull) Validate() error {
	if c.Since == "" {
		return operate.Missing("SINCE", "name a time, as in SINCE=2026-11-02T18:00:00Z or SINCE=8h")
	}
	_, err := since(c.Since, time.Now())
	return err
}

// since returns the time that a user has named.
func since(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	var at operate.Instant
	if err := at.UnmarshalText([]byte(text)); err != nil {
		return time.Time{}, operate.UsageError("SINCE is wrong: name a time, as in SINCE=2026-11-02T18:00:00Z or SINCE=8h")
	}
	return at.Time, nil
}

func (c pull) Run(a *app) error {
	if a.stack == onLocalhost {
		return operate.Missing("STACK", "name the stack whose events are pulled into localhost, as in STACK=esignhooks")
	}
	from, err := since(c.Since, a.now())
	if err != nil {
		return err
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	if err := localhost.Running(a.ctx, config); err != nil {
		return err
	}
	s, err := open(a.ctx, a.stack)
	if err != nil {
		return err
	}
	deliver := func(ctx context.Context, p operate.Pulled) (bool, error) { return localhost.Pull(ctx, config, p) }
	n, err := s.Pull(a.ctx, a.out, from, c.Apply, deliver)
	if err != nil || n == 0 || c.Apply || !terminal.Is(a.stdin) || !agreed(a.stdin, a.out) {
		return err
	}
	_, err = s.Pull(a.ctx, a.out, from, true, deliver)
	return err
}

// agreed asks whether to copy personal data.
func agreed(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "copy them now? Type yes: ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	return strings.TrimSpace(answer) == "yes"
}
