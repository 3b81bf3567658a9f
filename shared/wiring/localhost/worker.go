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

// consume feeds a function as Lambda's event source mapping does: batches through their JSON, and what is not reported as
// failed is deleted.
func (g *Gateway) consume(ctx context.Context, name string, from *embedded.Queue, limit int, handler lambda.Handler) {
	for ctx.Err() == nil {
		received, err := from.Receive(ctx, limit)
		if err == nil {
			err = invoke(ctx, from, handler, received)
		}
		if err != nil && ctx.Err() == nil {
			g.log.Error(name, "error", err)
			select { // the messages come again after the visibility timeout
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

// call invokes a function. A panic fails the invocation, and nothing else.
func call(ctx context.Context, handler lambda.Handler, payload []byte) (answer []byte, err error) {
	defer func() {
		if recover() != nil { // the value may quote the payload, the stack does not
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
				"MessageGroupId": r.Group, "MessageDeduplicationId": r.DeduplicationID, "ApproximateReceiveCount": strconv.Itoa(r.Receives),
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

// gaveUp records that the queue moves a message to the dead letters.
func (g *Gateway) gaveUp(tx *bbolt.Tx, m queue.Message) error {
	d := m.Identity()
	tx.OnCommit(func() { g.log.Warn("given up", "provider", d.Provider, "event", d.EventID) })
	return g.ledger.MarkFailed(tx, ledger.NewClaim(d, "", "", time.Time{}))
}
