// Package app wires the receivers, and holds what every function is wired with: the environment, that template.yaml writes,
// the clients of AWS, and the keys. One process serves one function; what it makes, it makes once, before the first
// invocation. What a receiver links it starts with, while a vendor waits: hence the other functions have a package of their
// own, background.
package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/apigw"
	"esignhooks/shared/ledger/dynamodb"
	"esignhooks/shared/metric"
	"esignhooks/shared/payload/s3"
	"esignhooks/shared/queue/sqs"
	"esignhooks/shared/receive"
	"esignhooks/shared/webhook"
)

// Receiver makes the function of one provider. It ends the process if the configuration is wrong: the vendor gets a
// 502 and tries again.
func Receiver(p webhook.Provider) apigw.Function {
	log := lambdacontext.NewLogger().With("provider", p.Info().Name)
	receiver, err := NewReceiver(p, log, os.Stdout)
	if err != nil {
		Fail(log, err)
	}
	if _, err := receiver.Keys(context.Background()); err != nil { // at INIT; each request tries again
		log.Error("starting without keys", "error", err)
	}
	return apigw.Serve(receiver.Receive)
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
