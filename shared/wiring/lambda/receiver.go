// Package lambda wires the receivers. It also holds what all functions share: the environment that template.yaml sets,
// the AWS clients, and the keys. One process serves one function, and everything is made once, before the first
// invocation.
//
// The other functions have a package of their own, background. A receiver starts while a vendor waits, and each package
// that it links makes a cold start longer.
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
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
)

// PrepareTimeout limits [Prepare]. A request can do without its results.
const PrepareTimeout = time.Second

// Receiver returns the function of one provider. It ends the process if the configuration is wrong: the vendor gets a
// 502 and retries.
func Receiver(p webhook.Provider) apigw.Function {
	log := lambdacontext.NewLogger().With("provider", p.Info().Name)
	receiver, err := NewReceiver(p, log, os.Stdout)
	if err != nil {
		Fail(log, err)
	}
	Prepare(receiver, log)
	return receiver.Receive
}

// Prepare reads the keys and opens connections, by calls that have no effect. It must be called before the first
// request, which would otherwise wait for both. Lambda gives a function more CPU during INIT than during a request.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html: a message without a
// body or, in a FIFO queue, without a group is refused.
func Prepare(r *receive.Receiver, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), PrepareTimeout)
	defer cancel()
	// real IDs are hexadecimal
	absentKey := ledger.Key{Subject: webhook.UnreadableSubject(r.Provider.Info().Name), ID: "none"}
	var calls sync.WaitGroup
	calls.Go(func() { r.Claims.Repeated(ctx, absentKey, "") })
	calls.Go(func() { r.Queue.Send(ctx, queue.Message{}) })
	if _, err := r.Keys(ctx); err != nil {
		log.Error("keys unavailable at start; each request will try to read them", "error", err)
	}
	calls.Wait()
}

// Fail logs a wrong configuration and ends the process.
func Fail(log *slog.Logger, err error) {
	log.Error("wrong configuration", "error", err)
	os.Exit(1)
}

// NewReceiver wires a receiver from the environment. It makes no call, and reports all problems at once.
func NewReceiver(p webhook.Provider, log *slog.Logger, metrics io.Writer) (*receive.Receiver, error) {
	r := &receive.Receiver{Provider: p, Others: provider.All(), Now: time.Now, Log: log}
	if Lacks("SQS") {
		s, err := TemporaryStores()
		r.Claims, r.Payloads, r.Queue, r.Keys = s.Ledger, s.Payloads, s.Queue, developmentKeys(p)
		return r, err
	}
	c, err := ReadReceiverConfig(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a := AWS(ReceiverResponseTimeout)
	r.Claims = dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, c.ExpireAfter)
	r.Payloads = s3.New(S3Client(a), c.PayloadBucket)
	r.Queue = sqs.New(awssqs.NewFromConfig(a), c.QueueURL)
	r.Metrics = metric.New(metrics, c.MetricsNamespace, time.Now)
	k := &keys{
		certificates:    c.Certificates,
		read:            Secret(secretsmanager.NewFromConfig(a), c.SecretARN),
		requireURLToken: c.RequireURLToken && !p.Info().SignsAll,
		refusesAll:      func(keys webhook.Keys) bool { return webhook.RefusesAll(p, keys) },
		now:             time.Now,
		log:             log,
	}
	if r.Keys = k.get; Lacks("SECRETS_MANAGER") {
		r.Keys = developmentKeys(p)
	}
	return r, nil
}

func developmentKeys(p webhook.Provider) func(context.Context) (webhook.Keys, error) {
	keys := webhook.Keys{Keys: webhook.Secrets(p.Info().DevelopmentKey)}
	return func(context.Context) (webhook.Keys, error) { return keys, nil }
}
