// Package publish is the outlet: it reads what the table's stream tells, and puts every committed event on the bus. The
// stream is the outbox: nothing is published that was not committed, and nothing committed is forgotten.
package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
)

// Publisher is the stream's consumer. Its fields are set once, before the first batch.
type Publisher struct {
	Bus      bus.Bus
	SetAside payload.Store // of the records that can never be published
	Metrics  *metric.Log
	Log      *slog.Logger
}

// patience is how long a batch takes at most: less than the function's 30 s, so that what fails is reported.
const patience = 25 * time.Second

// Handle publishes a batch, and reports the records that must come again. From the first of them on all come again, also
// those that were published: consumers deduplicate. What can never be published is set aside, so that the agreements of
// its shard do not wait behind it.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html: the identifier is the
// sequence number.
func (p *Publisher) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
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
			response.BatchItemFailures = append(response.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: record.Change.SequenceNumber})
		}
	}
	return response, nil
}

// publish returns one error for each record.
func (p *Publisher) publish(ctx context.Context, records []events.DynamoDBEventRecord) []error {
	errs := make([]error, len(records))
	var all []bus.Event
	var origin []int // of each event: the record's index
	for i, record := range records {
		entry, committed, err := Committed(record)
		if errs[i] = err; err != nil || !committed {
			continue
		}
		all, origin = append(all, bus.EventOf(entry)), append(origin, i)
	}
	if len(all) == 0 {
		return errs
	}
	for i, err := range p.Bus.Publish(ctx, all) {
		record := origin[i]
		if errs[record] = err; err == nil {
			p.log(records[record]).InfoContext(ctx, "published", "provider", all[i].Detail.Event.Provider, "type", all[i].DetailType,
				"statusChanged", all[i].Detail.StatusChanged)
		}
	}
	return errs
}

func (p *Publisher) log(record events.DynamoDBEventRecord) *slog.Logger {
	return p.Log.With("event", text(record.Change.Keys, "sk"), "sequence", record.Change.SequenceNumber)
}

// kept is how failed records are kept: as Lambda keeps those that it gives up.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html: payload is the whole event.
type kept struct {
	Payload string `json:"payload"`
}

// Records reads the records that were kept.
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
		return batch, errors.New("publish: kept records: there are none")
	}
	return batch, nil
}

// Folder is where in the bucket the publisher keeps what can never be published, and LambdaFolder where Lambda keeps what
// could not be published for hours.
const (
	Folder       = "unpublished/"
	LambdaFolder = "aws/lambda/"
)

func (p *Publisher) setAside(ctx context.Context, record events.DynamoDBEventRecord, reason error) error {
	body, err := json.Marshal(events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
	if err != nil {
		return err
	}
	object, err := json.Marshal(kept{string(body)})
	if err != nil {
		return err
	}
	key := Folder + text(record.Change.Keys, "sk") + "-" + record.Change.SequenceNumber + ".json" // the number alone is a shard's
	if err := p.SetAside.Put(ctx, key, object); err != nil {
		return fmt.Errorf("publish: not set aside: %w", err)
	}
	p.log(record).ErrorContext(ctx, "set aside", "error", reason)
	p.Metrics.Put("", metric.Count("Unpublished", 1))
	return nil
}

var errUnreadable = errors.New("publish: unreadable record")

// Committed reads a record of the table's stream. It says whether the record tells that an event was committed: its state
// is processed, and was not before, or by another commit. (A duplicate that is counted changes a processed item. An
// expired item that is still there may be committed anew.) The entry holds what [bus.EventOf] reads.
func Committed(record events.DynamoDBEventRecord) (e ledger.Entry, committed bool, err error) {
	now, before := record.Change.NewImage, record.Change.OldImage
	if text(now, "state") != string(ledger.Processed) {
		return e, false, nil
	}
	if text(before, "state") == string(ledger.Processed) && text(before, "processedAt") == text(now, "processedAt") {
		return e, false, nil
	}
	if e, err = readImage(now); err != nil {
		return e, true, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return e, true, nil
}
