package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

type image = map[string]events.DynamoDBAttributeValue

// text reads an attribute; empty if it is not there, or no text.
func text(i image, name string) string {
	if v := i[name]; v.DataType() == events.DataTypeString {
		return v.String()
	}
	return ""
}

// readImage reads the image of a processed event's item. Its errors quote nothing of it. An event must be of the provider
// that the key names: a receiver may write items under its own provider's keys only.
func readImage(i image) (ledger.Entry, error) {
	e := ledger.Entry{
		Key: ledger.Key{Subject: text(i, "pk"), ID: text(i, "sk")}, State: ledger.State(text(i, "state")),
		StatusBefore: esign.Status(text(i, "statusBefore")), StatusAfter: esign.Status(text(i, "statusAfter")),
	}
	var err error
	if e.ProcessedAt, err = time.Parse(time.RFC3339Nano, text(i, "processedAt")); err != nil {
		return e, errors.New("processedAt is no time")
	}
	if err := json.Unmarshal([]byte(text(i, "event")), &e.Event); err != nil || e.Event == nil || e.Event.ID != e.ID ||
		e.Event.Provider == "" || !strings.HasPrefix(e.Subject, e.Event.Provider+"#") || e.Event.Type == "" {
		return e, errors.New("event is not that of the key")
	}
	if s := text(i, "agreement"); s != "" {
		if err := json.Unmarshal([]byte(s), &e.Agreement); err != nil {
			return e, errors.New("agreement cannot be read")
		}
	}
	return e, nil
}

// Record makes the record that the table's stream would hold of a change of a processed event, for localhost.
func Record(sequence uint64, before ledger.State, e ledger.Entry) (events.DynamoDBEventRecord, error) {
	now := image{
		"pk": events.NewStringAttribute(e.Subject), "sk": events.NewStringAttribute(e.ID),
		"state":       events.NewStringAttribute(string(e.State)),
		"processedAt": events.NewStringAttribute(e.ProcessedAt.Format(time.RFC3339Nano)),
	}
	objects := map[string]any{"event": e.Event}
	if e.Agreement != nil {
		objects["agreement"] = e.Agreement
		now["statusBefore"] = events.NewStringAttribute(string(e.StatusBefore))
		now["statusAfter"] = events.NewStringAttribute(string(e.StatusAfter))
	}
	for name, v := range objects {
		b, err := json.Marshal(v)
		if err != nil {
			return events.DynamoDBEventRecord{}, fmt.Errorf("publish: %s: %w", name, err)
		}
		now[name] = events.NewStringAttribute(string(b))
	}
	key := image{"pk": now["pk"], "sk": now["sk"]}
	record := events.DynamoDBEventRecord{EventName: "INSERT", EventSource: "aws:dynamodb", Change: events.DynamoDBStreamRecord{
		ApproximateCreationDateTime: events.SecondsEpochTime{Time: e.ProcessedAt.Truncate(time.Second)},
		Keys:                        key, NewImage: now, SequenceNumber: strconv.FormatUint(sequence, 10), StreamViewType: "NEW_AND_OLD_IMAGES",
	}}
	if before != ledger.New {
		record.EventName = "MODIFY"
		record.Change.OldImage = image{"pk": key["pk"], "sk": key["sk"], "state": events.NewStringAttribute(string(before))}
		if before == ledger.Processed {
			record.Change.OldImage["processedAt"] = now["processedAt"]
		}
	}
	return record, nil
}
