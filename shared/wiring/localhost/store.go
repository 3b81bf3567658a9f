package localhost

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"esignhooks/shared/plumbing/durable"
	"esignhooks/shared/plumbing/format"
	bus "esignhooks/shared/store/bus/embedded"
	ledger "esignhooks/shared/store/ledger/embedded"
)

// storeVersion is the format version of everything in the file of the store: ledger, queues and bus. A file without one
// is of version 1.
const storeVersion = 1

var (
	storeBucket = []byte("store")
	versionKey  = []byte("v")
)

// openStore opens the file in the folder data, and creates both if they do not exist. It refuses the file of a newer
// release, and does not change it.
func openStore(data string) (*bbolt.DB, error) {
	dir, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	if err := durable.Mkdir(string(filepath.Separator), dir); err != nil { // a process that died may have created parents
		return nil, err
	}
	file := filepath.Join(data, "esignhooks.db")
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, errors.New(file + " is in use by another process; stop it, or set DATA to another folder")
	} else if err != nil {
		return nil, err
	}
	if err := db.View(checkStore); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w. Or set DATA to another folder", file, err), db.Close())
	}
	if err := errors.Join(db.Update(stampStore), durable.Sync(data)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func checkStore(tx *bbolt.Tx) error {
	bucket := tx.Bucket(storeBucket)
	if bucket == nil {
		return nil
	}
	v, err := strconv.Atoi(string(bucket.Get(versionKey)))
	if err != nil {
		return errors.New("the file's format version is malformed")
	}
	return format.Check(v, storeVersion)
}

// indexedStamp is the version as a release with indexes writes it. A release without them opens the file too, writes the
// number without a zero, and changes records without their indexes.
var indexedStamp = fmt.Appendf(nil, "0%d", storeVersion)

// stampStore writes the version, and drops indexes that are not current.
func stampStore(tx *bbolt.Tx) error {
	bucket, err := tx.CreateBucketIfNotExists(storeBucket)
	if err != nil || bytes.Equal(bucket.Get(versionKey), indexedStamp) {
		return err
	}
	return errors.Join(ledger.DropIndex(tx), bus.DropIndex(tx), bucket.Put(versionKey, indexedStamp))
}
