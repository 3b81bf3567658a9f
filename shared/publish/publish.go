// Package publish is the consumer of the table's stream. It puts every committed event on the bus, at least once. The
// stream is a transactional outbox: an event is published if and only if it was committed.
package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger/item"
	"esignhooks/shared/store/payload"
)

// Publisher is the stream's consumer. Its fields must be set before the first batch.
type Publisher struct {
	Bus      bus.Bus
	SetAside payload.Store // keeps the records that can never be published
	Metrics  *metric.Log
	Log      *slog.Logger
}

// BatchTimeout limits a batch. It is shorter than the function's timeout of 30 s, so that failures are still reported.
const BatchTimeout = 25 * time.Second

// Handle publishes a batch, and reports the records that failed. Lambda retries the batch from the first reported
// record, including records already published: consumers deduplicate. A record that can never be published is set
// aside, so that it does not block its shard. A record that a newer release wrote blocks it until that release is
// deployed.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html: the identifier is the
// sequence number.
func (p *Publisher) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, BatchTimeout)
	defer cancel()
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	errs := p.publish(ctx, batch.Records)
	for i, record := range batch.Records {
		err := errs[i]
		if errors.Is(err, bus.ErrRefused) || errors.Is(err, errUnreadable) {
			err = p.setAside(ctx, record, err)
		}
		if err != nil {
			p.log(record).ErrorContext(ctx, "not published", "error", err)
			failure := events.DynamoDBBatchItemFailure{ItemIdentifier: record.Change.SequenceNumber}
			response.BatchItemFailures = append(response.BatchItemFailures, failure)
		}
	}
	return response, nil
}

// publish returns one error for each record.
func (p *Publisher) publish(ctx context.Context, records []events.DynamoDBEventRecord) []error {
	errs := make([]error, len(records))
	var all []bus.Event
	var recordOf []int // the index of each event's record
	for i, record := range records {
		entry, committed, err := Committed(record)
		if errs[i] = err; err != nil || !committed {
			continue
		}
		all, recordOf = append(all, bus.EventOf(entry)), append(recordOf, i)
	}
	if len(all) == 0 {
		return errs
	}
	for i, err := range p.Bus.Publish(ctx, all) {
		errs[recordOf[i]] = err
		if err == nil {
			log := p.log(records[recordOf[i]])
			if all[i].Trace != "" {
				log = log.With("trace", all[i].Trace)
			}
			log.InfoContext(ctx, "published", "provider", all[i].Detail.Event.Provider,
				"type", all[i].DetailType, "statusChanged", all[i].Detail.StatusChanged)
		}
	}
	return errs
}

func (p *Publisher) log(record events.DynamoDBEventRecord) *slog.Logger {
	return p.Log.With("event", eventID(record), "sequence", record.Change.SequenceNumber)
}

func eventID(record events.DynamoDBEventRecord) string {
	return item.KeyOf(itemOf(record.Change.Keys)).ID
}

// kept is the format of stored records that failed. Lambda uses it too, for records whose retries are exhausted.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html: payload is the whole event.
type kept struct {
	Payload string `json:"payload"`
}

// Records reads the records in an object of [Folder] or [LambdaFolder].
func Records(object []byte) (events.DynamoDBEvent, error) {
	var batch events.DynamoDBEvent
	var k kept
	if err := json.Unmarshal(object, &k); err != nil {
		return batch, fmt.Errorf("publish: kept records: %w", err)
	}
	if err := json.Unmarshal([]byte(k.Payload), &batch); err != nil {
		return batch, fmt.Errorf("publish: kept records: payload: %w", err)
	}
	if len(batch.Records) == 0 {
		return batch, errors.New("publish: kept records: empty")
	}
	return batch, nil
}

// Without returns an object of [Folder] or [LambdaFolder] without the records of a subject, and how many these are. It
// returns nil if nothing is left.
func Without(object []byte, subject string) (rest []byte, removed int, err error) {
	batch, err := Records(object)
	if err != nil {
		return nil, 0, err
	}
	others := slices.DeleteFunc(slices.Clone(batch.Records), func(r events.DynamoDBEventRecord) bool {
		return item.KeyOf(itemOf(r.Change.Keys)).Subject == subject
	})
	removed = len(batch.Records) - len(others)
	if len(others) == 0 {
		return nil, removed, nil
	}
	rest, err = objectOf(others)
	return rest, removed, err
}

func objectOf(records []events.DynamoDBEventRecord) ([]byte, error) {
	body, err := json.Marshal(events.DynamoDBEvent{Records: records})
	if err != nil {
		return nil, err
	}
	return json.Marshal(kept{string(body)})
}

// Folder is where in the bucket the publisher stores records that can never be published. LambdaFolder is where Lambda
// stores records that could not be published for hours.
const (
	Folder       = "unpublished/"
	LambdaFolder = "aws/lambda/"
)

func (p *Publisher) setAside(ctx context.Context, record events.DynamoDBEventRecord, reason error) error {
	object, err := objectOf([]events.DynamoDBEventRecord{record})
	if err != nil {
		return err
	}
	key := Folder + eventID(record) + "-" + record.Change.SequenceNumber + ".json" // a number is unique in its shard only
	if err := p.SetAside.Put(ctx, key, object); err != nil {
		return fmt.Errorf("publish: set aside: %w", err)
	}
	p.log(record).ErrorContext(ctx, "set aside", "error", reason)
	p.Metrics.Put("", metric.Count("Unpublished", 1))
	return nil
}
