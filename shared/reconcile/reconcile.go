// Package reconcile finds what webhooks never brought. On a schedule it asks the vendors' APIs for three things: a
// subscription that does not work, agreements whose status differs from ours, and agreements and claims in the table
// that have stopped. A difference becomes a finding, which is queued like every delivery.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// LastCall is how long before the caller's deadline a pass stops.
const (
	LastCall = 2 * time.Minute  // no new call begins
	reserve  = 10 * time.Second // calls in progress are cancelled, which leaves time to count and log the failure
)

// Reconciler makes passes. Its fields must be set before the first pass.
type Reconciler struct {
	Providers []webhook.Provider
	// Clients returns the client of a provider's API. It logs a provider without credentials itself, and returns
	// [vendorapi.ErrOff].
	Clients func(ctx context.Context, provider string) (vendorapi.Client, error)
	// Webhook returns the active keys of a provider, and the public URL of its webhook without a token. The URL is empty
	// if it is unknown.
	Webhook func(ctx context.Context, provider string) (address string, keys webhook.Keys, err error)
	// Agreements is a [ledger.Ledger], or a part of one.
	Agreements interface {
		Agreement(ctx context.Context, subject string) (esign.Agreement, int64, error)
	}
	// Tombstones are those of the agreements that are forgotten. We miss nothing of them.
	Tombstones ledger.Tombstones
	Notes      ledger.Notes
	Table      ledger.Patroller
	Queue      queue.Sender
	// Policy is the worker's. What it does not let through is no difference.
	Policy esign.Policy
	// Repair allows a pass to repair a subscription that does not work. Otherwise a pass changes nothing at the vendor.
	Repair bool
	// SilentAfter is the time without an event after which the vendor is asked about an agreement that is not terminal.
	// 0 means never.
	SilentAfter time.Duration
	// Remembers is how long the table keeps an agreement without new events. 0 means without limit.
	Remembers time.Duration
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   *metric.Log // nil: none
}

// Run makes one pass over all providers, concurrently. It returns before the context's deadline. Its error joins those
// of the providers that failed, which are already logged and counted. The next pass continues where this one stopped.
func (r *Reconciler) Run(ctx context.Context) error {
	beginCalls := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel, cancelBegin context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
		beginCalls, cancelBegin = context.WithDeadline(ctx, deadline.Add(-LastCall))
		defer cancelBegin()
	}
	errs := make([]error, len(r.Providers))
	var all sync.WaitGroup
	for i, provider := range r.Providers {
		all.Go(func() {
			p := r.pass(provider.Info())
			p.timeUp = func() bool { return beginCalls.Err() != nil }
			errs[i] = p.run(ctx)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (r *Reconciler) pass(provider webhook.Info) *pass {
	return &pass{
		settings: r, provider: provider.Name, personReference: provider.PersonReference,
		log: r.Log.With("provider", provider.Name), began: r.Now().UTC(),
	}
}
