// Package groupcommittest disturbs a group commit: changes fail beside others, which then run again.
package groupcommittest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
)

// Spoil lets changes fail beside all others until the test is over, so that those run again.
func Spoil(t *testing.T, db *groupcommit.DB) {
	t.Helper()
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	group.Go(func() {
		for ctx.Err() == nil {
			if err := db.Update(func(*bbolt.Tx) error { return errors.New("spoilt") }); err == nil {
				t.Error("no failure")
			}
		}
	})
	t.Cleanup(func() { // before the file is closed
		cancel()
		group.Wait()
	})
}

// Beside runs do while a change fails that is committed together with do's first one, which runs again.
func Beside(db *groupcommit.DB, do func()) {
	begun, finish := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	var group sync.WaitGroup
	group.Go(func() {
		db.Update(func(*bbolt.Tx) error {
			begin()
			<-finish
			return nil
		})
	})
	<-begun
	group.Go(do)
	time.Sleep(10 * time.Millisecond) // so that it waits
	group.Go(func() {
		db.Update(func(*bbolt.Tx) error { return errors.New("spoilt") })
	})
	time.Sleep(10 * time.Millisecond)
	close(finish)
	group.Wait()
}
