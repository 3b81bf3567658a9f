package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
)

// tombstoneRecord says when a subject was forgotten.
type tombstoneRecord struct {
	stamp
	At time.Time
}

func tombstoneKey(subject string) []byte {
	sum := sha256.Sum256([]byte(subject))
	return []byte(hex.EncodeToString(sum[:]))
}

func forgotten(tx *bbolt.Tx, subject string) (time.Time, error) {
	var r tombstoneRecord
	err := get(tx.Bucket(tombstonesBucket), tombstoneKey(subject), &r)
	return r.At, err
}

// Forgotten implements [ledger.Ledger].
func (l *Ledger) Forgotten(_ context.Context, subject string) (at time.Time, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		at, err = forgotten(tx, subject)
		return err
	})
	return at, err
}

// Bury implements [ledger.Forgetter]. Commit also looks for the tombstone, so it makes no agreement of a worker that
// looked before.
func (l *Ledger) Bury(_ context.Context, subject string, at time.Time) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		if _, err := forgotten(tx, subject); err != nil {
			return err
		}
		return put(tx.Bucket(tombstonesBucket), tombstoneKey(subject), tombstoneRecord{stamp{version}, at})
	})
}

// Drop implements [ledger.Ledger].
func (l *Ledger) Drop(_ context.Context, k ledger.Key, _ time.Time) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		e, err := getEvent(tx, k)
		if err != nil || e.State.Settled() {
			return err
		}
		if err := tx.Bucket(recentEventsBucket).Delete(recentKey(e.ReceivedAt, key(k))); err != nil {
			return err
		}
		return tx.Bucket(itemsBucket).Delete(key(k))
	})
}

// Remains implements [ledger.Forgetter].
func (l *Ledger) Remains(_ context.Context, subject string) (all []ledger.Entry, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		prefix, cursor := key(ledger.Key{Subject: subject}), tx.Bucket(itemsBucket).Cursor()
		for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
			if isAgreement(k) {
				continue
			}
			var r eventRecord
			if err := decode(v, &r); err != nil {
				return err
			}
			all = append(all, r.Entry)
		}
		return nil
	})
	return all, err
}

// Erase implements [ledger.Forgetter]. It also removes what is still to be published.
func (l *Ledger) Erase(_ context.Context, subject string, references []ledger.Reference, notes ...string) (
	removed int, err error) {
	err = l.db.Update(func(tx *bbolt.Tx) error {
		removed = 0
		prefix := key(ledger.Key{Subject: subject})
		n, err := erase(tx.Bucket(itemsBucket), prefix, func(k, v []byte) (bool, error) {
			var r stamp
			return true, errors.Join(decode(v, &r), unindex(tx, k, v))
		})
		if err != nil {
			return err
		}
		removed += n
		for _, r := range references {
			if err := remove(tx.Bucket(referencesBucket), referenceKey(r, subject), &removed); err != nil {
				return err
			}
		}
		for _, name := range notes {
			if err := remove(tx.Bucket(notesBucket), []byte(name), &removed); err != nil {
				return err
			}
		}
		_, err = erase(tx.Bucket(streamBucket), nil, func(_, v []byte) (bool, error) {
			var c Change
			err := decode(v, &c)
			return c.Entry.Subject == subject, err
		})
		return err
	})
	return removed, err
}

// remove removes a record, if it exists, and counts it.
func remove(bucket *bbolt.Bucket, k []byte, removed *int) error {
	if bucket.Get(k) == nil {
		return nil
	}
	*removed++
	return errors.Join(get(bucket, k, &stamp{}), bucket.Delete(k))
}

// erase removes the records with a prefix for which ours returns true.
func erase(bucket *bbolt.Bucket, prefix []byte, ours func(k, v []byte) (bool, error)) (removed int, err error) {
	var keys [][]byte // a bucket must not change while a cursor reads it
	cursor := bucket.Cursor()
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix) && k != nil; k, v = cursor.Next() {
		if matches, err := ours(k, v); err != nil {
			return 0, err
		} else if matches {
			keys = append(keys, bytes.Clone(k))
		}
	}
	for _, k := range keys {
		if err := bucket.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
