package embedded

import (
	"context"
	"crypto/rand"
	"time"

	"esignhooks/shared/store/queue"
)

// Jobs is a queue like SQS standard: no message waits for another, and none is taken for another. Its consumer receives one
// at a time, since the visibility timeout of all that it receives begins to run.
type Jobs struct {
	*Queue
	DeadLetters *Queue
}

// Add puts a job on the queue.
func (j Jobs) Add(ctx context.Context, body string) error { return add(ctx, j.Queue, body) }

// Later makes a received job come again after d.
func (j Jobs) Later(ctx context.Context, receipt string, d time.Duration) error {
	return j.ChangeVisibility(ctx, receipt, d)
}

// Park puts a job among the dead letters.
func (j Jobs) Park(ctx context.Context, body string) error { return add(ctx, j.DeadLetters, body) }

func add(ctx context.Context, q *Queue, body string) error {
	id := rand.Text()
	return q.Send(ctx, queue.Message{Group: id, DeduplicationID: id, Body: body})
}
