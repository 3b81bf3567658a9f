package localhost

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/embedded"
)

// batchSize is Lambda's limit for FIFO queues.
const batchSize = 10

func (g *Gateway) work(ctx context.Context) {
	g.consume(ctx, "worker", g.queue, batchSize, lambda.NewHandler(g.worker.Handle))
}

// consume feeds a function as Lambda's event source mapping does: with batches, passed as JSON. Messages that are not
// reported as failed are deleted.
func (g *Gateway) consume(ctx context.Context, name string, from *embedded.Queue, limit int, handler lambda.Handler) {
	for ctx.Err() == nil {
		received, err := from.Receive(ctx, limit)
		if err == nil {
			err = invoke(ctx, from, handler, received)
		}
		if err != nil && ctx.Err() == nil {
			g.log.Error(name+" failed", "error", err)
			select { // the messages are redelivered after the visibility timeout
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func invoke(ctx context.Context, from *embedded.Queue, handler lambda.Handler, received []queue.Received) error {
	batch, err := json.Marshal(sqsEvent(received))
	if err != nil {
		return err
	}
	answer, err := call(ctx, handler, batch)
	if err != nil {
		return err
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, failure := range response.BatchItemFailures {
		failed[failure.ItemIdentifier] = true
	}
	var done []string
	for _, r := range received {
		if !failed[r.ID] {
			done = append(done, r.Receipt)
		}
	}
	return from.DeleteBatch(ctx, done)
}

// call invokes a function. A panic fails the invocation only.
func call(ctx context.Context, handler lambda.Handler, payload []byte) (answer []byte, err error) {
	defer func() {
		if recover() != nil { // the value is not logged: unlike the stack, it may quote the payload
			err = fmt.Errorf("panic: %s", debug.Stack())
		}
	}()
	return handler.Invoke(ctx, payload)
}

func sqsEvent(received []queue.Received) events.SQSEvent {
	var batch events.SQSEvent
	for _, r := range received {
		record := events.SQSMessage{
			MessageId: r.ID, ReceiptHandle: r.Receipt, Body: r.Body, EventSource: "aws:sqs",
			Attributes: map[string]string{
				"MessageGroupId": r.Group, "MessageDeduplicationId": r.DeduplicationID,
				"ApproximateReceiveCount": strconv.Itoa(r.Receives),
			},
			MessageAttributes: map[string]events.SQSMessageAttribute{},
		}
		for name, value := range r.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
		}
		batch.Records = append(batch.Records, record)
	}
	return batch
}

// giveUp records that the queue moves a message to the dead-letter queue.
func (g *Gateway) giveUp(tx *bbolt.Tx, m queue.Message) error {
	d := m.Identity()
	tx.OnCommit(func() {
		g.log.Warn("moved to the dead-letter queue after too many attempts", "provider", d.Provider, "event", d.EventID)
	})
	return g.ledger.MarkFailed(tx, ledger.NewClaim(d, "", "", time.Time{}))
}
