package localhost

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/publish"
)

// streamBatch is the event source mapping's BatchSize in template.yaml.
const streamBatch = 100

// publish feeds the publisher as Lambda's event source mapping does: with batches of the stream, passed as JSON. The
// next batch begins with the first record that is reported as failed.
func (g *Gateway) publish(ctx context.Context) {
	handler := lambda.NewHandler(g.publisher.Handle)
	for ctx.Err() == nil {
		more, err := g.publishBatch(ctx, handler)
		if err != nil && ctx.Err() == nil {
			g.log.Error("publisher failed", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		} else if !more {
			select {
			case <-ctx.Done():
			case <-g.ledger.Changed():
			}
		}
	}
}

func (g *Gateway) publishBatch(ctx context.Context, handler lambda.Handler) (more bool, err error) {
	changes, err := g.ledger.Changes(streamBatch)
	if err != nil || len(changes) == 0 {
		return false, err
	}
	var batch events.DynamoDBEvent
	sequences := map[string]uint64{} // by the record's sequence number, a string
	for _, c := range changes {
		record, err := publish.Record(c.Sequence, c.Before, c.Entry)
		if err != nil {
			return false, err
		}
		batch.Records = append(batch.Records, record)
		sequences[record.Change.SequenceNumber] = c.Sequence
	}
	payload, err := json.Marshal(batch)
	if err != nil {
		return false, err
	}
	answer, err := call(ctx, handler, payload)
	if err != nil {
		return false, err
	}
	var response events.DynamoDBEventResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		return false, err
	}
	done := changes[len(changes)-1].Sequence + 1
	for _, failure := range response.BatchItemFailures {
		done = min(done, sequences[failure.ItemIdentifier])
	}
	if err := g.ledger.Forget(done); err != nil || len(response.BatchItemFailures) == 0 {
		return true, err
	}
	return true, errors.New("some events are not published yet; they will be retried")
}
