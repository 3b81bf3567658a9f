package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
)

// Change is a change to a processed event. It has what a record of a DynamoDB stream has.
type Change struct {
	stamp
	Sequence uint64
	Before   ledger.State
	Entry    ledger.Entry // after the change
}

// write stores an event, and puts it into the index. It adds a change to the stream if the event is processed.
func (l *Ledger) write(tx *bbolt.Tx, before ledger.State, e ledger.Entry) error {
	if err := put(tx.Bucket(itemsBucket), key(e.Key), eventRecord{stamp{version}, e}); err != nil {
		return err
	}
	if l.Written != nil {
		tx.OnCommit(func() { l.Written(e) })
	}
	if err := indexEvent(tx, before, e); err != nil || e.State != ledger.Processed {
		return err
	}
	tx.OnCommit(l.signal)
	stream := tx.Bucket(streamBucket)
	sequence, err := stream.NextSequence()
	if err != nil {
		return err
	}
	return put(stream, sequenceKey(sequence), Change{stamp{version}, sequence, before, e})
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

func (l *Ledger) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Changed receives a value when the stream may have grown. The stream has one consumer.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

// Changes reads up to limit changes, the oldest first. They stay in the stream until Forget removes them.
func (l *Ledger) Changes(limit int) ([]Change, error) {
	var changes []Change
	err := l.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(streamBucket).Cursor()
		for k, v := cursor.First(); k != nil && len(changes) < limit; k, v = cursor.Next() {
			var c Change
			if err := decode(v, &c); err != nil {
				return err
			}
			changes = append(changes, c)
		}
		return nil
	})
	return changes, err
}

// Forget removes the changes before the given sequence number.
func (l *Ledger) Forget(before uint64) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(streamBucket).Cursor()
		for k, _ := cursor.First(); k != nil && binary.BigEndian.Uint64(k) < before; k, _ = cursor.First() {
			if err := cursor.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Committed implements [ledger.Reader].
func (l *Ledger) Committed(_ context.Context, from, to time.Time, visit func([]ledger.Entry) error) error {
	var subjects [][]ledger.Entry
	err := l.db.View(func(tx *bbolt.Tx) error {
		var last []byte
		return tx.Bucket(itemsBucket).ForEach(func(k, v []byte) error {
			if isAgreement(k) {
				return nil
			}
			var r eventRecord
			if err := decode(v, &r); err != nil {
				return err
			}
			e := r.Entry
			if e.State != ledger.Processed || e.ProcessedAt.Before(from) || !e.ProcessedAt.Before(to) {
				return nil
			}
			subject := k[:bytes.IndexByte(k, 0)]
			if len(subjects) == 0 || !bytes.Equal(subject, last) {
				subjects = append(subjects, nil)
			}
			last = subject
			subjects[len(subjects)-1] = append(subjects[len(subjects)-1], e)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		if err := visit(ledger.InOrderOfCommits(subject)); err != nil {
			return err
		}
	}
	return nil
}
