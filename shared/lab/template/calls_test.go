package template

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/outlet"
	"esignhooks/shared/provider"
	"esignhooks/shared/publish"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/background"
)

// recorder answers as AWS does, and records the calls. It keeps objects of S3, and answers the rest as told.
type recorder struct {
	t            *testing.T
	name, vendor string            // of the function, and its provider if it is a receiver
	told         map[string]string // answers, by operation; one that begins with ! is an error
	calls        map[string]string // what of the resource, by "function action resource"
	made         map[string]int    // how many, by "function operation", if they are counted

	mu      sync.Mutex
	objects map[string]stored // by bucket and key
	secret  func(name string) string
}

type stored struct {
	checksum string
	body     []byte
}

// input holds what the recorder reads of all operations.
type input struct {
	TableName, QueueURL, MessageBody string
	SecretID                         string `json:"SecretId"`
	Key, Item                        struct{ PK, SK struct{ S string } }
	ExpressionAttributeValues        map[string]struct{ S string }
	TransactItems                    []map[string]struct {
		TableName string
		Key, Item struct{ PK struct{ S string } }
	}
	Entries []struct{ EventBusName string }
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, operation, isJSON := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	if r.made != nil {
		r.made[r.name+" "+operation]++
	}
	if !isJSON {
		r.object(w, request, body)
		return
	}
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		r.t.Errorf("%s: %v", operation, err)
	}
	answer := "{}"
	switch operation {
	case "SendMessage":
		r.record("sqs:SendMessage", in.QueueURL, "*")
		sum := md5.Sum([]byte(in.MessageBody))
		answer = `{"MD5OfMessageBody":"` + hex.EncodeToString(sum[:]) + `","MessageId":"m"}`
	case "ChangeMessageVisibility":
		r.record("sqs:ChangeMessageVisibility", in.QueueURL, "*")
	case "GetSecretValue":
		text, _ := json.Marshal(r.secret(in.SecretID))
		answer = `{"Name":"s","SecretString":` + string(text) + `}`
	case "PutEvents":
		for _, e := range in.Entries {
			r.record("events:PutEvents", e.EventBusName, "*")
		}
		answer = `{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}`
	case "TransactWriteItems":
		for _, one := range in.TransactItems {
			for kind, write := range one {
				r.record("dynamodb:"+kind+"Item", write.TableName, write.Key.PK.S+write.Item.PK.S)
			}
		}
	case "Scan", "Query":
		answer = `{"Items":[],"Count":0}`
		fallthrough
	default:
		pk := in.Key.PK.S + in.Item.PK.S
		for _, value := range in.ExpressionAttributeValues {
			if pk == "" && operation == "Query" && strings.Contains(value.S, "#") {
				pk = value.S
			}
		}
		r.record("dynamodb:"+operation, in.TableName, pk)
	}
	if operation == "GetItem" && in.Key.SK.S != item.AgreementSK {
		operation = "GetItem of an event"
	}
	if told, ok := r.told[operation]; ok {
		answer = told
		delete(r.told, operation)
	}
	status := http.StatusOK
	if code, failed := strings.CutPrefix(answer, "!"); failed {
		status, answer = http.StatusBadRequest, code
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(answer))), 10))
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

// object serves S3. HeadObject needs the permission s3:GetObject, and an absent object is 404 only with s3:ListBucket.
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html and API_GetObject.html
func (r *recorder) object(w http.ResponseWriter, request *http.Request, body []byte) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	if request.Method == http.MethodPut {
		r.record("s3:PutObject", bucket, key)
		if request.Header.Get("If-None-Match") != "*" {
			r.t.Errorf("%s may overwrite %s/%s", r.name, bucket, key)
		}
		r.objects[bucket+"/"+key] = stored{request.Header.Get("X-Amz-Checksum-Sha256"), body}
		return
	}
	r.record("s3:GetObject", bucket, key)
	found, ok := r.objects[bucket+"/"+key]
	if !ok {
		r.record("s3:ListBucket", bucket, "*")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
		return
	}
	w.Header().Set("X-Amz-Checksum-Sha256", found.checksum)
	w.Write(found.body)
}

// record records a call of a function. A receiver's is that of every vendor.
func (r *recorder) record(action, resource, what string) {
	function, pattern := r.name, "*"
	day, own, _ := strings.Cut(what, r.vendor)
	switch {
	case strings.HasPrefix(what, "@"):
		pattern = "@*" // a note
	case r.vendor == "":
	case strings.HasPrefix(what, r.vendor+"#"):
		pattern = "<vendor>#*"
	case dated.MatchString(day) && strings.HasPrefix(own, "/"):
		pattern = "????/??/??/<vendor>/*"
	}
	if r.vendor != "" {
		function = "<Vendor>Function"
	}
	line := function + " " + action + " " + logical(resource)
	if known, ok := r.calls[line]; ok && known != pattern {
		pattern = "*"
	}
	r.calls[line] = pattern
}

var dated = regexp.MustCompile(`^\d{4}/\d\d/\d\d/$`)

// lines returns the calls, as in testdata/calls.txt.
func (r *recorder) lines() string {
	text := "# Made by go test ./shared/lab/template -run TestTheFunctionsMakeTheirCalls -update.\n" +
		"# What Lambda itself does for an event source mapping is not in it, nor are reads of secrets.\n"
	for _, line := range slices.Sorted(maps.Keys(r.calls)) {
		text += line + " " + r.calls[line] + "\n"
	}
	return text
}

// enter sets the environment of a function, as the template does, and sends its calls to the recorder.
func (r *recorder) enter(c *checker, function string) {
	r.name, r.vendor = function, ""
	for variable, value := range c.environment(function) {
		r.t.Setenv(variable, value)
	}
	server := httptest.NewServer(r)
	r.t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_SAM_LOCAL": "",
	} {
		r.t.Setenv(name, value)
	}
}

// TestTheFunctionsMakeTheirCalls runs each function with the template's variables through all that it can meet, and
// records its calls. The permissions in the template are compared with the record.
func TestTheFunctionsMakeTheirCalls(t *testing.T) {
	r := &recorder{t: t, told: map[string]string{}, calls: map[string]string{}, objects: map[string]stored{}}
	enabled := map[string]string{"ArchiveDays": "7", "OutletUrl": "https://127.0.0.1:1/events"}
	for _, p := range provider.All() {
		enabled[p.Info().Resource] = "enabled"
	}
	c := newChecker(readRoot(t), enabled)
	for _, p := range provider.All() {
		r.enter(c, p.Info().Resource+"Function")
		r.receive(p)
	}
	r.enter(c, "WorkerFunction")
	r.work()
	r.enter(c, "PublisherFunction")
	r.publish()
	r.enter(c, "OutletFunction")
	r.forward()
	stub := vendorstub.New(t)
	r.secret = func(id string) string {
		for _, p := range all.Providers() {
			if strings.Contains(id, p.Info().Resource) {
				return fmt.Sprintf(`{"keys":["x"],"urlTokens":["%s"],"api":%s}`, strings.Repeat("t", 32),
					stub.Credentials(p.Info().Name))
			}
		}
		return `{"keys":["x"]}`
	}
	r.enter(c, "ArchiverFunction")
	r.archive(stub)
	r.enter(c, "ReconcilerFunction")
	r.reconcile(stub)
	webhooktest.Golden(t, "testdata/calls.txt", []byte(r.lines()))
}

// settled is DynamoDB's answer to a write whose condition found this event.
const settled = `!{"__type":"com.amazonaws#ConditionalCheckFailedException",` +
	`"Item":{"pk":{"S":"x"},"sk":{"S":"e"},"state":{"S":"processed"}}}`

func (r *recorder) receive(p webhook.Provider) {
	info := p.Info()
	r.vendor = info.Name
	token := strings.Repeat("t", 43)
	r.secret = func(id string) string {
		if id != secretARN(info.Resource+"Secret") {
			r.t.Errorf("%s reads %s", r.name, id)
		}
		return fmt.Sprintf(`{"keys":[%q],"urlTokens":[],"urlToken":%q}`, info.DevelopmentKey, token)
	}
	receiver, err := wiring.NewReceiver(p, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		r.t.Fatal(err)
	}
	wiring.Prepare(receiver, receiver.Log)
	for _, found := range []string{"{}", settled} { // a new event that is too large for a message, and a duplicate
		r.told["PutItem"] = found
		name, err := sample.Completed(p)
		if err != nil {
			r.t.Fatal(err)
		}
		request, _, err := sample.Request(p, name, "", webhook.NewSecret(info.DevelopmentKey), time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		space := " "
		if strings.HasPrefix(request.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			space = "+"
		}
		request.URLToken, request.Body = token, append(request.Body, strings.Repeat(space, queue.MaxMessage)...)
		if err := p.Sign(request, webhook.NewSecret(info.DevelopmentKey), time.Now()); err != nil {
			r.t.Fatal(err)
		}
		status := 0
		for range 5 { // like a vendor: a busy machine may be too slow for the deadlines
			if status = receiver.Receive(r.t.Context(), request).Status; status != http.StatusServiceUnavailable {
				break
			}
		}
		if status != http.StatusOK {
			r.t.Errorf("%s: %d", info.Name, status)
		}
	}
}

func (r *recorder) work() {
	acme := acmesign.Provider{Renamed: true}
	worker := background.Worker(append(provider.All(), acme))
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	lost := false // the payload of a delivery
	deliver := func(change func(*webhook.Delivery)) {
		request := acmesign.Request(acmesign.Event{Number: 1, Type: "completed", Agreement: "a", At: at})
		ids, err := acme.Identify(request)
		if err != nil {
			r.t.Fatal(err)
		}
		d := webhook.Delivery{
			Provider: acmesign.Name, EventID: ids[0].EventID, Subject: ids[0].Subject, FormerIDs: ids[0].FormerIDs,
			ReceivedAt: at, Proof: esign.ProofSigned, ContentType: "application/json", Payload: request.Body,
		}
		change(&d)
		m, key := queue.Encode(&d)
		record := events.SQSMessage{
			MessageId: "m", Body: m.Body, Attributes: map[string]string{"MessageGroupId": m.Group},
			MessageAttributes: map[string]events.SQSMessageAttribute{},
		}
		for name, value := range m.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: &value, DataType: "String"}
		}
		if key != "" && !lost {
			r.objects["<PayloadBucket>/"+key] = stored{body: d.Payload}
		}
		failed, err := worker(r.t.Context(), events.SQSEvent{Records: []events.SQSMessage{record}})
		if err != nil || (len(failed.BatchItemFailures) > 0) != lost {
			r.t.Errorf("%v, %v", failed, err)
		}
	}
	same := func(*webhook.Delivery) {}
	deliver(same)
	deliver(func(d *webhook.Delivery) { // unreadable, and too large for a message
		d.Provider, d.Subject = "docusign", webhook.UnreadableSubject("docusign")
		d.Payload = []byte(strings.Repeat("?", queue.MaxMessage))
	})
	// It is processed under its former ID.
	r.told["GetItem of an event"] = `{"Item":{"pk":{"S":"x"},"sk":{"S":"e"},"state":{"S":"processed"}}}`
	deliver(same)
	r.told["TransactWriteItems"] = `!{"__type":"com.amazonaws#TransactionCanceledException","CancellationReasons":[` +
		`{"Code":"ConditionalCheckFailed","Item":{"pk":{"S":"x"},"sk":{"S":"e"},"state":{"S":"processed"},` +
		`"event":{"S":"{` + strings.ReplaceAll(item.InexactMark, `"`, `\"`) + `}"}}},{"Code":"None"}]}`
	deliver(func(d *webhook.Delivery) { d.FormerIDs = nil })
	lost = true
	deliver(func(d *webhook.Delivery) { d.Payload = []byte(strings.Repeat(" ", queue.MaxMessage)) })
}

func (r *recorder) publish() {
	publisher := background.Publisher()
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	event := esign.Event{ID: "e", Provider: "docusign", Type: esign.AgreementSent, Subject: "docusign#a", OccurredAt: at}
	record, err := publish.Record(1, ledger.New, ledger.Entry{
		Key: ledger.Key{Subject: event.Subject, ID: event.ID}, State: ledger.Processed, ProcessedAt: at, Event: &event,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, answer := range []string{
		`{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}`,
		`!{"__type":"ValidationException","message":"too large"}`,
	} {
		r.told["PutEvents"] = answer
		response, err := publisher(r.t.Context(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
		if err != nil || len(response.BatchItemFailures) > 0 {
			r.t.Errorf("%v, %v", response, err)
		}
	}
}

// forward has the outlet fail to reach an application, for a new event and for one that is three days old.
func (r *recorder) forward() {
	r.secret = func(string) string { return `{"secret":"` + strings.Repeat("a", 40) + `"}` }
	forward := background.Outlet()
	for _, sent := range []time.Time{time.Now(), time.Now().Add(-outlet.GiveUpAfter)} {
		message := events.SQSMessage{MessageId: "m", ReceiptHandle: "r", Body: "{}", Attributes: map[string]string{
			"MessageGroupId": "docusign#a", "SentTimestamp": strconv.FormatInt(sent.UnixMilli(), 10),
		}}
		if _, err := forward(r.t.Context(), events.SQSEvent{Records: []events.SQSMessage{message}}); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *recorder) archive(stub *vendorstub.Server) {
	archiver := background.Archiver(provider.All())
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for i, status := range []esign.Status{esign.Completed, esign.Declined, esign.Sent} { // done, forged, and not yet
		id := strconv.Itoa(i) + "8740f95-2187-4b01-9a69-452ae3140752"
		for _, p := range all.Providers() {
			stub.Set(p.Info().Name, vendorstub.Agreement{ID: id, Status: status})
			event := &esign.Event{Provider: p.Info().Name, Type: esign.AgreementCompleted, AgreementID: id}
			body := archive.Job(bus.EventOf(ledger.Entry{Event: event, ProcessedAt: time.Now()}))
			message := events.SQSMessage{MessageId: "m", Body: body, ReceiptHandle: "r"}
			if _, err := archiver(ctx, events.SQSEvent{Records: []events.SQSMessage{message}}); err != nil {
				r.t.Error(err)
			}
		}
	}
}

func (r *recorder) reconcile(stub *vendorstub.Server) {
	reconciler := background.Reconciler(provider.All())
	for _, p := range all.Providers() {
		stub.Set(p.Info().Name, vendorstub.Agreement{
			ID: "68740f95-2187-4b01-9a69-452ae3140752", Status: esign.Completed,
			ChangedAt: time.Now().Add(-30 * time.Minute), CreatedAt: time.Now().Add(-3 * time.Hour),
		})
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	reconciler(ctx, nil)
	reconciler(ctx, []byte(`{"provider":"docusign","agreementId":"68740f95-2187-4b01-9a69-452ae3140752"}`))
}
