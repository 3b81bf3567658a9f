package background

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/ledgertest"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
	wiring "esignhooks/shared/wiring/lambda"
)

// account is an AWS account of local engines, with everything that the template makes.
type account struct {
	t         *testing.T
	config    aws.Config
	sqs       *awssqs.Client
	receivers map[string]lambda.Handler
	worker    lambda.Handler
	ledger    ledgertest.Ledger
	archive   payload.Store
	log       *slog.Logger
	metrics   bytes.Buffer
	answers   map[answered]float64
}

// answered is the answer to a request, other than a successful challenge.
type answered struct {
	provider string
	status   int
}

const (
	urlToken  = "0123456789abcdef0123456789abcdef"
	namespace = "esignhooks/stack"
)

// newAccount starts the engines, and wires the functions from the environment of a deployed stack.
func newAccount(t *testing.T) *account {
	t.Helper()
	moto := enginetest.Moto(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": enginetest.DynamoDB(t), "AWS_ENDPOINT_URL_SQS": enginetest.SQS(t),
		"AWS_ENDPOINT_URL_S3": moto, "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto, "AWS_ENDPOINT_URL": "",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
		"AWS_SAM_LOCAL": "true", // and must not matter
		"TABLE_NAME":    "Table", "PAYLOAD_BUCKET": "payloads", "EXPIRE_AFTER_DAYS": "30", "REQUIRE_URL_TOKEN": "true",
		"ARCHIVE_BUCKET": "archive", "METRICS_NAMESPACE": namespace, "EVENT_BUS_NAME": "bus",
		"INCLUDE_REASONS": "false", "REFERENCES": "*",
	} {
		t.Setenv(name, value)
	}
	config := engineConfig()
	a := &account{
		t: t, config: config, sqs: awssqs.NewFromConfig(config), receivers: map[string]lambda.Handler{},
		answers: map[answered]float64{},
	}
	a.makeStores()
	t.Setenv("QUEUE_URL", a.makeQueue("deliveries.fifo"))
	t.Setenv("DEAD_LETTER_QUEUE_URL", a.makeQueue("dead-letters.fifo"))
	a.log = slog.New(slog.NewJSONHandler(t.Output(), nil))
	providers := append(provider.All(), acme...)
	for _, p := range providers {
		t.Setenv("SECRET_ARN", a.makeSecret(p))
		receiver, err := wiring.NewReceiver(p, a.log, &a.metrics)
		must(t, err)
		wiring.Prepare(receiver, a.log)
		a.receivers[p.Info().Name] = lambda.NewHandler(apigw.Function(receiver.Receive))
	}
	worker, err := newWorker(providers, a.log, &a.metrics)
	must(t, err)
	a.worker, a.ledger = lambda.NewHandler(worker.Handle), worker.Ledger.(ledgertest.Ledger)
	a.archive = worker.Archive.(payload.Store)
	return a
}

// engineConfig configures the clients of a test itself. Unlike the functions, it waits for engines on a busy machine.
func engineConfig() aws.Config {
	config := wiring.AWS(wiring.ResponseTimeout)
	config.HTTPClient = wiring.HTTPClient(time.Minute, time.Minute)
	return config
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (a *account) makeStores() {
	enginetest.Table(a.t, awsdynamodb.NewFromConfig(a.config), "Table")
	for _, bucket := range []string{"payloads", "archive"} {
		_, err := wiring.S3Client(a.config).CreateBucket(a.t.Context(), &awss3.CreateBucketInput{Bucket: &bucket})
		must(a.t, err)
	}
}

func (a *account) makeQueue(name string) string {
	out, err := a.sqs.CreateQueue(a.t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
	}})
	must(a.t, err)
	return *out.QueueUrl
}

// makeSecret makes the secret as the template does, with the development key added.
func (a *account) makeSecret(p webhook.Provider) string {
	text := fmt.Sprintf(`{"keys":[%q],"urlTokens":[]`, p.Info().DevelopmentKey)
	if !p.Info().SignsAll {
		text += fmt.Sprintf(`,"urlToken":%q`, urlToken)
	}
	out, err := secretsmanager.NewFromConfig(a.config).CreateSecret(a.t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String(p.Info().Name), SecretString: aws.String(text + "}"),
	})
	must(a.t, err)
	return *out.ARN
}

// post invokes a receiver through its JSON, with the URL token where one is required.
func (a *account) post(p webhook.Provider, r *webhook.Request) events.APIGatewayProxyResponse {
	a.t.Helper()
	e := events.APIGatewayProxyRequest{
		HTTPMethod: r.Method, MultiValueHeaders: r.Header, MultiValueQueryStringParameters: r.Query, Body: string(r.Body),
	}
	if r.URLToken != "" {
		e.PathParameters = map[string]string{"token": r.URLToken}
	}
	payload, err := json.Marshal(e)
	must(a.t, err)
	answer, err := a.receivers[p.Info().Name].Invoke(a.t.Context(), payload)
	must(a.t, err)
	var response events.APIGatewayProxyResponse
	must(a.t, json.Unmarshal(answer, &response))
	if r.Method == "POST" || response.StatusCode != 200 {
		a.answers[answered{p.Info().Name, response.StatusCode}]++
	}
	return response
}

// work acts as Lambda's event source mapping until the queue is empty.
func (a *account) work(queueURL string) {
	a.t.Helper()
	for {
		batch := a.receive(queueURL)
		if len(batch.Records) == 0 {
			return
		}
		payload, err := json.Marshal(batch)
		must(a.t, err)
		answer, err := a.worker.Invoke(a.t.Context(), payload)
		must(a.t, err)
		if string(answer) != `{"batchItemFailures":[]}` {
			a.t.Fatalf("the worker answered %s", answer)
		}
		for _, record := range batch.Records {
			_, err := a.sqs.DeleteMessage(a.t.Context(),
				&awssqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: &record.ReceiptHandle})
			must(a.t, err)
		}
	}
}

func (a *account) receive(queueURL string) events.SQSEvent {
	a.t.Helper()
	batch, err := a.receiveUpTo(a.t.Context(), queueURL, 10)
	must(a.t, err)
	return batch
}

func (a *account) receiveUpTo(ctx context.Context, queueURL string, limit int) (batch events.SQSEvent, err error) {
	out, err := a.sqs.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{
		QueueUrl: &queueURL, MaxNumberOfMessages: int32(limit), MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return batch, err
	}
	for _, m := range out.Messages {
		record := events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
			MessageAttributes: map[string]events.SQSMessageAttribute{},
		}
		for name, v := range m.MessageAttributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: *v.DataType, StringValue: v.StringValue}
		}
		batch.Records = append(batch.Records, record)
	}
	return batch, nil
}

func (a *account) history(r *webhook.Request, p webhook.Provider) []ledger.Entry {
	a.t.Helper()
	ids, err := p.Identify(r)
	must(a.t, err)
	history, err := a.ledger.History(a.t.Context(), ids[0].Subject)
	must(a.t, err)
	a.checkArchive(history)
	return history
}

// checkArchive checks that the payload of each event is archived under the key that the table implies.
func (a *account) checkArchive(history []ledger.Entry) {
	a.t.Helper()
	for _, e := range history {
		body, err := a.archive.Get(a.t.Context(), payload.ArchiveKey(e.Provider, e.SHA256))
		if sum := sha256.Sum256(body); err != nil || len(body) != e.Size || hex.EncodeToString(sum[:]) != e.SHA256 {
			a.t.Errorf("%s %s: %d bytes in the archive, %v", e.Provider, e.ID, len(body), err)
		}
	}
}

// testMetrics compares the functions' metrics with the answers and with each other.
func (a *account) testMetrics(t *testing.T) {
	type key struct{ provider, name string }
	sums := map[key]float64{}
	for _, line := range metrictest.Read(t, namespace, a.metrics.String()) {
		for name, value := range line.Values {
			sums[key{line.Provider, name}] += value
		}
	}
	for _, p := range append(provider.All(), acme...) {
		name := p.Info().Name
		sum := func(metric string) float64 { return sums[key{name, metric}] }
		if got := sum("Received"); got == 0 || got != a.answers[answered{name, 200}] {
			t.Errorf("%s: %v received, %v acknowledged", name, got, a.answers[answered{name, 200}])
		}
		if got := sum("WrongKey"); got != a.answers[answered{name, 401}] {
			t.Errorf("%s: %v with a wrong key, %v answered 401", name, got, a.answers[answered{name, 401}])
		}
		if got, want := sum("Refused"), a.answers[answered{name, 401}]+a.answers[answered{name, 404}]; got != want {
			t.Errorf("%s: %v refused, %v answered 401 or 404", name, got, want)
		}
		if events := sum("Received") - sum("Duplicate"); events != sum("Processed")+sum("Unreadable") {
			t.Errorf("%s: %v events, %v processed, %v unreadable", name, events, sum("Processed"), sum("Unreadable"))
		}
		if sum("AcknowledgeTime") <= 0 || sum("Unavailable") > 0 {
			t.Errorf("%s: acknowledged in %v ms, %v times unavailable", name, sum("AcknowledgeTime"), sum("Unavailable"))
		}
	}
}

// TestOnAWS drives the functions as they are deployed, from the proxy event to the table, on local engines.
func TestOnAWS(t *testing.T) {
	slow.Test(t)
	outlet := startEventBridge(t)
	t.Setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", outlet.URL)
	a := newAccount(t)
	queueURL, deadLetterURL := os.Getenv("QUEUE_URL"), os.Getenv("DEAD_LETTER_QUEUE_URL")
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if !p.Info().SignsAll {
				if answer := a.post(p, r); answer.StatusCode != 404 {
					t.Errorf("%s %s without a token: %d", p.Info().Name, name, answer.StatusCode)
				}
				r.URLToken = urlToken
			}
			for range 3 {
				answer := a.post(p, r)
				want := p.Acknowledge(r)
				if answer.StatusCode != want.Status || answer.Body != string(want.Body) {
					t.Errorf("%s %s: %d %s", p.Info().Name, name, answer.StatusCode, answer.Body)
				}
			}
		}
	}
	a.work(queueURL)
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != "POST" {
				continue
			}
			for _, e := range a.history(r, p) {
				if e.State != ledger.Processed || e.Duplicates < 2 || e.Event == nil {
					t.Errorf("%s %s: %+v", p.Info().Name, name, e)
				}
			}
		}
	}
	t.Run("large payloads go through the bucket", func(t *testing.T) { a.testLarge(t, queueURL) })
	t.Run("twenty redeliveries have one effect", func(t *testing.T) { a.testRedeliveries(t, queueURL) })
	t.Run("unreadable deliveries are dead letters",
		func(t *testing.T) { a.testUnreadable(t, queueURL, deadLetterURL) })
	t.Run("a forgery leaves nothing", func(t *testing.T) {
		r := completed(t, 20, "forged", 0)
		r.Body = append(r.Body, ' ')
		if answer := a.post(acme[0], r); answer.StatusCode != 401 || answer.Body != "" {
			t.Errorf("%+v", answer)
		}
		if history := a.history(r, acme[0]); len(history)+len(a.receive(queueURL).Records) > 0 {
			t.Errorf("left %+v", history)
		}
	})
	t.Run("metrics count each request and each event once", a.testMetrics)
	t.Run("every committed event is published once", func(t *testing.T) { a.testPublished(t, outlet) })
}

// signed returns a genuine request of AcmeSign.
func signed(t *testing.T, body string) *webhook.Request {
	t.Helper()
	p := acmesign.Provider{}
	r := &webhook.Request{Method: "POST", Header: map[string][]string{}, Body: []byte(body)}
	must(t, p.Sign(r, webhook.NewSecret(p.Info().DevelopmentKey), webhooktest.ReceivedAt))
	return r
}

// completed returns the completion of an agreement, signed, with so much white space after it.
func completed(t *testing.T, number int64, agreement string, space int) *webhook.Request {
	t.Helper()
	event := acmesign.Event{Number: number, Type: "completed", Agreement: agreement, At: time.Now()}
	return signed(t, string(acmesign.Request(event).Body)+strings.Repeat(" ", space))
}

func (a *account) testLarge(t *testing.T, queueURL string) {
	for i, size := range []int{3 << 20, 5 << 20} {
		r := completed(t, int64(i), fmt.Sprint("large-", i), size)
		if answer := a.post(acme[0], r); answer.StatusCode != 200 {
			t.Fatalf("%d bytes: %d", len(r.Body), answer.StatusCode)
		}
		a.work(queueURL)
		history := a.history(r, acme[0])
		if len(history) != 1 || history[0].Size != len(r.Body) || history[0].StatusAfter != esign.Completed {
			t.Errorf("%d bytes: %+v", len(r.Body), history)
		}
	}
}

func (a *account) testRedeliveries(t *testing.T, queueURL string) {
	for i := range 20 {
		if answer := a.post(acme[0], completed(t, 10, "redelivered", i)); answer.StatusCode != 200 {
			t.Fatalf("%+v", answer)
		}
		if i%5 == 0 {
			a.work(queueURL)
		}
	}
	a.work(queueURL)
	subject := webhook.AgreementSubject(acmesign.Name, "redelivered")
	history, err := a.ledger.History(t.Context(), subject)
	must(t, err)
	if len(history) != 1 || history[0].Duplicates != 19 || history[0].State != ledger.Processed {
		t.Errorf("%+v", history)
	}
	if _, version, err := a.ledger.Agreement(t.Context(), subject); err != nil || version != 1 {
		t.Errorf("version %d, %v", version, err)
	}
}

func (a *account) testUnreadable(t *testing.T, queueURL, deadLetterURL string) {
	r := signed(t, `{"events":`)
	for range 2 {
		if answer := a.post(acme[0], r); answer.StatusCode != 200 {
			t.Fatalf("%+v", answer)
		}
		a.work(queueURL)
	}
	letters := a.receive(deadLetterURL).Records
	if len(letters) != 1 || letters[0].Body != string(r.Body) {
		t.Errorf("dead letters: %+v", letters)
	}
	history, err := a.ledger.History(t.Context(), webhook.UnreadableSubject(acmesign.Name))
	must(t, err)
	a.checkArchive(history)
	if len(history) != 1 || history[0].State != ledger.Unreadable || history[0].Duplicates != 1 {
		t.Errorf("%+v", history)
	}
}
