package local

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/ledger"
	"esignhooks/shared/queue"
)

// batchSize is Lambda's limit for FIFO queues.
const batchSize = 10

// work feeds the worker as Lambda's event source mapping does: batches through their JSON, and what is not reported as
// failed is deleted.
func (g *Gateway) work(ctx context.Context) {
	handler := lambda.NewHandler(g.worker.Handle)
	for ctx.Err() == nil {
		received, err := g.queue.Receive(ctx, batchSize)
		if err == nil {
			err = g.invoke(ctx, handler, received)
		}
		if err != nil && ctx.Err() == nil {
			g.log.Error("worker", "error", err)
			select { // the messages come again after the visibility timeout
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (g *Gateway) invoke(ctx context.Context, handler lambda.Handler, received []queue.Received) error {
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
	for _, r := range received {
		if failed[r.ID] {
			continue
		}
		if err := g.queue.Delete(ctx, r.Receipt); err != nil {
			return err
		}
	}
	return nil
}

func sqsEvent(received []queue.Received) events.SQSEvent {
	var batch events.SQSEvent
	for _, r := range received {
		record := events.SQSMessage{
			MessageId: r.ID, ReceiptHandle: r.Receipt, Body: r.Body, EventSource: "aws:sqs",
			Attributes:        map[string]string{"MessageGroupId": r.Group, "MessageDeduplicationId": r.DeduplicationID},
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
