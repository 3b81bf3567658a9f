package embedded

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// referenceRecord finds an agreement by its key.
type referenceRecord struct{ stamp }

func referenceKey(r ledger.Reference, subject string) []byte {
	return []byte(r.Hash() + "\x00" + subject)
}

// index writes the records of the references that an agreement did not have before.
func index(tx *bbolt.Tx, subject string, before, after esign.Agreement) error {
	references := tx.Bucket(referencesBucket)
	for _, r := range ledger.Unindexed(before, after) {
		k := referenceKey(r, subject)
		if err := get(references, k, &referenceRecord{}); err != nil {
			return err
		}
		if err := put(references, k, referenceRecord{stamp{version}}); err != nil {
			return err
		}
	}
	return nil
}

// ByReference implements [ledger.Reader]. Its cursor is the subject of the last record.
func (l *Ledger) ByReference(_ context.Context, r ledger.Reference, cursor string, limit int) (
	found []esign.Agreement, next string, err error) {
	limit = min(limit, ledger.MaxFound)
	err = l.db.View(func(tx *bbolt.Tx) error {
		prefix, last, read := referenceKey(r, ""), cursor, 0
		records := tx.Bucket(referencesBucket).Cursor()
		for k, v := records.Seek(referenceKey(r, cursor)); bytes.HasPrefix(k, prefix); k, v = records.Next() {
			subject := string(k[len(prefix):])
			if subject == cursor {
				continue
			}
			if read == limit {
				next = last
				return nil
			}
			if err := decode(v, &referenceRecord{}); err != nil {
				return err
			}
			var a agreementRecord
			if err := get(tx.Bucket(itemsBucket), agreementKey(subject), &a); err != nil {
				return err
			}
			if r.IsOf(a.Agreement) {
				found = append(found, a.Agreement)
			}
			last = subject
			read++
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return found, next, nil
}
