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

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/process"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// Worker returns the function that consumes the queue of deliveries. Like every function, it ends the process if the
// configuration is wrong.
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
	if wiring.Lacks("SQS") {
		s, err := wiring.TemporaryStores()
		w.Ledger, w.Payloads, w.DeadLetters = s.Ledger, s.Payloads, s.Queue
		w.Policy.References = []string{"*"}
		return w, err
	}
	c, err := ReadWorkerConfig(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.ResponseTimeout)
	w.Ledger = dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, c.ExpireAfter)
	w.Policy = esign.Policy{References: c.References, Reasons: c.IncludeReasons}
	w.Payloads = s3.New(wiring.S3Client(a), c.PayloadBucket)
	if c.ArchiveBucket != "" {
		w.Archive = s3.New(wiring.S3Client(a), c.ArchiveBucket)
	}
	w.DeadLetters = sqs.New(awssqs.NewFromConfig(a), c.DeadLetterQueueURL)
	w.Metrics = metric.New(metrics, c.MetricsNamespace, time.Now)
	return w, nil
}
