package embedded

import (
	"context"
	"crypto/rand"
	"time"

	"esignhooks/shared/store/queue"
)

// Jobs is a queue like SQS standard: it neither orders nor deduplicates messages. Its consumer should receive one
// message at a time, because the visibility timeout starts for all messages of a batch.
type Jobs struct {
	*Queue
	DeadLetters *Queue
}

// Add puts a job on the queue.
func (j Jobs) Add(ctx context.Context, body string) error { return add(ctx, j.Queue, body) }

// Later makes a received job visible again after d.
func (j Jobs) Later(ctx context.Context, receipt string, d time.Duration) error {
	return j.ChangeVisibility(ctx, receipt, d)
}

// Park puts a job on the dead-letter queue.
func (j Jobs) Park(ctx context.Context, body string) error { return add(ctx, j.DeadLetters, body) }

func add(ctx context.Context, q *Queue, body string) error {
	id := rand.Text()
	return q.Send(ctx, queue.Message{Group: id, DeduplicationID: id, Body: body})
}
