package app

import (
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	ledger "esignhooks/shared/ledger/embedded"
	"esignhooks/shared/payload/folder"
	queue "esignhooks/shared/queue/embedded"
)

// temporaryStores are the embedded ones in the container's temporary folder, for `sam local`.
func temporaryStores() (stores, error) {
	dir, err := os.MkdirTemp("", "esignhooks")
	if err != nil {
		return stores{}, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return stores{}, err
	}
	l, err := ledger.New(db)
	if err != nil {
		return stores{}, err
	}
	q, err := queue.Open(db, queue.Config{Name: "deliveries", Visibility: time.Minute})
	return stores{l, folder.New(filepath.Join(dir, "payloads")), q}, err
}
