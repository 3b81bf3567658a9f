// Package process is the worker. It consumes the queue of deliveries: it normalises each delivery, folds its events
// into their agreement, and commits both.
//
// The queue delivers at least once. The ledger commits each event exactly once, so a redelivered message has no second
// effect. Events of one agreement that arrive in one batch share a transaction.
package process

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// BatchTimeout limits a batch, which must be reported before Lambda ends the function after 30 s: otherwise all of it is
// redelivered. Reading ends earlier, so that the events already read can still be committed.
const (
	BatchTimeout = 25 * time.Second
	readTimeout  = 20 * time.Second
)

// Processor is the queue's consumer. Its fields are set before the first batch, and not changed afterwards.
type Processor struct {
	Providers   []webhook.Provider
	Ledger      ledger.Ledger
	Payloads    payload.Store
	Archive     Archive // optional: keeps every payload
	Policy      esign.Policy
	DeadLetters queue.Sender
	Now         func() time.Time
	Log         *slog.Logger
	Metrics     *metric.Log // optional
	// Pause waits before another attempt at a commit. The default is a random wait that grows with each attempt.
	Pause func(ctx context.Context, attempt int)

	leftOut sync.Once
}

// Archive keeps payloads for the operator and for applications.
type Archive interface {
	// Put is the same as in [payload.Store].
	Put(ctx context.Context, key string, payload []byte) error
	// Location returns where the payload under key is, for an application: s3://bucket/key.
	Location(key string) string
}

// Handle processes a batch. It reports the messages that the queue must redeliver: each failed message, and all later
// ones of its group, because a group is processed in order.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: the identifier is the message ID;
// for FIFO queues everything of a group after the first failure is reported too.
func (p *Processor) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	ctx, cancel := context.WithTimeout(ctx, BatchTimeout)
	defer cancel()
	readUntil := time.Now().Add(readTimeout)
	for _, messages := range byGroup(batch) {
		done, err := p.processGroup(ctx, messages, readUntil)
		if err != nil {
			p.logger(messages[done]).ErrorContext(ctx, "not processed", "error", err)
		}
		for _, message := range messages[done:] {
			failure := events.SQSBatchItemFailure{ItemIdentifier: message.ID}
			response.BatchItemFailures = append(response.BatchItemFailures, failure)
		}
	}
	return response, nil
}

// byGroup returns the messages of each group, in their order.
func byGroup(batch events.SQSEvent) (groups [][]queue.Received) {
	index := map[string]int{} // into groups, by name
	for _, record := range batch.Records {
		message := Message(record)
		i, known := index[message.Group]
		if !known {
			i = len(groups)
			index[message.Group], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], message)
	}
	return groups
}

// Message returns the message in a record of Lambda's SQS event.
func Message(record events.SQSMessage) queue.Received {
	m := queue.Received{ID: record.MessageId, Message: queue.Message{
		Group:           record.Attributes["MessageGroupId"],
		DeduplicationID: record.Attributes["MessageDeduplicationId"],
		Body:            record.Body,
		Trace:           record.Attributes["AWSTraceHeader"],
		Attributes:      map[string]string{},
	}}
	for name, attribute := range record.MessageAttributes {
		if attribute.StringValue != nil {
			m.Attributes[name] = *attribute.StringValue
		}
	}
	return m
}

// processGroup processes the messages of one group, in order. It returns how many are done, and why the next one
// failed. It only fails for a reason that may have passed when the message is redelivered.
func (p *Processor) processGroup(
	ctx context.Context, messages []queue.Received, readUntil time.Time,
) (done int, err error) {
	results, read, readErr := p.decodeAll(ctx, messages, readUntil)
	for len(results) > 0 {
		n, err := p.apply(ctx, messages, results)
		if err != nil {
			return results[n].message, err
		}
		results = results[n:]
	}
	return read, readErr
}

// apply gives the first results their effect. It returns how many of them are done, and why the next one failed.
func (p *Processor) apply(ctx context.Context, messages []queue.Received, results []decoded) (done int, err error) {
	first := results[0]
	if first.unreadable == nil {
		return p.commit(ctx, nextCommit(results))
	}
	if err := p.deadLetter(ctx, messages[first.message], first); err != nil {
		return 0, err
	}
	return 1, nil
}

func (p *Processor) logger(m queue.Received) *slog.Logger {
	identity := m.Identity()
	return p.Log.With("provider", identity.Provider, "event", identity.EventID)
}

// putMetrics writes the metrics of one event. The provider's name comes from the message. An unknown one makes no
// dimension, so that a message cannot create metrics.
func (p *Processor) putMetrics(provider string, values ...metric.Value) {
	if _, ok := webhook.Find(p.Providers, provider); !ok {
		provider = ""
	}
	p.Metrics.Put(provider, values...)
}
