package process

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// maxAttempts limits how often one invocation tries a commit while other writers change the agreement. The pauses in
// between take a second at most in all.
const maxAttempts = 8

// nextCommit returns the first events, as many as one transaction can hold.
func nextCommit(events []decoded) []decoded {
	n := 1
	for n < min(len(events), ledger.MaxCommits) && canJoin(events[:n], events[n]) {
		n++
	}
	return events[:n]
}

// canJoin reports whether a transaction with these events can also hold the next one. All must have the same subject,
// and a transaction must not hold two copies of an event.
func canJoin(events []decoded, next decoded) bool {
	first := events[0]
	return next.unreadable == nil && next.claim.Subject == first.claim.Subject &&
		(next.event.AgreementID == "") == (first.event.AgreementID == "") &&
		!slices.ContainsFunc(events, func(earlier decoded) bool { return earlier.claim.ID == next.claim.ID })
}

// commit folds events into their agreement and commits them in one transaction. If another writer changed the agreement
// meanwhile, it reads the agreement and tries again. If the transaction fails for another reason, such as an event that
// is already processed, each event is committed by itself. It returns how many are done, and why the next one failed.
func (p *Processor) commit(ctx context.Context, events []decoded) (done int, err error) {
	wait := p.Pause
	if wait == nil {
		wait = pause
	}
	for attempt := range maxAttempts {
		if attempt > 0 {
			wait(ctx, attempt)
		}
		var effects []ledger.Commit
		if effects, err = p.fold(ctx, events); err != nil {
			return 0, err
		}
		err = p.Ledger.Commit(ctx, effects...)
		switch first := events[0].event; {
		case err == nil:
			for _, c := range effects {
				p.reportProcessed(ctx, c)
			}
			return len(events), nil
		case errors.Is(err, ledger.ErrConflict) && (len(events) == 1 || attempt < maxAttempts-1):
			continue
		case len(events) > 1: // also after the last conflict: a large transaction may never succeed
			return p.commitEach(ctx, events, err)
		case errors.Is(err, ledger.ErrProcessed):
			p.Log.InfoContext(ctx, "already processed", "provider", first.Provider, "event", first.ID, "type", first.Type)
			return 1, nil
		default:
			return 0, err
		}
	}
	return 0, err
}

// commitEach commits each event by itself, after a common transaction failed for a reason that may concern only one of
// them.
func (p *Processor) commitEach(ctx context.Context, events []decoded, reason error) (done int, err error) {
	if !errors.Is(reason, ledger.ErrProcessed) {
		p.Log.WarnContext(ctx, "batch commit failed, committing each event by itself",
			"provider", events[0].event.Provider, "events", len(events), "error", reason)
	}
	for i := range events {
		if _, err := p.commit(ctx, events[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

// fold reads the agreement of the events, and folds them into it one by one. It returns the effect of each.
func (p *Processor) fold(ctx context.Context, events []decoded) ([]ledger.Commit, error) {
	var agreement esign.Agreement
	var version int64
	aboutAgreement := events[0].event.AgreementID != ""
	if aboutAgreement {
		var err error
		if agreement, version, err = p.Ledger.Agreement(ctx, events[0].claim.Subject); err != nil {
			return nil, err
		}
	}
	effects, now := make([]ledger.Commit, len(events)), p.Now().UTC()
	for i, e := range events {
		effects[i] = ledger.Commit{Claim: e.claim, Event: e.event, At: now.Add(time.Duration(i))}
		if aboutAgreement {
			after := esign.Fold(agreement, e.event)
			effects[i].Agreement = &after
			effects[i].StatusBefore = agreement.Status
			effects[i].Version = version + int64(i)
			agreement = after
		}
	}
	return effects, nil
}

// reportProcessed logs and counts a committed event.
func (p *Processor) reportProcessed(ctx context.Context, c ledger.Commit) {
	p.Log.InfoContext(ctx, "processed", "provider", c.Event.Provider, "event", c.ID, "type", c.Event.Type,
		"agreement", webhook.Label(c.Event.AgreementID), "statusBefore", c.StatusBefore, "statusAfter", c.StatusAfter())
	values := []metric.Value{metric.Count("Processed", 1)}
	if c.Agreement != nil {
		unchanged := 0
		if c.StatusBefore == c.StatusAfter() {
			unchanged = 1
		}
		values = append(values, metric.Count("NoStatusChange", unchanged))
	}
	p.putMetrics(c.Event.Provider, values...)
}

// pause waits before another attempt: a random time of up to 4 ms, 8 ms, 16 ms and so on.
func pause(ctx context.Context, attempt int) {
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(2 * time.Millisecond << attempt)):
	}
}
