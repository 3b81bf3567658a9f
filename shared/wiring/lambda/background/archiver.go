package background

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/archive"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/document/s3"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// Archiver makes the function that stores the documents of completed agreements.
func Archiver(providers []webhook.Provider) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	log := lambdacontext.NewLogger()
	archiver, err := newArchiver(providers, log, os.Stdout)
	if err != nil {
		wiring.Fail(log, err)
	}
	return archiver.Handle
}

// needEngines refuses what there is no use in under `sam local` alone: a function that asks the vendors' APIs.
func needEngines(samLocal bool) error {
	if samLocal && !wiring.HasEndpoint("SQS") {
		return errors.New("background: under sam local this function needs the address of an engine in AWS_ENDPOINT_URL_SQS; make run has it without")
	}
	return nil
}

func newArchiver(providers []webhook.Provider, log *slog.Logger, metrics io.Writer) (*archive.Archiver, error) {
	if err := needEngines(wiring.SAMLocal()); err != nil {
		return nil, err
	}
	e := wiring.NewEnvironment()
	table, namespace, queueURL := e.Need("TABLE_NAME"), e.Need("METRICS_NAMESPACE"), e.Need("QUEUE_URL")
	bucket, jobsURL, deadLetterURL := e.Need("DOCUMENT_BUCKET"), e.Need("DOCUMENT_QUEUE_URL"), e.Need("DOCUMENT_DEAD_LETTER_QUEUE_URL")
	arns := secretARNs(e, providers)
	if err := e.Err(); err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.Patience)
	notes := dynamodb.New(awsdynamodb.NewFromConfig(a), table, 0)
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: notes, Now: time.Now}
	client := awssqs.NewFromConfig(a)
	return &archive.Archiver{
		Clients:   newVendorClients(secretsmanager.NewFromConfig(a), arns, options, log).get,
		Documents: s3.New(wiring.S3Client(patient(a)), bucket),
		Queue:     sqs.New(client, queueURL), Jobs: sqs.NewJobs(client, jobsURL, deadLetterURL),
		Now: time.Now, Log: log, Metrics: metric.New(metrics, namespace, time.Now),
	}, nil
}

// How long a client waits for S3 to take a large document: for an attempt, and for the beginning of the answer after it.
const (
	uploadDeadline = 3 * time.Minute
	uploadPatience = 30 * time.Second
)

// patient gives a client's attempts the time that large documents take.
func patient(a aws.Config) aws.Config {
	a.HTTPClient = wiring.HTTPClient(uploadDeadline, uploadPatience)
	return a
}
