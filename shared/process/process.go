// Package process is the worker: it makes each delivery's effect happen, once. It normalises the delivery, folds the
// event into its agreement, and commits both in one transaction.
package process

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/ledger"
	"esignhooks/shared/metric"
	"esignhooks/shared/payload"
	"esignhooks/shared/queue"
	"esignhooks/shared/webhook"
)

// attempts is how often a commit is tried within one invocation when the agreement has changed under it, with growing
// pauses in between: at most a second in all.
const attempts = 8

// Processor is the queue's consumer. Its fields are set once, before the first batch.
type Processor struct {
	Providers   []webhook.Provider
	Ledger      ledger.Ledger
	Payloads    payload.Store
	Archive     payload.Store // nil: none
	DeadLetters queue.Sender
	Now         func() time.Time
	Log         *slog.Logger
	Metrics     *metric.Log // nil: none
	// Pause waits before another attempt at a commit; nil waits at random, a little longer each time.
	Pause func(ctx context.Context, attempt int)
}

// Handle processes a batch. It reports what must come again: a failed message, and those of its group behind it, which
// wait until it is done.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: the identifier is the message ID;
// for FIFO queues everything of a group after the first failure is reported too.
func (p *Processor) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	stopped := map[string]bool{}
	for _, record := range batch.Records {
		message := Message(record)
		if !stopped[message.Group] {
			err := p.process(ctx, message)
			if err == nil {
				continue
			}
			p.log(message).ErrorContext(ctx, "not processed", "error", err)
		}
		stopped[message.Group] = true
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
	}
	return response, nil
}

func (p *Processor) log(m queue.Received) *slog.Logger {
	identity := m.Identity()
	return p.Log.With("provider", identity.Provider, "event", identity.EventID)
}

// Message reads a record of Lambda's SQS event.
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

// process returns an error only for what is worth trying again.
func (p *Processor) process(ctx context.Context, message queue.Received) error {
	delivery, err := queue.Decode(ctx, message.Message, p.Payloads)
	if errors.Is(err, queue.ErrMalformed) {
		return p.setAside(ctx, message, nil, err)
	} else if err != nil {
		return err
	}
	if err := p.archive(ctx, delivery); err != nil {
		return err
	}
	all, err := p.read(delivery)
	if err != nil {
		return p.setAside(ctx, message, delivery, err)
	}
	for _, m := range all {
		if err := p.commit(ctx, m.delivery, m.event); err != nil {
			return err
		}
	}
	return nil
}

// archive keeps what came, before anything else happens to it: nothing has an effect and is not in the archive.
func (p *Processor) archive(ctx context.Context, d *webhook.Delivery) error {
	if p.Archive == nil {
		return nil
	}
	sum := sha256.Sum256(d.Payload)
	if err := p.Archive.Put(ctx, payload.ArchiveKey(d.Provider, hex.EncodeToString(sum[:])), d.Payload); err != nil {
		return fmt.Errorf("process: archive: %w", err)
	}
	return nil
}

// meaning is what a delivery says: the delivery with its identity, and the event.
type meaning struct {
	delivery *webhook.Delivery
	event    esign.Event
}

// read says what a delivery means: one event. Only a delivery that the receiver could not read, redriven from the dead
// letters to a worker that can, is identified anew, and may then hold several. Whatever goes wrong here goes wrong every
// time.
func (p *Processor) read(delivery *webhook.Delivery) (all []meaning, err error) {
	defer func() {
		if recover() != nil { // the value may quote the payload, the stack does not
			p.Log.Error("panic", "provider", delivery.Provider, "event", delivery.EventID, "stack", string(debug.Stack()))
			err = fmt.Errorf("process: panic in provider %s: %w", delivery.Provider, webhook.ErrUnreadable)
		}
	}()
	provider, ok := webhook.Find(p.Providers, delivery.Provider)
	if !ok {
		return nil, fmt.Errorf("process: no such provider: %w", webhook.ErrUnreadable)
	}
	identities := []webhook.Identity{{EventID: delivery.EventID, Subject: delivery.Subject, Via: delivery.Via}}
	if delivery.Subject == webhook.UnreadableSubject(delivery.Provider) {
		if identities, err = provider.Identify(delivery.Request()); err != nil {
			return nil, err
		}
	}
	for _, id := range identities {
		d := *delivery
		d.EventID, d.Subject, d.Via = id.EventID, id.Subject, id.Via
		event, err := normalize(provider, &d)
		if err != nil {
			return nil, err
		}
		all = append(all, meaning{&d, complete(event, &d)})
	}
	return all, nil
}

// normalize says what a delivery means: a vendor's, or our own finding.
func normalize(p webhook.Provider, d *webhook.Delivery) (esign.Event, error) {
	if finding.Is(d) {
		return finding.Event(d)
	}
	return p.Normalize(d)
}

// complete adds to an event what its delivery knows.
func complete(e esign.Event, d *webhook.Delivery) esign.Event {
	e.ID, e.Provider, e.Subject, e.ReceivedAt, e.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
	if e.OccurredAt.IsZero() {
		e.OccurredAt, e.Approximate = d.ReceivedAt, true
	}
	if len(e.Participants) > esign.MaxParticipants { // those that the fold would keep
		slices.SortStableFunc(e.Participants, func(a, b esign.Participant) int { return cmp.Compare(a.ID, b.ID) })
		e.Participants = e.Participants[:esign.MaxParticipants]
	}
	return e
}

// commit folds the event into its agreement and records both, however many others are doing the same.
func (p *Processor) commit(ctx context.Context, d *webhook.Delivery, e esign.Event) error {
	log := p.Log.With("provider", e.Provider, "event", e.ID, "type", e.Type)
	claim := ledger.NewClaim(d, e.VendorType, e.AgreementID, e.OccurredAt)
	wait := p.Pause
	if wait == nil {
		wait = pause
	}
	var err error
	for attempt := range attempts {
		if attempt > 0 {
			wait(ctx, attempt)
		}
		commit := ledger.Commit{Claim: claim, Event: e, At: p.Now().UTC()}
		if e.AgreementID != "" {
			before, version, err := p.Ledger.Agreement(ctx, e.Subject)
			if err != nil {
				return err
			}
			after := esign.Fold(before, e)
			commit.Agreement, commit.StatusBefore, commit.Version = &after, before.Status, version
		}
		err = p.Ledger.Commit(ctx, commit)
		switch {
		case err == nil:
			log.InfoContext(ctx, "processed", "agreement", webhook.Label(e.AgreementID), "statusBefore", commit.StatusBefore, "statusAfter", commit.StatusAfter())
			p.measure(e.Provider, processed(commit)...)
			return nil
		case errors.Is(err, ledger.ErrProcessed):
			log.InfoContext(ctx, "already processed")
			return nil
		case !errors.Is(err, ledger.ErrConflict):
			return err
		}
	}
	return err
}

// pause waits before another attempt, at random up to 4 ms, 8 ms, 16 ms and so on.
func pause(ctx context.Context, attempt int) {
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(2 * time.Millisecond << attempt)):
	}
}

// setAside moves a message to the dead letters and marks its event, in this order: whatever fails between, the message
// comes again and nothing is lost. The message's own ID is the deduplication ID, since one that is redriven and still
// not readable must be taken again.
func (p *Processor) setAside(ctx context.Context, message queue.Received, d *webhook.Delivery, reason error) error {
	letter := message.Message
	letter.DeduplicationID = message.ID
	if err := p.DeadLetters.Send(ctx, letter); err != nil {
		return fmt.Errorf("process: dead letter: %w", err)
	}
	p.log(message).ErrorContext(ctx, "unreadable", "error", reason)
	if d != nil { // else it has not even an identity
		if err := p.Ledger.MarkUnreadable(ctx, ledger.NewClaim(d, "", "", time.Time{})); err != nil {
			return err
		}
	}
	p.measure(message.Identity().Provider, metric.Count("Unreadable", 1))
	return nil
}

// measure writes the metrics of an event. A provider that we do not know is whatever stood in the message, and makes no
// dimension.
func (p *Processor) measure(provider string, values ...metric.Value) {
	if _, ok := webhook.Find(p.Providers, provider); !ok {
		provider = ""
	}
	p.Metrics.Put(metric.Dimensions{Provider: provider}, values...)
}

// processed says that an event had its effect, and of an agreement, whether that left the status as it was.
func processed(c ledger.Commit) []metric.Value {
	values := []metric.Value{metric.Count("Processed", 1)}
	if c.Agreement == nil {
		return values
	}
	same := 0
	if c.StatusBefore == c.StatusAfter() {
		same = 1
	}
	return append(values, metric.Count("NoStatusChange", same))
}
