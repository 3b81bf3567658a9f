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

// Archiver returns the function that stores the documents of completed agreements.
func Archiver(providers []webhook.Provider) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	log := lambdacontext.NewLogger()
	archiver, err := newArchiver(providers, log, os.Stdout)
	if err != nil {
		wiring.Fail(log, err)
	}
	return archiver.Handle
}

// requireEngines returns an error under `sam local` without local engines. A function that calls the vendors' APIs has
// no temporary stores to fall back on.
func requireEngines() error {
	if wiring.Lacks("SQS") {
		return errors.New("background: under sam local, this function needs a local engine: set AWS_ENDPOINT_URL_SQS " +
			"to its address. make run needs no engine")
	}
	return nil
}

func newArchiver(providers []webhook.Provider, log *slog.Logger, metrics io.Writer) (*archive.Archiver, error) {
	if err := requireEngines(); err != nil {
		return nil, err
	}
	c, err := ReadArchiverConfig(providers, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.ResponseTimeout)
	notes := dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, 0)
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: notes, Now: time.Now}
	client := awssqs.NewFromConfig(a)
	return &archive.Archiver{
		Clients:    newVendorClients(secretsmanager.NewFromConfig(a), c.SecretARNs, options, log).get,
		Documents:  s3.New(wiring.S3Client(forUploads(a)), c.DocumentBucket),
		Queue:      sqs.New(client, c.QueueURL),
		Jobs:       sqs.NewJobs(client, c.JobQueueURL, c.JobDeadLetterQueueURL),
		Notes:      notes,
		Tombstones: notes,
		FormData:   c.ArchiveFormData,
		Now:        time.Now,
		Log:        log,
		Metrics:    metric.New(metrics, c.MetricsNamespace, time.Now),
	}, nil
}

// Timeouts of an upload of a large document to S3.
const (
	uploadTimeout         = 3 * time.Minute  // of an attempt
	uploadResponseTimeout = 30 * time.Second // until the response begins, from the end of the request
)

// forUploads returns the configuration with timeouts that suit large documents.
func forUploads(a aws.Config) aws.Config {
	a.HTTPClient = wiring.HTTPClient(uploadTimeout, uploadResponseTimeout)
	return a
}
