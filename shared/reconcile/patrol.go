package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	roundEvery  = 6 * time.Hour // from the beginning of one round to the next
	staleAfter  = time.Hour     // the age at which a claim without effect is stale
	maxParts    = 20            // of the table, in a pass
	maxAsked    = 50            // agreements, in a pass
	maxFailures = 3             // of these, before the rest waits for the next pass
)

// patrol walks through the table, and asks the vendor about the agreements that have stopped there.
func (p *pass) patrol(ctx context.Context) error {
	if err := p.walk(ctx); err != nil {
		return err
	}
	return p.askWaiting(ctx)
}

// walk reads parts of the table until enough agreements for one pass are waiting. It begins a round if one is due.
func (p *pass) walk(ctx context.Context) error {
	current := &p.progress.Round
	if !current.Going {
		if p.began.Sub(current.Began).Abs() < roundEvery {
			return nil
		}
		previous := current.Began
		if latest := p.began.Add(-roundEvery); previous.After(latest) { // the clock was wrong
			previous = latest
		}
		*current = round{Began: p.began, Previous: previous, Going: true, Waiting: current.Waiting}
	}
	for n := 0; n < maxParts && current.Going && len(current.Waiting) < maxAsked && !p.timeUp(); n++ {
		if err := p.part(ctx); err != nil {
			return err
		}
	}
	return p.save(ctx)
}

// part reads one part of the table. The agreements that it finds go to the head of the waiting list: at its end, they
// would wait behind those that fail again and again.
func (p *pass) part(ctx context.Context) error {
	waits := map[string]bool{}
	for _, id := range p.progress.Round.Waiting {
		waits[id] = true
	}
	var found []string
	stale := 0
	next, err := p.settings.Table.Patrol(ctx, p.progress.Round.Cursor, func(s ledger.Standing) error {
		if s.Provider != p.provider {
			return nil
		}
		if s.EventID != "" && p.stale(s.Since) {
			stale++
			p.log.ErrorContext(ctx, "stale claim: received and never processed", "event", s.EventID, "receivedAt", s.Since)
		} else if s.EventID != "" || !p.silent(s.Since) {
			return nil
		}
		if s.AgreementID != "" && fits(s.AgreementID, maxText) && !waits[s.AgreementID] {
			waits[s.AgreementID] = true
			found = append(found, s.AgreementID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if stale > 0 {
		p.measure(metric.Count("StaleClaims", stale))
	}
	p.progress.Round.Waiting = append(found, p.progress.Round.Waiting...)
	p.progress.Round.Cursor, p.progress.Round.Going = next, next != ""
	return nil
}

// stale reports whether a claim became stale since the previous round began. So each claim is reported once.
func (p *pass) stale(since time.Time) bool {
	r := p.progress.Round
	return !since.After(r.Began.Add(-staleAfter)) && since.After(r.Previous.Add(-staleAfter))
}

// silent reports whether an agreement has had no event for long. A time far in the future counts too: it may be forged.
func (p *pass) silent(since time.Time) bool {
	return p.settings.SilentAfter > 0 && p.began.Sub(since).Abs() > p.settings.SilentAfter
}

// askWaiting asks about waiting agreements, up to the limit of a pass. An agreement that fails goes to the end of the
// list. An agreement that is denied, though others are not, is dropped until the next round: it may belong to another
// account, or its sender may have left.
func (p *pass) askWaiting(ctx context.Context) error {
	if len(p.progress.Round.Waiting) == 0 {
		return nil
	}
	var failed []string
	var errs []error
	waiting := p.progress.Round.Waiting
	for n := 0; n < maxAsked && len(waiting) > 0 && len(errs) < maxFailures && !p.timeUp(); n++ {
		err := p.ask(ctx, waiting[0])
		if errors.Is(err, errors.ErrUnsupported) {
			waiting = nil
			break
		}
		if err != nil {
			errs = append(errs, err)
			denied := errors.Is(err, vendorapi.ErrDenied)
			if errors.As(err, new(*vendorapi.LaterError)) || denied && !p.answered {
				break
			}
			if !denied {
				failed = append(failed, waiting[0])
			}
		}
		p.answered = p.answered || err == nil
		waiting = waiting[1:]
	}
	p.progress.Round.Waiting = append(waiting, failed...)
	return errors.Join(append(errs, p.save(ctx))...)
}

func (p *pass) ask(ctx context.Context, id string) error {
	a, err := p.client.Agreement(ctx, id)
	switch {
	case errors.Is(err, vendorapi.ErrUnknown), errors.Is(err, vendorapi.ErrInvalid): // deleted, or never the vendor's
		p.log.InfoContext(ctx, "the vendor has no such agreement", "agreement", webhook.Label(id), "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("an agreement: %w", err)
	}
	return p.compare(ctx, a, notUnderway)
}
