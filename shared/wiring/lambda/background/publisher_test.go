package background

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
)

// eventBridge records the events put on the bus.
type eventBridge struct {
	*httptest.Server
	got []entry
}

type entry struct {
	EventBusName, Source, DetailType, Detail string
	Time                                     float64
}

func startEventBridge(t *testing.T) *eventBridge {
	b := &eventBridge{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Entries []entry }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil ||
			r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
			t.Errorf("%v, %v", r.Header, err)
		}
		b.got = append(b.got, request.Entries...)
		results := strings.Repeat(`{"EventId":"1"},`, len(request.Entries))
		fmt.Fprintf(w, `{"FailedEntryCount":0,"Entries":[%s]}`, strings.TrimSuffix(results, ","))
	}))
	t.Cleanup(b.Close)
	return b
}

// stream reads the table's stream from its beginning.
func (a *account) stream() (records []events.DynamoDBEventRecord) {
	a.t.Helper()
	a.t.Setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	config := engineConfig()
	client := dynamodbstreams.NewFromConfig(config)
	table, err := awsdynamodb.NewFromConfig(config).DescribeTable(a.t.Context(),
		&awsdynamodb.DescribeTableInput{TableName: new("Table")})
	must(a.t, err)
	arn := table.Table.LatestStreamArn
	stream, err := client.DescribeStream(a.t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: arn})
	must(a.t, err)
	for _, shard := range stream.StreamDescription.Shards {
		iterator, err := client.GetShardIterator(a.t.Context(), &dynamodbstreams.GetShardIteratorInput{
			StreamArn: arn, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})
		must(a.t, err)
		for next := iterator.ShardIterator; next != nil; {
			out, err := client.GetRecords(a.t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: next})
			must(a.t, err)
			for _, r := range out.Records {
				records = append(records, events.DynamoDBEventRecord{EventName: string(r.EventName),
					Change: events.DynamoDBStreamRecord{
						SequenceNumber: *r.Dynamodb.SequenceNumber, Keys: image(a.t, r.Dynamodb.Keys),
						NewImage: image(a.t, r.Dynamodb.NewImage), OldImage: image(a.t, r.Dynamodb.OldImage),
					}})
			}
			if next = out.NextShardIterator; len(out.Records) == 0 {
				break
			}
		}
	}
	return records
}

func image(t *testing.T, item map[string]streamtypes.AttributeValue) map[string]events.DynamoDBAttributeValue {
	converted := map[string]events.DynamoDBAttributeValue{}
	for name, value := range item {
		switch v := value.(type) {
		case *streamtypes.AttributeValueMemberS:
			converted[name] = events.NewStringAttribute(v.Value)
		case *streamtypes.AttributeValueMemberN:
			converted[name] = events.NewNumberAttribute(v.Value)
		case *streamtypes.AttributeValueMemberSS:
			converted[name] = events.NewStringSetAttribute(v.Value)
		case *streamtypes.AttributeValueMemberB:
			converted[name] = events.NewBinaryAttribute(v.Value)
		default:
			t.Fatalf("%s is a %T", name, v)
		}
	}
	return converted
}

// testPublished feeds the publisher all records of the table's stream, as its event source mapping does, and compares
// what is published with the table.
func (a *account) testPublished(t *testing.T, b *eventBridge) {
	var batch events.DynamoDBEvent
	counted := 0
	for _, r := range a.stream() {
		if state, ok := r.Change.NewImage["state"]; ok && state.String() == "processed" { // the mapping's filter
			batch.Records = append(batch.Records, r)
			if before, ok := r.Change.OldImage["state"]; ok && before.String() == "processed" {
				counted++
			}
		}
	}
	var committed []ledger.Entry
	must(t, a.ledger.Committed(t.Context(), time.Time{}, time.Now().Add(time.Hour), func(subject []ledger.Entry) error {
		committed = append(committed, subject...)
		return nil
	}))
	if len(committed) < 50 || counted == 0 || len(batch.Records) != len(committed)+counted {
		t.Errorf("%d records, of them %d duplicates, of %d events", len(batch.Records), counted, len(committed))
	}
	publisher, err := newPublisher(a.log, &a.metrics)
	must(t, err)
	for some := range slices.Chunk(batch.Records, 100) {
		payload, err := json.Marshal(events.DynamoDBEvent{Records: some})
		must(t, err)
		answer, err := lambda.NewHandler(publisher.Handle).Invoke(t.Context(), payload)
		if err != nil || string(answer) != `{"batchItemFailures":[]}` {
			t.Fatalf("%s, %v", answer, err)
		}
	}
	published := map[string]entry{}
	for _, e := range b.got {
		var detail bus.Detail
		must(t, json.Unmarshal([]byte(e.Detail), &detail))
		if _, twice := published[detail.EventID]; twice || e.EventBusName != "bus" {
			t.Errorf("%+v", e)
		}
		published[detail.EventID] = e
	}
	for _, c := range committed {
		want := bus.EventOf(c)
		got := published[c.ID]
		if !c.CorrectedAt.IsZero() { // it was published before, with an approximate time
			var detail bus.Detail
			must(t, json.Unmarshal([]byte(got.Detail), &detail))
			if detail.Event.Type != c.Type || !detail.Event.Approximate || c.Event.Approximate {
				t.Errorf("%+v of the corrected %+v", got, want)
			}
			continue
		}
		var detail bus.Detail
		must(t, json.Unmarshal([]byte(got.Detail), &detail))
		if got.Source != want.Source || got.DetailType != want.DetailType || int64(got.Time) != want.Time.Unix() {
			t.Errorf("%+v of %+v", got, want)
		}
		if diff := cmp.Diff(want.Detail, detail); diff != "" {
			t.Error(diff)
		}
	}
	if len(published) != len(committed) {
		t.Errorf("%d events are published, %d committed", len(published), len(committed))
	}
}
