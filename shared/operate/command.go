package operate

import (
	"context"
	"errors"
	"io"
	"time"

	"esignhooks/shared/store/ledger"
)

// Command acts on a target.
type Command interface {
	Act(context.Context, io.Writer, Target) error
}

// Commands are the commands of an operator. The tags are those of package kong. An empty flag is not given: make passes
// flags that are not set.
type Commands struct {
	Inspect    Inspect    `cmd:"" help:"Show an agreement and its history, or find agreements by a reference."`
	Replay     Replay     `cmd:"" help:"Publish events again, or compare an agreement with its events."`
	Redrive    Redrive    `cmd:"" help:"Retry dead letters and unpublished events; confirm what has credentials now."`
	Archive    Archive    `cmd:"" help:"Fetch and store an agreement's documents now."`
	Confirm    Confirm    `cmd:"" help:"Ask the vendor about an agreement now, and enter what is new."`
	Forget     Forget     `cmd:"" help:"Show what there is of an agreement; with --apply, remove it for good."`
	Register   Register   `cmd:"" help:"Show how to make the vendor call us; with --apply, change it at the vendor."`
	Registered Registered `cmd:"" help:"List subscriptions and their problems, and unconfirmed completions."`
}

// OfAgreement names an agreement, or none.
type OfAgreement struct {
	Provider string `placeholder:"PROVIDER" help:"The agreement's vendor, such as docusign."`
	ID       string `name:"id" placeholder:"ID" help:"The agreement's ID at the vendor."`
}

func (a OfAgreement) none() bool { return a.Provider == "" && a.ID == "" }

// missing names what is missing, and what can be given instead.
func (a OfAgreement) missing(instead string) error {
	switch {
	case a.Provider == "":
		return MissingProvider(", and an agreement by ID=id" + instead)
	case a.ID == "":
		return Missing("ID", "name an agreement, as in PROVIDER="+a.Provider+" ID=id"+instead)
	}
	return nil
}

// OneAgreement names an agreement.
type OneAgreement struct{ OfAgreement }

// Validate requires the provider and the ID.
func (a OneAgreement) Validate() error { return a.missing("") }

// Inspect shows an agreement and its history.
type Inspect struct {
	Agreement OfAgreement `embed:""`
	Reference string      `placeholder:"NAME:VALUE" help:"One of the sender's own keys, such as deal_id:123."`
}

// Validate requires either an agreement or a reference.
func (c *Inspect) Validate() error {
	if c.Reference == "" {
		return c.Agreement.missing("; or one of the sender's own keys, as in REFERENCE=deal_id:123")
	}
	if !c.Agreement.none() {
		return UsageError("REFERENCE excludes PROVIDER and ID: name either an agreement or a reference")
	}
	if _, err := ledger.ParseReference(c.Reference); err != nil {
		return UsageError("REFERENCE is wrong: " + err.Error())
	}
	return nil
}

// Act implements [Command].
func (c *Inspect) Act(ctx context.Context, w io.Writer, t Target) error {
	if c.Reference == "" {
		return inspect(ctx, w, t.Ledger, c.Agreement.Provider, c.Agreement.ID)
	}
	reference, err := ledger.ParseReference(c.Reference)
	if err != nil {
		return err
	}
	return inspectReference(ctx, w, t.Ledger, reference)
}

// Replay publishes events again.
type Replay struct {
	Agreement OfAgreement `embed:""`
	From      Instant     `placeholder:"TIME" help:"The first commit: 2026-11-02T09:30:00Z, or a day (midnight UTC)."`
	To        Instant     `placeholder:"TIME" help:"The end of the time range. Later commits are not published."`
	Rebuild   bool        `help:"Publish nothing; compare the stored agreement with its events."`
}

// Validate requires either an agreement or a time range.
func (c *Replay) Validate() error {
	switch none := c.From.IsZero() && c.To.IsZero(); {
	case c.Rebuild && !none:
		return UsageError("FROM and TO exclude REBUILD: name an agreement, as in PROVIDER=docusign ID=id")
	case c.Rebuild:
		return c.Agreement.missing("")
	case none:
		return c.Agreement.missing("; or a time range, as in FROM=2026-11-02 TO=2026-11-03")
	case !c.Agreement.none():
		return UsageError("FROM and TO exclude PROVIDER and ID: name either an agreement or a time range")
	case c.From.IsZero():
		return Missing("FROM", "name when the time range begins, as in FROM=2026-11-02 TO=2026-11-03")
	case c.To.IsZero():
		return Missing("TO", "name when the time range ends, as in FROM=2026-11-02 TO=2026-11-03")
	case !c.From.Before(c.To.Time):
		return UsageError("TO is not later than FROM: name a time range, as in FROM=2026-11-02 TO=2026-11-03")
	}
	return nil
}

// Act implements [Command].
func (c *Replay) Act(ctx context.Context, w io.Writer, t Target) error {
	if c.Rebuild {
		return rebuild(ctx, w, t.Ledger, c.Agreement.Provider, c.Agreement.ID)
	}
	return replay(ctx, w, t.Ledger, t.Bus,
		selection{Provider: c.Agreement.Provider, ID: c.Agreement.ID, From: c.From.Time, To: c.To.Time})
}

// Redrive retries what failed.
type Redrive struct{}

// Act implements [Command].
func (*Redrive) Act(ctx context.Context, w io.Writer, t Target) error { return t.Redrive(ctx, w) }

// Archive fetches and stores an agreement's documents.
type Archive struct{ OneAgreement }

// Act implements [Command].
func (c *Archive) Act(ctx context.Context, w io.Writer, t Target) error {
	return archive(ctx, w, t, c.Provider, c.ID)
}

// Confirm asks the vendor about an agreement.
type Confirm struct{ OneAgreement }

// Act implements [Command].
func (c *Confirm) Act(ctx context.Context, w io.Writer, t Target) error {
	return confirm(ctx, w, t, c.Provider, c.ID)
}

// Forget removes an agreement.
type Forget struct {
	OneAgreement
	Apply bool `help:"Remove it. It cannot be undone."`
}

// Act implements [Command].
func (c *Forget) Act(ctx context.Context, w io.Writer, t Target) error {
	return forget(ctx, w, t, c.Provider, c.ID, c.Apply)
}

// Register registers a webhook at a vendor.
type Register struct {
	Provider string `placeholder:"PROVIDER" help:"The vendor, such as docusign."`
	URL      string `name:"url" placeholder:"URL" help:"The webhook's public URL. Default: the stack's own."`
	Apply    bool   `help:"Change it at the vendor."`
}

// Validate requires a provider.
func (c *Register) Validate() error {
	if c.Provider == "" {
		return MissingProvider("")
	}
	return nil
}

// Act implements [Command].
func (c *Register) Act(ctx context.Context, w io.Writer, t Target) error {
	return register(ctx, w, t, c.Provider, c.URL, c.Apply)
}

// Registered lists subscriptions.
type Registered struct {
	Provider string `placeholder:"PROVIDER" help:"Only this vendor."`
	URL      string `name:"url" placeholder:"URL" help:"The webhook's public URL. Default: the stack's own."`
}

// Validate requires the provider of a URL.
func (c *Registered) Validate() error {
	if c.Provider == "" && c.URL != "" {
		return MissingProvider(", whose URL it is")
	}
	return nil
}

// Act implements [Command].
func (c *Registered) Act(ctx context.Context, w io.Writer, t Target) error {
	return registered(ctx, w, t, c.Provider, c.URL)
}

// Instant is a time in a command, such as 2026-11-02T09:30:00Z, or a day, which means midnight UTC. Empty text is the
// zero time.
type Instant struct{ time.Time }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *Instant) UnmarshalText(text []byte) (err error) {
	s := string(text)
	if s == "" {
		return nil
	}
	if i.Time, err = time.Parse(time.DateOnly, s); err != nil {
		if i.Time, err = time.Parse(time.RFC3339, s); err != nil {
			return errors.New("a time must be like 2026-11-02T09:30:00Z or 2026-11-02")
		}
	}
	return nil
}

// String returns the time as UnmarshalText reads it.
func (i Instant) String() string { return i.Format(time.RFC3339Nano) }
