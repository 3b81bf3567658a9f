package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// Usage tells the commands that [Parse] reads.
const Usage = `inspect -provider docusign -id ID             an agreement and its history
replay -provider docusign -id ID              publish an agreement's events again
replay -from TIME -to TIME                    … or what was committed from the one time on and before the other
replay -rebuild -provider docusign -id ID     publish nothing: fold the events anew and compare
archive -provider docusign -id ID             fetch and store an agreement's documents now
register -provider docusign [-url URL]        show what the vendor must be told so that it calls us; -apply does it
registered [-provider docusign [-url URL]]    whom the vendors call, and whether that is healthy
A TIME is like 2026-11-02T09:30:00Z, or a day like 2026-11-02, which begins at midnight UTC. A URL is the webhook's from
outside, as of a tunnel; without, the stack's own.`

// Command is what to do with a target.
type Command func(context.Context, io.Writer, Target) error

// order is what the flags of a command say.
type order struct {
	selection
	anew  bool
	url   string
	apply bool
}

// Parse reads a command and its flags.
func Parse(arguments []string) (Command, error) {
	if len(arguments) == 0 {
		return nil, errors.New("which command?")
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	var o order
	flags.StringVar(&o.Provider, "provider", "", "")
	switch arguments[0] {
	case "inspect", "archive":
		flags.StringVar(&o.ID, "id", "", "")
	case "replay":
		flags.StringVar(&o.ID, "id", "", "")
		flags.Func("from", "", instant(&o.From))
		flags.Func("to", "", instant(&o.To))
		flags.BoolVar(&o.anew, "rebuild", false, "")
	case "register":
		flags.StringVar(&o.url, "url", "", "")
		flags.BoolVar(&o.apply, "apply", false, "")
	case "registered":
		flags.StringVar(&o.url, "url", "", "")
	default:
		return nil, fmt.Errorf("unknown command %q", arguments[0])
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return nil, fmt.Errorf("%s: %w", arguments[0], err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%s: what is %q?", arguments[0], flags.Arg(0))
	}
	return o.command(arguments[0])
}

func (o order) command(name string) (Command, error) {
	agreement := o.Provider != "" && o.ID != "" && o.From.IsZero() && o.To.IsZero()
	between := o.Provider == "" && o.ID == "" && !o.From.IsZero() && o.From.Before(o.To)
	switch {
	case name == "register" && o.Provider == "":
		return nil, errors.New("register: name a provider, as in PROVIDER=docusign")
	case name == "registered" && o.Provider == "" && o.url != "":
		return nil, errors.New("registered: name the provider whose URL it is, as in PROVIDER=docusign")
	case (name == "inspect" || name == "archive" || o.anew) && !agreement:
		return nil, fmt.Errorf("%s: name an agreement, by provider and id, as in PROVIDER=docusign ID=id", name)
	case name == "replay" && !agreement && !between:
		return nil, errors.New("replay: name an agreement, by provider and id, or a time range, by from and a later to, as in FROM=2026-11-02 TO=2026-11-03")
	}
	return func(ctx context.Context, w io.Writer, t Target) error {
		switch {
		case name == "inspect":
			return inspect(ctx, w, t.Ledger, o.Provider, o.ID)
		case name == "archive":
			return archive(ctx, w, t, o.Provider, o.ID)
		case name == "register":
			return register(ctx, w, t, o.Provider, o.url, o.apply)
		case name == "registered":
			return registered(ctx, w, t, o.Provider, o.url)
		case o.anew:
			return rebuild(ctx, w, t.Ledger, o.Provider, o.ID)
		}
		return replay(ctx, w, t.Ledger, t.Bus, o.selection)
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
