// Package groupcommit makes the changes of a bbolt file durable together: those that come while a commit is synced share the
// next one. Who comes alone waits for nobody, unlike in [bbolt.DB.Batch].
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
	update func(func(*bbolt.Tx) error) error // bolt's

	committing sync.Mutex // beyond bbolt's own lock, which is free again before the functions of OnCommit run
	broken     error      // why nothing is changed any more; guarded by committing

	mu   sync.Mutex
	next *group // which changes still join; nil if there is none
}

// group is what is committed together.
type group struct {
	members []*member
	done    chan struct{}
	err     error // of the commit
}

type member struct {
	change func(*bbolt.Tx) error
	failed bool
}

// New makes a DB of an open file. Whoever changes the file does it through the same DB.
func New(bolt *bbolt.DB) *DB { return &DB{bolt: bolt, update: bolt.Update} }

// View reads what is committed.
func (db *DB) View(read func(*bbolt.Tx) error) error { return db.bolt.View(read) }

// Close waits for the transactions that have begun, and closes the file.
func (db *DB) Close() error { return db.bolt.Close() }

// Update makes a change, and returns when it is synced to disk. If the change returns an error or panics, nothing of it
// remains, and nobody else's change is harmed.
//
// A change may run again, after all that it did was undone; the last time counts. So it sets what it tells its caller each
// time anew, and leaves everything else to [bbolt.Tx.OnCommit], whose functions run in the order of the changes, before
// Update returns, and must not call Update.
//
// If the disk fails so that a change is there, but perhaps not for good, all further changes are refused until the file is
// opened anew: the functions of OnCommit have not run, and what they keep in memory may differ from the file.
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
	db.committing.Lock()
	defer db.committing.Unlock()
	return db.apply(change) // what it failed for may have been undone, and its panic belongs to its caller
}

// join adds a member to the next group. The first one commits it.
func (db *DB) join(m *member) (g *group, first bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.next == nil {
		db.next = &group{done: make(chan struct{}), err: errNotCommitted}
	}
	db.next.members = append(db.next.members, m)
	return db.next, len(db.next.members) == 1
}

// commit waits for the last commit, closes the group, and commits the changes that do not fail.
func (db *DB) commit(g *group) {
	defer close(g.done)
	db.committing.Lock()
	defer db.committing.Unlock()
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

// apply is bbolt's Update, unless it has failed after it happened.
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
			db.broken = fmt.Errorf("groupcommit: stop and start again: %w", err)
		}
		return nil
	})
	return err
}

// try turns a panic of a change into an error.
func try(change func(*bbolt.Tx) error, tx *bbolt.Tx) (err error) {
	defer func() {
		if recover() != nil {
			err = errNotCommitted
		}
	}()
	return change(tx)
}
