package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
)

// version is the format version of the records that this release writes.
const version = 1

var (
	// Subject, NUL, event ID → eventRecord; subject, NUL, "@" → agreementRecord. What is written together is stored
	// together.
	itemsBucket      = []byte("ledger.items")
	referencesBucket = []byte("ledger.references") // hash of a reference, NUL, subject → referenceRecord
	streamBucket     = []byte("ledger.stream")     // sequence → Change
	notesBucket      = []byte("ledger.notes")      // name → noteRecord
	tombstonesBucket = []byte("ledger.forgotten")  // hash of a subject → tombstoneRecord
)

// stamp is the format version of a record. Records without one are of version 1.
type stamp struct {
	V int `json:"v"`
}

func (s stamp) check() error {
	if err := format.Check(s.V, version); err != nil {
		return fmt.Errorf("ledger/embedded: %w", err)
	}
	return nil
}

// A record is a value on disk.
type (
	eventRecord struct {
		stamp
		ledger.Entry
	}
	agreementRecord struct {
		stamp
		Agreement esign.Agreement
		Version   int64
	}
	noteRecord struct {
		stamp
		Text    string
		Version int64
	}
)

// decode reads a record. It returns [format.ErrNewer] for a record of a newer release, also if its fields have types
// that this release cannot read.
func decode(b []byte, record interface{ check() error }) error {
	malformed := json.Unmarshal(b, record)
	if err := record.check(); err != nil {
		return err
	}
	return malformed
}

// get reads a record, and leaves it unchanged if the key is absent.
func get(bucket *bbolt.Bucket, key []byte, record interface{ check() error }) error {
	if b := bucket.Get(key); b != nil {
		return decode(b, record)
	}
	return nil
}

func put(bucket *bbolt.Bucket, key []byte, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return bucket.Put(key, b)
}

func getEvent(tx *bbolt.Tx, k ledger.Key) (ledger.Entry, error) {
	var r eventRecord
	err := get(tx.Bucket(itemsBucket), key(k), &r)
	return r.Entry, err
}

func key(k ledger.Key) []byte { return []byte(k.Subject + "\x00" + k.ID) }

func agreementKey(subject string) []byte { return key(ledger.Key{Subject: subject, ID: "@"}) }

func isAgreement(key []byte) bool { return bytes.HasSuffix(key, []byte("\x00@")) }
