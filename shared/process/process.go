// Package process is the worker: it makes each delivery's effect happen, once. It normalises the deliveries, folds the
// events into their agreement, and commits those of one agreement that come in one batch in one transaction.
package process

import (
	"cmp"
	"context"
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
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// attempts is how often a commit is tried within one invocation when the agreement has changed under it, with growing
// pauses in between: at most a second in all.
const attempts = 8

// How long a batch takes at most: less than the function's 30 s, so that what is done is reported and does not come again. Its
// payloads are read before that, so that the effects of those that were read have time to happen.
const (
	patience = 25 * time.Second
	reading  = 20 * time.Second
)

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
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	toRead, cancelReading := context.WithTimeout(ctx, reading)
	defer cancelReading()
	for _, messages := range groups(batch) {
		done, err := p.process(ctx, toRead, messages)
		if err != nil {
			p.log(messages[done]).ErrorContext(ctx, "not processed", "error", err)
		}
		for _, message := range messages[done:] {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.ID})
		}
	}
	return response, nil
}

// groups are the messages of each group, in their order.
func groups(batch events.SQSEvent) (all [][]queue.Received) {
	at := map[string]int{}
	for _, record := range batch.Records {
		message := Message(record)
		i, known := at[message.Group]
		if !known {
			i = len(all)
			at[message.Group], all = i, append(all, nil)
		}
		all[i] = append(all[i], message)
	}
	return all
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

// meaning is what a message says: an event, or that it cannot be read.
type meaning struct {
	message    int // its index in the group
	claim      ledger.Claim
	event      esign.Event
	unreadable error // why; nil if it is an event
}

// process handles the messages of a group, with a context of its own for reading them. It returns how many of them are done; an error is why the next one is not, and
// is only for what is worth trying again.
func (p *Processor) process(ctx, toRead context.Context, messages []queue.Received) (done int, err error) {
	all, read, unread := p.readAll(toRead, messages)
	for len(all) > 0 {
		n, err := p.settle(ctx, messages, all)
		if err != nil {
			return all[n].message, err
		}
		all = all[n:]
	}
	return read, unread
}

// settle does what the first of the meanings ask for. It returns how many of them are done; an error is why the next one is
// not.
func (p *Processor) settle(ctx context.Context, messages []queue.Received, all []meaning) (done int, err error) {
	first := all[0]
	if first.unreadable == nil {
		return p.commit(ctx, together(all))
	}
	if err := p.setAside(ctx, messages[first.message], first); err != nil {
		return 0, err
	}
	return 1, nil
}

// readAll says what the messages of a group mean, one after the other: it never holds the payloads of two. It returns how
// many it has read; an error is why it has not read the next one.
func (p *Processor) readAll(ctx context.Context, messages []queue.Received) (all []meaning, read int, err error) {
	all = make([]meaning, 0, len(messages)) // nearly always one each
	for i, message := range messages {
		said, err := p.read(ctx, message)
		if err != nil {
			return all, i, err
		}
		for _, m := range said {
			m.message = i
			all = append(all, m)
		}
	}
	return all, len(messages), nil
}

// read says what a message means, after its payload is in the archive. Its error is only for what is worth trying again.
func (p *Processor) read(ctx context.Context, message queue.Received) ([]meaning, error) {
	delivery, err := queue.Decode(ctx, message.Message, p.Payloads)
	if errors.Is(err, queue.ErrMalformed) {
		return []meaning{{unreadable: err}}, nil
	} else if err != nil {
		return nil, err
	}
	claim := ledger.NewClaim(delivery, "", "", time.Time{})
	if err := p.archive(ctx, delivery, claim.SHA256); err != nil {
		return nil, err
	}
	all, err := p.interpret(delivery, claim)
	if err != nil {
		return []meaning{{claim: claim, unreadable: err}}, nil
	}
	return all, nil
}

// archive keeps what came, before anything else happens to it: nothing has an effect and is not in the archive.
func (p *Processor) archive(ctx context.Context, d *webhook.Delivery, sha256 string) error {
	if p.Archive == nil {
		return nil
	}
	if err := p.Archive.Put(ctx, payload.ArchiveKey(d.Provider, sha256), d.Payload); err != nil {
		return fmt.Errorf("process: archive: %w", err)
	}
	return nil
}

// interpret says what a delivery means: one event. Only a delivery that the receiver could not read, redriven from the dead
// letters to a worker that can, is identified anew, and may then hold several. Whatever goes wrong here goes wrong every
// time.
func (p *Processor) interpret(delivery *webhook.Delivery, claim ledger.Claim) (all []meaning, err error) {
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
	if len(identities) == 0 {
		return nil, fmt.Errorf("process: no event: %w", webhook.ErrUnreadable)
	}
	for _, id := range identities {
		d := *delivery
		d.EventID, d.Subject, d.Via = id.EventID, id.Subject, id.Via
		event, err := normalize(provider, &d)
		if err != nil {
			return nil, err
		}
		event = complete(event, &d)
		claim.Key, claim.Via = ledger.Key{Subject: d.Subject, ID: d.EventID}, d.Via
		all = append(all, meaning{claim: claim, event: event})
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

// together are the first events, as many of them as one commit takes: of the same subject, and none of them twice.
func together(all []meaning) []meaning {
	n := 1
	for n < min(len(all), ledger.MaxCommits) && fits(all[:n], all[n]) {
		n++
	}
	return all[:n]
}

func fits(events []meaning, next meaning) bool {
	first := events[0]
	return next.unreadable == nil && next.claim.Subject == first.claim.Subject &&
		(next.event.AgreementID == "") == (first.event.AgreementID == "") &&
		!slices.ContainsFunc(events, func(earlier meaning) bool { return earlier.claim.ID == next.claim.ID })
}

// commit folds events into their agreement and records them together, however many others are doing the same. If one of
// them is done already, or they are refused, each is tried by itself. It returns how many of them are done; an error is why
// the next one is not.
func (p *Processor) commit(ctx context.Context, events []meaning) (done int, err error) {
	wait := p.Pause
	if wait == nil {
		wait = pause
	}
	for attempt := range attempts {
		if attempt > 0 {
			wait(ctx, attempt)
		}
		var effects []ledger.Commit
		if effects, err = p.fold(ctx, events); err != nil {
			return 0, err
		}
		err = p.Ledger.Commit(ctx, effects...)
		switch first := events[0].event; {
		case err == nil:
			for _, c := range effects {
				p.processed(ctx, c)
			}
			return len(events), nil
		case errors.Is(err, ledger.ErrConflict) && (len(events) == 1 || attempt < attempts-1):
			continue
		case len(events) > 1:
			return p.commitEach(ctx, events, err) // at last after a conflict, too: so many may always be too much at once
		case errors.Is(err, ledger.ErrProcessed):
			p.Log.InfoContext(ctx, "already processed", "provider", first.Provider, "event", first.ID, "type", first.Type)
			return 1, nil
		default:
			return 0, err
		}
	}
	return 0, err
}

// commitEach commits events one by one that could not be committed together, for a reason that may be one event's alone.
func (p *Processor) commitEach(ctx context.Context, events []meaning, reason error) (done int, err error) {
	if !errors.Is(reason, ledger.ErrProcessed) {
		p.Log.WarnContext(ctx, "not committed together", "provider", events[0].event.Provider, "events", len(events), "error", reason)
	}
	for i := range events {
		if _, err := p.commit(ctx, events[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

// fold reads the agreement that events are about, and folds one after the other into it.
func (p *Processor) fold(ctx context.Context, events []meaning) ([]ledger.Commit, error) {
	var agreement esign.Agreement
	var version int64
	aboutAgreement := events[0].event.AgreementID != ""
	if aboutAgreement {
		var err error
		if agreement, version, err = p.Ledger.Agreement(ctx, events[0].claim.Subject); err != nil {
			return nil, err
		}
	}
	effects, now := make([]ledger.Commit, len(events)), p.Now().UTC()
	for i, m := range events {
		effects[i] = ledger.Commit{Claim: m.claim, Event: m.event, At: now.Add(time.Duration(i))}
		if aboutAgreement {
			after := esign.Fold(agreement, m.event)
			effects[i].Agreement, effects[i].StatusBefore, effects[i].Version = &after, agreement.Status, version+int64(i)
			agreement = after
		}
	}
	return effects, nil
}

// processed tells that an event had its effect, and of an agreement, whether that left the status as it was.
func (p *Processor) processed(ctx context.Context, c ledger.Commit) {
	p.Log.InfoContext(ctx, "processed", "provider", c.Event.Provider, "event", c.ID, "type", c.Event.Type,
		"agreement", webhook.Label(c.Event.AgreementID), "statusBefore", c.StatusBefore, "statusAfter", c.StatusAfter())
	values := []metric.Value{metric.Count("Processed", 1)}
	if c.Agreement != nil {
		same := 0
		if c.StatusBefore == c.StatusAfter() {
			same = 1
		}
		values = append(values, metric.Count("NoStatusChange", same))
	}
	p.measure(c.Event.Provider, values...)
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
func (p *Processor) setAside(ctx context.Context, message queue.Received, m meaning) error {
	letter := message.Message
	letter.DeduplicationID = message.ID
	if err := p.DeadLetters.Send(ctx, letter); err != nil {
		return fmt.Errorf("process: dead letter: %w", err)
	}
	p.log(message).ErrorContext(ctx, "unreadable", "error", m.unreadable)
	if m.claim.ID != "" { // else it has not even an identity
		if err := p.Ledger.MarkUnreadable(ctx, m.claim); err != nil {
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
