package background

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// start returns a function as its command starts it.
func start(function string) any {
	switch function {
	case "WorkerFunction":
		return Worker(provider.All())
	case "PublisherFunction":
		return Publisher()
	case "OutletFunction":
		return Outlet()
	case "ArchiverFunction":
		return Archiver(provider.All())
	case "ReconcilerFunction":
		return Reconciler(provider.All())
	}
	p, _ := webhook.Find(provider.All(), strings.ToLower(strings.TrimSuffix(function, "Function")))
	return wiring.Receiver(p)
}

// TestStartedFunctions invokes each function once, with an event that leads to a metric.
func TestStartedFunctions(t *testing.T) {
	prepare(t)
	last := provider.All()[len(provider.All())-1]
	background := map[string]struct{ event, calls, metric string }{
		"WorkerFunction": {messages(t, delivery(t, last)), "dynamodb TransactWriteItems", "Processed"},
		"PublisherFunction": {`{"Records":[{"dynamodb":{"SequenceNumber":"1","NewImage":{"state":{"S":"processed"}}}}]}`,
			"s3 PUT", "Unpublished"},
		"ArchiverFunction": {messages(t, queue.Message{Body: archive.Job(archive.Completion{EventID: "e",
			AgreementID: "a"}.Event(last.Info().Name))}, queue.Message{Body: "unreadable"}),
			"secretsmanager GetSecretValue, sqs ChangeMessageVisibility, sqs SendMessage", "Parked"},
		"ReconcilerFunction": {`{}`, "secretsmanager GetSecretValue", "ReconcileFailed"},
	}
	stack := lambdatest.Deploy(t, enabled())
	for _, function := range stack.Functions() {
		t.Run(function, func(t *testing.T) {
			aws := &lambdatest.AWS{Secret: "not JSON"}
			server := httptest.NewServer(aws)
			defer server.Close()
			lambdatest.Enter(t, stack.Variables(function))
			t.Setenv("AWS_ENDPOINT_URL", server.URL)
			want, answer, partition := background[function], "", ""
			p, receives := webhook.Find(provider.All(), strings.ToLower(strings.TrimSuffix(function, "Function")))
			if receives {
				aws.Secret, partition = secret, p.Info().Name+"#"
				of := attempts[p.Info().Name]
				genuine := of[slices.IndexFunc(of, attempt.genuine)].request
				want.event, want.calls, want.metric = string(proxyEvent(t, &genuine)), "sqs SendMessage", "Received"
				acknowledged, err := json.Marshal(string(p.Acknowledge(&genuine).Body))
				must(t, err)
				answer = string(acknowledged)
			}
			output, err := os.Create(filepath.Join(t.TempDir(), "output"))
			must(t, err)
			defer func(stdout *os.File) { os.Stdout = stdout }(os.Stdout)
			os.Stdout = output
			handler := lambda.NewHandler(start(function))
			prepared := callsOf(aws, partition)
			if receives && prepared != "dynamodb UpdateItem, secretsmanager GetSecretValue, sqs SendMessage" ||
				!receives && prepared != "" {
				t.Errorf("makes these calls at start: %s", prepared)
			}
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if handler.Invoke(cancelled, []byte(want.event)); callsOf(aws, partition) != "" {
				t.Error("makes calls for an invocation that has ended")
			}
			response, err := handler.Invoke(t.Context(), []byte(want.event))
			if err != nil || !strings.Contains(string(response), answer) {
				t.Errorf("answers %s, %v", response, err)
			}
			if calls := callsOf(aws, partition); !strings.Contains(calls, want.calls) ||
				strings.Contains(calls, "another partition") || receives && strings.Contains(calls, "GetSecretValue") {
				t.Errorf("makes the calls %s", calls)
			}
			written, err := os.ReadFile(output.Name())
			must(t, err)
			if !strings.Contains(string(written), fmt.Sprintf(`"Namespace":%q`, "esignhooks/hooks")) ||
				!strings.Contains(string(written), fmt.Sprintf(`%q:`, want.metric)) {
				t.Errorf("writes no metric %s: %s", want.metric, written)
			}
			if receives && !strings.Contains(string(written), " message=received provider="+p.Info().Name+" ") {
				t.Errorf("logs without the provider: %s", written)
			}
		})
	}
}

func (a attempt) genuine() bool { return a.name == "key and token" }

// delivery returns the message of a genuine request.
func delivery(t *testing.T, p webhook.Provider) queue.Message {
	t.Helper()
	of := attempts[p.Info().Name]
	r := of[slices.IndexFunc(of, attempt.genuine)].request
	ids, err := p.Identify(&r)
	must(t, err)
	m, _ := queue.Encode(&webhook.Delivery{
		Provider: p.Info().Name, EventID: ids[0].EventID, Subject: ids[0].Subject, ReceivedAt: time.Now(),
		Proof: esign.ProofSigned, ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
	})
	return m
}

// messages returns Lambda's event with these messages of a queue.
func messages(t *testing.T, all ...queue.Message) string {
	t.Helper()
	var batch events.SQSEvent
	for i, m := range all {
		record := events.SQSMessage{
			MessageId: fmt.Sprint(i), ReceiptHandle: "r", Body: m.Body, Attributes: map[string]string{"MessageGroupId": m.Group},
			MessageAttributes: map[string]events.SQSMessageAttribute{},
		}
		for name, value := range m.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
		}
		batch.Records = append(batch.Records, record)
	}
	event, err := json.Marshal(batch)
	must(t, err)
	return string(event)
}

// callsOf returns the calls since the last one, sorted, each once.
func callsOf(aws *lambdatest.AWS, partition string) string {
	var calls []string
	for _, c := range aws.Calls() {
		line := c.Service + " " + c.Operation
		if partition != "" && c.Service == "dynamodb" && !strings.Contains(c.Body, `"pk":{"S":"`+partition) {
			line += " on another partition" // which the policy of a receiver forbids
		}
		calls = append(calls, line)
	}
	slices.Sort(calls)
	return strings.Join(slices.Compact(calls), ", ")
}

// TestAFunctionWithoutItsVariablesEnds runs this test in another process for each function.
func TestAFunctionWithoutItsVariablesEnds(t *testing.T) {
	if function := os.Getenv("START_FUNCTION"); function != "" {
		start(function)
		os.Exit(0)
	}
	for _, function := range lambdatest.Deploy(t, enabled()).Functions() {
		command := exec.Command(os.Args[0], "-test.run=^TestAFunctionWithoutItsVariablesEnds$")
		command.Env = []string{"START_FUNCTION=" + function, "AWS_ENDPOINT_URL=http://127.0.0.1:1"}
		out, err := command.CombinedOutput()
		if command.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "METRICS_NAMESPACE is not set") ||
			!strings.Contains(string(out), "wrong configuration") {
			t.Errorf("%s: %v\n%s", function, err, out)
		}
	}
}

// TestCommandsStartTheirFunction checks that the command in each folder of functions is one line, which starts the
// function that the folder is named after.
func TestCommandsStartTheirFunction(t *testing.T) {
	for _, function := range lambdatest.Deploy(t, enabled()).Functions() {
		kind := strings.TrimSuffix(function, "Function")
		name := strings.ToLower(kind)
		want := "func main() { lambda.Start(background." + kind + "(provider.All())) }"
		if _, receives := webhook.Find(provider.All(), name); receives {
			want = "\t\"esignhooks/shared/provider/" + name + "\"\n\twiring \"esignhooks/shared/wiring/lambda\"\n)\n\n" +
				"func main() { lambda.Start(wiring.Receiver(" + name + ".Provider{})) }"
		} else if kind == "Publisher" {
			want = "func main() { lambda.Start(background.Publisher()) }"
		}
		code, err := os.ReadFile(filepath.Join(webhooktest.Root(t), "functions", name, "main.go"))
		if err != nil || !strings.Contains(string(code), want) || strings.Count(string(code), "\nfunc ") != 1 {
			t.Errorf("functions/%s/main.go: %v; want %s", name, err, want)
		}
	}
}
