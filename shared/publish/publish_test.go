package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/bustest"
	"esignhooks/shared/store/ledger"
)

var (
	at      = time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	errDown = errors.New("down")
)

const namespace = "esignhooks/stack"

// world is a publisher with fakes.
type world struct {
	*publish.Publisher
	log, lines bytes.Buffer

	published []bus.Event
	busErr    map[string]error // by event ID
	kept      map[string][]byte
	keepErr   error
}

func newWorld() *world {
	w := &world{busErr: map[string]error{}, kept: map[string][]byte{}}
	w.Publisher = &publish.Publisher{
		Bus: w, SetAside: store{w}, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
		Metrics: metric.New(&w.lines, namespace, func() time.Time { return at }),
	}
	return w
}

// Publish implements [bus.Bus].
func (w *world) Publish(_ context.Context, all []bus.Event) []error {
	errs := make([]error, len(all))
	for i, e := range all {
		if errs[i] = w.busErr[e.Detail.EventID]; errs[i] == nil {
			w.published = append(w.published, e)
		}
	}
	return errs
}

// store implements [payload.Store].
type store struct{ *world }

func (s store) Put(_ context.Context, key string, object []byte) error {
	if s.keepErr == nil {
		s.kept[key] = object
	}
	return s.keepErr
}

func (s store) Get(context.Context, string) ([]byte, error) { return nil, errDown }

// handle passes a batch through JSON as Lambda does, and returns the sequence numbers of the failed records.
func (w *world) handle(t *testing.T, records ...events.DynamoDBEventRecord) (failed []string) {
	t.Helper()
	response, err := w.Handle(t.Context(), viaJSON(t, events.DynamoDBEvent{Records: records}))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range response.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}

func viaJSON[T any](t testing.TB, v T) (read T) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func (w *world) wantPublished(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, e := range w.published {
		got = append(got, e.Detail.EventID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published: %s", diff)
	}
}

// wantSetAside compares what was kept, and how often that was counted, with records.
func (w *world) wantSetAside(t *testing.T, want ...events.DynamoDBEventRecord) {
	t.Helper()
	for _, record := range want {
		key := "unpublished/" + record.Change.Keys["sk"].String() + "-" + record.Change.SequenceNumber + ".json"
		got, err := publish.Records(w.kept[key])
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if diff := cmp.Diff([]events.DynamoDBEventRecord{viaJSON(t, record)}, got.Records, attributes); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	lines := metrictest.Read(t, namespace, w.lines.String())
	for _, line := range lines {
		if diff := cmp.Diff(metrictest.Line{Values: map[string]float64{"Unpublished": 1}}, line); diff != "" {
			t.Error(diff)
		}
	}
	if len(w.kept) != len(want) || len(lines) != len(want) {
		t.Errorf("%d set aside, %d counted, want %d", len(w.kept), len(lines), len(want))
	}
}

var attributes = cmp.AllowUnexported(events.DynamoDBAttributeValue{})

// entryOf returns an event that completes its agreement.
func entryOf(id string) ledger.Entry {
	event := esign.Event{
		ID: id, Provider: "acmesign", Type: esign.AgreementCompleted, VendorType: "agreement-completed",
		Subject:     "acmesign#a",
		AgreementID: "a", OccurredAt: at, ReceivedAt: at, Proof: esign.ProofSigned,
	}
	after := esign.Fold(esign.Agreement{}, event)
	return ledger.Entry{
		Key: ledger.Key{Subject: "acmesign#a", ID: id}, State: ledger.Processed, ProcessedAt: at,
		Event: &event, Agreement: &after, StatusBefore: esign.Sent, StatusAfter: esign.Completed,
	}
}

func recordOf(t testing.TB, sequence uint64, before ledger.State, e ledger.Entry) events.DynamoDBEventRecord {
	t.Helper()
	r, err := publish.Record(sequence, before, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// committed is the record of an event that had no claim.
func committed(t testing.TB, sequence uint64, id string) events.DynamoDBEventRecord {
	t.Helper()
	return recordOf(t, sequence, ledger.New, entryOf(id))
}

func TestOnlyCommitsArePublished(t *testing.T) {
	text := events.NewStringAttribute
	claim := committed(t, 1, "e")
	claim.Change.NewImage = image{"pk": text("acmesign#a"), "sk": text("e"), "state": text("received")}
	unreadable := recordOf(t, 1, ledger.Received, entryOf("e"))
	unreadable.Change.NewImage["state"] = text("unreadable")
	agreement := committed(t, 1, "@")
	delete(agreement.Change.NewImage, "state")
	removed := recordOf(t, 1, ledger.Processed, entryOf("e"))
	removed.EventName, removed.Change.NewImage = "REMOVE", nil
	recommitted := recordOf(t, 1, ledger.Processed, entryOf("e"))
	recommitted.Change.OldImage["processedAt"] = text("2026-01-02T09:30:00Z")
	number := committed(t, 1, "e")
	number.Change.NewImage["state"] = events.NewNumberAttribute("1")
	for name, tt := range map[string]struct {
		record    events.DynamoDBEventRecord
		published bool
	}{
		"an event that had no claim":          {committed(t, 1, "e"), true},
		"claimed before":                      {recordOf(t, 1, ledger.Received, entryOf("e")), true},
		"unreadable before":                   {recordOf(t, 1, ledger.Unreadable, entryOf("e")), true},
		"redriven from the dead-letter queue": {recordOf(t, 1, ledger.Failed, entryOf("e")), true},
		"expired, but not deleted yet":        {recommitted, true},
		"a counted duplicate of a commit":     {recordOf(t, 1, ledger.Processed, entryOf("e")), false},
		"a claim":                             {claim, false},
		"an unreadable event":                 {unreadable, false},
		"an agreement":                        {agreement, false},
		"a removal":                           {removed, false},
		"a foreign item":                      {number, false},
		"nothing":                             {events.DynamoDBEventRecord{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if failed := w.handle(t, tt.record); failed != nil {
				t.Errorf("failed: %v", failed)
			}
			w.wantSetAside(t)
			if tt.published {
				w.wantPublished(t, "e")
			} else if w.wantPublished(t); w.log.Len() > 0 {
				t.Errorf("logged: %s", &w.log)
			}
		})
	}
}

func TestEveryEventOfEveryProviderSurvivesTheStream(t *testing.T) {
	for name, entry := range bustest.Committed(t, "../provider") {
		read, isCommitted, err := publish.Committed(viaJSON(t, recordOf(t, 1, ledger.Received, entry)))
		if err != nil || !isCommitted {
			t.Errorf("%s: %v, %v", name, isCommitted, err)
		}
		if diff := cmp.Diff(entry, read); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestALocalRecordLooksLikeTheStreams compares it with what Lambda passes for a small event.
func TestALocalRecordLooksLikeTheStreams(t *testing.T) {
	e := ledger.Entry{
		Key: ledger.Key{Subject: "acmesign#test:", ID: "e"}, State: ledger.Processed, ProcessedAt: at,
		Event: &esign.Event{ID: "e", Provider: "acmesign", Type: esign.Test, OccurredAt: at, ReceivedAt: at},
	}
	got, err := json.Marshal(recordOf(t, 7, ledger.Received, e))
	if err != nil {
		t.Fatal(err)
	}
	event := `{\"id\":\"e\",\"provider\":\"acmesign\",\"type\":\"test\",\"vendorType\":\"\",\"subject\":\"\",` +
		`\"occurredAt\":\"2026-11-02T09:30:00.123456789Z\",\"receivedAt\":\"2026-11-02T09:30:00.123456789Z\",\"proof\":\"\"}`
	want := `{"awsRegion":"","dynamodb":{"ApproximateCreationDateTime":1793611800,"Keys":{"pk":{"S":"acmesign#test:"},"sk":{"S":"e"}},` +
		`"NewImage":{"event":{"S":"` + event +
		`"},"pk":{"S":"acmesign#test:"},"processedAt":{"S":"2026-11-02T09:30:00.123456789Z"},` +
		`"sk":{"S":"e"},"state":{"S":"processed"},"v":{"N":"1"}},` +
		`"OldImage":{"pk":{"S":"acmesign#test:"},"sk":{"S":"e"},"state":{"S":"received"}},` +
		`"SequenceNumber":"7","SizeBytes":0,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventID":"","eventName":"MODIFY",` +
		`"eventSource":"aws:dynamodb","eventVersion":"","eventSourceARN":""}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsPublished(t *testing.T) {
	w := newWorld()
	template := entryOf("e2")
	template.Event.Type, template.Event.AgreementID = esign.TemplateCreated, ""
	template.Agreement, template.StatusBefore, template.StatusAfter = nil, "", ""
	if failed := w.handle(t, committed(t, 1, "e1"), recordOf(t, 2, ledger.New, template)); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	if diff := cmp.Diff([]bus.Event{bus.EventOf(entryOf("e1")), bus.EventOf(template)}, w.published); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnreadableRecordIsSetAsideAndTheRestIsPublished(t *testing.T) {
	text := events.NewStringAttribute
	for name, spoil := range map[string]func(image){
		"no time":              func(i image) { delete(i, "processedAt") },
		"no such time":         func(i image) { i["processedAt"] = text("yesterday") },
		"a time as a number":   func(i image) { i["processedAt"] = events.NewNumberAttribute("1") },
		"no event":             func(i image) { delete(i, "event") },
		"an event of null":     func(i image) { i["event"] = text("null") },
		"an event cut short":   func(i image) { i["event"] = text(i["event"].String()[:40]) },
		"an event as a map":    func(i image) { i["event"] = events.NewMapAttribute(image{}) },
		"another event":        func(i image) { i["event"] = committed(t, 1, "other").Change.NewImage["event"] },
		"of another provider":  func(i image) { i["event"] = text(`{"id":"bad","provider":"other","type":"test"}`) },
		"of no provider":       func(i image) { i["event"] = text(`{"id":"bad","type":"test"}`) },
		"of no type":           func(i image) { i["event"] = text(`{"id":"bad","provider":"acmesign"}`) },
		"an agreement of text": func(i image) { i["agreement"] = text("hunter2") },
		"of no key":            func(i image) { delete(i, "sk") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			bad := viaJSON(t, recordOf(t, 2, ledger.Received, entryOf("bad")))
			bad.EventID, bad.EventSourceArn, bad.Change.SizeBytes = "9", "arn:aws:dynamodb:eu-central-1:000000000000:table/t/stream/1", 1234
			spoil(bad.Change.NewImage)
			if failed := w.handle(t, committed(t, 1, "e1"), bad, committed(t, 3, "e3")); failed != nil {
				t.Errorf("failed: %v", failed)
			}
			w.wantPublished(t, "e1", "e3")
			w.wantSetAside(t, bad)
			if log := w.log.String(); !strings.Contains(log, `"level":"ERROR","msg":"set aside","event":"bad","sequence":"2"`) ||
				strings.Contains(log, "hunter2") {
				t.Error(log)
			}
		})
	}
}

func TestARefusedEventIsSetAsideAndTheRestIsPublished(t *testing.T) {
	w := newWorld()
	w.busErr["e2"] = fmt.Errorf("bus: %w", bus.ErrRefused)
	refused := committed(t, 2, "e2")
	if failed := w.handle(t, committed(t, 1, "e1"), refused, committed(t, 3, "e3")); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	w.wantPublished(t, "e1", "e3")
	w.wantSetAside(t, refused)
}

func TestRecordsOfTwoShardsWithOneNumberAreBothSetAside(t *testing.T) {
	w := newWorld()
	w.busErr["e1"], w.busErr["e2"] = bus.ErrRefused, bus.ErrRefused
	one, other := committed(t, 1, "e1"), committed(t, 1, "e2")
	if failed := append(w.handle(t, one), w.handle(t, other)...); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	w.wantSetAside(t, one, other)
}

func TestKeptObjectsWithoutRecordsAreErrors(t *testing.T) {
	for _, object := range []string{`{}`, `{"payload":""}`, `{"payload":"{}"}`, `{"payload":"null"}`,
		`{"payload":"{\"Records\":[]}"}`, `null`, ``} {
		if batch, err := publish.Records([]byte(object)); err == nil {
			t.Errorf("%s: %+v", object, batch)
		}
	}
}

func TestARecordThatCannotBeSetAsideIsRetried(t *testing.T) {
	w := newWorld()
	w.keepErr, w.busErr["e2"] = errDown, bus.ErrRefused
	unreadable := committed(t, 4, "e4")
	delete(unreadable.Change.NewImage, "event")
	failed := w.handle(t, committed(t, 1, "e1"), committed(t, 2, "e2"), committed(t, 3, "e3"), unreadable)
	if diff := cmp.Diff([]string{"2", "4"}, failed); diff != "" {
		t.Error(diff)
	}
	w.wantPublished(t, "e1", "e3")
	w.wantSetAside(t)
}

func TestATemporarilyRefusedEventIsRetried(t *testing.T) {
	w := newWorld()
	w.busErr["e2"], w.busErr["e5"] = errDown, errDown
	duplicate := recordOf(t, 3, ledger.Processed, entryOf("e3")) // not on the bus, so that the indices differ
	failed := w.handle(t, committed(t, 1, "e1"), committed(t, 2, "e2"), duplicate, committed(t, 4, "e4"),
		committed(t, 5, "e5"))
	if diff := cmp.Diff([]string{"2", "5"}, failed); diff != "" {
		t.Error(diff)
	}
	w.wantPublished(t, "e1", "e4")
	w.wantSetAside(t)
	if log := w.log.String(); !strings.Contains(log,
		`"level":"ERROR","msg":"not published","event":"e2","sequence":"2","error":"down"`) {
		t.Error(log)
	}
}

// TestAnAnswerIsNeverNull checks that an answer without failures has an empty list. Lambda would also accept null, but
// the code should not rely on it.
func TestAnAnswerIsNeverNull(t *testing.T) {
	for name, records := range map[string][]events.DynamoDBEventRecord{
		"of no records": nil, "of nothing to publish": {{}}, "of success": {committed(t, 1, "e")},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := newWorld().Handle(t.Context(), events.DynamoDBEvent{Records: records})
			if err != nil {
				t.Fatal(err)
			}
			if b, err := json.Marshal(response); err != nil || string(b) != `{"batchItemFailures":[]}` {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
}

// hanging is an unreachable bus.
type hanging struct{}

func (hanging) Publish(ctx context.Context, all []bus.Event) (errs []error) {
	<-ctx.Done()
	for range all {
		errs = append(errs, ctx.Err())
	}
	return errs
}

func TestABusThatHangsIsReportedWithinTheFunctionsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Bus = hanging{}
		start := time.Now()
		if diff := cmp.Diff([]string{"1", "2"}, w.handle(t, committed(t, 1, "e1"), committed(t, 2, "e2"))); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took >= 30*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestLogsHoldOnlyTheIdentity(t *testing.T) {
	w := newWorld()
	secret := entryOf("e1")
	secret.Event.Participant, secret.Event.Attributes = "hunter2", map[string]string{"name": "hunter2"}
	secret.Event.Subject, secret.Event.AgreementID = "acmesign#hunter2", "hunter2"
	secret.Agreement.Participants = map[string]esign.Progress{"hunter2": {Status: esign.Signed}}
	spoilt := recordOf(t, 2, ledger.New, secret)
	spoilt.Change.NewImage["event"] = events.NewStringAttribute(`{"id":"hunter2","occurredAt":"hunter2"}`)
	unknown := recordOf(t, 3, ledger.New, secret)
	unknown.Change.NewImage["processedAt"] = events.NewStringAttribute("hunter2")
	w.handle(t, recordOf(t, 1, ledger.New, secret), spoilt, unknown)
	log := w.log.String()
	if strings.Contains(log, "hunter2") {
		t.Error(log)
	}
	want := `"level":"INFO","msg":"published","event":"e1","sequence":"1","provider":"acmesign","type":"agreement.completed","statusChanged":true}`
	if !strings.Contains(log, want) {
		t.Errorf("%s holds no %s", log, want)
	}
}

func TestTheTraceOfTheRequestIsContinued(t *testing.T) {
	const id = "1-5759e988-bd862e3fe1be46a994272793"
	w, record := newWorld(), recordOf(t, 1, ledger.New, entryOf("e1"))
	record.Change.NewImage["trace"] = events.NewStringAttribute(id)
	w.handle(t, record)
	if len(w.published) != 1 || w.published[0].Trace != id || !strings.Contains(w.log.String(), `"trace":"`+id+`"`) {
		t.Errorf("%+v\n%s", w.published, &w.log)
	}
}

func TestKeptRecordsAreLambdas(t *testing.T) {
	const metadata = `"requestContext":{"condition":"RetryAttemptsExhausted"},"version":"1.0","DDBStreamBatchInfo":{"batchSize":1}`
	batch := events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{committed(t, 1, "e1"), committed(t, 2, "e2")}}
	whole, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(string(whole))
	if err != nil {
		t.Fatal(err)
	}
	got, err := publish.Records([]byte(`{` + metadata + `,"payload":` + string(payload) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(viaJSON(t, batch), got, attributes); diff != "" {
		t.Error(diff)
	}
	for name, object := range map[string]string{
		"nothing": ``, "no object": `[]`, "no payload": `{` + metadata + `}`,
		"a payload cut short": `{"payload":"{\"Records\":[{"}`,
	} {
		if got, err := publish.Records([]byte(object)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, before := range []ledger.State{ledger.New, ledger.Received, ledger.Processed} {
		seed, err := json.Marshal(recordOf(f, 1, before, entryOf("e")))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Add([]byte(`{"dynamodb":{"NewImage":{"state":{"S":"processed"},"event":{"M":{"a":{"L":[{"NULL":true}]}}},"agreement":{"BS":["AA=="]}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if record, ok := read(b); ok {
			wantOneFate(t, record)
		}
	})
}

func FuzzImage(f *testing.F) {
	for _, id := range []string{"e", "other"} {
		i := committed(f, 1, "e").Change.NewImage
		f.Add(id, i["processedAt"].String(), i["event"].String(), i["agreement"].String())
	}
	f.Fuzz(func(t *testing.T, id, processedAt, event, agreement string) {
		i := image{"state": events.NewStringAttribute("processed")}
		for name, value := range map[string]string{"sk": id, "processedAt": processedAt, "event": event,
			"agreement": agreement} {
			i[name] = events.NewStringAttribute(strings.ToValidUTF8(value, "?"))
		}
		wantOneFate(t, events.DynamoDBEventRecord{Change: events.DynamoDBStreamRecord{NewImage: i, SequenceNumber: "1"}})
	})
}

// wantOneFate checks that any record is published, or set aside so that it can be read back, or ignored.
func wantOneFate(t *testing.T, record events.DynamoDBEventRecord) {
	t.Helper()
	w := newWorld()
	response, err := w.Handle(t.Context(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
	if err != nil || len(response.BatchItemFailures) > 0 || len(w.published)+len(w.kept) > 1 {
		t.Fatalf("%+v, %v, %d published, %d kept", response, err, len(w.published), len(w.kept))
	}
	for _, e := range w.published {
		if _, err := json.Marshal(e); err != nil || e.Detail.EventID != record.Change.NewImage["sk"].String() ||
			e.DetailType == "" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	for _, object := range w.kept {
		got, err := publish.Records(object)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(record.Change.NewImage, got.Records[0].Change.NewImage, attributes); diff != "" {
			t.Error(diff)
		}
	}
}

// read reads a record. The library panics over some of what DynamoDB does not write.
func read(b []byte) (record events.DynamoDBEventRecord, ok bool) {
	defer func() { ok = recover() == nil && ok }()
	return record, json.Unmarshal(b, &record) == nil
}
