package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"esignhooks/shared/store/ledger"
)

// Usage describes the commands that [Parse] accepts.
const Usage = `inspect -provider docusign -id ID             show an agreement and its history
inspect -reference NAME:VALUE                 list the agreements that have one of the sender's own keys
replay -provider docusign -id ID              publish an agreement's events again
replay -from TIME -to TIME                    publish again the events committed from one TIME until before the other
replay -rebuild -provider docusign -id ID     publish nothing; compare the stored agreement with its events
forget -provider docusign -id ID              show what there is of an agreement; -apply removes it for good
confirm -provider docusign -id ID             ask the vendor about an agreement now, and enter what is new
archive -provider docusign -id ID             fetch and store an agreement's documents now
register -provider docusign [-url URL]        show what must change at the vendor so that it calls us; -apply changes it
registered [-provider docusign [-url URL]]    list subscriptions and their problems, and unconfirmed completions
TIME is like 2026-11-02T09:30:00Z, or a day like 2026-11-02, which means midnight UTC.
URL is the public URL of the webhook, such as a tunnel's. The default is the stack's own URL.`

// Command acts on a target.
type Command func(context.Context, io.Writer, Target) error

// flagValues are the values of all flags.
type flagValues struct {
	selection
	reference string
	rebuild   bool
	url       string
	apply     bool
}

// Parse parses a command and its flags.
func Parse(arguments []string) (Command, error) {
	if len(arguments) == 0 {
		return nil, errors.New("no command is given")
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error is enough
	var o flagValues
	flags.StringVar(&o.Provider, "provider", "", "")
	switch arguments[0] {
	case "inspect":
		flags.StringVar(&o.ID, "id", "", "")
		flags.StringVar(&o.reference, "reference", "", "")
	case "forget":
		flags.StringVar(&o.ID, "id", "", "")
		flags.BoolVar(&o.apply, "apply", false, "")
	case "archive", "confirm":
		flags.StringVar(&o.ID, "id", "", "")
	case "replay":
		flags.StringVar(&o.ID, "id", "", "")
		flags.Func("from", "", instant(&o.From))
		flags.Func("to", "", instant(&o.To))
		flags.BoolVar(&o.rebuild, "rebuild", false, "")
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
		return nil, fmt.Errorf("%s: unexpected argument %q", arguments[0], flags.Arg(0))
	}
	return o.command(arguments[0])
}

func (o flagValues) command(name string) (Command, error) {
	agreement := o.Provider != "" && o.ID != "" && o.From.IsZero() && o.To.IsZero()
	between := o.Provider == "" && o.ID == "" && !o.From.IsZero() && o.From.Before(o.To)
	switch {
	case name == "register" && o.Provider == "":
		return nil, errors.New("register: name a provider, as in PROVIDER=docusign")
	case name == "registered" && o.Provider == "" && o.url != "":
		return nil, errors.New("registered: name the provider of the URL, as in PROVIDER=docusign")
	case o.reference != "":
		return o.byReference(name)
	case name == "inspect" && !agreement:
		return nil, errors.New("inspect: name an agreement, by provider and id, as in PROVIDER=docusign ID=id, or one of " +
			"the sender's own keys, as in REFERENCE=deal_id:123")
	case (name == "archive" || name == "confirm" || name == "forget" || o.rebuild) && !agreement:
		return nil, fmt.Errorf("%s: name an agreement, by provider and id, as in PROVIDER=docusign ID=id", name)
	case name == "replay" && !agreement && !between:
		return nil, errors.New("replay: name an agreement, by provider and id, or a time range, by from and a later to, " +
			"as in FROM=2026-11-02 TO=2026-11-03")
	}
	return func(ctx context.Context, w io.Writer, t Target) error {
		switch {
		case name == "inspect":
			return inspect(ctx, w, t.Ledger, o.Provider, o.ID)
		case name == "forget":
			return forget(ctx, w, t, o.Provider, o.ID, o.apply)
		case name == "confirm":
			return confirm(ctx, w, t, o.Provider, o.ID)
		case name == "archive":
			return archive(ctx, w, t, o.Provider, o.ID)
		case name == "register":
			return register(ctx, w, t, o.Provider, o.url, o.apply)
		case name == "registered":
			return registered(ctx, w, t, o.Provider, o.url)
		case o.rebuild:
			return rebuild(ctx, w, t.Ledger, o.Provider, o.ID)
		}
		return replay(ctx, w, t.Ledger, t.Bus, o.selection)
	}, nil
}

func (o flagValues) byReference(name string) (Command, error) {
	reference, err := ledger.ParseReference(o.reference)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if o.Provider != "" || o.ID != "" {
		return nil, fmt.Errorf("%s: name either an agreement or a reference", name)
	}
	return func(ctx context.Context, w io.Writer, t Target) error {
		return inspectReference(ctx, w, t.Ledger, reference)
	}, nil
}

// instant returns a flag's function that parses a time into t. An empty flag is ignored: make passes flags that are not
// set.
func instant(t *time.Time) func(string) error {
	return func(s string) (err error) {
		if s == "" {
			return nil
		}
		if *t, err = time.Parse(time.DateOnly, s); err != nil {
			if *t, err = time.Parse(time.RFC3339, s); err != nil {
				return errors.New("a time must be like 2026-11-02T09:30:00Z or 2026-11-02")
			}
		}
		return nil
	}
}
