package embedded

import (
	"context"

	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
)

type note struct {
	Text    string
	Version int64
}

// Note implements [ledger.Notes].
func (l *Ledger) Note(_ context.Context, name string) (text string, version int64, err error) {
	var n note
	err = l.db.View(func(tx *bbolt.Tx) error { return get(tx.Bucket(notesBucket), []byte(name), &n) })
	return n.Text, n.Version, err
}

// PutNote implements [ledger.Notes].
func (l *Ledger) PutNote(_ context.Context, name, text string, version int64) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		notes, key := tx.Bucket(notesBucket), []byte(name)
		var n note
		if err := get(notes, key, &n); err != nil {
			return err
		}
		next := note{text, version + 1}
		switch {
		case n == next:
			return nil
		case n.Version != version:
			return ledger.ErrConflict
		}
		return put(notes, key, next)
	})
}
