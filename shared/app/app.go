package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
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
	"github.com/aws/smithy-go/logging"

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
	a, err := awsConfig(receiverPatience)
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
	a, err := awsConfig(workerPatience)
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

// How long a client waits for the beginning of an answer before it asks again. A receiver's leaves time for a second
// attempt within each of its deadlines.
const (
	receiverPatience = 400 * time.Millisecond
	workerPatience   = 2 * time.Second
)

// awsConfig sets the clients' limits. All that they ask for may be asked again, so that an attempt is given up soon:
//
//	connection, TLS handshake   500 ms each
//	beginning of the answer     patience, counted from the end of the request
//	attempt as a whole          5 s; the receivers' deadlines are shorter
//	attempts                    3, with a random pause of up to 200 ms before the second and the third
//
// Retries come from a quota: 500 for each client, 5 for a retry, 10 after a timeout; what succeeds gives back, a retry what
// it cost, a first attempt 1. During an outage the quota runs out, and calls have one attempt each; a first attempt is never
// refused and never waits.
//
// WithReadTimeout would not do for patience: it closes idle connections too.
func awsConfig(patience time.Duration) (aws.Config, error) {
	client := awshttp.NewBuildableClient().
		WithTimeout(5 * time.Second).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 500 * time.Millisecond }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = 500 * time.Millisecond
			t.ResponseHeaderTimeout = patience
			t.MaxIdleConnsPerHost = 64
		})
	return awsconfig.LoadDefaultConfig(context.Background(),
		awsconfig.WithHTTPClient(client),
		awsconfig.WithLogger(logging.Nop{}), // its lines are not JSON; what matters comes back as an error
		awsconfig.WithRetryer(func() aws.Retryer {
			standard := retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return rand.N(200 * time.Millisecond), nil })
				o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(answerCut))
			})
			return retry.AddWithErrorCodes(standard, "TransactionConflictException") // a write that met a transaction
		}))
}

// answerCut says that an answer that ended in its middle is worth another attempt. The SDK by itself does not think so.
func answerCut(err error) aws.Ternary {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// s3Client addresses buckets by path where an endpoint is given, since local engines have no names for them.
func s3Client(a aws.Config) *awss3.Client {
	return awss3.NewFromConfig(a, func(o *awss3.Options) { o.UsePathStyle = hasEndpoint("S3") })
}
