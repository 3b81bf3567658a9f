// Package embedded is the ledger of localhost: a bbolt file, synced to disk before every call returns.
package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
)

var (
	// Subject, NUL, event ID → ledger.Entry; subject, NUL, "@" → record: what is written together lies together.
	itemsBucket  = []byte("ledger.items")
	streamBucket = []byte("ledger.stream") // sequence → Change
	notesBucket  = []byte("ledger.notes")  // name → note
)

type record struct {
	Agreement esign.Agreement
	Version   int64
}

// Ledger implements [ledger.Ledger]. Its methods ignore the context: they do not wait for anything but the disk.
type Ledger struct {
	db      *groupcommit.DB
	changed chan struct{} // holds one if the stream may have grown
}

var (
	_ ledger.Ledger    = (*Ledger)(nil)
	_ ledger.Reader    = (*Ledger)(nil)
	_ ledger.Notes     = (*Ledger)(nil)
	_ ledger.Patroller = (*Ledger)(nil)
)

// New makes a ledger in db.
func New(db *groupcommit.DB) (*Ledger, error) {
	err := db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{itemsBucket, streamBucket, notesBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	l := &Ledger{db, make(chan struct{}, 1)}
	l.signal() // what an earlier process has left
	return l, err
}

// Claim implements [ledger.Claimer].
func (l *Ledger) Claim(_ context.Context, c ledger.Claim) (found ledger.State, err error) {
	err = l.update(c.Key, func(e *ledger.Entry) bool {
		found = e.State
		if e.State != ledger.New {
			return false
		}
		claim(e, c)
		e.State = ledger.Received
		return true
	})
	return found, err
}

// Repeated implements [ledger.Claimer].
func (l *Ledger) Repeated(_ context.Context, key ledger.Key, via string) error {
	return l.update(key, func(e *ledger.Entry) bool {
		if e.State == ledger.New {
			return false
		}
		e.Duplicates++
		addVia(e, via)
		return true
	})
}

// Agreement implements [ledger.Ledger].
func (l *Ledger) Agreement(_ context.Context, subject string) (esign.Agreement, int64, error) {
	var r record
	err := l.db.View(func(tx *bbolt.Tx) error {
		return get(tx.Bucket(itemsBucket), agreementKey(subject), &r)
	})
	return r.Agreement, r.Version, err
}

// Commit implements [ledger.Ledger].
func (l *Ledger) Commit(_ context.Context, effects ...ledger.Commit) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		entries, err := unprocessed(tx, effects)
		if err != nil {
			return err
		}
		if last := effects[len(effects)-1]; last.Agreement != nil {
			items, key := tx.Bucket(itemsBucket), agreementKey(last.Subject)
			var r record
			if err := get(items, key, &r); err != nil {
				return err
			}
			if r.Version != effects[0].Version {
				return ledger.ErrConflict
			}
			if err := put(items, key, record{*last.Agreement, last.Version + 1}); err != nil {
				return err
			}
		}
		for i, c := range effects {
			entry := entries[i]
			before := entry.State
			claim(&entry, c.Claim)
			entry.State, entry.Type, entry.OccurredAt, entry.ProcessedAt = ledger.Processed, c.Event.Type, c.Event.OccurredAt, c.At
			entry.VendorType, entry.AgreementID = c.Event.VendorType, c.Event.AgreementID
			entry.Proof, entry.SHA256, entry.Size = c.Proof, c.SHA256, c.Size
			entry.Event, entry.Agreement, entry.StatusBefore, entry.StatusAfter = &c.Event, c.Agreement, c.StatusBefore, c.StatusAfter()
			if err := l.write(tx, before, entry); err != nil {
				return err
			}
		}
		return nil
	})
}

// unprocessed reads the events, and returns ErrProcessed if one of them is, or stands there twice.
func unprocessed(tx *bbolt.Tx, effects []ledger.Commit) ([]ledger.Entry, error) {
	entries := make([]ledger.Entry, len(effects))
	for i, c := range effects {
		if err := get(tx.Bucket(itemsBucket), key(c.Key), &entries[i]); err != nil {
			return nil, err
		}
		if entries[i].State == ledger.Processed || slices.ContainsFunc(effects[:i], func(earlier ledger.Commit) bool { return earlier.Key == c.Key }) {
			return nil, ledger.ErrProcessed
		}
	}
	return entries, nil
}

// MarkUnreadable implements [ledger.Ledger].
func (l *Ledger) MarkUnreadable(_ context.Context, c ledger.Claim) error {
	return l.update(c.Key, mark(c, ledger.Unreadable))
}

// MarkFailed records, together with whatever else is committed, that the queue gave up on the event. It does nothing for
// a processed one.
func (l *Ledger) MarkFailed(tx *bbolt.Tx, c ledger.Claim) error {
	return l.updateIn(tx, c.Key, mark(c, ledger.Failed))
}

func mark(c ledger.Claim, state ledger.State) func(*ledger.Entry) bool {
	return func(e *ledger.Entry) bool {
		if e.State == ledger.Processed {
			return false
		}
		claim(e, c)
		e.State = state
		return true
	}
}

// History implements [ledger.Ledger].
func (l *Ledger) History(_ context.Context, subject string) ([]ledger.Entry, error) {
	prefix := key(ledger.Key{Subject: subject})
	var history []ledger.Entry
	err := l.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(itemsBucket).Cursor()
		for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
			if isAgreement(k) {
				continue
			}
			var e ledger.Entry
			if err := json.Unmarshal(v, &e); err != nil {
				return err
			}
			history = append(history, e)
		}
		return nil
	})
	ledger.Sort(history)
	return history, err
}

// Events reads all events, the last received first.
func (l *Ledger) Events() ([]ledger.Entry, error) {
	events, err := all[ledger.Entry](l.db, false)
	slices.SortStableFunc(events, func(a, b ledger.Entry) int { return b.ReceivedAt.Compare(a.ReceivedAt) })
	return events, err
}

// Agreements reads all agreements, the last updated first.
func (l *Ledger) Agreements() ([]esign.Agreement, error) {
	records, err := all[record](l.db, true)
	agreements := make([]esign.Agreement, len(records))
	for i, r := range records {
		agreements[i] = r.Agreement
	}
	slices.SortStableFunc(agreements, func(a, b esign.Agreement) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	return agreements, err
}

// update changes one event; change says whether there is something to write.
func (l *Ledger) update(k ledger.Key, change func(*ledger.Entry) bool) error {
	return l.db.Update(func(tx *bbolt.Tx) error { return l.updateIn(tx, k, change) })
}

func (l *Ledger) updateIn(tx *bbolt.Tx, k ledger.Key, change func(*ledger.Entry) bool) error {
	var e ledger.Entry
	if err := get(tx.Bucket(itemsBucket), key(k), &e); err != nil {
		return err
	}
	if before := e.State; change(&e) {
		return l.write(tx, before, e)
	}
	return nil
}

// claim fills in what an entry does not have from an earlier copy.
func claim(e *ledger.Entry, c ledger.Claim) {
	if e.State == ledger.New {
		*e = ledger.Entry{
			Key: c.Key, Provider: c.Provider, VendorType: c.VendorType, AgreementID: c.AgreementID,
			OccurredAt: c.OccurredAt, ReceivedAt: c.ReceivedAt, Proof: c.Proof, SHA256: c.SHA256, Size: c.Size,
		}
		addVia(e, c.Via)
	}
}

func addVia(e *ledger.Entry, via string) {
	if via != "" && len(e.Via) < ledger.MaxVia && !slices.Contains(e.Via, via) {
		e.Via = append(e.Via, via)
		slices.Sort(e.Via)
	}
}

func key(k ledger.Key) []byte { return []byte(k.Subject + "\x00" + k.ID) }

func agreementKey(subject string) []byte { return key(ledger.Key{Subject: subject, ID: "@"}) }

func isAgreement(key []byte) bool { return bytes.HasSuffix(key, []byte("\x00@")) }

func get(bucket *bbolt.Bucket, key []byte, v any) error {
	b := bucket.Get(key)
	if b == nil {
		return nil
	}
	return json.Unmarshal(b, v)
}

func put(bucket *bbolt.Bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return bucket.Put(key, b)
}

// all reads the agreements, or else the events.
func all[T any](db *groupcommit.DB, agreements bool) ([]T, error) {
	var values []T
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(itemsBucket).ForEach(func(k, b []byte) error {
			if isAgreement(k) != agreements {
				return nil
			}
			var v T
			err := json.Unmarshal(b, &v)
			values = append(values, v)
			return err
		})
	})
	return values, err
}
