package groupcommit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

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
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func put(key string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte("x")) }
}

func wantKeys(t *testing.T, db *DB, want ...string) {
	t.Helper()
	var got []string
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, _ []byte) error {
			got = append(got, string(k))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// result is how Update ended.
type result struct {
	err      error
	panicked any
	ended    bool // else the goroutine has ended in it
}

// together makes changes wait for one that is under way, in their order, and returns their results.
func together(t *testing.T, db *DB, changes ...func(*bbolt.Tx) error) []result {
	t.Helper()
	begun, finish := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		err := db.Update(func(*bbolt.Tx) error {
			close(begun)
			<-finish
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	results := make([]result, len(changes))
	for i, change := range changes {
		group.Go(func() {
			defer func() { results[i].panicked = recover() }()
			results[i].err = db.Update(change)
			results[i].ended = true
		})
		for waiting := 0; waiting <= i; runtime.Gosched() {
			db.mu.Lock()
			if db.next != nil {
				waiting = len(db.next.members)
			}
			db.mu.Unlock()
		}
	}
	close(finish)
	group.Wait()
	return results
}

func TestChangesThatWaitAreCommittedTogether(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := open(t, file)
	const count = 100
	var want []string
	var changes []func(*bbolt.Tx) error
	commits := map[int]bool{}
	for i := range count {
		key := fmt.Sprintf("%03d", i)
		want = append(want, key)
		changes = append(changes, func(tx *bbolt.Tx) error {
			commits[tx.ID()] = true
			return put(key)(tx)
		})
	}
	for i, r := range together(t, db, changes...) {
		if r.err != nil || !r.ended {
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
}

func TestAChangeThatFailsFailsAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func()
		want result
	}{
		"by an error": {func() {}, result{err: errFailed, ended: true}},
		"by a panic":  {func() { panic("failed") }, result{panicked: "failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, filepath.Join(t.TempDir(), "db"))
			bad := func(tx *bbolt.Tx) error {
				if err := put("bad")(tx); err != nil {
					return err
				}
				tx.OnCommit(func() { t.Error("told that it is committed") })
				tt.fail()
				return errFailed
			}
			for i, got := range together(t, db, bad, put("a"), bad, put("b"), bad) {
				want := result{ended: true}
				if i%2 == 0 {
					want = tt.want
				}
				if got != want {
					t.Errorf("%d: %+v, want %+v", i, got, want)
				}
			}
			wantKeys(t, db, "a", "b")
			if err := db.Update(put("c")); err != nil {
				t.Error(err)
			}
			wantKeys(t, db, "a", "b", "c")
		})
	}
}

func TestAFailureThatWasDueToWhatIsUndoneDoesNotCount(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"))
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
}

func TestWhoEndsInAChangeTellsNobodyThatItIsCommitted(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"))
	results := together(t, db, func(*bbolt.Tx) error {
		runtime.Goexit()
		return nil
	}, put("a"))
	if results[0].ended || results[1].err == nil {
		t.Errorf("%+v", results)
	}
	if err := db.Update(put("b")); err != nil {
		t.Error(err)
	}
	wantKeys(t, db, "b")
}

func TestOnCommitRunsInTheOrderOfTheChangesBeforeUpdateReturns(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"))
	var mu sync.Mutex
	var made, told []int
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
						time.Sleep(time.Duration(n%3) * 10 * time.Microsecond) // the next commit may be faster
						mu.Lock()
						told = append(told, n)
						mu.Unlock()
					})
					sequence, err := tx.Bucket(bucket).NextSequence()
					return errors.Join(err, tx.Bucket(bucket).Put(fmt.Appendf(nil, "%06d", sequence), fmt.Append(nil, n)))
				})
				mu.Lock()
				if done := slices.Contains(told, n); done != (err == nil) {
					t.Errorf("%d: told %v, %v", n, done, err)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, v []byte) error {
			var n int
			_, err := fmt.Sscan(string(v), &n)
			made = append(made, n)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, told); diff != "" || len(made) != 8*45 {
		t.Errorf("%d made, %s", len(made), diff)
	}
	for side := range 8 {
		var own []int
		for _, n := range made {
			if n/1000 == side {
				own = append(own, n)
			}
		}
		if !slices.IsSorted(own) {
			t.Errorf("what one has sent one after the other is %v", own)
		}
	}
}

// The file as it is when Update returns is what a process finds that starts after a kill.
func TestWhatIsReturnedFromIsInTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "db")
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
						t.Error(key, "is not there")
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
	copied, err := os.ReadFile(file) // without closing it
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".copy", copied, 0o600); err != nil {
		t.Fatal(err)
	}
	count := 0
	err = open(t, file+".copy").View(func(tx *bbolt.Tx) error {
		count = tx.Bucket(bucket).Stats().KeyN
		return nil
	})
	if err != nil || count != 40 {
		t.Errorf("%d keys, %v", count, err)
	}
}

func TestNothingIsTakenByAClosedFile(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(put("a")); err == nil {
		t.Error("taken")
	}
}

func TestNothingIsChangedAfterACommitThatFailedWhenItHadHappened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := open(t, file)
	if err := db.Update(func(*bbolt.Tx) error { return errFailed }); !errors.Is(err, errFailed) {
		t.Fatal(err)
	}
	if err := db.Update(put("before")); err != nil {
		t.Fatalf("after a change that failed: %v", err)
	}
	db.update = func(change func(*bbolt.Tx) error) error { // as if the disk did not sync what bbolt has written
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
	if err := again.Update(put("after")); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, again, "after", "before", "doubtful")
}
