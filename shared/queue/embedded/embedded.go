// Package embedded is the queue of localhost: a bbolt file that behaves like SQS FIFO. A message is synced to disk before
// Send returns. What was in flight when the process ended is visible at once when it starts again, since its only
// consumer has died.
package embedded

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/queue"
)

// deduplication is how long a deduplication ID is remembered.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html
const deduplication = 5 * time.Minute

// Config is the configuration of a queue.
type Config struct {
	Name       string // of its buckets in the file
	Visibility time.Duration
	// MaxReceives is how often a message is received before it goes to DeadLetters; 0 is without limit.
	MaxReceives int
	DeadLetters *Queue // in the same file
	// OnDeadLetter, if set, is called with each message after it went to DeadLetters.
	OnDeadLetter func(queue.Message)
}

// Queue implements [queue.Sender], and the consumer's side of SQS.
type Queue struct {
	config                 Config
	db                     *bbolt.DB
	messages, deduplicated []byte // buckets: sequence → record; deduplication ID → when it is forgotten

	mu      sync.Mutex
	pending []*entry // in the order of sending
	changed chan struct{}
	purged  time.Time
}

// record is a message on disk.
type record struct {
	Message  queue.Message
	Receives int
}

// entry is what must be known to choose the next message. Its visibility is only here: a restart makes all visible.
type entry struct {
	sequence  uint64
	group     string
	visibleAt time.Time
	receipt   string
}

var _ queue.Sender = (*Queue)(nil)

// Open makes or opens a queue in db.
func Open(db *bbolt.DB, config Config) (*Queue, error) {
	q := &Queue{
		config: config, db: db, changed: make(chan struct{}),
		messages: []byte("queue." + config.Name), deduplicated: []byte("queue." + config.Name + ".deduplicated"),
	}
	err := db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(q.deduplicated); err != nil {
			return err
		}
		messages, err := tx.CreateBucketIfNotExists(q.messages)
		if err != nil {
			return err
		}
		return messages.ForEach(func(k, v []byte) error {
			var r record
			if err := json.Unmarshal(v, &r); err != nil {
				return err
			}
			q.pending = append(q.pending, &entry{sequence: binary.BigEndian.Uint64(k), group: r.Message.Group})
			return nil
		})
	})
	return q, err
}

// Send implements [queue.Sender].
func (q *Queue) Send(_ context.Context, m queue.Message) error {
	if err := check(m); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var e *entry
	err := q.db.Update(func(tx *bbolt.Tx) (err error) {
		e, err = q.append(tx, m, time.Now())
		return err
	})
	if err == nil {
		q.added(e)
	}
	return err
}

// check refuses what SQS refuses.
func check(m queue.Message) error {
	for name, value := range m.Attributes {
		if value == "" {
			return fmt.Errorf("queue: attribute %s is empty", name)
		}
	}
	switch size := m.Size(); {
	case m.Group == "" || len(m.Group) > 128 || m.DeduplicationID == "" || len(m.DeduplicationID) > 128:
		return errors.New("queue: group and deduplication ID take 1 to 128 characters")
	case m.Body == "":
		return errors.New("queue: body is empty")
	case len(m.Attributes) > 10:
		return errors.New("queue: more than 10 attributes")
	case size > queue.MaxMessage:
		return fmt.Errorf("queue: message of %d bytes, more than %d", size, queue.MaxMessage)
	}
	return nil
}

// append writes a message, unless its deduplication ID is remembered; then it returns nil.
func (q *Queue) append(tx *bbolt.Tx, m queue.Message, now time.Time) (*entry, error) {
	deduplicated := tx.Bucket(q.deduplicated)
	if now.Sub(q.purged) > time.Minute {
		if err := purge(deduplicated, now); err != nil {
			return nil, err
		}
		q.purged = now
	}
	id := []byte(m.DeduplicationID)
	if remembered(deduplicated.Get(id), now) {
		return nil, nil
	}
	if err := deduplicated.Put(id, []byte(now.Add(deduplication).Format(time.RFC3339Nano))); err != nil {
		return nil, err
	}
	messages := tx.Bucket(q.messages)
	sequence, err := messages.NextSequence()
	if err != nil {
		return nil, err
	}
	return &entry{sequence: sequence, group: m.Group}, put(messages, sequence, record{Message: m})
}

// remembered says whether a deduplication ID with this expiry still counts.
func remembered(until []byte, now time.Time) bool {
	t, err := time.Parse(time.RFC3339Nano, string(until))
	return err == nil && now.Before(t)
}

func purge(deduplicated *bbolt.Bucket, now time.Time) error {
	var forgotten [][]byte
	deduplicated.ForEach(func(id, until []byte) error {
		if !remembered(until, now) {
			forgotten = append(forgotten, id)
		}
		return nil
	})
	for _, id := range forgotten {
		if err := deduplicated.Delete(id); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) added(e *entry) {
	if e != nil {
		q.pending = append(q.pending, e)
		q.wake()
	}
}

// wake tells those who wait in Receive to look again. The caller holds mu.
func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Receive waits until there is a message to give, and gives up to limit: per group in order, and none of a group that
// has another in flight.
func (q *Queue) Receive(ctx context.Context, limit int) ([]queue.Received, error) {
	for {
		q.mu.Lock()
		now, changed := time.Now(), q.changed
		received, err := q.take(limit, now)
		next := q.nextVisible(now)
		q.mu.Unlock()
		if err != nil || len(received) > 0 {
			return received, err
		}
		var timeout <-chan time.Time
		if !next.IsZero() {
			timeout = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-timeout:
		}
	}
}

// nextVisible is when the next message in flight becomes visible again. Those that are visible and wait for their group
// are none.
func (q *Queue) nextVisible(now time.Time) (next time.Time) {
	for _, e := range q.pending {
		if e.visibleAt.After(now) && (next.IsZero() || e.visibleAt.Before(next)) {
			next = e.visibleAt
		}
	}
	return next
}

// take chooses messages, counts their receipt on disk, and moves those that were received too often.
func (q *Queue) take(limit int, now time.Time) ([]queue.Received, error) {
	var chosen []*entry
	blocked := map[string]bool{}
	for _, e := range q.pending {
		if e.visibleAt.After(now) {
			blocked[e.group] = true
		}
		if !blocked[e.group] && len(chosen) < limit {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	var received []queue.Received
	var taken []*entry
	var burials []burial
	err := q.db.Update(func(tx *bbolt.Tx) error {
		messages := tx.Bucket(q.messages)
		for _, e := range chosen {
			var r record
			if err := json.Unmarshal(messages.Get(sequenceKey(e.sequence)), &r); err != nil {
				return err
			}
			if r.Receives++; q.config.MaxReceives > 0 && r.Receives > q.config.MaxReceives {
				b, err := q.moveToDeadLetters(tx, e, r.Message, now)
				if err != nil {
					return err
				}
				burials = append(burials, b)
				continue
			}
			if err := put(messages, e.sequence, r); err != nil {
				return err
			}
			taken = append(taken, e)
			received = append(received, queue.Received{
				Message: r.Message, ID: e.id(), Receipt: e.id() + "." + strconv.Itoa(r.Receives), Receives: r.Receives,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, e := range taken {
		e.visibleAt, e.receipt = now.Add(q.config.Visibility), received[i].Receipt
	}
	for _, b := range burials {
		q.bury(b)
	}
	return received, nil
}

func (e *entry) id() string { return strconv.FormatUint(e.sequence, 10) }

// burial is a message that went to the dead letters.
type burial struct {
	dead    *entry
	message queue.Message
	letter  *entry // among the dead letters
}

// moveToDeadLetters does on disk what bury completes in memory. The deduplication ID becomes the message's own, as on
// SQS.
func (q *Queue) moveToDeadLetters(tx *bbolt.Tx, e *entry, m queue.Message, now time.Time) (burial, error) {
	letter := m
	letter.DeduplicationID = q.config.Name + "-" + e.id()
	added, err := q.config.DeadLetters.append(tx, letter, now)
	if err == nil {
		err = tx.Bucket(q.messages).Delete(sequenceKey(e.sequence))
	}
	return burial{e, m, added}, err
}

func (q *Queue) bury(b burial) {
	q.remove(b.dead)
	q.wake() // the group goes on
	q.config.DeadLetters.mu.Lock()
	q.config.DeadLetters.added(b.letter)
	q.config.DeadLetters.mu.Unlock()
	if q.config.OnDeadLetter != nil {
		q.config.OnDeadLetter(b.message)
	}
}

// Redrive moves the messages that are not in flight to the queue whose dead letters they are, and returns how many there
// were.
func (q *Queue) Redrive(to *Queue) (int, error) {
	to.mu.Lock() // in the order in which a message is buried
	defer to.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	var left, moved []*entry
	now := time.Now()
	err := q.db.Update(func(tx *bbolt.Tx) error {
		messages := tx.Bucket(q.messages)
		for _, e := range q.pending {
			if e.visibleAt.After(now) {
				left = append(left, e)
				continue
			}
			var r record
			if err := json.Unmarshal(messages.Get(sequenceKey(e.sequence)), &r); err != nil {
				return err
			}
			added, err := to.append(tx, r.Message, now)
			if err != nil {
				return err
			}
			if err := messages.Delete(sequenceKey(e.sequence)); err != nil {
				return err
			}
			moved = append(moved, added)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	q.pending = left
	for _, e := range moved {
		to.added(e)
	}
	return len(moved), nil
}

// Delete removes a received message. A receipt is only good until the message is received again.
func (q *Queue) Delete(_ context.Context, receipt string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.inFlight(receipt)
	if err != nil {
		return err
	}
	if err := q.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(q.messages).Delete(sequenceKey(e.sequence)) }); err != nil {
		return err
	}
	q.remove(e)
	q.wake() // the group goes on
	return nil
}

// ChangeVisibility makes a received message come again when d is over, or at once after a restart.
func (q *Queue) ChangeVisibility(_ context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.inFlight(receipt)
	if err != nil {
		return err
	}
	e.visibleAt = time.Now().Add(d)
	q.wake() // it may be sooner than who waits thinks
	return nil
}

// inFlight finds the message with this receipt. The caller holds mu.
func (q *Queue) inFlight(receipt string) (*entry, error) {
	for _, e := range q.pending {
		if e.receipt == receipt && receipt != "" {
			return e, nil
		}
	}
	return nil, errors.New("queue: no message in flight has this receipt")
}

func (q *Queue) remove(e *entry) {
	for i, p := range q.pending {
		if p == e {
			q.pending = append(q.pending[:i], q.pending[i+1:]...)
			return
		}
	}
}

func put(bucket *bbolt.Bucket, sequence uint64, r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return bucket.Put(sequenceKey(sequence), b)
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }
