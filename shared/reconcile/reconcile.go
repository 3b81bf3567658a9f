// Package reconcile finds what webhooks never brought, by asking the vendors' APIs on a schedule: a subscription that does
// not work, agreements whose status differs from ours, and what has come to a stop in the table. A difference becomes a
// finding, which takes the way of every delivery.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// How long before the caller's deadline no call is begun any more, and how long before it those under way are given up, so
// that the failure is counted and logged.
const (
	lastCall = 2 * time.Minute
	reserve  = 10 * time.Second
)

// The limits of what a vendor may ask us to wait, and of how far behind we may fall by that without saying so.
const (
	maxLater = 24 * time.Hour
	behind   = 48 * time.Hour
)

// Reconciler makes passes. Its fields are set once, before the first.
type Reconciler struct {
	Providers []webhook.Provider
	// Clients returns the client of a provider's API, or [vendorapi.ErrOff], of which it has told the operator itself.
	Clients func(ctx context.Context, provider string) (vendorapi.Client, error)
	// Webhook is where a provider's events come in: the URL without a token, empty if it is not known from where the
	// vendor is, and the keys that count.
	Webhook func(ctx context.Context, provider string) (address string, keys webhook.Keys, err error)
	// Agreements is a [ledger.Ledger], or a part of one.
	Agreements interface {
		Agreement(ctx context.Context, subject string) (esign.Agreement, int64, error)
	}
	Notes ledger.Notes
	Table ledger.Patroller
	Queue queue.Sender
	// Repair says whether a subscription that does not work is repaired; otherwise nothing is changed at the vendor.
	Repair bool
	// SilentAfter is after how long without an event the vendor is asked about an agreement that is not terminal; 0 is never.
	SilentAfter time.Duration
	// Remembers is how long the table keeps an agreement of which nothing is heard; 0 is for ever.
	Remembers time.Duration
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   *metric.Log // nil: none
}

// Run makes one pass: all providers, beside each other. Its error joins those of the providers that failed, which are
// logged and counted already; the next pass goes on where this one stopped. It ends before the context's deadline.
func (r *Reconciler) Run(ctx context.Context) error {
	beginning := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel, cancelBeginning context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
		beginning, cancelBeginning = context.WithDeadline(ctx, deadline.Add(-lastCall))
		defer cancelBeginning()
	}
	errs := make([]error, len(r.Providers))
	var all sync.WaitGroup
	for i, provider := range r.Providers {
		all.Go(func() {
			p := &pass{
				Reconciler: r, provider: provider.Info().Name, now: r.Now().UTC(),
				log: r.Log.With("provider", provider.Info().Name), over: func() bool { return beginning.Err() != nil },
			}
			errs[i] = p.run(ctx)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// pass is a pass of one provider.
type pass struct {
	*Reconciler
	provider string
	client   vendorapi.Client
	log      *slog.Logger
	now      time.Time // when it began
	over     func() bool
	answered bool // the vendor has answered about agreements, so that it takes our credentials
	progress
	version int64 // of the note that progress was read from
}

func (p *pass) run(ctx context.Context) (err error) {
	p.client, err = p.Clients(ctx, p.provider)
	if errors.Is(err, vendorapi.ErrOff) {
		return nil
	}
	if err == nil {
		err = p.steps(ctx)
	}
	failed := 0
	if err != nil {
		err = fmt.Errorf("reconcile: %s: %w", p.provider, err)
		if errors.Is(ctx.Err(), context.Canceled) { // the process ends
			return err
		}
		failed = 1
		p.log.ErrorContext(ctx, "not reconciled", "error", err)
	}
	p.measure(metric.Count("ReconcileFailed", failed))
	return err
}

// steps takes one step after the other, also behind one that failed.
func (p *pass) steps(ctx context.Context) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	if wait := p.Later.Sub(p.now); wait > 0 && wait <= maxLater {
		return p.limited()
	}
	var errs []error
	for _, step := range []func(context.Context) error{p.subscription, p.settled, p.changes, p.patrol} {
		err := p.take(ctx, step)
		var later *vendorapi.LaterError
		limited := errors.As(err, &later)
		if limited {
			p.Later = p.Now().UTC().Add(min(later.After, maxLater))
			err = errors.Join(p.limited(), p.save(ctx))
		}
		if errors.Is(err, ledger.ErrConflict) { // another pass is at it
			break
		}
		if errs = append(errs, err); limited {
			break
		}
	}
	return errors.Join(errs...)
}

func (p *pass) take(ctx context.Context, step func(context.Context) error) (err error) {
	defer func() {
		if recover() != nil { // the value may quote an answer, the stack does not
			p.log.ErrorContext(ctx, "panic", "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	return step(ctx)
}

// limited is the error of a vendor's limits that are used up: none, unless they have kept us from comparing for days.
func (p *pass) limited() error { return p.late("the vendor's limits are used up") }

// late is an error if nothing was compared for days.
func (p *pass) late(why string) error {
	if p.Compared.IsZero() || p.now.Sub(p.Compared) < behind {
		return nil
	}
	return fmt.Errorf("%s, and nothing is compared since %s", why, p.Compared.Format(time.RFC3339))
}

func (p *pass) measure(value metric.Value) {
	p.Metrics.Put(p.provider, value)
}
