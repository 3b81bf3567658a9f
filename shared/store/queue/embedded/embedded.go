// Package embedded is the queue of localhost: a bbolt file that behaves like SQS FIFO. A message is synced to disk
// before Send returns. After a restart all messages are visible at once, because the consumer of those in flight has
// died.
package embedded

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/queue"
)

// deduplicationWindow is how long the queue remembers a deduplication ID.
//
// SPEC:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html
const deduplicationWindow = 5 * time.Minute

// Config is the configuration of a queue.
type Config struct {
	Name       string // names the queue's buckets in the file
	Visibility time.Duration
	Now        func() time.Time
	// MaxReceives limits how often a message is received before it is moved to DeadLetters. 0 means no limit.
	MaxReceives int
	DeadLetters *Queue // in the same file
	// OnDeadLetter is optional. It is called in the transaction that moves a message to DeadLetters.
	OnDeadLetter func(*bbolt.Tx, queue.Message) error
}

// Queue implements [queue.Sender] and the consumer's side of SQS.
type Queue struct {
	config Config
	db     *groupcommit.DB
	// Buckets: sequence → record; sequence → number of receives; deduplication ID → time when it expires.
	messages, receives, deduplicated []byte
	purged                           time.Time     // when expired IDs were last removed; guarded by the transaction
	changed                          chan struct{} // holds one value if there may be something to receive

	mu      sync.Mutex
	pending []*entry // in the order of sending
}

// record is a message on disk.
type record struct{ Message queue.Message }

// entry is the state of a message in memory. It is enough to choose the next message to deliver.
type entry struct {
	sequence  uint64
	group     string
	receives  int
	reserved  bool // held by a transaction in progress; released on commit or rollback
	visibleAt time.Time
	receipt   string // of the last receive
}

var _ queue.Sender = (*Queue)(nil)

// Open opens a queue in db, and creates it if it does not exist.
func Open(db *groupcommit.DB, config Config) (*Queue, error) {
	name := "queue." + config.Name
	q := &Queue{
		config: config, db: db, changed: make(chan struct{}, 1),
		messages: []byte(name), receives: []byte(name + ".receives"), deduplicated: []byte(name + ".deduplicated"),
	}
	err := db.Update(func(tx *bbolt.Tx) error {
		q.pending = nil
		for _, name := range [][]byte{q.messages, q.receives, q.deduplicated} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(q.messages).ForEach(func(k, v []byte) error {
			var r record
			if err := json.Unmarshal(v, &r); err != nil {
				return err
			}
			receives, _ := strconv.Atoi(string(tx.Bucket(q.receives).Get(k))) // 0 if it was never received
			sequence := binary.BigEndian.Uint64(k)
			q.pending = append(q.pending, &entry{sequence: sequence, group: r.Message.Group, receives: receives})
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
	return q.db.Update(func(tx *bbolt.Tx) error { return q.append(tx, m) })
}

// check returns an error for a message that SQS would refuse.
func check(m queue.Message) error {
	for name, value := range m.Attributes {
		if value == "" {
			return fmt.Errorf("queue: attribute %s is empty", name)
		}
	}
	switch size := m.Size(); {
	case m.Group == "" || len(m.Group) > 128 || m.DeduplicationID == "" || len(m.DeduplicationID) > 128:
		return errors.New("queue: group and deduplication ID must have 1 to 128 characters")
	case m.Body == "":
		return errors.New("queue: body is empty")
	case len(m.Attributes) > 10:
		return errors.New("queue: more than 10 attributes")
	case size > queue.MaxMessage:
		return fmt.Errorf("queue: message has %d bytes, more than %d", size, queue.MaxMessage)
	}
	return nil
}

// append writes a message, unless the queue remembers its deduplication ID. The message can be received once the
// transaction is committed.
func (q *Queue) append(tx *bbolt.Tx, m queue.Message) error {
	now, deduplicated := q.config.Now(), tx.Bucket(q.deduplicated)
	if now.Sub(q.purged) > time.Minute {
		if err := purge(deduplicated, now); err != nil {
			return err
		}
		q.purged = now
	}
	id := []byte(m.DeduplicationID)
	if remembered(deduplicated.Get(id), now) {
		return nil
	}
	if err := deduplicated.Put(id, []byte(now.Add(deduplicationWindow).Format(time.RFC3339Nano))); err != nil {
		return err
	}
	messages := tx.Bucket(q.messages)
	sequence, err := messages.NextSequence()
	if err != nil {
		return err
	}
	b, err := json.Marshal(record{m})
	if err != nil {
		return err
	}
	tx.OnCommit(func() {
		q.mu.Lock()
		q.pending = append(q.pending, &entry{sequence: sequence, group: m.Group})
		q.mu.Unlock()
		q.signal()
	})
	return messages.Put(sequenceKey(sequence), b)
}

// remembered reports whether a deduplication ID with this expiry has not expired.
func remembered(until []byte, now time.Time) bool {
	t, err := time.Parse(time.RFC3339Nano, string(until))
	return err == nil && now.Before(t)
}

// purge removes expired deduplication IDs.
func purge(deduplicated *bbolt.Bucket, now time.Time) error {
	var expired [][]byte // a bucket must not change during ForEach
	deduplicated.ForEach(func(id, until []byte) error {
		if !remembered(until, now) {
			expired = append(expired, id)
		}
		return nil
	})
	for _, id := range expired {
		if err := deduplicated.Delete(id); err != nil {
			return err
		}
	}
	return nil
}

// signal wakes up one goroutine that waits in Receive.
func (q *Queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// Receive waits until a message is available, and returns up to limit messages. Each group is delivered in order, and a
// group with a message in flight is blocked. The number of receives is on disk before Receive returns.
func (q *Queue) Receive(ctx context.Context, limit int) ([]queue.Received, error) {
	for {
		reserved, next := q.reserve(limit)
		if len(reserved) > 0 {
			if received, err := q.countReceives(reserved); err != nil || len(received) > 0 {
				return received, err
			}
			continue // all were moved to the dead letters
		}
		var timeout <-chan time.Time
		if !next.IsZero() {
			timeout = time.After(next.Sub(q.config.Now()))
		}
		select {
		case <-ctx.Done():
			q.signal() // another waiting receiver may have to watch for the next message in our place
			return nil, ctx.Err()
		case <-q.changed:
		case <-timeout:
		}
	}
}

// reserve reserves up to limit messages. If none is available, next is the time at which the next message in flight
// becomes visible again. It is zero if no message is in flight.
func (q *Queue) reserve(limit int) (reserved []*entry, next time.Time) {
	now := q.config.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	blocked := map[string]bool{}
	for _, e := range q.pending {
		switch {
		case e.reserved:
			blocked[e.group] = true
		case e.visibleAt.After(now):
			blocked[e.group] = true
			if next.IsZero() || e.visibleAt.Before(next) {
				next = e.visibleAt
			}
		case !blocked[e.group]:
			reserved = append(reserved, e)
		}
		if len(reserved) == limit {
			break
		}
	}
	for _, e := range reserved {
		e.reserved = true
	}
	return reserved, next
}

// countReceives writes to disk how often reserved messages were received, and returns them. Messages that were received
// too often are moved to the dead letters instead.
func (q *Queue) countReceives(reserved []*entry) (received []queue.Received, err error) {
	defer q.release(reserved)
	var counted []*entry
	err = q.db.Update(func(tx *bbolt.Tx) error {
		received, counted = nil, nil
		messages := tx.Bucket(q.messages)
		for _, e := range reserved {
			var r record
			if err := json.Unmarshal(messages.Get(sequenceKey(e.sequence)), &r); err != nil {
				return err
			}
			receives := e.receives + 1
			if q.config.MaxReceives > 0 && receives > q.config.MaxReceives {
				if err := q.moveToDeadLetters(tx, e, r.Message); err != nil {
					return err
				}
				continue
			}
			count := strconv.AppendInt(nil, int64(receives), 10)
			if err := tx.Bucket(q.receives).Put(sequenceKey(e.sequence), count); err != nil {
				return err
			}
			counted = append(counted, e)
			received = append(received, queue.Received{
				Message: r.Message, ID: e.id(), Receipt: e.id() + "." + strconv.Itoa(receives), Receives: receives,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	visibleAt := q.config.Now().Add(q.config.Visibility)
	q.mu.Lock()
	for i, e := range counted {
		e.receives, e.receipt, e.visibleAt = received[i].Receives, received[i].Receipt, visibleAt
	}
	q.mu.Unlock()
	return received, nil
}

// release ends the reservation of messages.
func (q *Queue) release(reserved []*entry) {
	q.mu.Lock()
	for _, e := range reserved {
		e.reserved = false
	}
	q.mu.Unlock()
	q.signal()
}

func (e *entry) id() string { return strconv.FormatUint(e.sequence, 10) }

// moveToDeadLetters moves a message to the dead letters. As on SQS, its deduplication ID becomes the message ID.
func (q *Queue) moveToDeadLetters(tx *bbolt.Tx, e *entry, m queue.Message) error {
	if q.config.OnDeadLetter != nil {
		if err := q.config.OnDeadLetter(tx, m); err != nil {
			return err
		}
	}
	m.DeduplicationID = q.config.Name + "-" + e.id()
	if err := q.config.DeadLetters.append(tx, m); err != nil {
		return err
	}
	return q.drop(tx, e)
}

// Redrive moves all messages that are not in flight to another queue of the file, and returns how many it moved. It is
// meant for a dead-letter queue.
func (q *Queue) Redrive(to *Queue) (int, error) {
	moved := q.visible()
	defer q.release(moved)
	err := q.db.Update(func(tx *bbolt.Tx) error {
		for _, e := range moved {
			var r record
			if err := json.Unmarshal(tx.Bucket(q.messages).Get(sequenceKey(e.sequence)), &r); err != nil {
				return err
			}
			if err := to.append(tx, r.Message); err != nil {
				return err
			}
			if err := q.drop(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(moved), nil
}

// Count returns how many messages match, also those in flight.
func (q *Queue) Count(match func(queue.Message) bool) (n int, err error) {
	err = q.db.View(func(tx *bbolt.Tx) error {
		n = 0
		return tx.Bucket(q.messages).ForEach(func(_, v []byte) error {
			var r record
			err := json.Unmarshal(v, &r)
			if err == nil && match(r.Message) {
				n++
			}
			return err
		})
	})
	return n, err
}

// Remove removes the messages that match and are not in flight, and returns how many it removed.
func (q *Queue) Remove(match func(queue.Message) bool) (removed int, err error) {
	reserved := q.visible()
	defer q.release(reserved)
	err = q.db.Update(func(tx *bbolt.Tx) error {
		removed = 0
		for _, e := range reserved {
			var r record
			if err := json.Unmarshal(tx.Bucket(q.messages).Get(sequenceKey(e.sequence)), &r); err != nil {
				return err
			}
			if !match(r.Message) {
				continue
			}
			if err := q.drop(tx, e); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	return removed, err
}

// visible reserves all messages that are not in flight.
func (q *Queue) visible() (reserved []*entry) {
	now := q.config.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.pending {
		if !e.reserved && !e.visibleAt.After(now) {
			e.reserved = true
			reserved = append(reserved, e)
		}
	}
	return reserved
}

// Delete removes a received message. A receipt is valid until the message is received again.
func (q *Queue) Delete(ctx context.Context, receipt string) error {
	return q.DeleteBatch(ctx, []string{receipt})
}

// DeleteBatch removes received messages. An invalid receipt is an error, and the other messages are removed all the
// same.
func (q *Queue) DeleteBatch(_ context.Context, receipts []string) error {
	var errs []error
	var found []*entry
	q.mu.Lock()
	for _, receipt := range receipts {
		e, err := q.inFlight(receipt)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e.reserved = true
		found = append(found, e)
	}
	q.mu.Unlock()
	if len(found) > 0 {
		defer q.release(found)
		errs = append(errs, q.db.Update(func(tx *bbolt.Tx) error {
			for _, e := range found {
				if err := q.drop(tx, e); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// ChangeVisibility makes a received message visible again after d, or after a restart if that is sooner.
func (q *Queue) ChangeVisibility(_ context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.inFlight(receipt)
	if err != nil {
		return err
	}
	e.visibleAt = q.config.Now().Add(d)
	q.signal() // a receiver may be waiting for a later time
	return nil
}

// inFlight returns the message with this receipt. The caller must hold mu.
func (q *Queue) inFlight(receipt string) (*entry, error) {
	id, _, _ := strings.Cut(receipt, ".")
	sequence, _ := strconv.ParseUint(id, 10, 64) // 0 if it is not a number; no message has sequence 0
	if i, ok := q.find(sequence); ok && q.pending[i].receipt == receipt && !q.pending[i].reserved {
		return q.pending[i], nil
	}
	return nil, errors.New("queue: no message in flight has this receipt")
}

// find returns the index of a message in pending. The caller must hold mu.
func (q *Queue) find(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(q.pending, sequence, func(e *entry, sequence uint64) int {
		return cmp.Compare(e.sequence, sequence)
	})
}

// drop removes a reserved message from disk, and from memory once the transaction is committed.
func (q *Queue) drop(tx *bbolt.Tx, e *entry) error {
	tx.OnCommit(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if i, ok := q.find(e.sequence); ok {
			q.pending = slices.Delete(q.pending, i, i+1)
		}
	})
	if err := tx.Bucket(q.receives).Delete(sequenceKey(e.sequence)); err != nil {
		return err
	}
	return tx.Bucket(q.messages).Delete(sequenceKey(e.sequence))
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }
