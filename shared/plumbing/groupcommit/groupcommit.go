// Package groupcommit makes the changes of a bbolt file durable in groups. Changes that arrive while a commit is being
// synced share the next commit. A change that arrives alone is committed at once, unlike in [bbolt.DB.Batch].
package groupcommit

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

var errNotCommitted = errors.New("groupcommit: not committed")

// DB is a bbolt file.
type DB struct {
	bolt   *bbolt.DB
	update func(func(*bbolt.Tx) error) error // bolt.Update; tests replace it

	// committing holds one value while a commit runs. It covers more than bbolt's own lock, which is released before the
	// OnCommit functions run. It is a channel, so that a goroutine that waits for it is idle to testing/synctest.
	committing chan struct{}
	broken     error // why no further change is accepted; guarded by committing

	mu   sync.Mutex
	next *group // the group that new changes join; nil if no change is waiting
}

// group is a set of changes that are committed together.
type group struct {
	members []*member
	done    chan struct{}
	err     error // the commit's
}

type member struct {
	change func(*bbolt.Tx) error
	failed bool
}

// New returns a DB for an open file. All changes of the file must be made through this DB.
func New(bolt *bbolt.DB) *DB {
	return &DB{bolt: bolt, update: bolt.Update, committing: make(chan struct{}, 1)}
}

// View runs a read-only transaction.
func (db *DB) View(read func(*bbolt.Tx) error) error { return db.bolt.View(read) }

// Close waits for running transactions, and closes the file.
func (db *DB) Close() error { return db.bolt.Close() }

// Update makes a change, and returns when it is synced to disk. If the change returns an error or panics, it is rolled
// back, and no other change of its group is affected.
//
// A change may run more than once. Earlier runs are rolled back, and the last run counts. So a change must reset its
// results at its beginning, and must have no other side effects than through [bbolt.Tx.OnCommit]. OnCommit functions
// run in the order of the changes, before Update returns. They must not call Update.
//
// If the disk fails after a change was written but before it is known to be synced, all further changes are refused
// until the file is opened again. The OnCommit functions have not run then, so state in memory may differ from the
// file.
func (db *DB) Update(change func(*bbolt.Tx) error) error {
	m := &member{change: change}
	g, first := db.join(m)
	if first {
		db.commit(g)
	} else {
		<-g.done
	}
	if !m.failed {
		return g.err
	}
	// Run the failed change alone. Another change, now rolled back, may have caused the failure. If it panics again, it
	// panics in the goroutine of its caller.
	defer db.lock()()
	return db.apply(change)
}

// lock waits for the running commit, and returns the function that lets the next one run.
func (db *DB) lock() (unlock func()) {
	db.committing <- struct{}{}
	return func() { <-db.committing }
}

// join adds a member to the next group. The first member has to commit it.
func (db *DB) join(m *member) (g *group, first bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.next == nil {
		db.next = &group{done: make(chan struct{}), err: errNotCommitted}
	}
	db.next.members = append(db.next.members, m)
	return db.next, len(db.next.members) == 1
}

// commit waits for the running commit, closes the group to new members, and commits all changes that do not fail.
func (db *DB) commit(g *group) {
	defer close(g.done)
	defer db.lock()()
	db.mu.Lock()
	db.next = nil
	db.mu.Unlock()
	for left := g.members; len(left) > 0; {
		failed := -1
		g.err = db.apply(func(tx *bbolt.Tx) error {
			for i, m := range left {
				if err := try(m.change, tx); err != nil {
					failed = i
					return err
				}
			}
			return nil
		})
		if failed < 0 {
			return
		}
		left[failed].failed = true
		left = slices.Delete(left, failed, failed+1)
	}
}

// apply runs a transaction. If it returns an error although the transaction was written, the DB is broken.
func (db *DB) apply(change func(*bbolt.Tx) error) error {
	if db.broken != nil {
		return db.broken
	}
	id := 0
	err := db.update(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return change(tx)
	})
	if err == nil {
		return nil
	}
	db.bolt.View(func(tx *bbolt.Tx) error {
		if id > 0 && tx.ID() >= id {
			db.broken = fmt.Errorf("groupcommit: the disk failed, restart the process: %w", err)
		}
		return nil
	})
	return err
}

// try runs a change, and turns its panic into an error.
func try(change func(*bbolt.Tx) error, tx *bbolt.Tx) (err error) {
	defer func() {
		if recover() != nil {
			err = errNotCommitted
		}
	}()
	return change(tx)
}
