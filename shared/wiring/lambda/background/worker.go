// Package background wires the functions that no vendor waits for: worker, publisher, archiver and reconciler.
package background

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/process"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// Worker makes the function that consumes the queue. Like all functions it ends the process if the configuration is wrong.
func Worker(providers []webhook.Provider) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	log := lambdacontext.NewLogger()
	worker, err := newWorker(providers, log, os.Stdout)
	if err != nil {
		wiring.Fail(log, err)
	}
	return worker.Handle
}

func newWorker(providers []webhook.Provider, log *slog.Logger, metrics io.Writer) (*process.Processor, error) {
	w := &process.Processor{Providers: providers, Now: time.Now, Log: log}
	if wiring.SAMLocal() && !wiring.HasEndpoint("SQS") {
		s, err := wiring.TemporaryStores()
		w.Ledger, w.Payloads, w.DeadLetters = s.Ledger, s.Payloads, s.Queue
		return w, err
	}
	e := wiring.NewEnvironment()
	table, expiry, bucket, archive := e.Need("TABLE_NAME"), e.Expiry(), e.Need("PAYLOAD_BUCKET"), e.Get("ARCHIVE_BUCKET")
	deadLetterURL, namespace := e.Need("DEAD_LETTER_QUEUE_URL"), e.Need("METRICS_NAMESPACE")
	if err := e.Err(); err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.Patience)
	w.Ledger = dynamodb.New(awsdynamodb.NewFromConfig(a), table, expiry)
	w.Payloads = s3.New(wiring.S3Client(a), bucket)
	if archive != "" {
		w.Archive = s3.New(wiring.S3Client(a), archive)
	}
	w.DeadLetters = sqs.New(awssqs.NewFromConfig(a), deadLetterURL)
	w.Metrics = metric.New(metrics, namespace, time.Now)
	return w, nil
}
