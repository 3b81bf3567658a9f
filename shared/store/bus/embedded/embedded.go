// Package embedded is the bus of localhost: a bbolt file. Like EventBridge, it first stores events durably. It then
// forwards them to a developer's application, with retries, until it gives up.
package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"go.etcd.io/bbolt"

	"esignhooks/shared/outlet"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/bus"
)

var (
	eventsBucket  = []byte("bus.events")  // sequence → Published
	waitingBucket = []byte("bus.waiting") // sequence of an event in state Waiting → nothing
)

// State is the state of an event on its way to the application.
type State string

const (
	Unforwarded State = "unforwarded" // no application was configured
	Waiting     State = "waiting"     // the next attempt is due later
	Forwarded   State = "forwarded"   // the application answered 2xx
	Failed      State = "failed"      // all attempts failed; Redrive starts over
)

// Published is an event on the bus.
type Published struct {
	Envelope events.EventBridgeEvent `json:"envelope"` // the form in which EventBridge delivers it
	State    State                   `json:"state"`
	Attempts int                     `json:"attempts"`
	Error    string                  `json:"error,omitempty"` // of the last attempt
	Next     time.Time               `json:"next,omitzero"`   // time of the next attempt, if State is Waiting
}

// Bus implements [bus.Bus].
type Bus struct {
	db     *groupcommit.DB
	outlet *outlet.Sender // nil for none
	keys   []outlet.Key
	now    func() time.Time
	// Written is called with each event once a change of it is committed. It must not block, nor call the Bus. Nil: nobody
	// is interested.
	Written func(Published)

	mu      sync.Mutex
	waiting []attempt     // in the order of publication
	changed chan struct{} // holds one value if something was added to waiting
}

// attempt is the next attempt to forward an event.
type attempt struct {
	sequence uint64
	subject  string
	due      time.Time
}

var _ bus.Bus = (*Bus)(nil)

// New returns a bus in db. Events that wait in db will be forwarded too. The requests to the application are signed
// with the keys. Without an application, to is nil.
func New(db *groupcommit.DB, to *outlet.Sender, keys []outlet.Key, now func() time.Time) (*Bus, error) {
	b := &Bus{db: db, outlet: to, keys: keys, now: now, changed: make(chan struct{}, 1)}
	err := db.Update(func(tx *bbolt.Tx) error {
		b.waiting = nil
		bucket, err := tx.CreateBucketIfNotExists(eventsBucket)
		if err == nil {
			err = makeIndex(tx)
		}
		if err != nil {
			return err
		}
		return tx.Bucket(waitingBucket).ForEach(func(k, _ []byte) error {
			var p Published
			if err := json.Unmarshal(bucket.Get(k), &p); err != nil {
				return err
			}
			due := p.Next
			if latest := now().Add(maxPause); due.After(latest) { // it was set by a clock that was ahead
				due = latest
			}
			_, subject := about(p)
			b.waiting = append(b.waiting, attempt{binary.BigEndian.Uint64(k), subject, due})
			return nil
		})
	})
	return b, err
}

// DropIndex removes the index of waiting events. New makes it again. It must be called before New if an earlier
// release, which has no index, may have changed the events.
func DropIndex(tx *bbolt.Tx) error {
	if tx.Bucket(waitingBucket) == nil {
		return nil
	}
	return tx.DeleteBucket(waitingBucket)
}

func makeIndex(tx *bbolt.Tx) error {
	if tx.Bucket(waitingBucket) != nil {
		return nil
	}
	waiting, err := tx.CreateBucket(waitingBucket)
	if err != nil {
		return err
	}
	return walk(tx, func(sequence uint64, p Published) error {
		if p.State != Waiting {
			return nil
		}
		return waiting.Put(sequenceKey(sequence), nil)
	})
}

// about returns the ID and the subject of a published event.
func about(p Published) (eventID, subject string) {
	var detail struct {
		EventID string
		Event   struct{ Subject string }
	}
	json.Unmarshal(p.Envelope.Detail, &detail) // the bus has made it
	return detail.EventID, detail.Event.Subject
}

// walk visits all events in the order of publication.
func walk(tx *bbolt.Tx, visit func(uint64, Published) error) error {
	return tx.Bucket(eventsBucket).ForEach(func(k, v []byte) error {
		var p Published
		if err := json.Unmarshal(v, &p); err != nil {
			return err
		}
		return visit(binary.BigEndian.Uint64(k), p)
	})
}

// Publish implements [bus.Bus].
func (b *Bus) Publish(_ context.Context, all []bus.Event) []error {
	err := b.db.Update(func(tx *bbolt.Tx) error {
		var added []attempt
		tx.OnCommit(func() { b.wait(added) })
		bucket := tx.Bucket(eventsBucket)
		for _, e := range all {
			sequence, err := bucket.NextSequence()
			if err != nil {
				return err
			}
			envelope, err := outlet.Envelope(e, envelopeID(sequence), "000000000000", "localhost")
			if err != nil {
				return err
			}
			p := Published{State: Unforwarded, Envelope: envelope}
			if b.outlet != nil {
				p.State, added = Waiting, append(added, attempt{sequence: sequence, subject: e.Detail.Event.Subject})
			}
			if err := b.put(tx, sequence, p); err != nil {
				return err
			}
		}
		return nil
	})
	return slices.Repeat([]error{err}, len(all))
}

// envelopeID returns an ID like EventBridge's: each publication of an event has a new one.
func envelopeID(sequence uint64) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", sequence)
}

// Events returns all published events, the newest first.
func (b *Bus) Events() ([]Published, error) {
	all, _, err := b.EventsAfter("", "", math.MaxInt)
	return all, err
}

// EventsAfter returns at most limit published events, the newest first. source is empty for all. The first call has an
// empty cursor; next is the cursor of the following call, and is empty after the last one.
func (b *Bus) EventsAfter(source, cursor string, limit int) (events []Published, next string, err error) {
	events = []Published{} // never nil, which would be null in JSON
	err = b.db.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(eventsBucket).Cursor()
		k, v := all.Last()
		if cursor != "" {
			if k, v = all.Seek([]byte(cursor)); k == nil {
				k, v = all.Last()
			}
			for k != nil && string(k) >= cursor {
				k, v = all.Prev()
			}
		}
		var last []byte
		for member := []byte(`"source":"` + source); k != nil; k, v = all.Prev() {
			if source != "" && !bytes.Contains(v, member) { // most of the others are not decoded
				continue
			}
			var p Published
			if err := json.Unmarshal(v, &p); err != nil {
				return err
			}
			if source != "" && p.Envelope.Source != source {
				continue
			}
			if len(events) == limit {
				next = string(last)
				return nil
			}
			events, last = append(events, p), k
		}
		return nil
	})
	return events, next, err
}

// About returns the publications of an event, the newest first. It looks among the last limit publications only.
func (b *Bus) About(eventID string, limit int) ([]Published, error) {
	found := []Published{}
	err := b.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(eventsBucket).Cursor()
		for k, v := cursor.Last(); k != nil && limit > 0; k, v = cursor.Prev() {
			limit--
			if !bytes.Contains(v, []byte(eventID)) {
				continue
			}
			var p Published
			if err := json.Unmarshal(v, &p); err != nil {
				return err
			}
			if id, _ := about(p); id == eventID {
				found = append(found, p)
			}
		}
		return nil
	})
	return found, err
}

// Redrive starts over with the failed events, and returns how many there are.
func (b *Bus) Redrive() (int, error) {
	var failed []attempt
	err := b.db.Update(func(tx *bbolt.Tx) error {
		failed = nil
		tx.OnCommit(func() { b.wait(failed) })
		reset := map[uint64]Published{} // a bucket must not change during walk
		err := walk(tx, func(sequence uint64, p Published) error {
			if p.State == Failed {
				_, subject := about(p)
				failed = append(failed, attempt{sequence: sequence, subject: subject})
				reset[sequence] = Published{Envelope: p.Envelope, State: Waiting}
			}
			return nil
		})
		for _, a := range failed {
			if err == nil {
				err = b.put(tx, a.sequence, reset[a.sequence])
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(failed), nil
}

// Forget returns how many events of a subject are published. If remove is set, it removes them.
func (b *Bus) Forget(subject string, remove bool) (int, error) {
	var found []uint64
	err := b.db.Update(func(tx *bbolt.Tx) error {
		found = nil
		err := walk(tx, func(sequence uint64, p Published) error {
			if _, of := about(p); of == subject {
				found = append(found, sequence)
			}
			return nil
		})
		if !remove || err != nil {
			return err
		}
		tx.OnCommit(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.waiting = slices.DeleteFunc(b.waiting, func(a attempt) bool { return a.subject == subject })
		})
		for _, sequence := range found {
			for _, name := range [][]byte{eventsBucket, waitingBucket} {
				if err := tx.Bucket(name).Delete(sequenceKey(sequence)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return len(found), err
}

// wait adds attempts, and wakes up Forward.
func (b *Bus) wait(added []attempt) {
	b.mu.Lock()
	b.waiting = append(b.waiting, added...)
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// put writes an event, and changes the index.
func (b *Bus) put(tx *bbolt.Tx, sequence uint64, p Published) error {
	if b.Written != nil {
		tx.OnCommit(func() { b.Written(p) })
	}
	v, err := json.Marshal(p)
	if err != nil {
		return err
	}
	k, waiting := sequenceKey(sequence), tx.Bucket(waitingBucket)
	change := waiting.Delete
	if p.State == Waiting {
		change = func(k []byte) error { return waiting.Put(k, nil) }
	}
	if err := change(k); err != nil {
		return err
	}
	return tx.Bucket(eventsBucket).Put(k, v)
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }
