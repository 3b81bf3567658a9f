package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// The index lists what Reader shows, the newest first. It is changed in the transactions that change the items.
var (
	recentAgreementsBucket = []byte("ledger.recent.agreements") // inverted UpdatedAt, subject → nothing
	recentEventsBucket     = []byte("ledger.recent.events")     // inverted ReceivedAt, key of the item → nothing
	duplicatesBucket       = []byte("ledger.duplicates")        // subject, NUL, DuplicateOf, NUL, event ID → nothing
)

// DropIndex removes the index. New makes it again. It must be called before New if an earlier release, which has no
// index, may have changed the items.
func DropIndex(tx *bbolt.Tx) error {
	for _, name := range [][]byte{recentAgreementsBucket, recentEventsBucket, duplicatesBucket} {
		if tx.Bucket(name) == nil {
			continue
		}
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// timeSize is the length of an inverted time.
const timeSize = 12

// recentKey returns the key of something in the index. A later time makes a smaller key.
func recentKey(at time.Time, of []byte) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, timeSize+len(of)), ^(uint64(at.Unix()) ^ 1<<63))
	return append(binary.BigEndian.AppendUint32(k, ^uint32(at.Nanosecond())), of...)
}

func duplicateKey(e ledger.Entry) []byte {
	return []byte(e.Subject + "\x00" + e.DuplicateOf + "\x00" + e.ID)
}

// indexEvent changes the index as an event is written. The event's ReceivedAt never changes.
func indexEvent(tx *bbolt.Tx, before ledger.State, e ledger.Entry) error {
	recent, k := tx.Bucket(recentEventsBucket), recentKey(e.ReceivedAt, key(e.Key))
	switch {
	case e.State == ledger.Duplicate:
		if err := recent.Delete(k); err != nil {
			return err
		}
		return tx.Bucket(duplicatesBucket).Put(duplicateKey(e), nil)
	case before == ledger.New:
		return recent.Put(k, nil)
	}
	return nil
}

// indexAgreement changes the index as an agreement is written.
func indexAgreement(tx *bbolt.Tx, subject string, before, after agreementRecord) error {
	recent := tx.Bucket(recentAgreementsBucket)
	if before.Version > 0 {
		if err := recent.Delete(recentKey(before.Agreement.UpdatedAt, []byte(subject))); err != nil {
			return err
		}
	}
	return recent.Put(recentKey(after.Agreement.UpdatedAt, []byte(subject)), nil)
}

// indexed is the part of a record that the index needs. It is zero for a record that this release cannot read: who
// reads that part of a list gets the error.
type indexed struct {
	ledger.Key
	State       ledger.State
	ReceivedAt  time.Time
	DuplicateOf string
	Agreement   struct{ UpdatedAt time.Time }
}

func indexedOf(v []byte) (i indexed) {
	if json.Unmarshal(v, &i) != nil {
		return indexed{}
	}
	return i
}

// unindex removes an item from the index.
func unindex(tx *bbolt.Tx, k, v []byte) error {
	i := indexedOf(v)
	if isAgreement(k) {
		return tx.Bucket(recentAgreementsBucket).Delete(recentKey(i.Agreement.UpdatedAt, subjectOf(k)))
	}
	if err := tx.Bucket(recentEventsBucket).Delete(recentKey(i.ReceivedAt, k)); err != nil {
		return err
	}
	e := ledger.Entry{Key: i.Key, DuplicateOf: i.DuplicateOf}
	return tx.Bucket(duplicatesBucket).Delete(duplicateKey(e))
}

func subjectOf(k []byte) []byte { return k[:bytes.IndexByte(k, 0)] }

// makeIndex makes the index of a store of an earlier release.
func makeIndex(tx *bbolt.Tx) error {
	if tx.Bucket(recentEventsBucket) != nil {
		return nil
	}
	var agreements, events, duplicates [][]byte
	err := tx.Bucket(itemsBucket).ForEach(func(k, v []byte) error {
		switch i := indexedOf(v); {
		case isAgreement(k):
			agreements = append(agreements, recentKey(i.Agreement.UpdatedAt, subjectOf(k)))
		case i.State == ledger.Duplicate:
			duplicates = append(duplicates, duplicateKey(ledger.Entry{Key: i.Key, DuplicateOf: i.DuplicateOf}))
		default:
			events = append(events, recentKey(i.ReceivedAt, k))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, keys := range map[string][][]byte{
		string(recentAgreementsBucket): agreements, string(recentEventsBucket): events, string(duplicatesBucket): duplicates,
	} {
		bucket, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		slices.SortFunc(keys, bytes.Compare) // far faster than any other order
		for _, k := range keys {
			if err := bucket.Put(k, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// EventsAfter reads at most limit events, the last received first, merged by [ledger.Merge]. provider is empty for all.
// The first call has an empty cursor; next is the cursor of the following call, and is empty after the last one.
func (l *Ledger) EventsAfter(provider, cursor string, limit int) (events []ledger.Entry, next string, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		events = []ledger.Entry{}
		items, duplicates := tx.Bucket(itemsBucket), tx.Bucket(duplicatesBucket).Cursor()
		next, err = recent(tx.Bucket(recentEventsBucket), provider, cursor, limit, func(k []byte) error {
			var r eventRecord
			if err := get(items, k, &r); err != nil {
				return err
			}
			all, prefix := []ledger.Entry{r.Entry}, append(slices.Clone(k), 0)
			for d, _ := duplicates.Seek(prefix); bytes.HasPrefix(d, prefix); d, _ = duplicates.Next() {
				var copied eventRecord
				if err := get(items, key(ledger.Key{Subject: r.Subject, ID: string(d[len(prefix):])}), &copied); err != nil {
					return err
				}
				all = append(all, copied.Entry)
			}
			events = append(events, ledger.Merge(all)...)
			return nil
		})
		return err
	})
	return events, next, err
}

// AgreementsAfter reads at most limit agreements, the last updated first. See [Ledger.EventsAfter].
func (l *Ledger) AgreementsAfter(provider, cursor string, limit int) (agreements []esign.Agreement, next string,
	err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		agreements = []esign.Agreement{}
		next, err = recent(tx.Bucket(recentAgreementsBucket), provider, cursor, limit, func(subject []byte) error {
			var r agreementRecord
			err := get(tx.Bucket(itemsBucket), agreementKey(string(subject)), &r)
			agreements = append(agreements, r.Agreement)
			return err
		})
		return err
	})
	return agreements, next, err
}

// recent visits what is in a bucket of the index after the cursor, and returns the cursor of the rest.
func recent(bucket *bbolt.Bucket, provider, after string, limit int, visit func(of []byte) error) (next string,
	err error) {
	var last []byte
	cursor, subjects := bucket.Cursor(), []byte(provider+"#")
	for k, _ := cursor.Seek([]byte(after)); k != nil; k, _ = cursor.Next() {
		of := k[timeSize:]
		if string(k) == after || provider != "" && !bytes.HasPrefix(of, subjects) {
			continue
		}
		if limit == 0 {
			return string(last), nil
		}
		if err := visit(of); err != nil {
			return "", err
		}
		last, limit = k, limit-1
	}
	return "", nil
}

// Events reads all events, in the order of [Ledger.EventsAfter].
func (l *Ledger) Events() ([]ledger.Entry, error) {
	events, _, err := l.EventsAfter("", "", math.MaxInt)
	return events, err
}

// Agreements reads all agreements, in the order of [Ledger.AgreementsAfter].
func (l *Ledger) Agreements() ([]esign.Agreement, error) {
	agreements, _, err := l.AgreementsAfter("", "", math.MaxInt)
	return agreements, err
}
