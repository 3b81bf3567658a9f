package process

import (
	"context"
	"fmt"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/queue"
)

// deadLetter sends an unreadable message to the dead-letter queue, then marks its event. If marking fails, the message
// is redelivered and both are done again, so nothing is lost.
//
// The dead letter's deduplication ID is the message ID. A redrive makes a new message ID. So the dead-letter queue
// accepts a message that was redriven and is still unreadable, instead of dropping it as a duplicate.
func (p *Processor) deadLetter(ctx context.Context, message queue.Received, result decoded) error {
	m := message.Message
	m.DeduplicationID = message.ID
	if err := p.DeadLetters.Send(ctx, m); err != nil {
		return fmt.Errorf("process: dead letter: %w", err)
	}
	p.logger(message).ErrorContext(ctx, "unreadable", "error", result.unreadable)
	if result.claim.ID != "" { // a malformed message has no identity to mark
		if err := p.Ledger.MarkUnreadable(ctx, result.claim); err != nil {
			return err
		}
	}
	p.putMetrics(message.Identity().Provider, metric.Count("Unreadable", 1))
	return nil
}
