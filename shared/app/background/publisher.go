package background

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"esignhooks/shared/app"
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
		app.Fail(log, err)
	}
	return publisher.Handle
}

func newPublisher(log *slog.Logger, metrics io.Writer) (*publish.Publisher, error) {
	e := app.NewEnvironment()
	bus, bucket, namespace := e.Need("EVENT_BUS_NAME"), e.Need("PAYLOAD_BUCKET"), e.Need("METRICS_NAMESPACE")
	if err := e.Err(); err != nil {
		return nil, err
	}
	a := app.AWS(app.Patience)
	return &publish.Publisher{
		Bus: eventbridge.New(awseventbridge.NewFromConfig(a), bus), SetAside: s3.New(app.S3Client(a), bucket),
		Metrics: metric.New(metrics, namespace, time.Now), Log: log,
	}, nil
}
