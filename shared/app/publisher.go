package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"esignhooks/shared/bus/eventbridge"
	"esignhooks/shared/metric"
	"esignhooks/shared/payload/s3"
	"esignhooks/shared/publish"
)

// Publisher makes the function that consumes the table's stream.
func Publisher() func(context.Context, events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	log := lambdacontext.NewLogger()
	publisher, err := newPublisher(log, os.Stdout)
	if err != nil {
		fail(log, err)
	}
	return publisher.Handle
}

func newPublisher(log *slog.Logger, metrics io.Writer) (*publish.Publisher, error) {
	e := environment{lookup: os.LookupEnv}
	bus, bucket, namespace := e.need("EVENT_BUS_NAME"), e.need("PAYLOAD_BUCKET"), e.need("METRICS_NAMESPACE")
	if err := e.err(); err != nil {
		return nil, err
	}
	a, err := awsConfig(workerPatience)
	if err != nil {
		return nil, err
	}
	return &publish.Publisher{
		Bus: eventbridge.New(awseventbridge.NewFromConfig(a), bus), SetAside: s3.New(s3Client(a), bucket),
		Metrics: metric.New(metrics, namespace, time.Now), Log: log,
	}, nil
}
