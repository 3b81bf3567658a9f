package process

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// decoded is an event of a message, or the reason why the message cannot be read.
type decoded struct {
	message    int // index in the group
	claim      ledger.Claim
	event      esign.Event
	otherIDs   []webhook.FormerID // under which the event may be processed already
	unreadable error              // nil if there is an event
}

// decodeAll decodes the messages of a group, and stops at the given time. It decodes them one by one, and drops each
// payload before it reads the next: ten of the largest would not fit in memory. It returns how many messages it has
// decoded, and why the next one failed.
func (p *Processor) decodeAll(
	ctx context.Context, messages []queue.Received, until time.Time,
) (results []decoded, read int, err error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	results = make([]decoded, 0, len(messages)) // nearly always one event each
	for i, message := range messages {
		events, err := p.decode(ctx, message)
		if err != nil {
			return results, i, err
		}
		for _, e := range events {
			e.message = i
			results = append(results, e)
		}
	}
	return results, len(messages), nil
}

// decode decodes a message, after it has put the payload in the archive. It only fails for a reason that may pass. A
// message that can never be read is a result.
func (p *Processor) decode(ctx context.Context, message queue.Received) ([]decoded, error) {
	delivery, err := queue.Decode(ctx, message.Message, p.Payloads)
	if errors.Is(err, queue.ErrMalformed) {
		return []decoded{{unreadable: err}}, nil
	} else if err != nil {
		return nil, err
	}
	claim := ledger.NewClaim(delivery, "", "", time.Time{})
	events, unreadable := p.eventsOf(delivery, claim)
	if err := p.archive(ctx, delivery, claim.SHA256, events); err != nil {
		return nil, err
	}
	if unreadable != nil {
		return []decoded{{claim: claim, unreadable: unreadable}}, nil
	}
	return events, nil
}

// archive keeps the payload, unless its agreement is forgotten. It runs before the events have any effect, so every
// effect has its payload in the archive.
func (p *Processor) archive(ctx context.Context, d *webhook.Delivery, sha256 string, events []decoded) error {
	if p.Archive == nil {
		return nil
	}
	if keeps, err := p.keeps(ctx, d.Subject, events); err != nil || !keeps {
		return err
	}
	if err := p.Archive.Put(ctx, payload.ArchiveKey(d.Provider, sha256), d.Payload); err != nil {
		return fmt.Errorf("process: archive: %w", err)
	}
	return nil
}

// eventsOf returns the events of a delivery. Nearly always that is one, which the receiver has identified. Only a
// delivery that the receiver could not read is identified here, and may hold several: an operator has redriven it from
// the dead-letter queue to a worker that can read it. An error of eventsOf is permanent.
func (p *Processor) eventsOf(delivery *webhook.Delivery, claim ledger.Claim) (results []decoded, err error) {
	defer func() {
		if recover() != nil { // the value may quote the payload; the stack does not
			stack := string(debug.Stack())
			p.Log.Error("panic", "provider", delivery.Provider, "event", delivery.EventID, "stack", stack)
			err = fmt.Errorf("process: panic in provider %s: %w", delivery.Provider, webhook.ErrUnreadable)
		}
	}()
	provider, ok := webhook.Find(p.Providers, delivery.Provider)
	if !ok {
		return nil, fmt.Errorf("process: no such provider: %w", webhook.ErrUnreadable)
	}
	identities := []webhook.Identity{{
		EventID: delivery.EventID, Subject: delivery.Subject, Via: delivery.Via, FormerIDs: delivery.FormerIDs,
	}}
	if delivery.Subject == webhook.UnreadableSubject(delivery.Provider) {
		if identities, err = provider.Identify(delivery.Request()); err != nil {
			return nil, err
		}
	}
	if len(identities) == 0 {
		return nil, fmt.Errorf("process: no event: %w", webhook.ErrUnreadable)
	}
	for _, id := range identities {
		d := *delivery
		d.EventID, d.Subject, d.Via, d.FormerIDs = id.EventID, id.Subject, id.Via, id.FormerIDs
		event, err := p.normalize(provider, &d)
		if err != nil {
			return nil, err
		}
		if !finding.Is(&d) {
			event.Payload = p.payloadOf(d.Provider, claim.SHA256)
		}
		claim.Key, claim.Via = ledger.Key{Subject: d.Subject, ID: d.EventID}, d.Via
		results = append(results, decoded{claim: claim, event: event, otherIDs: otherIDs(provider, &d, event.OccurredAt)})
	}
	return results, nil
}

// otherIDs returns the other IDs under which the event of a delivery may be processed already. Nearly always these are
// the former IDs that the receiver has sent. A message of an earlier release has none, and may itself carry a former
// ID: it was a dead letter while the vendor's retry was processed under the present ID. So it is identified again.
func otherIDs(provider webhook.Provider, d *webhook.Delivery, occurredAt time.Time) (others []webhook.FormerID) {
	if len(d.FormerIDs) > 0 || finding.Is(d) {
		return d.FormerIDs
	}
	ids, err := provider.Identify(d.Request())
	if err != nil {
		return nil // it has no other ID, and Normalize can read it
	}
	carried := func(f webhook.FormerID) bool { return f.ID == d.EventID && f.Fits(occurredAt) }
	for _, id := range ids {
		if id.Subject == d.Subject && slices.ContainsFunc(id.FormerIDs, carried) {
			others = append(others, webhook.FormerID{ID: id.EventID})
			others = append(others, slices.DeleteFunc(slices.Clone(id.FormerIDs), carried)...)
		}
	}
	return others
}

// payloadOf says where the payload is.
func (p *Processor) payloadOf(provider, sha256 string) *esign.Payload {
	kept := &esign.Payload{SHA256: sha256}
	if p.Archive != nil {
		kept.Location = p.Archive.Location(payload.ArchiveKey(provider, sha256))
	}
	return kept
}

// normalize returns the event of a delivery, with what the operator lets it carry. A delivery is a vendor's, or one of
// our own findings.
func (p *Processor) normalize(provider webhook.Provider, d *webhook.Delivery) (event esign.Event, err error) {
	if finding.Is(d) {
		event, err = finding.Event(d)
	} else {
		event, err = provider.Normalize(d)
	}
	if err != nil {
		return esign.Event{}, err
	}
	event = p.Policy.Apply(event, provider.Info().PersonReference)
	if event.ReferencesLeftOut > 0 {
		p.leftOut.Do(func() {
			p.Log.Warn("references left out: their names are not on the list", "provider", d.Provider, "event", d.EventID,
				"names", event.ReferencesLeftOut)
		})
	}
	return d.Complete(event), nil
}
