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
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/outlet"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/eventbridge"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue/sqs"
	wiring "esignhooks/shared/wiring/lambda"
)

// Publisher returns the function that consumes the table's stream.
func Publisher() func(context.Context, events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	log := lambdacontext.NewLogger()
	publisher, err := newPublisher(log, os.Stdout)
	if err != nil {
		wiring.Fail(log, err)
	}
	return publisher.Handle
}

func newPublisher(log *slog.Logger, metrics io.Writer) (*publish.Publisher, error) {
	c, err := ReadPublisherConfig(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.ResponseTimeout)
	var to bus.Bus = eventbridge.New(awseventbridge.NewFromConfig(a), c.EventBus)
	if c.OutletQueueURL != "" {
		to = &outlet.Bus{
			Bus: to, Queue: sqs.New(awssqs.NewFromConfig(a), c.OutletQueueURL), Account: c.AccountID, Region: a.Region,
			Now: time.Now,
		}
	}
	return &publish.Publisher{
		Bus:      to,
		SetAside: s3.New(wiring.S3Client(a), c.PayloadBucket),
		Metrics:  metric.New(metrics, c.MetricsNamespace, time.Now),
		Log:      log,
	}, nil
}
