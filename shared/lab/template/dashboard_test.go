package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.etcd.io/bbolt"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/process"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// dashboard is the body of a dashboard, with what ours uses.
//
// SPEC:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html, read
// 2026-12-01.
type dashboard struct {
	Start   string `json:"start"`
	Widgets []struct {
		Type       string `json:"type"`
		X          int    `json:"x"`
		Y          int    `json:"y"`
		Width      int    `json:"width"`
		Height     int    `json:"height"`
		Properties struct {
			Title                string  `json:"title"`
			Region               string  `json:"region"`
			View                 string  `json:"view"`
			Stat                 string  `json:"stat"`
			Period               int     `json:"period"`
			SetPeriodToTimeRange bool    `json:"setPeriodToTimeRange"`
			Metrics              [][]any `json:"metrics"`
			Query                string  `json:"query"`
		} `json:"properties"`
	} `json:"widgets"`
}

// readDashboard returns the dashboard of the stack.
func (c *checker) readDashboard() (d dashboard) {
	decoder := json.NewDecoder(strings.NewReader(c.get("Dashboard.DashboardBody")))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&d)
	_, rest := decoder.Token()
	c.holds(err == nil && rest == io.EOF, "the dashboard is no JSON that we know: %v, %v", err, rest)
	return d
}

// dashboardRules expects widgets that fit the grid, and read what exists in this stack. A query of a log group that does
// not exist fails as a whole.
func dashboardRules(c *checker) {
	c.holds(len(c.of("AWS::CloudWatch::Dashboard")) == 1, "there is no dashboard")
	c.want("Dashboard.", map[string]string{"DashboardName": "<AWS::StackName>-<AWS::Region>"})
	d := c.readDashboard()
	c.holds(d.Start == "-P1D", "the dashboard starts at %s", d.Start)
	const letters = "AWS/SQS ApproximateNumberOfMessagesVisible QueueName <%s.QueueName> Maximum"
	zeros := []string{fmt.Sprintf(letters, "DeadLetterQueue"), fmt.Sprintf(letters, "DocumentDeadLetterQueue")}
	if c.parameters["OutletUrl"] != "" {
		zeros = append(zeros, fmt.Sprintf(letters, "OutletDeadLetterQueue"))
	}
	for _, name := range []string{"Forged", "Unpublished", "Unavailable"} {
		zeros = append(zeros, c.namespace()+" "+name+" Sum")
	}
	metrics := map[string][]string{
		"Should be 0":          zeros,
		"Age of the queue (s)": {"AWS/SQS ApproximateAgeOfOldestMessage QueueName <Queue.QueueName> Maximum 60"},
		"Publisher behind the table (ms)": {
			"AWS/Lambda IteratorAge FunctionName <PublisherFunction> Maximum 60",
		},
	}
	var receivers []string
	for _, info := range c.vendors() {
		receivers = append(receivers, "<"+info.Resource+"Logs>")
	}
	logs := map[string][]string{
		"Received": receivers, "Acknowledged in (ms)": receivers, "Refused by cause": receivers,
		"From vendor to effect (s)": {"<WorkerLogs>"},
	}
	c.holds(len(d.Widgets) == len(metrics)+len(logs), "the dashboard has %d widgets", len(d.Widgets))
	taken := map[[2]int]string{}
	for _, w := range d.Widgets {
		p := w.Properties
		c.holds(p.Region == "<AWS::Region>", "%s is in %q", p.Title, p.Region)
		c.holds(w.Width > 0 && w.Height > 0 && w.X >= 0 && w.X+w.Width <= 24, "%s leaves the grid", p.Title)
		for x := range w.Width {
			for y := range w.Height {
				at := [2]int{w.X + x, w.Y + y}
				c.holds(taken[at] == "", "%s covers %s", p.Title, taken[at])
				taken[at] = p.Title
			}
		}
		var found []string
		if w.Type == "log" {
			sources := "SOURCE '" + strings.Join(logs[p.Title], "' | SOURCE '") + "' | filter "
			c.holds(strings.HasPrefix(p.Query, sources) && p.View == "table", "%s reads %s", p.Title, p.Query)
			continue
		}
		number := p.View == "singleValue" && p.SetPeriodToTimeRange
		c.holds(w.Type == "metric" && number != (p.View == "timeSeries"), "%s is a %s of type %s", p.Title, w.Type, p.View)
		for _, m := range p.Metrics {
			options, _ := m[len(m)-1].(map[string]any)
			if options["stat"] == nil {
				options["stat"] = p.Stat
			}
			c.holds(options["label"] != nil && len(options) == 2, "%s has the options %v", p.Title, options)
			text := strings.Trim(fmt.Sprint(m[:len(m)-1]), "[]") + fmt.Sprint(" ", options["stat"])
			if p.Period > 0 {
				text += fmt.Sprint(" ", p.Period)
			}
			found = append(found, text)
		}
		c.holds(slices.Equal(found, metrics[p.Title]), "%s shows %q", p.Title, found)
	}
	for _, name := range zeros[len(zeros)-3:] {
		_, written := codeMetrics()[strings.Fields(name)[1]]
		c.holds(written, "the code does not write %s", name)
	}
}

var (
	source  = regexp.MustCompile(`SOURCE '([^']*)' \| `)
	literal = regexp.MustCompile(`'[^']*'`)
	alias   = regexp.MustCompile(`\bas (\w+)`)
	word    = regexp.MustCompile(`[@A-Za-z]\w*\(?`)
)

// readQuery returns the log groups of a query and the fields that it reads.
//
// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html, read 2026-12-01.
func readQuery(query string) (groups, fields []string) {
	for _, match := range source.FindAllStringSubmatch(query, -1) {
		groups = append(groups, match[1])
	}
	query = literal.ReplaceAllString(source.ReplaceAllString(query, ""), "")
	known := strings.Fields("filter fields stats sort by as and desc @timestamp")
	for _, match := range alias.FindAllStringSubmatch(query, -1) {
		known = append(known, match[1])
	}
	for _, name := range word.FindAllString(query, -1) {
		if !strings.HasSuffix(name, "(") && !slices.Contains(known, name) && !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	return groups, fields
}

// TestTheDashboardReadsWhatTheFunctionsLog runs a receiver and a worker with the loggers of Lambda. For each query, some
// line of their logs must have all its fields, and the message that it filters by.
func TestTheDashboardReadsWhatTheFunctionsLog(t *testing.T) {
	logs := map[string]*bytes.Buffer{"<WorkerLogs>": {}}
	receiver := &bytes.Buffer{}
	c := newChecker(readRoot(t), nil)
	for _, info := range c.vendors() {
		logs["<"+info.Resource+"Logs>"] = receiver
	}
	vendorToEffect(t, receiver, logs["<WorkerLogs>"])
	queries := 0
	for _, w := range c.readDashboard().Widgets {
		if w.Type != "log" {
			continue
		}
		queries++
		groups, fields := readQuery(w.Properties.Query)
		message := ""
		if _, after, ok := strings.Cut(w.Properties.Query, "message = '"); ok {
			message, _, _ = strings.Cut(after, "'")
		}
		found := false
		for line := range strings.Lines(logs[groups[0]].String()) {
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			found = found || (message == "" || entry["message"] == message) && !slices.ContainsFunc(fields, func(field string) bool {
				return entry[field] == nil
			})
		}
		if !found {
			t.Errorf("%s: no line has %q and the message %q:\n%s", w.Properties.Title, fields, message, logs[groups[0]])
		}
	}
	if queries == 0 {
		t.Error("the dashboard has no queries")
	}
}

// TestTheLogsConnectAcknowledgementAndEffect expects the event ID and the ID of the trace in the lines of both.
func TestTheLogsConnectAcknowledgementAndEffect(t *testing.T) {
	var receiver, worker bytes.Buffer
	vendorToEffect(t, &receiver, &worker)
	ids := map[string]bool{}
	for message, log := range map[string]*bytes.Buffer{"received": &receiver, "processed": &worker} {
		found := regexp.MustCompile(`"message":"` + message + `".*"event":"(\w{64})".*"trace":"(1-[\w-]+)"`).FindStringSubmatch(log.String())
		if found == nil {
			t.Fatalf("the line %q has no event ID or no trace:\n%s", message, log)
		}
		ids[found[1]+found[2]] = true
	}
	if len(ids) != 1 {
		t.Errorf("they differ: %v", ids)
	}
}

// vendorToEffect receives and processes an event, and refuses a request.
func vendorToEffect(t *testing.T, receiverLog, workerLog *bytes.Buffer) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ledger, err := embedded.New(groupcommit.New(db))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return webhooktest.ReceivedAt }
	logger := func(w io.Writer) *slog.Logger {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
	}
	r := &receive.Receiver{
		Provider: acmesign.Provider{}, Claims: ledger, Payloads: folder.New(t.TempDir()), Now: now,
		Keys: func(context.Context) (webhook.Keys, error) {
			return webhooktest.DevelopmentKeys(acmesign.Provider{}), nil
		},
		Log:     logger(receiverLog).With("provider", acmesign.Name),
		Metrics: metric.New(receiverLog, "esignhooks/stack", now),
	}
	worker := &process.Processor{
		Providers: []webhook.Provider{acmesign.Provider{}}, Ledger: ledger, Payloads: r.Payloads, Now: now,
		Log: logger(workerLog), Metrics: metric.New(workerLog, "esignhooks/stack", now),
	}
	r.Queue = direct(func(m queue.Message) {
		record := events.SQSMessage{
			Body: m.Body, Attributes: map[string]string{"AWSTraceHeader": m.Trace},
			MessageAttributes: map[string]events.SQSMessageAttribute{},
		}
		for name, value := range m.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
		}
		if _, err := worker.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{record}}); err != nil {
			t.Fatal(err)
		}
	})
	genuine := acmesign.Request(acmesign.Event{Number: 1, Type: "completed", Agreement: "a", At: now().Add(-time.Minute)})
	genuine.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	r.Receive(t.Context(), genuine)
	genuine.Header.Del(acmesign.SignatureHeader)
	r.Receive(t.Context(), genuine)
}

// direct is a queue that hands each message to its consumer.
type direct func(queue.Message)

func (d direct) Send(_ context.Context, m queue.Message) error {
	d(m)
	return nil
}
