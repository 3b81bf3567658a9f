// Package groupcommittest makes changes of a group commit run again, by adding changes that fail.
package groupcommittest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
)

func fail(*bbolt.Tx) error { return errors.New("fails on purpose") }

// Spoil runs failing changes until stop is called or the test ends. Other changes share their groups, and run again.
func Spoil(t *testing.T, db *groupcommit.DB) (stop func()) {
	t.Helper()
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	group.Go(func() {
		for ctx.Err() == nil {
			if err := db.Update(fail); err == nil {
				t.Error("no failure")
			}
		}
	})
	stop = func() {
		cancel()
		group.Wait()
	}
	t.Cleanup(stop) // before the file is closed
	return stop
}

// RunTwice calls do so that its first change runs twice: a failing change shares its group. It must be called in a
// synctest bubble in which db was opened.
func RunTwice(db *groupcommit.DB, do func()) {
	Block(db, func() {
		go do()
		synctest.Wait() // until do's change has joined a group
		go db.Update(fail)
		synctest.Wait()
	})
	synctest.Wait() // until do has returned
}

// Block calls do while a commit is running. It must be called in a synctest bubble in which db was opened.
func Block(db *groupcommit.DB, do func()) {
	begun, finish := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	go db.Update(func(*bbolt.Tx) error {
		begin()
		<-finish
		return nil
	})
	<-begun
	do()
	close(finish)
}
