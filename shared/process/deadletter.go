package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
)

// lastDay is how long before its expiry a dead letter does not count as kept any more. It is far more than clocks differ:
// a copy that the receiver has enqueued because of the expiry becomes a new dead letter.
const lastDay = 24 * time.Hour

// deadLetter sends an unreadable message to the dead-letter queue, then marks its event. If marking fails, the message
// is redelivered and both are done again, so nothing is lost. A copy of an event that is already there is dropped, and
// so is an event of a forgotten agreement.
//
// The dead letter's deduplication ID is the message ID. A redrive makes a new message ID. So the dead-letter queue
// accepts a message that was redriven and is still unreadable, instead of dropping it as a duplicate.
func (p *Processor) deadLetter(ctx context.Context, message queue.Received, result decoded) error {
	if result.claim.ID != "" {
		if err := p.forgotten(ctx, result.claim.Subject); errors.Is(err, errForgotten) {
			_, err = p.drop(ctx, []decoded{result})
			return err
		} else if err != nil {
			return err
		}
	}
	kept, err := p.isDeadLetter(ctx, message, result.claim)
	if err != nil {
		return err
	}
	if kept {
		p.logger(message).WarnContext(ctx, "unreadable, as the dead letter of the same event", "error", result.unreadable)
		return nil
	}
	m := message.Message
	m.DeduplicationID = message.ID
	if err := p.DeadLetters.Send(ctx, m); err != nil {
		return fmt.Errorf("process: dead letter: %w", err)
	}
	p.logger(message).ErrorContext(ctx, "unreadable", "error", result.unreadable)
	if result.claim.ID != "" { // a malformed message has no identity to mark
		if err := p.Ledger.MarkUnreadable(ctx, result.claim, p.Now().UTC()); err != nil {
			return err
		}
	}
	p.putMetrics(message.Identity().Provider, metric.Count("Unreadable", 1))
	return nil
}

// isDeadLetter reports whether the dead-letter queue certainly holds a copy of an unreadable event. It does not if the
// message itself was there: a redrive has removed it. Unlike the receiver's, its deduplication ID is a message ID.
func (p *Processor) isDeadLetter(ctx context.Context, message queue.Received, claim ledger.Claim) (bool, error) {
	if claim.ID == "" || !strings.HasPrefix(message.DeduplicationID, claim.ID) {
		return false, nil
	}
	known, err := p.Ledger.Event(ctx, claim.Key)
	return known.State == ledger.Unreadable && p.Now().Sub(known.UnreadableAt) < queue.DeadLetterRetention-lastDay, err
}
