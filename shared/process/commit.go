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
// and a transaction must not hold two copies of an event, also under two IDs.
func canJoin(events []decoded, next decoded) bool {
	first := events[0]
	return next.unreadable == nil && next.claim.Subject == first.claim.Subject &&
		(next.event.AgreementID == "") == (first.event.AgreementID == "") &&
		!slices.ContainsFunc(events, func(earlier decoded) bool { return mayBeCopies(earlier, next) })
}

func mayBeCopies(a, b decoded) bool {
	return a.claim.ID == b.claim.ID || a.hasOtherID(b.claim.ID) || b.hasOtherID(a.claim.ID)
}

func (d decoded) hasOtherID(id string) bool {
	return slices.ContainsFunc(d.otherIDs, func(other webhook.FormerID) bool { return other.ID == id })
}

// commit folds events into their agreement and commits them in one transaction. If another writer changed the agreement
// meanwhile, it reads the agreement and tries again. If the transaction fails for another reason, such as an event that
// is already processed, each event is committed by itself. An event that is already processed under another ID becomes
// a duplicate of that one. An event of a forgotten agreement is dropped. It returns how many are done, and why the next
// one failed.
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
		if effects, err = p.fold(ctx, events); errors.Is(err, errForgotten) {
			return p.drop(ctx, events)
		} else if err != nil {
			return 0, err
		}
		// The agreement was read before. So if another worker settles an event after the lookup, the commit conflicts.
		if of, err := p.settled(ctx, events); err != nil {
			return 0, err
		} else if of.ID != "" {
			if done, err = p.markDuplicate(ctx, events, of); errors.Is(err, ledger.ErrConflict) && attempt < maxAttempts-1 {
				continue
			}
			return done, err
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
		case errors.Is(err, ledger.ErrInexact) && !first.Approximate && first.AgreementID != "":
			if err = p.correct(ctx, events[0]); err == nil {
				return 1, nil
			} else if !errors.Is(err, ledger.ErrConflict) {
				return 0, err
			}
		case errors.Is(err, ledger.ErrProcessed):
			p.Log.InfoContext(ctx, "already processed", "provider", first.Provider, "event", first.ID, "type", first.Type)
			return 1, nil
		default:
			return 0, err
		}
	}
	return 0, err
}

// settled looks the events up under their other IDs. It returns one that is settled, under the ID under which it is
// processed, or an entry without an ID.
func (p *Processor) settled(ctx context.Context, events []decoded) (ledger.Entry, error) {
	for _, e := range events {
		for _, other := range e.otherIDs {
			found, err := p.Ledger.Event(ctx, ledger.Key{Subject: e.claim.Subject, ID: other.ID})
			if err != nil {
				return ledger.Entry{}, err
			}
			if found.State == ledger.Duplicate {
				found.ID = found.DuplicateOf
			}
			if found.State.Settled() && other.Fits(found.OccurredAt) && found.ID != e.claim.ID {
				return found, nil
			}
		}
	}
	return ledger.Entry{}, nil
}

// markDuplicate marks an event as a duplicate. If there are several, each is committed by itself first, since only one
// of them may be the duplicate. A duplicate that states the exact time corrects the other event.
func (p *Processor) markDuplicate(ctx context.Context, events []decoded, of ledger.Entry) (done int, err error) {
	if len(events) > 1 {
		return p.commitEach(ctx, events, ledger.ErrProcessed)
	}
	claim, event := events[0].claim, events[0].event
	claim.VendorType, claim.AgreementID, claim.OccurredAt = event.VendorType, event.AgreementID, event.OccurredAt
	if event.Approximate {
		claim.OccurredAt = time.Time{}
	} else if of.Event != nil && of.Event.Approximate && event.AgreementID != "" {
		original := events[0]
		original.claim.ID, original.event.ID = of.ID, of.ID
		if err := p.correct(ctx, original); err != nil {
			return 0, err
		}
	}
	if err := p.Ledger.MarkDuplicate(ctx, claim, of.ID); err != nil && !errors.Is(err, ledger.ErrProcessed) {
		return 0, err
	}
	p.Log.InfoContext(ctx, "already processed", "provider", event.Provider, "event", event.ID, "processedAs", of.ID,
		"type", event.Type)
	return 1, nil
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

// fold reads the agreement of the events, and folds them into it one by one. It returns the effect of each. It returns
// errForgotten if there is no agreement because it is forgotten. An agreement that exists costs no further read.
func (p *Processor) fold(ctx context.Context, events []decoded) ([]ledger.Commit, error) {
	var agreement esign.Agreement
	var version int64
	aboutAgreement := events[0].event.AgreementID != ""
	if aboutAgreement {
		var err error
		if agreement, version, err = p.Ledger.Agreement(ctx, events[0].claim.Subject); err != nil {
			return nil, err
		}
		if version == 0 {
			if err := p.forgotten(ctx, events[0].claim.Subject); err != nil {
				return nil, err
			}
		}
	}
	effects, now := make([]ledger.Commit, len(events)), p.Now().UTC()
	for i, e := range events {
		effects[i] = ledger.Commit{Claim: e.claim, Event: e.event, At: now.Add(time.Duration(i))}
		if aboutAgreement {
			after := esign.Fold(agreement, e.event)
			effects[i].Before, effects[i].Agreement = agreement, &after
			effects[i].StatusBefore = agreement.Status
			effects[i].Version = version + int64(i)
			agreement = after
		}
	}
	return effects, nil
}

// reportProcessed logs and counts a committed event.
func (p *Processor) reportProcessed(ctx context.Context, c ledger.Commit) {
	attributes := []any{"provider", c.Event.Provider, "event", c.ID, "type", c.Event.Type,
		"agreement", webhook.Label(c.Event.AgreementID), "statusBefore", c.StatusBefore, "statusAfter", c.StatusAfter()}
	if c.Event.Payload != nil && !c.Event.Approximate { // seconds from the vendor's time to the effect; the dashboard reads it
		attributes = append(attributes, "delay", c.At.Sub(c.Event.OccurredAt).Round(time.Millisecond).Seconds())
	}
	if c.Trace != "" {
		attributes = append(attributes, "trace", c.Trace)
	}
	p.Log.InfoContext(ctx, "processed", attributes...)
	values := []metric.Value{metric.Count("Processed", 1)}
	if c.Agreement != nil {
		unchanged := 0
		if c.StatusBefore == c.StatusAfter() {
			unchanged = 1
		}
		values = append(values, metric.Count("NoStatusChange", unchanged))
	}
	if c.Event.Type == esign.AgreementUndeliverable {
		values = append(values, metric.Count("Undeliverable", 1))
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
