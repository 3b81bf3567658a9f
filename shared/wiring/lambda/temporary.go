package lambda

import (
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
	embeddedledger "esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	embeddedqueue "esignhooks/shared/store/queue/embedded"
)

// Stores are the stores of a function.
type Stores struct {
	Ledger   ledger.Ledger
	Payloads payload.Store
	Queue    queue.Sender
}

// TemporaryStores returns embedded stores in the container's temporary folder, for `sam local`.
func TemporaryStores() (Stores, error) {
	dir, err := os.MkdirTemp("", "esignhooks")
	if err != nil {
		return Stores{}, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return Stores{}, err
	}
	file := groupcommit.New(db)
	l, err := embeddedledger.New(file)
	if err != nil {
		return Stores{}, err
	}
	q, err := embeddedqueue.Open(file, embeddedqueue.Config{Name: "deliveries", Visibility: time.Minute, Now: time.Now})
	return Stores{l, folder.New(filepath.Join(dir, "payloads")), q}, err
}
