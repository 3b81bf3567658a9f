package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/store/queue"
)

const (
	visibility    = 180 * time.Second
	maxReceives   = 12 // lower than in the template, because outages here are shorter
	deduplication = 5 * time.Minute
)

// fifo is an SQS FIFO queue.
type fifo struct {
	w       *world
	name    string
	dead    *fifo
	waiting []*letter // in order
	known   map[string]time.Time
	taken   map[string]bool // event IDs of all messages that it accepted
	sent    int
	changed chan struct{}       // closed and renewed when something may be received
	sees    func(queue.Message) // called with each message; optional
}

type letter struct {
	message  queue.Message
	id       string
	receipt  string
	receives int
	hidden   time.Time
	sent     time.Time
}

var _ queue.Sender = (*fifo)(nil)

func newQueue(w *world, name string, dead *fifo) *fifo {
	return &fifo{w: w, name: name, dead: dead, known: map[string]time.Time{}, taken: map[string]bool{},
		changed: make(chan struct{})}
}

func (q *fifo) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Send implements [queue.Sender].
func (q *fifo) Send(ctx context.Context, m queue.Message) error {
	return q.w.do(ctx, "send to "+q.name+" "+short(m.DeduplicationID), networkFaults, func() error {
		q.take(m)
		return nil
	})
}

func (q *fifo) take(m queue.Message) {
	q.taken[m.Attributes["eventId"]] = true
	if q.sees != nil {
		q.sees(m)
	}
	if until, ok := q.known[m.DeduplicationID]; ok && time.Now().Before(until) {
		return
	}
	q.known[m.DeduplicationID] = time.Now().Add(deduplication)
	q.sent++
	q.waiting = append(q.waiting, &letter{message: m, id: fmt.Sprintf("%s-%d", q.name, q.sent), sent: time.Now()})
	q.wake()
}

// receive returns up to limit messages. It skips groups with messages in flight.
func (q *fifo) receive(limit int) (received []*letter) {
	blocked := map[string]bool{}
	for _, l := range slices.Clone(q.waiting) {
		group := l.message.Group
		if time.Now().Before(l.hidden) {
			blocked[group] = true
		}
		if blocked[group] || len(received) == limit {
			continue
		}
		if l.receives++; q.dead != nil && l.receives > maxReceives {
			q.giveUp(l)
			continue
		}
		l.hidden, l.receipt = time.Now().Add(visibility), fmt.Sprintf("%s/%d", l.id, l.receives)
		received = append(received, l)
	}
	return received
}

func (q *fifo) giveUp(l *letter) {
	m := l.message
	m.DeduplicationID = l.id
	q.dead.take(m)
	q.remove(l)
}

func (q *fifo) remove(l *letter) {
	q.waiting = slices.DeleteFunc(q.waiting, func(other *letter) bool { return other == l })
	q.wake()
}

// next returns when the next message in flight becomes visible.
func (q *fifo) next() (next time.Time) {
	for _, l := range q.waiting {
		if l.hidden.After(time.Now()) && (next.IsZero() || l.hidden.Before(next)) {
			next = l.hidden
		}
	}
	return next
}

// again makes a message in flight visible early, so that it is redelivered.
func (q *fifo) again() {
	for _, l := range q.waiting {
		if l.hidden.After(time.Now()) && q.w.choices.rarely(2) {
			q.w.note("%-34s redeliver %s", q.name, l.id)
			l.hidden = time.Time{}
			q.wake()
			return
		}
	}
}

// redrive moves the dead letters back.
func (q *fifo) redrive() {
	for _, l := range q.dead.waiting {
		q.w.note("%-34s redrive %s", q.dead.name, l.id)
		q.take(l.message)
	}
	q.dead.waiting = nil
}

func sqsEvent(received []*letter) (batch events.SQSEvent) {
	for _, l := range received {
		record := events.SQSMessage{
			MessageId: l.id, ReceiptHandle: l.receipt, Body: l.message.Body,
			Attributes: map[string]string{"MessageGroupId": l.message.Group,
				"MessageDeduplicationId": l.message.DeduplicationID},
			MessageAttributes: map[string]events.SQSMessageAttribute{},
		}
		for name, value := range l.message.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
		}
		batch.Records = append(batch.Records, record)
	}
	return batch
}
