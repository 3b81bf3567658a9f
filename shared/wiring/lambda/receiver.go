// Package lambda wires the receivers, and holds what every function is wired with: the environment, that template.yaml writes,
// the clients of AWS, and the keys. One process serves one function; what it makes, it makes once, before the first
// invocation. What a receiver links it starts with, while a vendor waits: hence the other functions have a package of their
// own, background.
package lambda

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
)

// connectDeadline is how long a start may wait for what a request can do without.
const connectDeadline = time.Second

// Receiver makes the function of one provider. It ends the process if the configuration is wrong: the vendor gets a
// 502 and tries again.
func Receiver(p webhook.Provider) apigw.Function {
	log := lambdacontext.NewLogger().With("provider", p.Info().Name)
	receiver, err := NewReceiver(p, log, os.Stdout)
	if err != nil {
		Fail(log, err)
	}
	Prepare(receiver, log)
	return receiver.Receive
}

// Prepare does at INIT what the first request would otherwise wait for, when Lambda gives the function less of a processor:
// it reads the keys, and opens connections by calls that do nothing.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html: a message without a body
// or, in a FIFO queue, without a group is refused.
func Prepare(r *receive.Receiver, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), connectDeadline)
	defer cancel()
	nobodys := ledger.Key{Subject: webhook.UnreadableSubject(r.Provider.Info().Name), ID: "none"} // event IDs are hexadecimal
	var calls sync.WaitGroup
	calls.Go(func() { r.Claims.Repeated(ctx, nobodys, "") })
	calls.Go(func() { r.Queue.Send(ctx, queue.Message{}) })
	if _, err := r.Keys(ctx); err != nil { // each request tries again
		log.Error("starting without keys", "error", err)
	}
	calls.Wait()
}

// Fail ends the process because of its configuration.
func Fail(log *slog.Logger, err error) {
	log.Error("wrong configuration", "error", err)
	os.Exit(1)
}

// NewReceiver wires a receiver as the environment says, and calls nobody. All problems are reported at once.
func NewReceiver(p webhook.Provider, log *slog.Logger, metrics io.Writer) (*receive.Receiver, error) {
	r := &receive.Receiver{Provider: p, Now: time.Now, Log: log}
	local := SAMLocal()
	if local && !HasEndpoint("SQS") {
		s, err := TemporaryStores()
		r.Claims, r.Payloads, r.Queue, r.Keys = s.Ledger, s.Payloads, s.Queue, developmentKeys(p)
		return r, err
	}
	e := NewEnvironment()
	table, expiry, bucket, queueURL := e.Need("TABLE_NAME"), e.Expiry(), e.Need("PAYLOAD_BUCKET"), e.Need("QUEUE_URL")
	arn, requireURLToken, namespace := e.Need("SECRET_ARN"), e.Truth("REQUIRE_URL_TOKEN"), e.Need("METRICS_NAMESPACE")
	if err := e.Err(); err != nil {
		return nil, err
	}
	a := AWS(ReceiverPatience)
	r.Claims = dynamodb.New(awsdynamodb.NewFromConfig(a), table, expiry)
	r.Payloads = s3.New(S3Client(a), bucket)
	r.Queue = sqs.New(awssqs.NewFromConfig(a), queueURL)
	r.Metrics = metric.New(metrics, namespace, time.Now)
	k := &keys{
		read: Secret(secretsmanager.NewFromConfig(a), arn), now: time.Now, log: log,
		requireURLToken: requireURLToken && !p.Info().SignsAll,
		refusesAll:      func(keys webhook.Keys) bool { return webhook.RefusesAll(p, keys) },
	}
	if r.Keys = k.get; local && !HasEndpoint("SECRETS_MANAGER") {
		r.Keys = developmentKeys(p)
	}
	return r, nil
}

func developmentKeys(p webhook.Provider) func(context.Context) (webhook.Keys, error) {
	keys := webhook.Keys{Keys: webhook.Secrets(p.Info().DevelopmentKey)}
	return func(context.Context) (webhook.Keys, error) { return keys, nil }
}
