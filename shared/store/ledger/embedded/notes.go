package embedded

import (
	"context"

	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
)

// Note implements [ledger.Notes].
func (l *Ledger) Note(_ context.Context, name string) (text string, version int64, err error) {
	var r noteRecord
	err = l.db.View(func(tx *bbolt.Tx) error { return get(tx.Bucket(notesBucket), []byte(name), &r) })
	if err != nil {
		return "", 0, err
	}
	return r.Text, r.Version, nil
}

// PutNote implements [ledger.Notes].
func (l *Ledger) PutNote(_ context.Context, name, text string, expected int64) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		notes, key := tx.Bucket(notesBucket), []byte(name)
		var stored noteRecord
		if err := get(notes, key, &stored); err != nil {
			return err
		}
		switch {
		case stored.Text == text && stored.Version == expected+1:
			return nil // an earlier call has written it
		case stored.Version != expected:
			return ledger.ErrConflict
		}
		return put(notes, key, noteRecord{stamp{version}, text, expected + 1})
	})
}
