package outlet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/outlet"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/queue"
)

var now = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

// world is the surroundings of a forwarder.
type world struct {
	outlet.Forwarder
	log     bytes.Buffer
	down    map[string]bool // events that the application refuses
	posted  []string
	later   []string // receipt and pause
	letters []queue.Message
	err     error // of keys, the dead-letter queue and delays
}

func newWorld() *world {
	w := &world{down: map[string]bool{}}
	w.Forwarder = outlet.Forwarder{
		Application: outlet.Sender{URL: "https://application.test/hunter2", Client: &http.Client{Transport: w},
			Now: func() time.Time { return now }},
		Keys: func(context.Context) ([]outlet.Key, error) { return nil, w.err },
		Later: func(_ context.Context, receipt string, d time.Duration) error {
			w.later = append(w.later, receipt+" "+d.String())
			return w.err
		},
		DeadLetters: w, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	return w
}

// RoundTrip implements [http.RoundTripper].
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	id := r.Header.Get("Webhook-Id")
	w.posted = append(w.posted, id+" "+string(body))
	answer := &http.Response{StatusCode: 204, Body: http.NoBody, Request: r}
	if w.down[id] {
		answer.StatusCode = 500
	}
	return answer, nil
}

// Send implements [queue.Sender].
func (w *world) Send(_ context.Context, m queue.Message) error {
	w.letters = append(w.letters, m)
	return w.err
}

func record(group, id string, attempt int, age time.Duration) events.SQSMessage {
	return events.SQSMessage{
		MessageId: "m-" + id, ReceiptHandle: "r-" + id, Body: "body of " + id,
		Attributes: map[string]string{
			"MessageGroupId": group, "ApproximateReceiveCount": strconv.Itoa(attempt),
			"SentTimestamp": strconv.FormatInt(now.Add(-age).UnixMilli(), 10),
		},
		MessageAttributes: map[string]events.SQSMessageAttribute{"eventId": {DataType: "String", StringValue: &id}},
	}
}

// handle processes a batch, and checks which events Lambda must not delete.
func (w *world) handle(t *testing.T, records []events.SQSMessage, want ...string) {
	t.Helper()
	response, err := w.Handle(t.Context(), events.SQSEvent{Records: records})
	var got []string
	for _, failure := range response.BatchItemFailures {
		got = append(got, strings.TrimPrefix(failure.ItemIdentifier, "m-"))
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestAFailedEventHoldsBackItsSubjectOnly(t *testing.T) {
	w := newWorld()
	w.down["a1"] = true
	w.handle(t, []events.SQSMessage{record("a", "a1", 1, 0), record("b", "b1", 1, 0), record("a", "a2", 1, 0)}, "a1", "a2")
	if diff := cmp.Diff([]string{"a1 body of a1", "b1 body of b1"}, w.posted); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error(w.log.String())
	}
}

func TestPausesGrowForThreeDays(t *testing.T) {
	for attempt, want := range map[int]string{
		0: "1s", 1: "1s", 2: "2s", 3: "4s", 10: "8m32s", 11: "15m0s", 12: "15m0s", 300: "15m0s", 1 << 40: "15m0s",
	} {
		w := newWorld()
		w.down["a"] = true
		w.handle(t, []events.SQSMessage{record("a", "a", attempt, outlet.GiveUpAfter-time.Second)}, "a")
		if diff := cmp.Diff([]string{"r-a " + want}, w.later); diff != "" || w.letters != nil {
			t.Errorf("attempt %d: %v %s", attempt, w.letters, diff)
		}
	}
	w := newWorld()
	w.down["a"] = true
	w.handle(t, []events.SQSMessage{record("a", "a", 300, outlet.GiveUpAfter)})
	letter := queue.Message{Group: "a", DeduplicationID: "m-a", Body: "body of a",
		Attributes: map[string]string{"eventId": "a"}}
	if diff := cmp.Diff([]queue.Message{letter}, w.letters); diff != "" || w.later != nil {
		t.Errorf("%v %s", w.later, diff)
	}
}

func TestNothingIsLostWhileAWSFails(t *testing.T) {
	w := newWorld()
	w.err = errors.New("down")
	w.handle(t, []events.SQSMessage{record("a", "a", 1, 0)}, "a") // no keys
	if len(w.posted) > 0 || len(w.later) != 1 {
		t.Errorf("posted %v, later %v", w.posted, w.later)
	}
	w.handle(t, []events.SQSMessage{record("a", "a", 1, outlet.GiveUpAfter)}, "a") // no dead-letter queue
}

// busWorld is a bus and a queue that refuse some events.
type busWorld struct {
	refused   string
	queued    []queue.Message
	published []string
}

func (w *busWorld) Publish(_ context.Context, all []bus.Event) []error {
	errs := make([]error, len(all))
	for i, e := range all {
		w.published = append(w.published, e.Detail.EventID)
		if e.Detail.EventID == w.refused+"bus" {
			errs[i] = bus.ErrRefused
		}
	}
	return errs
}

func (w *busWorld) Send(_ context.Context, m queue.Message) error {
	if strings.HasPrefix(m.Attributes["eventId"], w.refused) {
		return errors.New("down")
	}
	w.queued = append(w.queued, m)
	return nil
}

func published(subject, id string, replay bool) bus.Event {
	id = (id + strings.Repeat("0", 64))[:64]
	e := esign.Event{ID: id, Subject: subject, Provider: "acmesign", References: map[string]string{"a": "\ufffe\uffff"}}
	return bus.Event{Source: "esign.acmesign", DetailType: "agreement.sent", Time: now,
		Detail: bus.Detail{EventID: id, Replay: replay, Event: e}}
}

func TestEventsAreQueuedInOrderBeforeTheyAreOnTheBus(t *testing.T) {
	w := &busWorld{refused: "a2"}
	b := outlet.Bus{Bus: w, Queue: w, Account: "123456789012", Region: "eu-central-1",
		Now: func() time.Time { return now }}
	errs := b.Publish(t.Context(), []bus.Event{
		published("a", "a1", false), published("a", "a2", false), published("b", "b1", true), published("a", "a3", false),
	})
	for i, want := range []bool{true, false, true, false} {
		if (errs[i] == nil) != want {
			t.Errorf("%d: %v", i, errs[i])
		}
	}
	var queued []string
	for _, m := range w.queued {
		queued = append(queued, m.Attributes["eventId"][:2]+" "+m.Group)
	}
	if diff := cmp.Diff([]string{"a1 a", "b1 b"}, queued); diff != "" {
		t.Error(diff)
	}
	if len(w.published) != 2 || w.queued[0].DeduplicationID != w.published[0] ||
		!strings.HasPrefix(w.queued[1].DeduplicationID, w.published[1]+".replay.") {
		t.Errorf("published %v, queued %+v", w.published, w.queued)
	}
	if strings.ContainsAny(w.queued[0].Body, "\ufffe\uffff") {
		t.Error("SQS refuses a character of the body")
	}
	var got events.EventBridgeEvent
	var detail bus.Detail
	err := json.Unmarshal([]byte(w.queued[0].Body), &got)
	if err = errors.Join(err, json.Unmarshal(got.Detail, &detail)); err != nil {
		t.Fatal(err)
	}
	want := published("a", "a1", false)
	if diff := cmp.Diff(want.Detail, detail); diff != "" {
		t.Error(diff)
	}
	if got.Source != want.Source || got.DetailType != want.DetailType || got.AccountID != "123456789012" ||
		got.Region != "eu-central-1" || !got.Time.Equal(now) || got.ID != "a1000000-0000-0000-0000-000000000000" {
		t.Errorf("%+v", got)
	}
}
