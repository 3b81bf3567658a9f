// Package embedded is the ledger of localhost, in a bbolt file. Every call returns after its changes are synced to
// disk.
package embedded

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
)

// Ledger implements [ledger.Ledger]. Its methods ignore the context, because they only wait for the disk.
type Ledger struct {
	db      *groupcommit.DB
	changed chan struct{} // holds one value if the stream may have grown
	// Written is called with each event once a change of it is committed. It must not block, nor call the Ledger. Nil:
	// nobody is interested.
	Written func(ledger.Entry)
}

var (
	_ ledger.Ledger    = (*Ledger)(nil)
	_ ledger.Reader    = (*Ledger)(nil)
	_ ledger.Notes     = (*Ledger)(nil)
	_ ledger.Patroller = (*Ledger)(nil)
	_ ledger.Forgetter = (*Ledger)(nil)
)

// New opens the ledger in db, and creates it if it does not exist.
func New(db *groupcommit.DB) (*Ledger, error) {
	err := db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{itemsBucket, referencesBucket, streamBucket, notesBucket, tombstonesBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return makeIndex(tx)
	})
	l := &Ledger{db: db, changed: make(chan struct{}, 1)}
	l.signal() // an earlier process may have left changes
	return l, err
}

// Claim implements [ledger.Claimer]. It records nothing of a subject that is forgotten: the queue may know the event
// already, and then the worker does not see it again.
func (l *Ledger) Claim(_ context.Context, c ledger.Claim) (found ledger.Found, err error) {
	err = l.db.Update(func(tx *bbolt.Tx) error {
		buried, err := forgotten(tx, c.Subject)
		if err != nil {
			return err
		}
		return l.updateIn(tx, c.Key, func(e *ledger.Entry) bool {
			found = ledger.Found{
				State: e.State, Inexact: e.State != ledger.New && inexact(*e), UnreadableAt: e.UnreadableAt,
			}
			if e.State != ledger.New || !buried.IsZero() {
				return false
			}
			fill(e, c)
			e.State = ledger.Received
			return true
		})
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
	var r agreementRecord
	err := l.db.View(func(tx *bbolt.Tx) error {
		return get(tx.Bucket(itemsBucket), agreementKey(subject), &r)
	})
	if err != nil {
		return esign.Agreement{}, 0, err
	}
	return r.Agreement, r.Version, nil
}

// Event implements [ledger.Ledger].
func (l *Ledger) Event(_ context.Context, k ledger.Key) (e ledger.Entry, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		e, err = getEvent(tx, k)
		return err
	})
	e.Key = k
	return e, err
}

// Commit implements [ledger.Ledger].
func (l *Ledger) Commit(_ context.Context, effects ...ledger.Commit) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		entries, err := unsettled(tx, effects)
		if err != nil {
			return err
		}
		if err := commitAgreement(tx, effects); err != nil {
			return err
		}
		for i, c := range effects {
			before := entries[i].State
			if err := l.write(tx, before, processed(entries[i], c)); err != nil {
				return err
			}
		}
		return nil
	})
}

// unsettled reads the events of effects. It returns ErrProcessed if one is settled, or is in effects twice.
func unsettled(tx *bbolt.Tx, effects []ledger.Commit) ([]ledger.Entry, error) {
	entries := make([]ledger.Entry, len(effects))
	for i, c := range effects {
		var err error
		if entries[i], err = getEvent(tx, c.Key); err != nil {
			return nil, err
		}
		twice := slices.ContainsFunc(effects[:i], func(earlier ledger.Commit) bool { return earlier.Key == c.Key })
		switch {
		case entries[i].State == ledger.Processed && inexact(entries[i]):
			return nil, ledger.ErrInexact
		case entries[i].State.Settled() || twice:
			return nil, ledger.ErrProcessed
		}
	}
	return entries, nil
}

// commitAgreement writes the agreement after the last effect, if the first effect was folded into the stored one.
func commitAgreement(tx *bbolt.Tx, effects []ledger.Commit) error {
	last := effects[len(effects)-1]
	if last.Agreement == nil {
		return nil
	}
	if effects[0].Version == 0 {
		if at, err := forgotten(tx, last.Subject); err != nil {
			return err
		} else if !at.IsZero() {
			return ledger.ErrConflict
		}
	}
	if err := putAgreement(tx, last.Subject, effects[0].Version, *last.Agreement, last.Version+1); err != nil {
		return err
	}
	return index(tx, last.Subject, effects[0].Before, *last.Agreement)
}

// putAgreement writes an agreement, if the stored one has the expected version.
func putAgreement(tx *bbolt.Tx, subject string, expected int64, agreement esign.Agreement, raised int64) error {
	items, key := tx.Bucket(itemsBucket), agreementKey(subject)
	var r agreementRecord
	if err := get(items, key, &r); err != nil {
		return err
	}
	if r.Version != expected {
		return ledger.ErrConflict
	}
	after := agreementRecord{stamp{version}, agreement, raised}
	if err := indexAgreement(tx, subject, r, after); err != nil {
		return err
	}
	return put(items, key, after)
}

// inexact reports whether the exact time of a known event is not known.
func inexact(e ledger.Entry) bool {
	if e.State == ledger.Processed {
		return e.Event != nil && e.Event.Approximate
	}
	return e.OccurredAt.IsZero()
}

// processed returns an event after its commit.
func processed(e ledger.Entry, c ledger.Commit) ledger.Entry {
	fill(&e, c.Claim)
	e.State = ledger.Processed
	e.Type = c.Event.Type
	e.VendorType = c.Event.VendorType
	e.AgreementID = c.Event.AgreementID
	e.OccurredAt = c.Event.OccurredAt
	e.ProcessedAt = c.At
	e.Proof = c.Proof
	e.SHA256 = c.SHA256
	e.Size = c.Size
	e.Event = &c.Event
	e.Agreement = c.Agreement
	e.StatusBefore = c.StatusBefore
	e.StatusAfter = c.StatusAfter()
	return e
}

// MarkDuplicate implements [ledger.Ledger].
func (l *Ledger) MarkDuplicate(_ context.Context, c ledger.Claim, of string) error {
	found := ledger.New
	err := l.update(c.Key, func(e *ledger.Entry) bool {
		found = e.State
		if !mark(c, ledger.Duplicate)(e) {
			return false
		}
		if e.DuplicateOf = of; !c.OccurredAt.IsZero() {
			e.OccurredAt = c.OccurredAt
		}
		return true
	})
	if err == nil && found == ledger.Processed {
		return ledger.ErrProcessed
	}
	return err
}

// Correct implements [ledger.Ledger].
func (l *Ledger) Correct(_ context.Context, c ledger.Correction) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		e, err := getEvent(tx, c.Key)
		if err != nil {
			return err
		}
		if e.State != ledger.Processed || !inexact(e) {
			return ledger.ErrProcessed
		}
		if err := putAgreement(tx, c.Subject, c.Version, c.Agreement, c.Version+1); err != nil {
			return err
		}
		if err := index(tx, c.Subject, c.Before, c.Agreement); err != nil {
			return err
		}
		e.OccurredAt, e.CorrectedAt = c.Event.OccurredAt, c.At
		e.Proof, e.SHA256, e.Size = c.Proof, c.SHA256, c.Size
		e.Event, e.Agreement = &c.Event, &c.After
		return l.write(tx, ledger.Processed, e)
	})
}

// MarkUnreadable implements [ledger.Ledger].
func (l *Ledger) MarkUnreadable(_ context.Context, c ledger.Claim, at time.Time) error {
	return l.update(c.Key, func(e *ledger.Entry) bool {
		if !mark(c, ledger.Unreadable)(e) {
			return false
		}
		e.UnreadableAt = at
		return true
	})
}

// MarkFailed records in tx that the queue has given up on the event. It does nothing for a settled event, nor for an
// event of a newer release: the queue must still be able to move the message to its dead-letter queue.
func (l *Ledger) MarkFailed(tx *bbolt.Tx, c ledger.Claim) error {
	err := l.updateIn(tx, c.Key, mark(c, ledger.Failed))
	if errors.Is(err, format.ErrNewer) {
		return nil
	}
	return err
}

func mark(c ledger.Claim, state ledger.State) func(*ledger.Entry) bool {
	return func(e *ledger.Entry) bool {
		if e.State.Settled() {
			return false
		}
		fill(e, c)
		e.State = state
		return true
	}
}

// History implements [ledger.Reader].
func (l *Ledger) History(ctx context.Context, subject string) ([]ledger.Entry, error) {
	history, err := l.Remains(ctx, subject)
	history = ledger.Merge(history)
	ledger.Sort(history)
	return history, err
}

// update changes one event. It writes the event if change returns true.
func (l *Ledger) update(k ledger.Key, change func(*ledger.Entry) bool) error {
	return l.db.Update(func(tx *bbolt.Tx) error { return l.updateIn(tx, k, change) })
}

func (l *Ledger) updateIn(tx *bbolt.Tx, k ledger.Key, change func(*ledger.Entry) bool) error {
	e, err := getEvent(tx, k)
	if err != nil {
		return err
	}
	if before := e.State; change(&e) {
		return l.write(tx, before, e)
	}
	return nil
}

// fill sets a new event's fields from its claim. It keeps the fields that an earlier copy has set.
func fill(e *ledger.Entry, c ledger.Claim) {
	if e.State == ledger.New {
		*e = ledger.Entry{
			Key:         c.Key,
			Provider:    c.Provider,
			VendorType:  c.VendorType,
			AgreementID: c.AgreementID,
			OccurredAt:  c.OccurredAt,
			ReceivedAt:  c.ReceivedAt,
			Proof:       c.Proof,
			SHA256:      c.SHA256,
			Size:        c.Size,
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
