// Package embedded is the bus of localhost: a bbolt file. As EventBridge does with its targets, it takes events durably
// first and forwards them to a developer's application after, again and again, until it gives up.
package embedded

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/bus"
)

var eventsBucket = []byte("bus.events") // sequence → Published

// State is how far an event has come on its way to the application.
type State string

const (
	Unforwarded State = "unforwarded" // there was no application to forward to
	Waiting     State = "waiting"     // for its next attempt
	Forwarded   State = "forwarded"   // the application has answered 2xx
	Failed      State = "failed"      // given up, until it is redriven
)

// Published is an event that was put on the bus.
type Published struct {
	Envelope events.EventBridgeEvent `json:"envelope"` // as EventBridge delivers it
	State    State                   `json:"state"`
	Attempts int                     `json:"attempts"`
	Error    string                  `json:"error,omitempty"` // of the last attempt
	Next     time.Time               `json:"next,omitzero"`   // attempt, while waiting
}

// Bus implements [bus.Bus].
type Bus struct {
	db     *groupcommit.DB
	target string
	client *http.Client

	mu      sync.Mutex
	waiting []attempt     // in the order of publication
	changed chan struct{} // holds one if something was added to waiting
}

// attempt is the next one to forward an event.
type attempt struct {
	sequence uint64
	due      time.Time
}

var _ bus.Bus = (*Bus)(nil)

// New makes a bus in db, and goes on forwarding what waits there. target is the URL of the application; empty if there is
// none.
func New(db *groupcommit.DB, target string) (*Bus, error) {
	b := &Bus{db: db, target: target, client: newClient(), changed: make(chan struct{}, 1)}
	err := db.Update(func(tx *bbolt.Tx) error {
		b.waiting = nil
		if _, err := tx.CreateBucketIfNotExists(eventsBucket); err != nil {
			return err
		}
		return walk(tx, func(sequence uint64, p Published) {
			if p.State == Waiting {
				b.waiting = append(b.waiting, attempt{sequence, p.Next})
			}
		})
	})
	return b, err
}

// walk visits all events in the order of publication.
func walk(tx *bbolt.Tx, visit func(uint64, Published)) error {
	return tx.Bucket(eventsBucket).ForEach(func(k, v []byte) error {
		var p Published
		if err := json.Unmarshal(v, &p); err != nil {
			return err
		}
		visit(binary.BigEndian.Uint64(k), p)
		return nil
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
			detail, err := json.Marshal(e.Detail)
			if err != nil {
				return err
			}
			p := Published{State: Unforwarded, Envelope: events.EventBridgeEvent{
				Version: "0", ID: envelopeID(sequence), DetailType: e.DetailType, Source: e.Source, AccountID: "000000000000",
				Time: e.Time.UTC().Truncate(time.Second), Region: "localhost", Resources: []string{}, Detail: detail,
			}}
			if b.target != "" {
				p.State, added = Waiting, append(added, attempt{sequence: sequence})
			}
			if err := put(bucket, sequence, p); err != nil {
				return err
			}
		}
		return nil
	})
	return slices.Repeat([]error{err}, len(all))
}

// envelopeID looks like EventBridge's: another one each time that an event is put on the bus.
func envelopeID(sequence uint64) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", sequence)
}

// Events reads what was published, the last first.
func (b *Bus) Events() ([]Published, error) {
	all := []Published{}
	err := b.db.View(func(tx *bbolt.Tx) error {
		return walk(tx, func(_ uint64, p Published) { all = append(all, p) })
	})
	slices.Reverse(all)
	return all, err
}

// Redrive tries again what was given up, and returns how many there are.
func (b *Bus) Redrive() (int, error) {
	var dead []attempt
	err := b.db.Update(func(tx *bbolt.Tx) error {
		dead = nil
		tx.OnCommit(func() { b.wait(dead) })
		bucket, again := tx.Bucket(eventsBucket), map[uint64]Published{} // a bucket must not change while it is walked through
		err := walk(tx, func(sequence uint64, p Published) {
			if p.State == Failed {
				dead = append(dead, attempt{sequence: sequence})
				again[sequence] = Published{Envelope: p.Envelope, State: Waiting}
			}
		})
		for _, a := range dead {
			if err == nil {
				err = put(bucket, a.sequence, again[a.sequence])
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(dead), nil
}

// wait adds attempts to those that wait.
func (b *Bus) wait(added []attempt) {
	b.mu.Lock()
	b.waiting = append(b.waiting, added...)
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func put(bucket *bbolt.Bucket, sequence uint64, p Published) error {
	v, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return bucket.Put(sequenceKey(sequence), v)
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }
