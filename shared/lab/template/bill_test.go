package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/publish"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/background"
)

// Prices of us-east-1 in dollars, without the free tier, read 2026-12-01. AWS's own price pages could not be read: the
// sources are others' pages about them, unless a line says that the price is from memory.
const (
	million = 1e-6
	// https://docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/rest-api.html
	requestREST = 3.50 * million
	// https://git.mcrn.ar/mariano/lambda_local_runner/src/docs/lambdas-md/lambda-13-cost.md
	invocation = 0.20 * million
	gbSecond   = 0.0000133334 // arm64
	// https://cloudburn.io/blog/amazon-sqs-pricing: every call counts, also one that receives nothing
	callFIFO     = 0.50 * million
	callStandard = 0.40 * million
	// https://aws.amazon.com/blogs/database/new-amazon-dynamodb-lowers-pricing-for-on-demand-throughput-and-global-tables/,
	// from memory; airbyte.com has the same
	writeUnit = 0.625 * million
	readUnit  = 0.125 * million
	// https://blog.awsfundamentals.com/aws-eventbridge-pricing-guide: an event of up to 64 KB
	busEvent = 1.00 * million
	// https://signoz.io/guides/cloudwatch-pricing and
	// https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/. Three dashboards of an
	// account are free, and a stack has one.
	alarmMetric  = 0.10
	customMetric = 0.30
	logGB        = 0.50
	secret       = 0.40           // from memory, as all that follows
	secretCall   = 0.05 / 10_000  // GetSecretValue
	trace        = 5.00 * million // X-Ray, recorded
	putObject    = 5.00 * million // S3
)

// What was not measured.
const (
	month = 730 // hours
	// An event source mapping of a queue has five pollers, whose receives wait for 20 seconds.
	// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html (the number is from memory).
	receivesAnHour = 5 * 3600 / 20
	passesAnHour   = 4 // of the reconciler
	// CloudWatch adds 26 bytes to a line (from memory). Lambda adds the request's ID to ours.
	// JSON quotes up to 15 names, which the text of a test does not.
	lineBytes = 26 + len(`,"requestId":"c6af9ac6-7b61-11e6-9a41-93e8deadbeef"`) + 2*15
	// A line of the access log, filled in.
	accessBytes = 26 + 480
	// Seconds that functions run for an event, at 5 ms a call: see performance.md.
	receiverRuns, workerRuns, publisherRuns, passRuns = 0.015, 0.020, 0.012, 0.5
)

// usage is what an event of 2 KB makes the functions do, one event in an invocation. e2e and make bench see the same
// calls: shared/lab/bench counts them too.
type usage struct {
	Calls   map[string]int // by function and operation
	Bytes   map[string]int // of log lines, by function; one request of a vendor
	Lines   map[string]int
	Metrics []string // that the functions write, with their dimension
}

// measure runs an event through the functions that the template deploys.
func measure(t *testing.T) usage {
	u := usage{Calls: map[string]int{}, Bytes: map[string]int{}, Lines: map[string]int{}}
	r := &recorder{t: t, told: map[string]string{}, calls: map[string]string{}, objects: map[string]stored{},
		made: map[string]int{}}
	c := newChecker(readRoot(t), nil)
	p, _ := webhook.Find(provider.All(), "docusign")
	info := p.Info()
	r.secret = func(string) string { return fmt.Sprintf(`{"keys":[%q],"urlTokens":[]}`, info.DevelopmentKey) }
	// run runs a function, and notes what it writes.
	run := func(function string, do func(log *slog.Logger, out *os.File)) {
		out, err := os.Create(filepath.Join(t.TempDir(), function))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		standard := os.Stdout
		os.Stdout = out // of Lambda's logger
		defer func() { os.Stdout = standard }()
		do(lambdacontext.NewLogger(), out)
		written, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(written) {
			u.Bytes[function] += len(line)
			u.Lines[function]++
			var emf struct {
				AWS struct {
					CloudWatchMetrics []struct {
						Dimensions [][]string
						Metrics    []struct{ Name string }
					}
				} `json:"_aws"`
			}
			json.Unmarshal(line, &emf) // of others, nothing
			for _, d := range emf.AWS.CloudWatchMetrics {
				for _, m := range d.Metrics {
					u.Metrics = append(u.Metrics, strings.TrimSpace(m.Name+" "+strings.Join(d.Dimensions[0], " ")))
				}
			}
		}
	}
	name, err := sample.Completed(p)
	if err != nil {
		t.Fatal(err)
	}
	request, _, err := sample.Request(p, name, "", webhook.NewSecret(info.DevelopmentKey), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ids, err := p.Identify(request)
	if err != nil {
		t.Fatal(err)
	}
	request.Trace = traced
	r.enter(c, "DocuSignFunction")
	run("receiver", func(log *slog.Logger, out *os.File) {
		receiver, err := wiring.NewReceiver(p, log, out)
		if err != nil {
			t.Fatal(err)
		}
		wiring.Prepare(receiver, slog.New(slog.DiscardHandler))
		receiver.Receive(t.Context(), request) // the first request of a process has another line
		clear(r.made)
		if err := errors.Join(out.Truncate(0), at(out.Seek(0, io.SeekStart))); err != nil {
			t.Fatal(err)
		}
		if answer := receiver.Receive(t.Context(), request); answer.Status != 200 {
			t.Fatalf("answered %d", answer.Status)
		}
	})
	count := func() {
		for call, n := range r.made {
			u.Calls[call] += n
		}
		clear(r.made)
	}
	count()
	r.enter(c, "WorkerFunction")
	run("worker", func(*slog.Logger, *os.File) {
		worker := background.Worker(provider.All())
		d := &webhook.Delivery{Provider: info.Name, EventID: ids[0].EventID, Subject: ids[0].Subject, Via: ids[0].Via,
			FormerIDs: ids[0].FormerIDs, ReceivedAt: time.Now(), Proof: esign.ProofSigned, Payload: request.Body,
			ContentType: request.Header.Get("Content-Type"), Trace: traced}
		message, _ := queue.Encode(d)
		clear(r.made)
		r.told["GetItem"] = `{"Item":{"pk":{"S":"x"},"sk":{"S":"@"},"version":{"N":"1"},"agreement":{"S":"{}"}}}`
		response, err := worker(t.Context(), events.SQSEvent{Records: []events.SQSMessage{recordOf(message)}})
		if err != nil || len(response.BatchItemFailures) > 0 {
			t.Fatalf("%v, %v", response, err)
		}
	})
	count()
	r.enter(c, "PublisherFunction")
	run("publisher", func(*slog.Logger, *os.File) {
		publisher := background.Publisher()
		event := esign.Event{ID: ids[0].EventID, Provider: info.Name, Type: esign.AgreementCompleted,
			Subject: ids[0].Subject, OccurredAt: time.Now()}
		record, err := publish.Record(1, ledger.New, ledger.Entry{Key: ledger.Key{Subject: event.Subject, ID: event.ID},
			State: ledger.Processed, ProcessedAt: time.Now(), Event: &event})
		if err != nil {
			t.Fatal(err)
		}
		record.Change.NewImage[item.Trace] = events.NewStringAttribute(traced[len("Root="):40])
		clear(r.made)
		response, err := publisher(t.Context(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
		if err != nil || len(response.BatchItemFailures) > 0 {
			t.Fatalf("%v, %v", response, err)
		}
	})
	count()
	slices.Sort(u.Metrics)
	u.Metrics = slices.Compact(u.Metrics)
	return u
}

func at(_ int64, err error) error { return err }

// TestAnEventMakesTheseCalls compares what is measured with testdata/event.json, from which the bill is computed.
func TestAnEventMakesTheseCalls(t *testing.T) {
	got, want := measure(t), readUsage(t)
	for function, n := range got.Bytes { // times and durations have some digits more or less
		if was := want.Bytes[function]; n > was+was/10 || n < was-was/10 {
			t.Errorf("%s writes %d bytes of log lines, not %d", function, n, was)
		}
	}
	got.Bytes = want.Bytes
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func readUsage(t *testing.T) (u usage) {
	t.Helper()
	b, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// bill is a list of costs.
type bill []struct {
	what    string
	dollars float64
}

func (b *bill) add(dollars float64, format string, arguments ...any) {
	if dollars > 0 {
		*b = append(*b, bill{{fmt.Sprintf(format, arguments...), dollars}}...)
	}
}

func (b bill) sum() (dollars float64) {
	for _, one := range b {
		dollars += one.dollars
	}
	return dollars
}

// String returns the sum and the parts, as the page has them.
func (b bill) String() string {
	parts := []string{}
	for _, one := range b {
		parts = append(parts, fmt.Sprintf("%s %.2f", one.what, one.dollars))
	}
	return fmt.Sprintf("$%.2f: %s", b.sum(), strings.Join(parts, ", "))
}

// idle is what a month without events costs.
func (c *checker) idle() (b bill) {
	metrics, secrets := 0, len(c.of("AWS::SecretsManager::Secret"))
	for _, name := range c.of("AWS::CloudWatch::Alarm") {
		metrics += len(c.readAlarm(name).metrics)
	}
	b.add(float64(metrics)*alarmMetric, "%d alarm metrics", metrics)
	b.add(float64(secrets)*secret, "%d secrets", secrets)
	queues, polls := 0, 0.0
	for _, name := range c.of("AWS::Lambda::EventSourceMapping") {
		source := logical(c.get(name + ".EventSourceArn"))
		if c.resources[source]["Type"] != "AWS::SQS::Queue" || c.get(name+".Enabled") == "false" {
			continue
		}
		price := callStandard
		if c.get(source+".FifoQueue") == "true" {
			price = callFIFO
		}
		queues++
		polls += month * receivesAnHour * price
	}
	b.add(polls, "polls of %d queues", queues)
	traced := 0.0
	if c.parameters["Tracing"] == "Active" {
		traced = trace
	}
	if c.parameters["AskVendors"] == "true" {
		const passes = month * passesAnHour
		memory := float64(c.number("ReconcilerFunction.MemorySize")) / 1024
		b.add(passes*(invocation+passRuns*memory*gbSecond+traced+float64(len(c.vendors()))*secretCall), "reconciler")
	}
	return b
}

// metered are the custom metrics of a month with events, which need no failure. Credentials add four.
func (c *checker) metered(u usage) (n int) {
	for _, metric := range u.Metrics {
		if n++; strings.HasSuffix(metric, " Provider") {
			n += len(c.vendors()) - 1
		}
	}
	if c.parameters["AskVendors"] == "true" {
		n += len([]string{"Archived", "Confirmed", "ReconcileFailed", "SubscriptionProblems"})
	}
	return n
}

// ofEvents is what events cost, with so many in a batch of the worker and the publisher. Traces are not in it.
func (c *checker) ofEvents(u usage, events, batch, units float64) (b bill) {
	call := func(name string) float64 { return float64(u.Calls[name]) }
	seconds := func(function string, seconds float64) float64 {
		return seconds * float64(c.number(function+".MemorySize")) / 1024 * gbSecond
	}
	b.add(events*requestREST, "API Gateway")
	b.add(events*(units*writeUnit+call("WorkerFunction GetItem")*readUnit), "DynamoDB")
	b.add(events*busEvent*call("PublisherFunction PutEvents"), "EventBridge")
	b.add(events*callFIFO*(call("DocuSignFunction SendMessage")+2/batch), "SQS") // receive and delete
	b.add(events*(invocation*(1+2/batch)+seconds("DocuSignFunction", receiverRuns)+
		seconds("WorkerFunction", workerRuns)+seconds("PublisherFunction", publisherRuns)), "Lambda")
	logged := accessBytes
	for function, n := range u.Bytes {
		logged += n + u.Lines[function]*lineBytes
	}
	b.add(events*float64(logged)*1e-9*logGB, "logs")
	return b
}

// TestTheBill computes what a stack costs, and compares it with the goals and the page.
func TestTheBill(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	u, root := readUsage(t), readRoot(t)
	stack := func(vendors string, more ...string) *checker {
		parameters := map[string]string{}
		for _, p := range provider.All() {
			name := p.Info().Resource
			if parameters[name] = "disabled"; strings.Contains(vendors+" ", name+" ") {
				parameters[name] = "enabled"
			}
		}
		for i := 0; i < len(more); i += 2 {
			parameters[more[i]] = more[i+1]
		}
		return newChecker(root, parameters)
	}
	units := func(name string) float64 { // of an event, with its claim
		p, _ := webhook.Find(provider.All(), name)
		s := tell(t, p, 1)
		return 1 + float64(s.units)/float64(s.messages)
	}
	two := stack("DocuSign DropboxSign")
	month := func(c *checker, events float64) bill {
		b := c.idle()
		metrics := c.metered(u)
		b.add(float64(metrics)*customMetric, "%d custom metrics", metrics)
		b.add(c.ofEvents(u, events, 1, units("docusign")).sum(), "events")
		b.add(3*events*trace, "traces")
		return b
	}
	row := func(what string, b bill, goal float64) {
		t.Helper()
		if goal > 0 && b.sum() >= goal {
			t.Errorf("%s: %s is not less than $%.0f", what, b, goal)
		}
		stated := fmt.Sprintf("\n| %s | %s |\n", what, b)
		t.Log(stated)
		if !strings.Contains(string(page), stated) {
			t.Errorf("performance.md does not state %s", stated)
		}
	}
	row("a month, two vendors, idle", two.idle(), 5)
	row("a month, two vendors, idle, `AskVendors=false`", stack("DocuSign DropboxSign", "AskVendors", "false").idle(), 5)
	row("a month, four vendors, idle", stack("AdobeSign DocuSign DropboxSign ESignGlobal").idle(), 0)
	row("a month, two vendors with credentials, 10,000 events", month(two, 10_000), 10)
	row("a month, two vendors, idle, with `OutletUrl`",
		stack("DocuSign DropboxSign", "OutletUrl", "https://app.example.com/events").idle(), 0)
	row("a million events, each in an invocation", two.ofEvents(u, 1e6, 1, units("docusign")), 0)
	row("a million events, ten in an invocation", two.ofEvents(u, 1e6, 10, units("docusign")), 0)
	row("a million events of Adobe, each in an invocation", two.ofEvents(u, 1e6, 1, units("adobesign")), 0)
	if n := len(two.of("AWS::CloudWatch::Dashboard")); n > 1 {
		t.Errorf("a stack has %d dashboards; three of an account are free", n)
	}
}
