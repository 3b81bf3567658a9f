package groupcommit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

var (
	bucket    = []byte("bucket")
	errFailed = errors.New("failed")
)

func open(t *testing.T, file string) *DB {
	t.Helper()
	bolt, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	db := New(bolt)
	update(t, db, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return db
}

func newDB(t *testing.T) *DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "db"))
}

func update(t *testing.T, db *DB, change func(*bbolt.Tx) error) {
	t.Helper()
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
}

// walk calls visit for each key and value.
func walk(t *testing.T, db *DB, visit func(key, value string)) {
	t.Helper()
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			visit(string(k), string(v))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func put(key string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte("x")) }
}

func wantKeys(t *testing.T, db *DB, want ...string) {
	t.Helper()
	var got []string
	walk(t, db, func(key, _ string) { got = append(got, key) })
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// result is how a call of Update ended.
type result struct {
	err      error
	panicked any
	returned bool // false after a panic, or if the goroutine has exited
}

// together makes changes in one group, in their order, and returns their results. The changes wait for a commit that is
// running. It must be called in a bubble.
func together(t *testing.T, db *DB, changes ...func(*bbolt.Tx) error) []result {
	t.Helper()
	begun, finish := make(chan struct{}), make(chan struct{})
	go db.Update(func(*bbolt.Tx) error {
		close(begun)
		<-finish
		return nil
	})
	<-begun
	results := make([]result, len(changes))
	for i, change := range changes {
		go func() {
			defer func() { results[i].panicked = recover() }()
			results[i].err = db.Update(change)
			results[i].returned = true
		}()
		synctest.Wait() // until the change has joined the group
	}
	close(finish)
	synctest.Wait()
	return results
}

func TestWaitingChangesAreCommittedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "db")
		db := open(t, file)
		var want []string
		var changes []func(*bbolt.Tx) error
		commits := map[int]bool{}
		for i := range 100 {
			key := fmt.Sprintf("%03d", i)
			want = append(want, key)
			changes = append(changes, func(tx *bbolt.Tx) error {
				commits[tx.ID()] = true
				return put(key)(tx)
			})
		}
		for i, r := range together(t, db, changes...) {
			if r.err != nil || !r.returned {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if len(commits) != 1 {
			t.Errorf("%d commits", len(commits))
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, open(t, file), want...)
	})
}

func TestAFailedChangeDoesNotAffectItsGroup(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func()
		want result
	}{
		"error": {func() {}, result{err: errFailed, returned: true}},
		"panic": {func() { panic("failed") }, result{panicked: "failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDB(t)
				bad := func(tx *bbolt.Tx) error {
					if err := put("bad")(tx); err != nil {
						return err
					}
					tx.OnCommit(func() { t.Error("OnCommit of a failed change") })
					tt.fail()
					return errFailed
				}
				for i, got := range together(t, db, bad, put("a"), bad, put("b"), bad) {
					want := result{returned: true}
					if i%2 == 0 {
						want = tt.want
					}
					if got != want {
						t.Errorf("%d: %+v, want %+v", i, got, want)
					}
				}
				wantKeys(t, db, "a", "b")
				update(t, db, put("c"))
				wantKeys(t, db, "a", "b", "c")
			})
		})
	}
}

func TestAFailureCausedByARolledBackChangeDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDB(t)
		runs := 0
		results := together(t, db, func(tx *bbolt.Tx) error {
			if runs++; runs > 1 {
				return errFailed
			}
			return put("undone")(tx)
		}, func(tx *bbolt.Tx) error {
			if tx.Bucket(bucket).Get([]byte("undone")) != nil {
				return errFailed
			}
			return put("a")(tx)
		})
		if !errors.Is(results[0].err, errFailed) || results[1].err != nil {
			t.Errorf("%+v", results)
		}
		wantKeys(t, db, "a")
	})
}

func TestAChangeThatExitsItsGoroutineFailsItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDB(t)
		results := together(t, db, func(*bbolt.Tx) error {
			runtime.Goexit()
			return nil
		}, put("a"))
		if results[0].returned || results[1].err == nil {
			t.Errorf("%+v", results)
		}
		update(t, db, put("b"))
		wantKeys(t, db, "b")
	})
}

func TestOnCommitRunsInTheOrderOfTheChangesBeforeUpdateReturns(t *testing.T) {
	db := newDB(t)
	var mu sync.Mutex
	var made, called []int
	var group sync.WaitGroup
	for side := range 8 {
		group.Go(func() {
			for i := range 50 {
				n, runs := side*1000+i, 0
				err := db.Update(func(tx *bbolt.Tx) error {
					if runs++; i%10 == 9 || i%5 == 0 && runs == 1 {
						return errFailed
					}
					tx.OnCommit(func() {
						for range n % 3 * 100 {
							runtime.Gosched() // a later commit may overtake this one
						}
						mu.Lock()
						called = append(called, n)
						mu.Unlock()
					})
					sequence, err := tx.Bucket(bucket).NextSequence()
					return errors.Join(err, tx.Bucket(bucket).Put(fmt.Appendf(nil, "%06d", sequence), fmt.Append(nil, n)))
				})
				mu.Lock()
				if done := slices.Contains(called, n); done != (err == nil) {
					t.Errorf("%d: called %v, %v", n, done, err)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	walk(t, db, func(_, value string) {
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Error(err)
		}
		made = append(made, n)
	})
	if diff := cmp.Diff(made, called); diff != "" || len(made) != 8*45 {
		t.Errorf("%d made, %s", len(made), diff)
	}
	for side := range 8 {
		own := slices.DeleteFunc(slices.Clone(made), func(n int) bool { return n/1000 != side })
		if !slices.IsSorted(own) {
			t.Errorf("the consecutive changes of one goroutine are ordered %v", own)
		}
	}
}

// A process that starts after a kill finds the file as it is when Update returns.
func TestACommittedChangeIsInTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := open(t, file)
	var group sync.WaitGroup
	for side := range 4 {
		group.Go(func() {
			for i := range 10 {
				key := fmt.Sprint(side, " ", i)
				if err := db.Update(put(key)); err != nil {
					t.Error(err)
				}
				err := db.View(func(tx *bbolt.Tx) error {
					if tx.Bucket(bucket).Get([]byte(key)) == nil {
						t.Error(key, "is missing")
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	content, err := os.ReadFile(file) // without closing the DB
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".copy", content, 0o600); err != nil {
		t.Fatal(err)
	}
	count := 0
	walk(t, open(t, file+".copy"), func(string, string) { count++ })
	if count != 40 {
		t.Errorf("%d keys", count)
	}
}

func TestAClosedFileAcceptsNothing(t *testing.T) {
	db := newDB(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(put("a")); err == nil {
		t.Error("accepted")
	}
}

func TestNothingIsAcceptedAfterAFailedSync(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := open(t, file)
	if err := db.Update(func(*bbolt.Tx) error { return errFailed }); !errors.Is(err, errFailed) {
		t.Fatal(err)
	}
	update(t, db, put("before"))
	db.update = func(change func(*bbolt.Tx) error) error { // bbolt has written the change, but cannot sync it
		if err := db.bolt.Update(change); err != nil {
			return err
		}
		return syscall.EIO
	}
	if err := db.Update(put("doubtful")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	db.update = db.bolt.Update
	if err := db.Update(put("after")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("afterwards: %v", err)
	}
	wantKeys(t, db, "before", "doubtful")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, file)
	update(t, again, put("after"))
	wantKeys(t, again, "after", "before", "doubtful")
}
