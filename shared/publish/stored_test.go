package publish_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/stored"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger/item"
)

func TestTheStreamOfVersion1IsPublished(t *testing.T) {
	type event struct {
		Source, DetailType string
		Time               time.Time
		Trace              string
		Detail             bus.Detail
	}
	var batch events.DynamoDBEvent
	stored.V1(t, "stream.json", &batch)
	var want []event
	stored.V1(t, "stream.want.json", &want)
	for i := range want {
		want[i].Detail.Version = bus.Version // that release had none
	}
	w := newWorld()
	response, err := w.Handle(t.Context(), batch)
	if err != nil || len(response.BatchItemFailures) > 0 || len(w.kept) > 0 {
		t.Fatalf("%+v, %v; set aside: %v", response, err, w.kept)
	}
	var got []event
	for _, e := range w.published {
		got = append(got, event(e))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRecordsOfVersion2 reads events whose content is packed.
func TestRecordsOfVersion2(t *testing.T) {
	var items []map[string]events.DynamoDBAttributeValue
	stored.V2(t, "items.json", &items)
	var want []struct {
		Event     *esign.Event
		Agreement *esign.Agreement
	}
	stored.V2(t, "items.want.json", &want)
	for i, now := range items {
		record := events.DynamoDBEventRecord{Change: events.DynamoDBStreamRecord{NewImage: now}}
		kept, err := json.Marshal(record) // as in the bucket
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(kept, &record); err != nil {
			t.Fatal(err)
		}
		e, committed, err := publish.Committed(record)
		if err != nil || !committed {
			t.Fatalf("%v, %v", committed, err)
		}
		if diff := cmp.Diff([]any{want[i].Event, want[i].Agreement}, []any{e.Event, e.Agreement}); diff != "" {
			t.Error(diff)
		}
	}
}

func TestARecordThatVersion1SetAsideIsPublished(t *testing.T) {
	batch, err := publish.Records(stored.V1Bytes(t, "unpublished.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	if response, err := w.Handle(t.Context(), batch); err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatalf("%+v, %v", response, err)
	}
	if len(w.published) != 1 {
		t.Errorf("published %d events", len(w.published))
	}
}

// An older release must not set aside what only a newer one can read. The record waits in the stream, in order.
func TestARecordOfANewerReleaseIsRetried(t *testing.T) {
	newer := committed(t, 2, "e2")
	newer.Change.NewImage[item.V] = events.NewNumberAttribute("2")
	w := newWorld()
	failed := w.handle(t, committed(t, 1, "e1"), newer)
	if len(failed) != 1 || failed[0] != newer.Change.SequenceNumber || len(w.kept) > 0 || len(w.published) != 1 {
		t.Errorf("failed %v, set aside %v, published %v", failed, w.kept, w.published)
	}
	if !strings.Contains(w.log.String(), "deploy that release") {
		t.Errorf("the log does not say what to do: %s", &w.log)
	}
}
