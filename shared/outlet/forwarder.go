package outlet

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/store/queue"
)

// The pauses between the attempts of one event grow from one second to MaxPause. An attempt that fails GiveUpAfter the
// event was put on the queue is the last one.
const (
	MaxPause    = 15 * time.Minute
	GiveUpAfter = 3 * 24 * time.Hour
)

// Forwarder is the consumer of the outlet's queue, a FIFO queue with a group for each subject: while an event waits for
// its next attempt, the later ones of its subject wait behind it, and no others.
type Forwarder struct {
	Application Sender
	Keys        func(context.Context) ([]Key, error)
	// Later makes a received message visible again after d. The caller must not delete it.
	Later       func(ctx context.Context, receipt string, d time.Duration) error
	DeadLetters queue.Sender
	Log         *slog.Logger
}

// Handle posts a batch, and reports the messages that Lambda must not delete.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: for FIFO queues everything of a
// group after the first failure is reported too.
func (f *Forwarder) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	var blocked []string // groups
	for _, record := range batch.Records {
		group := record.Attributes["MessageGroupId"]
		if !slices.Contains(blocked, group) && f.forward(ctx, record) {
			continue
		}
		blocked = append(blocked, group)
		failure := events.SQSBatchItemFailure{ItemIdentifier: record.MessageId}
		response.BatchItemFailures = append(response.BatchItemFailures, failure)
	}
	return response, nil
}

// forward makes one attempt, and reports whether Lambda may delete the message.
func (f *Forwarder) forward(ctx context.Context, record events.SQSMessage) (done bool) {
	id := eventID(record)
	log := f.Log.With("event", id)
	keys, err := f.Keys(ctx)
	if err == nil {
		err = f.Application.Post(ctx, id, []byte(record.Body), keys...)
	}
	if err == nil {
		log.InfoContext(ctx, "forwarded")
		return true
	}
	attempt, _ := strconv.Atoi(record.Attributes["ApproximateReceiveCount"])
	sent, _ := strconv.ParseInt(record.Attributes["SentTimestamp"], 10, 64)
	if f.Application.Now().Sub(time.UnixMilli(sent)) >= GiveUpAfter {
		log.ErrorContext(ctx, "given up: make redrive sends it again", "attempts", attempt, "error", err)
		return f.giveUp(ctx, log, record)
	}
	pause := min(time.Second<<min(max(attempt, 1)-1, 20), MaxPause)
	log.WarnContext(ctx, "not forwarded", "attempt", attempt, "retryIn", pause.String(), "error", err)
	if err := f.Later(ctx, record.ReceiptHandle, pause); err != nil { // the visibility timeout redelivers it
		log.ErrorContext(ctx, "retry not delayed", "error", err)
	}
	return false
}

// giveUp moves a message to the dead-letter queue.
func (f *Forwarder) giveUp(ctx context.Context, log *slog.Logger, record events.SQSMessage) (done bool) {
	m := queue.Message{
		Group: record.Attributes["MessageGroupId"], DeduplicationID: record.MessageId, Body: record.Body,
		Attributes: map[string]string{eventIDAttribute: eventID(record)},
	}
	if err := f.DeadLetters.Send(ctx, m); err != nil {
		log.ErrorContext(ctx, "not moved to the dead-letter queue", "error", err)
		return false
	}
	return true
}

const eventIDAttribute = "eventId"

func eventID(record events.SQSMessage) string {
	if value := record.MessageAttributes[eventIDAttribute].StringValue; value != nil {
		return *value
	}
	return ""
}
