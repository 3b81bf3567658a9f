package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/apigw"
	"esignhooks/shared/ledger"
	"esignhooks/shared/ledger/dynamodb"
	"esignhooks/shared/metric"
	"esignhooks/shared/payload"
	"esignhooks/shared/payload/s3"
	"esignhooks/shared/process"
	"esignhooks/shared/queue"
	"esignhooks/shared/queue/sqs"
	"esignhooks/shared/receive"
	"esignhooks/shared/webhook"
)

// Receiver makes the function of one provider. It ends the process if the configuration is wrong: the vendor gets a
// 502 and tries again.
func Receiver(p webhook.Provider) apigw.Function {
	log := lambdacontext.NewLogger().With("provider", p.Info().Name)
	receiver, err := newReceiver(p, log, os.Stdout)
	if err != nil {
		fail(log, err)
	}
	if _, err := receiver.Keys(context.Background()); err != nil { // at INIT; each request tries again
		log.Error("starting without keys", "error", err)
	}
	return apigw.Serve(receiver.Receive)
}

// Worker makes the function that consumes the queue.
func Worker(providers []webhook.Provider) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	log := lambdacontext.NewLogger()
	worker, err := newWorker(providers, log, os.Stdout)
	if err != nil {
		fail(log, err)
	}
	return worker.Handle
}

func fail(log *slog.Logger, err error) {
	log.Error("wrong configuration", "error", err)
	os.Exit(1)
}

func newReceiver(p webhook.Provider, log *slog.Logger, metrics io.Writer) (*receive.Receiver, error) {
	r := &receive.Receiver{Provider: p, Now: time.Now, Log: log}
	local := samLocal(os.LookupEnv, os.Stat)
	if local && !hasEndpoint("SQS") {
		s, err := temporaryStores()
		r.Claims, r.Payloads, r.Queue, r.Keys = s.ledger, s.payloads, s.queue, developmentKeys(p)
		return r, err
	}
	c, err := receiverConfig(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a, err := awsConfig()
	if err != nil {
		return nil, err
	}
	r.Claims = dynamodb.New(awsdynamodb.NewFromConfig(a), c.table, c.expiry)
	r.Payloads = s3.New(s3Client(a), c.payloadBucket)
	r.Queue = sqs.New(awssqs.NewFromConfig(a), c.queueURL)
	r.Metrics = metric.New(metrics, c.metricsNamespace, time.Now)
	k := &keys{
		read: secret(secretsmanager.NewFromConfig(a), c.secretARN), now: time.Now, log: log,
		requireURLToken: c.requireURLToken && !p.Info().SignsAll,
		refusesAll:      func(keys webhook.Keys) bool { return webhook.RefusesAll(p, keys) },
	}
	if r.Keys = k.get; local && !hasEndpoint("SECRETS_MANAGER") {
		r.Keys = developmentKeys(p)
	}
	return r, nil
}

func newWorker(providers []webhook.Provider, log *slog.Logger, metrics io.Writer) (*process.Processor, error) {
	w := &process.Processor{Providers: providers, Now: time.Now, Log: log}
	if samLocal(os.LookupEnv, os.Stat) && !hasEndpoint("SQS") {
		s, err := temporaryStores()
		w.Ledger, w.Payloads, w.DeadLetters = s.ledger, s.payloads, s.queue
		return w, err
	}
	c, err := workerConfig(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a, err := awsConfig()
	if err != nil {
		return nil, err
	}
	w.Ledger = dynamodb.New(awsdynamodb.NewFromConfig(a), c.table, c.expiry)
	w.Payloads = s3.New(s3Client(a), c.payloadBucket)
	if c.archiveBucket != "" {
		w.Archive = s3.New(s3Client(a), c.archiveBucket)
	}
	w.DeadLetters = sqs.New(awssqs.NewFromConfig(a), c.deadLetterURL)
	w.Metrics = metric.New(metrics, c.metricsNamespace, time.Now)
	return w, nil
}

// stores are where a function keeps what it knows.
type stores struct {
	ledger   ledger.Ledger
	payloads payload.Store
	queue    queue.Sender
}

// hasEndpoint says whether the environment names the address of a service, or of all.
func hasEndpoint(service string) bool {
	return os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_"+service) != ""
}

func developmentKeys(p webhook.Provider) func(context.Context) (webhook.Keys, error) {
	keys := webhook.Keys{Keys: webhook.Secrets(p.Info().DevelopmentKey)}
	return func(context.Context) (webhook.Keys, error) { return keys, nil }
}

// awsConfig sets the clients' limits: a connection or an answer that takes long is given up and tried again within the
// deadline that each call has of its caller.
func awsConfig() (aws.Config, error) {
	transport := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 500 * time.Millisecond }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = 500 * time.Millisecond
			t.MaxIdleConnsPerHost = 64
		})
	return awsconfig.LoadDefaultConfig(context.Background(),
		awsconfig.WithHTTPClient(transport),
		awsconfig.WithRetryer(func() aws.Retryer {
			standard := retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 200 * time.Millisecond })
			return retry.AddWithErrorCodes(standard, "TransactionConflictException") // a write that met a transaction
		}))
}

// s3Client addresses buckets by path where an endpoint is given, since local engines have no names for them.
func s3Client(a aws.Config) *awss3.Client {
	return awss3.NewFromConfig(a, func(o *awss3.Options) { o.UsePathStyle = hasEndpoint("S3") })
}
