package publish

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

type image = map[string]events.DynamoDBAttributeValue

// itemOf returns the item in an image of the stream. It drops attributes of other types: the format has none.
func itemOf(from image) item.Item {
	i := make(item.Item, len(from))
	for name, v := range from {
		switch v.DataType() {
		case events.DataTypeString:
			i[name] = item.S(v.String())
		case events.DataTypeNumber:
			i[name] = item.Value{Kind: item.Number, Text: v.Number()}
		case events.DataTypeBinary:
			i[name] = item.Value{Kind: item.Binary, Text: string(v.Binary())}
		}
	}
	return i
}

func imageOf(i item.Item) image {
	out := image{}
	for name, v := range i {
		switch v.Kind {
		case item.String:
			out[name] = events.NewStringAttribute(v.Text)
		case item.Number:
			out[name] = events.NewNumberAttribute(v.Text)
		}
	}
	return out
}

var errUnreadable = errors.New("publish: unreadable record")

// Committed reads a record of the table's stream: see [item.Committed]. A record of a newer release is
// [format.ErrNewer]. Any other error means that the record can never be published.
func Committed(record events.DynamoDBEventRecord) (e ledger.Entry, committed bool, err error) {
	e, committed, err = item.Committed(itemOf(record.Change.OldImage), itemOf(record.Change.NewImage))
	if errors.Is(err, format.ErrNewer) {
		return e, committed, fmt.Errorf("publish: %w", err)
	} else if err != nil {
		return e, committed, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return e, committed, nil
}

// Record returns the stream's record of a change to a processed event. Localhost has no DynamoDB stream.
func Record(sequence uint64, before ledger.State, e ledger.Entry) (events.DynamoDBEventRecord, error) {
	old, now, err := item.Change(before, e)
	if err != nil {
		return events.DynamoDBEventRecord{}, fmt.Errorf("publish: %w", err)
	}
	record := events.DynamoDBEventRecord{
		EventName:   "INSERT",
		EventSource: "aws:dynamodb",
		Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: e.ProcessedAt.Truncate(time.Second)},
			Keys:                        imageOf(item.Key(e.Key)),
			NewImage:                    imageOf(now),
			SequenceNumber:              strconv.FormatUint(sequence, 10),
			StreamViewType:              "NEW_AND_OLD_IMAGES",
		},
	}
	if old != nil {
		record.EventName, record.Change.OldImage = "MODIFY", imageOf(old)
	}
	return record, nil
}
