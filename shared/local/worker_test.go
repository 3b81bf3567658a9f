package local

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/queue"
	embedded "esignhooks/shared/queue/embedded"
)

func TestAPanicOfAFunctionFailsItsInvocationOnly(t *testing.T) {
	q, err := embedded.Open(openFile(t, "queue"), embedded.Config{Name: "q", Visibility: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "a", Body: "a"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	g := &Gateway{log: slog.New(slog.NewJSONHandler(io.Discard, nil))}
	g.consume(ctx, "test", q, 1, lambda.NewHandler(func(events.SQSEvent) (events.SQSEventResponse, error) {
		if calls++; calls == 1 {
			panic("it")
		}
		cancel()
		return events.SQSEventResponse{}, nil
	}))
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}
