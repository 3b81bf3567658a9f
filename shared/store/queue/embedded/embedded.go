// Package embedded is the queue of localhost: a bbolt file that behaves like SQS FIFO. A message is synced to disk before
// Send returns. What was in flight when the process ended is visible at once when it starts again, since its only
// consumer has died.
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
	// OnDeadLetter, if set, is called in the transaction that moves a message to DeadLetters.
	OnDeadLetter func(*bbolt.Tx, queue.Message) error
}

// Queue implements [queue.Sender], and the consumer's side of SQS.
type Queue struct {
	config Config
	db     *groupcommit.DB
	// Buckets: sequence → record; sequence → how often it was received; deduplication ID → when it is forgotten.
	messages, receives, deduplicated []byte
	purged                           time.Time     // guarded by the file's transactions
	changed                          chan struct{} // holds one if there may be something to receive

	mu      sync.Mutex
	pending []*entry // in the order of sending
}

// record is a message on disk.
type record struct{ Message queue.Message }

// entry is what must be known to choose the next message. Its visibility is only here: a restart makes all visible.
type entry struct {
	sequence  uint64
	group     string
	receives  int
	writing   bool // what becomes of it is being written to disk: until then, it belongs to whoever writes
	visibleAt time.Time
	receipt   string
}

var _ queue.Sender = (*Queue)(nil)

// Open makes or opens a queue in db.
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
			receives, _ := strconv.Atoi(string(tx.Bucket(q.receives).Get(k))) // none: 0
			q.pending = append(q.pending, &entry{sequence: binary.BigEndian.Uint64(k), group: r.Message.Group, receives: receives})
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
	return q.db.Update(func(tx *bbolt.Tx) error { return q.append(tx, m, time.Now()) })
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

// append writes a message, unless its deduplication ID is remembered. It is there to be received as soon as that is
// committed.
func (q *Queue) append(tx *bbolt.Tx, m queue.Message, now time.Time) error {
	deduplicated := tx.Bucket(q.deduplicated)
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
	if err := deduplicated.Put(id, []byte(now.Add(deduplication).Format(time.RFC3339Nano))); err != nil {
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

// signal tells one of those who wait in Receive to look again.
func (q *Queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// Receive waits until there is a message to give, and gives up to limit: per group in order, and none of a group that
// has another in flight. It counts the receipts on disk before it gives them.
func (q *Queue) Receive(ctx context.Context, limit int) ([]queue.Received, error) {
	for {
		chosen, next := q.choose(limit, time.Now())
		if len(chosen) > 0 {
			if received, err := q.take(chosen); err != nil || len(received) > 0 {
				return received, err
			}
			continue // all went to the dead letters
		}
		var timeout <-chan time.Time
		if !next.IsZero() {
			timeout = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			q.signal() // who waits as well may not know of what we would have looked at
			return nil, ctx.Err()
		case <-q.changed:
		case <-timeout:
		}
	}
}

// choose reserves up to limit messages. If there is none, it says when the next one in flight becomes visible again; zero
// if none is.
func (q *Queue) choose(limit int, now time.Time) (chosen []*entry, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	blocked := map[string]bool{}
	for _, e := range q.pending {
		switch {
		case e.writing:
			blocked[e.group] = true
		case e.visibleAt.After(now):
			blocked[e.group] = true
			if next.IsZero() || e.visibleAt.Before(next) {
				next = e.visibleAt
			}
		case !blocked[e.group]:
			chosen = append(chosen, e)
		}
		if len(chosen) == limit {
			break
		}
	}
	for _, e := range chosen {
		e.writing = true
	}
	return chosen, next
}

// take counts the receipts of reserved messages on disk, and moves those that were received too often.
func (q *Queue) take(chosen []*entry) (received []queue.Received, err error) {
	defer q.release(chosen)
	var taken []*entry
	err = q.db.Update(func(tx *bbolt.Tx) error {
		received, taken = nil, nil
		messages := tx.Bucket(q.messages)
		for _, e := range chosen {
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
			if err := tx.Bucket(q.receives).Put(sequenceKey(e.sequence), strconv.AppendInt(nil, int64(receives), 10)); err != nil {
				return err
			}
			taken = append(taken, e)
			received = append(received, queue.Received{
				Message: r.Message, ID: e.id(), Receipt: e.id() + "." + strconv.Itoa(receives), Receives: receives,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	for i, e := range taken {
		e.receives, e.receipt, e.visibleAt = received[i].Receives, received[i].Receipt, time.Now().Add(q.config.Visibility)
	}
	q.mu.Unlock()
	return received, nil
}

// release gives back what was reserved and is still there.
func (q *Queue) release(reserved []*entry) {
	q.mu.Lock()
	for _, e := range reserved {
		e.writing = false
	}
	q.mu.Unlock()
	q.signal()
}

func (e *entry) id() string { return strconv.FormatUint(e.sequence, 10) }

// moveToDeadLetters moves a message. Its deduplication ID becomes the message's own, as on SQS.
func (q *Queue) moveToDeadLetters(tx *bbolt.Tx, e *entry, m queue.Message) error {
	if q.config.OnDeadLetter != nil {
		if err := q.config.OnDeadLetter(tx, m); err != nil {
			return err
		}
	}
	m.DeduplicationID = q.config.Name + "-" + e.id()
	if err := q.config.DeadLetters.append(tx, m, time.Now()); err != nil {
		return err
	}
	return q.drop(tx, e)
}

// Redrive moves the messages that are not in flight to the queue whose dead letters they are, and returns how many there
// were.
func (q *Queue) Redrive(to *Queue) (int, error) {
	var moved []*entry
	now := time.Now()
	q.mu.Lock()
	for _, e := range q.pending {
		if !e.writing && !e.visibleAt.After(now) {
			e.writing = true
			moved = append(moved, e)
		}
	}
	q.mu.Unlock()
	defer q.release(moved)
	err := q.db.Update(func(tx *bbolt.Tx) error {
		for _, e := range moved {
			var r record
			if err := json.Unmarshal(tx.Bucket(q.messages).Get(sequenceKey(e.sequence)), &r); err != nil {
				return err
			}
			if err := to.append(tx, r.Message, time.Now()); err != nil {
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

// Delete removes a received message. A receipt is only good until the message is received again.
func (q *Queue) Delete(ctx context.Context, receipt string) error {
	return q.DeleteBatch(ctx, []string{receipt})
}

// DeleteBatch removes received messages. It removes the others when a receipt is not good, which is an error.
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
		e.writing = true
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

// ChangeVisibility makes a received message come again when d is over, or at once after a restart.
func (q *Queue) ChangeVisibility(_ context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.inFlight(receipt)
	if err != nil {
		return err
	}
	e.visibleAt = time.Now().Add(d)
	q.signal() // it may be sooner than who waits thinks
	return nil
}

// inFlight finds the message with this receipt. The caller holds mu.
func (q *Queue) inFlight(receipt string) (*entry, error) {
	id, _, _ := strings.Cut(receipt, ".")
	sequence, _ := strconv.ParseUint(id, 10, 64) // 0, if it is none, is never given
	if i, ok := q.find(sequence); ok && q.pending[i].receipt == receipt && !q.pending[i].writing {
		return q.pending[i], nil
	}
	return nil, errors.New("queue: no message in flight has this receipt")
}

func (q *Queue) find(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(q.pending, sequence, func(e *entry, sequence uint64) int { return cmp.Compare(e.sequence, sequence) })
}

// drop removes a reserved message from disk, and from memory when that is committed.
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
