package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"esignhooks/shared/bus"
	"esignhooks/shared/ledger"
)

// Usage tells the commands that [Parse] reads.
const Usage = `inspect -provider docusign -id ID             an agreement and its history
replay -provider docusign -id ID              publish an agreement's events again
replay -from TIME -to TIME                    … or what was committed from the one time on and before the other
replay -rebuild -provider docusign -id ID     publish nothing: fold the events anew and compare
A TIME is like 2026-11-02T09:30:00Z, or a day like 2026-11-02, which begins at midnight UTC.`

// Command is what to do with a ledger and a bus.
type Command func(ctx context.Context, w io.Writer, reader ledger.Reader, b bus.Bus) error

// Parse reads a command: inspect or replay, and its flags.
func Parse(arguments []string) (Command, error) {
	if len(arguments) == 0 {
		return nil, errors.New("which command?")
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	var s selection
	anew := false
	flags.StringVar(&s.Provider, "provider", "", "")
	flags.StringVar(&s.ID, "id", "", "")
	switch arguments[0] {
	case "inspect":
	case "replay":
		flags.Func("from", "", instant(&s.From))
		flags.Func("to", "", instant(&s.To))
		flags.BoolVar(&anew, "rebuild", false, "")
	default:
		return nil, fmt.Errorf("unknown command %q", arguments[0])
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return nil, fmt.Errorf("%s: %w", arguments[0], err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%s: what is %q?", arguments[0], flags.Arg(0))
	}
	agreement := s.Provider != "" && s.ID != "" && s.From.IsZero() && s.To.IsZero()
	between := s.Provider == "" && s.ID == "" && !s.From.IsZero() && s.From.Before(s.To)
	switch {
	case agreement, between && !anew:
	case arguments[0] == "inspect" || anew:
		return nil, fmt.Errorf("%s: name an agreement, by provider and id", arguments[0])
	default:
		return nil, errors.New("replay: name an agreement, by provider and id, or a time range, by from and a later to")
	}
	return func(ctx context.Context, w io.Writer, reader ledger.Reader, b bus.Bus) error {
		switch {
		case arguments[0] == "inspect":
			return inspect(ctx, w, reader, s.Provider, s.ID)
		case anew:
			return rebuild(ctx, w, reader, s.Provider, s.ID)
		}
		return replay(ctx, w, reader, b, s)
	}, nil
}

// instant reads a time into t. Empty is not given.
func instant(t *time.Time) func(string) error {
	return func(s string) (err error) {
		if s == "" {
			return nil
		}
		if *t, err = time.Parse(time.DateOnly, s); err != nil {
			if *t, err = time.Parse(time.RFC3339, s); err != nil {
				return errors.New("neither like 2026-11-02T09:30:00Z nor like 2026-11-02")
			}
		}
		return nil
	}
}
