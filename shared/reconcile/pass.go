package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

// Limits of a vendor's rate limit.
const (
	maxWait   = 24 * time.Hour // the longest pause that a vendor can impose
	maxBehind = 48 * time.Hour // how far the comparison may fall behind before that is a failure
)

// pass is one pass over one provider.
type pass struct {
	settings *Reconciler
	provider string
	// personReference is the vendor's name for what the sender calls a person.
	personReference string
	client          vendorapi.Client
	log             *slog.Logger
	began           time.Time
	timeUp          func() bool // no new call may begin
	answered        bool        // the vendor has answered about an agreement, so it accepts our credentials

	progress    progress
	noteVersion int64 // of the note that holds progress
}

func (p *pass) run(ctx context.Context) (err error) {
	p.client, err = p.settings.Clients(ctx, p.provider)
	if errors.Is(err, vendorapi.ErrOff) {
		return nil
	}
	if err == nil {
		err = p.runSteps(ctx)
	}
	failed := 0
	if err != nil {
		err = fmt.Errorf("reconcile: %s: %w", p.provider, err)
		if errors.Is(ctx.Err(), context.Canceled) { // the process is shutting down
			return err
		}
		failed = 1
		p.log.ErrorContext(ctx, "reconciliation failed", "error", err)
	}
	p.measure(metric.Count("ReconcileFailed", failed))
	return err
}

// runSteps runs all steps, even after one that failed. A rate limit or a concurrent pass ends it.
func (p *pass) runSteps(ctx context.Context) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	if wait := p.progress.RetryAfter.Sub(p.began); wait > 0 && wait <= maxWait {
		return p.rateLimited()
	}
	var errs []error
	for _, step := range []func(context.Context) error{p.subscription, p.postponed, p.changes, p.patrol} {
		err := p.runStep(ctx, step)
		var later *vendorapi.LaterError
		limited := errors.As(err, &later)
		if limited {
			p.progress.RetryAfter = p.settings.Now().UTC().Add(min(later.After, maxWait))
			err = errors.Join(p.rateLimited(), p.save(ctx))
		}
		if errors.Is(err, ledger.ErrConflict) { // a concurrent pass does the rest
			break
		}
		if errs = append(errs, err); limited {
			break
		}
	}
	return errors.Join(errs...)
}

// runStep turns a panic into an error.
func (p *pass) runStep(ctx context.Context, step func(context.Context) error) (err error) {
	defer func() {
		if recover() != nil { // the value is not logged: unlike the stack, it may quote a vendor's response
			p.log.ErrorContext(ctx, "panic", "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	return step(ctx)
}

// rateLimited returns the error of a pass that the vendor's rate limit ends. That is normal, and nil, until the
// comparison has fallen far behind.
func (p *pass) rateLimited() error { return p.behind("the vendor's rate limit is exhausted") }

// behind returns an error with this reason if the comparison has fallen far behind, and otherwise nil.
func (p *pass) behind(reason string) error {
	compared := p.progress.Compared
	if compared.IsZero() || p.began.Sub(compared) < maxBehind {
		return nil
	}
	return fmt.Errorf("%s, and no change since %s is compared", reason, compared.Format(time.RFC3339))
}

func (p *pass) measure(value metric.Value) { p.settings.Metrics.Put(p.provider, value) }
