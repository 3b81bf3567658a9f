package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	roundEvery  = 6 * time.Hour // a new round begins
	staleAfter  = time.Hour
	maxParts    = 20  // of the table, in a pass
	maxAsked    = 50  // agreements, in a pass
	maxID       = 128 // bytes as JSON; no vendor's is longer, and the note holds all of a part's
	maxFailures = 3   // of those, before the rest waits for the next pass
)

// patrol walks through the table, and asks the vendor for the agreements that have come to a stop there.
func (p *pass) patrol(ctx context.Context) error {
	if err := p.walk(ctx); err != nil {
		return err
	}
	return p.askWaiting(ctx)
}

// walk goes through parts of the table until a pass's worth of agreements is waiting.
func (p *pass) walk(ctx context.Context) error {
	if !p.Round.Going {
		if p.now.Sub(p.Round.Began).Abs() < roundEvery {
			return nil
		}
		before := p.Round.Began
		if latest := p.now.Add(-roundEvery); before.After(latest) { // by a clock that was wrong
			before = latest
		}
		p.Round = round{Began: p.now, Before: before, Going: true, Waiting: p.Round.Waiting}
	}
	for part := 0; part < maxParts && p.Round.Going && len(p.Round.Waiting) < maxAsked && !p.over(); part++ {
		if err := p.part(ctx); err != nil {
			return err
		}
	}
	return p.save(ctx)
}

// part goes through one part of the table. What it finds is asked for before what already waits, where an agreement that
// cannot be asked for again and again would be in the way.
func (p *pass) part(ctx context.Context) error {
	waits := map[string]bool{}
	for _, id := range p.Round.Waiting {
		waits[id] = true
	}
	var found []string
	stale := 0
	next, err := p.Table.Patrol(ctx, p.Round.Place, func(s ledger.Standing) error {
		if s.Provider != p.provider {
			return nil
		}
		if s.EventID != "" && p.stale(s.Since) {
			stale++
			p.log.ErrorContext(ctx, "stale claim", "event", s.EventID, "receivedAt", s.Since)
		} else if s.EventID != "" || !p.silent(s.Since) {
			return nil
		}
		if askable(s.AgreementID) && !waits[s.AgreementID] {
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
	p.Round.Waiting = append(found, p.Round.Waiting...)
	p.Round.Place, p.Round.Going = next, next != ""
	return nil
}

// askable says of an ID whether it could be a vendor's. Anybody may have made it up.
func askable(id string) bool {
	b, _ := json.Marshal(id) // texts always marshal
	return id != "" && len(b)-len(`""`) <= maxID
}

// stale says of a claim that it had been left for long when the round began, and not yet when the one before it did: each
// is told of once.
func (p *pass) stale(since time.Time) bool {
	return !since.After(p.Round.Began.Add(-staleAfter)) && since.After(p.Round.Before.Add(-staleAfter))
}

// silent says of an agreement that nothing was heard of it for long. A time in the future says nothing: it may be forged.
func (p *pass) silent(since time.Time) bool {
	return p.SilentAfter > 0 && p.now.Sub(since).Abs() > p.SilentAfter
}

// askWaiting asks for the agreements that wait, as many as a pass may. One that fails goes to the end. One that is denied to
// us, though others are not, is left to the next round: it may be another account's, or its sender has left.
func (p *pass) askWaiting(ctx context.Context) error {
	if len(p.Round.Waiting) == 0 {
		return nil
	}
	var failed []string
	var errs []error
	waiting := p.Round.Waiting
	for n := 0; n < maxAsked && len(waiting) > 0 && len(errs) < maxFailures && !p.over(); n++ {
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
	p.Round.Waiting = append(waiting, failed...)
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
	return p.compare(ctx, a, true)
}
