package background

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/process"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// TestArchiverOnAWS runs the wired function on local engines with stubs of the vendors, from its queue to the bucket
// and the worker's queue.
func TestArchiverOnAWS(t *testing.T) {
	slow.Test(t)
	moto := enginetest.Moto(t) // before enter: its own clients need their environment
	enter(t, map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": enginetest.DynamoDB(t), "AWS_ENDPOINT_URL_SQS": enginetest.SQS(t),
		"AWS_ENDPOINT_URL_S3": moto, "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
	})
	config := engineConfig()
	a := &account{t: t, config: config, sqs: awssqs.NewFromConfig(config)}
	enginetest.Table(t, awsdynamodb.NewFromConfig(config), "table")
	_, err := wiring.S3Client(config).CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: new("documents")})
	must(t, err)
	t.Setenv("QUEUE_URL", a.makeQueue("deliveries.fifo"))
	var urls []string
	for _, name := range []string{"DOCUMENT_QUEUE_URL", "DOCUMENT_DEAD_LETTER_QUEUE_URL"} {
		out, err := a.sqs.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name})
		must(t, err)
		t.Setenv(name, *out.QueueUrl)
		urls = append(urls, *out.QueueUrl)
	}
	stub := vendorstub.New(t)
	for _, p := range all.Providers() {
		out, err := secretsmanager.NewFromConfig(config).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: new(p.Info().Name), SecretString: new(fmt.Sprintf(`{"keys":["x"],"api":%s}`, stub.Credentials(p.Info().Name))),
		})
		must(t, err)
		t.Setenv(strings.ToUpper(p.Info().Name)+"_SECRET_ARN", *out.ARN)
	}
	archiver, err := newArchiver(all.Providers(), slog.New(slog.NewJSONHandler(t.Output(), nil)), io.Discard)
	must(t, err)

	const genuine, forged, early = "08740f95-2187-4b01-9a69-452ae3140752", "18740f95-2187-4b01-9a69-452ae3140752", "28740f95-2187-4b01-9a69-452ae3140752"
	for _, p := range all.Providers() {
		name := p.Info().Name
		stub.Set(name, vendorstub.Agreement{ID: genuine, Status: esign.Completed})
		stub.Set(name, vendorstub.Agreement{ID: forged, Status: esign.Declined})
		stub.Set(name, vendorstub.Agreement{ID: early, Status: esign.Sent})
		for _, id := range []string{genuine, forged, early} {
			event := &esign.Event{ID: webhook.EventID(name, id), Provider: name, Type: esign.AgreementCompleted, AgreementID: id}
			body := archive.Job(bus.EventOf(ledger.Entry{Event: event, ProcessedAt: time.Now()}))
			_, err := a.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &urls[0], MessageBody: &body})
			must(t, err)
		}
	}
	later := 0
	for batch := a.receive(urls[0]); len(batch.Records) > 0; batch = a.receive(urls[0]) {
		payload, err := json.Marshal(batch)
		must(t, err)
		answer, err := lambda.NewHandler(archiver.Handle).Invoke(t.Context(), payload)
		must(t, err)
		for _, record := range batch.Records {
			if strings.Contains(string(answer), record.MessageId) {
				later++
				continue
			}
			_, err := a.sqs.DeleteMessage(t.Context(),
				&awssqs.DeleteMessageInput{QueueUrl: &urls[0], ReceiptHandle: &record.ReceiptHandle})
			must(t, err)
		}
	}
	if parked := a.receive(urls[1]).Records; later != len(all.Providers()) || len(parked) != len(all.Providers()) {
		t.Errorf("%d put off, %d parked", later, len(parked))
	}
	kinds := map[string]int{}
	for batch := a.receive(os.Getenv("QUEUE_URL")); len(batch.Records) > 0; batch = a.receive(os.Getenv("QUEUE_URL")) {
		for _, record := range batch.Records {
			d, err := queue.Decode(t.Context(), process.Message(record).Message, nil)
			must(t, err)
			event, err := finding.Event(d)
			must(t, err)
			kinds[d.Provider+" "+d.Via]++
			for _, document := range event.Documents {
				key, ok := strings.CutPrefix(document.Location, "s3://documents/"+d.Provider+"/"+genuine+"/")
				object, err := wiring.S3Client(config).GetObject(t.Context(),
					&awss3.GetObjectInput{Bucket: new("documents"), Key: new(d.Provider + "/" + genuine + "/" + key)})
				must(t, err)
				content, err := io.ReadAll(object.Body)
				must(t, err)
				if sum := sha256.Sum256(content); !ok || hex.EncodeToString(sum[:]) != document.SHA256 ||
					*object.ContentType != document.ContentType {
					t.Errorf("%+v", document)
				}
			}
			_, err = a.sqs.DeleteMessage(t.Context(),
				&awssqs.DeleteMessageInput{QueueUrl: new(os.Getenv("QUEUE_URL")), ReceiptHandle: &record.ReceiptHandle})
			must(t, err)
		}
	}
	want := map[string]int{}
	for _, p := range all.Providers() {
		want[p.Info().Name+" confirmed"], want[p.Info().Name+" archived"] = 1, 1
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}
