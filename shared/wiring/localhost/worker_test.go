package localhost

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	ledgerdriver "esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/queue"
	embedded "esignhooks/shared/store/queue/embedded"
)

func TestAPanicOfAFunctionFailsItsInvocationOnly(t *testing.T) {
	q, err := embedded.Open(openFile(t, "queue"), embedded.Config{Name: "q", Visibility: time.Millisecond, Now: time.Now})
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

func TestAPanicOfThePublisherFailsItsInvocationOnly(t *testing.T) {
	l, err := ledgerdriver.New(openFile(t, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	event := esign.Event{ID: "e", Provider: "acmesign", Type: esign.AgreementSent, AgreementID: "a",
		OccurredAt: time.Now()}
	after := esign.Fold(esign.Agreement{}, event)
	err = l.Commit(t.Context(), ledger.Commit{
		Claim: ledger.Claim{Key: ledger.Key{Subject: "acmesign#a", ID: "e"}}, Event: event, Agreement: &after, At: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{ledger: l}
	if _, err := g.publishBatch(t.Context(), lambda.NewHandler(func(events.DynamoDBEvent) { panic("it") })); err == nil {
		t.Error("no error")
	}
	if changes, err := l.Changes(10); len(changes) != 1 {
		t.Errorf("forgotten, %v", err)
	}
}
