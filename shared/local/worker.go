package local

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/ledger"
	"esignhooks/shared/queue"
	"esignhooks/shared/queue/embedded"
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
	answer, err := handler.Invoke(ctx, batch)
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

// gaveUp records that the queue has moved a message to the dead letters.
func (g *Gateway) gaveUp(m queue.Message) {
	d := m.Identity()
	log := g.log.With("provider", d.Provider, "event", d.EventID)
	log.Warn("given up")
	if err := g.ledger.MarkFailed(ledger.NewClaim(d, "", "", time.Time{})); err != nil {
		log.Error("not marked as failed", "error", err)
	}
}
