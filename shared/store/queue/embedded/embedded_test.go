package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/groupcommit/groupcommittest"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/store/queue/queuetest"
)

// impatient is a queue whose Receive does not wait for long.
type impatient struct{ *embedded.Queue }

func (q impatient) Receive(ctx context.Context, limit int) ([]queue.Received, error) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	received, err := q.Queue.Receive(ctx, limit)
	if ctx.Err() != nil {
		err = nil
	}
	return received, err
}

func database(t *testing.T, file string) *groupcommit.DB {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return groupcommit.New(db)
}

func open(t *testing.T, db *groupcommit.DB, config embedded.Config) *embedded.Queue {
	t.Helper()
	q, err := embedded.Open(db, config)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) (queuetest.Queue, queuetest.Queue) {
		db := database(t, filepath.Join(t.TempDir(), "db"))
		deadLetters := open(t, db, embedded.Config{Name: "dead-letters", Visibility: queuetest.Visibility})
		main := open(t, db, embedded.Config{
			Name: "deliveries", Visibility: queuetest.Visibility, MaxReceives: queuetest.MaxReceives, DeadLetters: deadLetters,
		})
		return impatient{main}, impatient{deadLetters}
	})
}

func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := database(t, file)
	config := embedded.Config{Name: "deliveries", Visibility: time.Hour}
	q := open(t, db, config)
	for _, id := range []string{"1", "2", "3"} {
		if err := q.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: id, Body: id}); err != nil {
			t.Fatal(err)
		}
	}
	received, err := q.Receive(t.Context(), 2)
	if err != nil || len(received) != 2 {
		t.Fatalf("%+v, %v", received, err)
	}
	if err := q.Delete(t.Context(), received[0].Receipt); err != nil {
		t.Fatal(err)
	}
	db.Close()

	q = open(t, database(t, file), config)
	if err := q.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "1", Body: "1"}); err != nil {
		t.Fatal(err)
	}
	received, err = q.Receive(t.Context(), 10)
	if err != nil || len(received) != 2 {
		t.Fatalf("after the restart: %+v, %v", received, err)
	}
	for i, want := range []struct {
		body     string
		receives int
	}{{"2", 2}, {"3", 1}} {
		if r := received[i]; r.Body != want.body || r.Receives != want.receives {
			t.Errorf("message %q received %d times, want %+v", r.Body, r.Receives, want)
		}
	}
}

func TestReceiveWakesUpForANewMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, database(t, filepath.Join(t.TempDir(), "db")), embedded.Config{Name: "q", Visibility: time.Hour})
		got := make(chan error)
		go func() {
			_, err := q.Receive(t.Context(), 1)
			got <- err
		}()
		synctest.Wait() // until it waits
		if err := q.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "1", Body: "1"}); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

func TestReceiveGoesOnBehindADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := database(t, filepath.Join(t.TempDir(), "db"))
		deadLetters := open(t, db, embedded.Config{Name: "dead-letters", Visibility: time.Hour})
		q := open(t, db, embedded.Config{Name: "q", Visibility: time.Second, MaxReceives: 1, DeadLetters: deadLetters})
		for _, id := range []string{"poison", "follower"} {
			if err := q.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: id, Body: id}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, want := range []string{"poison", "follower"} {
			received, err := q.Receive(ctx, 1) // the second time, the poison goes to the dead letters first
			if err != nil || len(received) != 1 || received[0].Body != want {
				t.Fatalf("%+v, %v; want %s", received, err, want)
			}
		}
	})
}

func TestWhatIsRecordedOfADeadLetterIsCommittedWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := database(t, filepath.Join(t.TempDir(), "db"))
		deadLetters := open(t, db, embedded.Config{Name: "dead-letters", Visibility: time.Hour})
		failing := true
		var recorded []string
		q := open(t, db, embedded.Config{
			Name: "q", Visibility: time.Second, MaxReceives: 1, DeadLetters: deadLetters,
			OnDeadLetter: func(tx *bbolt.Tx, m queue.Message) error {
				if failing {
					return errors.New("no space left")
				}
				tx.OnCommit(func() { recorded = append(recorded, m.DeduplicationID) })
				return nil
			},
		})
		send(t, q, "g", "poison")
		wantReceived(t, q, "poison")
		time.Sleep(2 * time.Second)
		if received, err := q.Receive(t.Context(), 1); err == nil {
			t.Errorf("%+v", received)
		}
		if left := drain(t, deadLetters); len(left) > 0 {
			t.Errorf("moved: %+v", left)
		}
		failing = false
		if left := drain(t, q); len(left) > 0 {
			t.Errorf("left: %+v", left)
		}
		if moved := drain(t, deadLetters); len(moved) != 1 || moved[0].Body != "poison" || !slices.Equal(recorded, []string{"poison"}) {
			t.Errorf("moved %+v, recorded %q", moved, recorded)
		}
	})
}

// pair makes a queue from which everything that is received a second time goes to its dead letters.
func pair(t *testing.T, db *groupcommit.DB, visibility time.Duration) (q, deadLetters *embedded.Queue) {
	t.Helper()
	deadLetters = open(t, db, embedded.Config{Name: "dead-letters", Visibility: visibility})
	return open(t, db, embedded.Config{Name: "q", Visibility: visibility, MaxReceives: 1, DeadLetters: deadLetters}), deadLetters
}

func send(t *testing.T, q *embedded.Queue, group string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := q.Send(t.Context(), queue.Message{Group: group, DeduplicationID: id, Body: id, Attributes: map[string]string{"eventId": id}}); err != nil {
			t.Fatal(err)
		}
	}
}

// wantReceived receives what is there now.
func wantReceived(t *testing.T, q *embedded.Queue, want ...string) []queue.Received {
	t.Helper()
	received, err := impatient{q}.Receive(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range received {
		if r.Attributes["eventId"] != r.Body {
			t.Errorf("message %q has attributes %v", r.Body, r.Attributes)
		}
		got = append(got, r.Body)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received: %s", diff)
	}
	return received
}

func redrive(t *testing.T, deadLetters, to *embedded.Queue, want int) {
	t.Helper()
	if n, err := deadLetters.Redrive(to); err != nil || n != want {
		t.Errorf("redriven: %d, %v; want %d", n, err, want)
	}
}

func TestRedrivenMessagesComeAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "db")
		db := database(t, file)
		q, deadLetters := pair(t, db, time.Second)
		redrive(t, deadLetters, q, 0)
		send(t, q, "g", "1", "2", "3")
		send(t, q, "h", "4")
		wantReceived(t, q, "1", "2", "3", "4")
		time.Sleep(time.Second)
		wantReceived(t, q) // all go to the dead letters
		send(t, deadLetters, "g", "5")
		redrive(t, deadLetters, q, 5)
		wantReceived(t, deadLetters)
		db.Close()

		q, deadLetters = pair(t, database(t, file), time.Second)
		wantReceived(t, deadLetters)
		if received := wantReceived(t, q, "1", "2", "3", "4", "5"); received[0].Receives != 1 {
			t.Errorf("received %d times", received[0].Receives)
		}
		time.Sleep(time.Second)
		wantReceived(t, q)
		redrive(t, deadLetters, q, 5) // as often as one likes, and at once
		wantReceived(t, q, "1", "2", "3", "4", "5")
	})
}

func TestRedriveLeavesWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, deadLetters := pair(t, database(t, filepath.Join(t.TempDir(), "db")), time.Second)
		send(t, deadLetters, "g", "1")
		letters := wantReceived(t, deadLetters, "1")
		send(t, deadLetters, "h", "2")
		redrive(t, deadLetters, q, 1)
		wantReceived(t, q, "2")
		if err := deadLetters.Delete(t.Context(), letters[0].Receipt); err != nil {
			t.Error(err)
		}
		redrive(t, deadLetters, q, 0)
	})
}

func TestRedriveWakesTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, deadLetters := pair(t, database(t, filepath.Join(t.TempDir(), "db")), time.Hour)
		send(t, deadLetters, "g", "1")
		time.AfterFunc(time.Minute, func() { redrive(t, deadLetters, q, 1) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if received, err := q.Receive(ctx, 1); err != nil || received[0].Body != "1" {
			t.Errorf("%+v, %v", received, err)
		}
	})
}

func TestNothingIsLostBetweenBurialAndRedrive(t *testing.T) {
	q, deadLetters := pair(t, database(t, filepath.Join(t.TempDir(), "db")), time.Nanosecond)
	const count = 20
	var want []string
	for i := range count {
		want = append(want, fmt.Sprintf("%02d", i))
		send(t, q, fmt.Sprint(i%3), want[i])
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var group sync.WaitGroup
	var mu sync.Mutex
	redriven := 0
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				if _, err := q.Receive(ctx, 3); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for ctx.Err() == nil {
				n, err := deadLetters.Redrive(q)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				redriven += n
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if redriven == 0 {
		t.Error("nothing was redriven")
	}
	var got []string
	for _, r := range append(drain(t, q), drain(t, deadLetters)...) {
		got = append(got, r.Body)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsLeftOfWhatIsDeleted(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "db"))
	q, deadLetters := pair(t, db, time.Nanosecond)
	send(t, q, "g", "1", "2", "3")
	if received, err := q.Receive(t.Context(), 1); err != nil || len(received) != 1 {
		t.Fatalf("%+v, %v", received, err)
	}
	if deleted := drain(t, q); len(deleted) != 2 {
		t.Errorf("received %+v behind the one that came too often", deleted)
	}
	drain(t, deadLetters)
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if n := b.Stats().KeyN; n > 0 && !strings.HasSuffix(string(name), ".deduplicated") { // which are kept for their time
				t.Errorf("%s: %d", name, n)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// drain receives and deletes what is in a queue.
func drain(t *testing.T, q *embedded.Queue) (all []queue.Received) {
	t.Helper()
	for {
		received, err := impatient{q}.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(received) == 0 {
			return all
		}
		for _, r := range received {
			if err := q.Delete(t.Context(), r.Receipt); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, received...)
	}
}

func TestTheOrderInMemoryIsTheOrderOnDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := database(t, file)
	q := open(t, db, embedded.Config{Name: "q", Visibility: time.Hour})
	groupcommittest.Spoil(t, db)
	const sides, each = 16, 20
	var group sync.WaitGroup
	for side := range sides {
		group.Go(func() {
			for i := range each {
				send(t, q, "g", fmt.Sprintf("%02d.%02d", side, i))
			}
		})
	}
	group.Wait()
	order := func(q *embedded.Queue) (bodies []string) {
		received, err := q.Receive(t.Context(), 2*sides*each)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range received {
			bodies = append(bodies, r.Body)
		}
		return bodies
	}
	inMemory := order(q)
	var onDisk []string
	groupcommittest.Beside(db, func() { onDisk = order(open(t, db, embedded.Config{Name: "q", Visibility: time.Hour})) })
	if diff := cmp.Diff(onDisk, inMemory); diff != "" || len(inMemory) != sides*each {
		t.Errorf("%d messages: %s", len(inMemory), diff)
	}
	for side := range sides {
		own := slices.DeleteFunc(slices.Clone(inMemory), func(body string) bool { return body[:2] != fmt.Sprintf("%02d", side) })
		if len(own) != each || !slices.IsSorted(own) {
			t.Errorf("sent one after the other, received %v", own)
		}
	}
}

func TestManyConsumersKeepTheOrderOfEachGroup(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "db"))
	q := open(t, db, embedded.Config{Name: "q", Visibility: time.Hour})
	groupcommittest.Spoil(t, db)
	const groups, each, consumers = 10, 30, 8
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for g := range groups {
		group.Go(func() {
			for i := range each {
				send(t, q, fmt.Sprint(g), fmt.Sprintf("%d.%02d", g, i))
			}
		})
	}
	var mu sync.Mutex
	got, inFlight, left := map[string][]string{}, map[string]int{}, groups*each
	for consumer := range consumers {
		group.Go(func() {
			for {
				received, err := q.Receive(ctx, 4)
				if err != nil {
					return
				}
				var receipts []string
				mu.Lock()
				for _, r := range received {
					if by, ok := inFlight[r.Group]; ok && by != consumer {
						t.Errorf("group %s is in flight twice", r.Group)
					}
					inFlight[r.Group] = consumer
					got[r.Group] = append(got[r.Group], r.Body)
					receipts = append(receipts, r.Receipt)
				}
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				for _, r := range received {
					delete(inFlight, r.Group)
				}
				left -= len(received)
				done := left == 0
				mu.Unlock()
				if err := q.DeleteBatch(t.Context(), receipts); err != nil {
					t.Error(err)
				}
				if done {
					cancel()
				}
			}
		})
	}
	group.Wait()
	for g := range groups {
		if own := got[fmt.Sprint(g)]; len(own) != each || !slices.IsSorted(own) || len(slices.Compact(own)) != each {
			t.Errorf("group %d: %v", g, own)
		}
	}
}

func TestABadReceiptKeepsNothingElseFromDeletion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := database(t, file)
	q := open(t, db, embedded.Config{Name: "q", Visibility: time.Hour})
	send(t, q, "g", "1", "2", "3")
	received := wantReceived(t, q, "1", "2", "3")
	first, third := received[0].Receipt, received[2].Receipt
	for _, bad := range []string{"", "x", "0", "2", "2.", "2.2", "4.1", "-2.1", "2.1.1"} {
		if err := q.Delete(t.Context(), bad); err == nil {
			t.Errorf("receipt %q is good", bad)
		}
	}
	if err := q.DeleteBatch(t.Context(), []string{first, "none", first, third}); err == nil {
		t.Error("every receipt was good")
	}
	if err := q.DeleteBatch(t.Context(), nil); err != nil {
		t.Error(err)
	}
	db.Close()
	wantReceived(t, open(t, database(t, file), embedded.Config{Name: "q", Visibility: time.Hour}), "2")
}

// Each waits in Receive before the next does; the first is told of a message first.
func TestWhoWaitsLearnsOfWhatAnotherHasLeft(t *testing.T) {
	for name, patience := range map[string]time.Duration{
		"the next one":               time.Hour,
		"the one after, in its turn": time.Minute / 2, // since the next one goes away
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := open(t, database(t, filepath.Join(t.TempDir(), "db")), embedded.Config{Name: "q", Visibility: time.Minute})
				when, start := make(chan time.Duration, 3), time.Now()
				for _, patience := range []time.Duration{time.Hour, patience, time.Hour} {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					go func() {
						if received, err := q.Receive(ctx, 1); err == nil && len(received) == 1 {
							when <- time.Since(start)
						}
					}()
					synctest.Wait()
				}
				send(t, q, "g", "1") // which nobody deletes
				time.Sleep(time.Minute + time.Second)
				synctest.Wait()
				close(when)
				var got []time.Duration
				for after := range when {
					got = append(got, after)
				}
				if diff := cmp.Diff([]time.Duration{0, time.Minute}, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestOneSignalServesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := database(t, filepath.Join(t.TempDir(), "db"))
		deadLetters := open(t, db, embedded.Config{Name: "dead-letters"})
		q := open(t, db, embedded.Config{Name: "q", Visibility: time.Hour})
		send(t, deadLetters, "g", "1")
		send(t, deadLetters, "h", "2")
		send(t, deadLetters, "i", "3")
		var mu sync.Mutex
		count := 0
		for range 3 {
			go func() {
				received, err := q.Receive(t.Context(), 1)
				mu.Lock()
				defer mu.Unlock()
				if count += len(received); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		redrive(t, deadLetters, q, 3) // all at once
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if count != 3 {
			t.Errorf("%d received", count)
		}
	})
}

func TestNobodyWaitsForTheDiskWithoutNeed(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "db"))
	q := open(t, db, embedded.Config{Name: "q", Visibility: time.Hour})
	send(t, q, "g", "1")
	receipt := wantReceived(t, q, "1")[0].Receipt
	begun, finish := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		db.Update(func(*bbolt.Tx) error {
			close(begun)
			<-finish
			return nil
		})
	})
	<-begun
	group.Go(func() { send(t, q, "g", "2") })
	wantReceived(t, q) // meanwhile, the message is on its way
	if err := q.ChangeVisibility(t.Context(), receipt, 2*time.Hour); err != nil {
		t.Error(err)
	}
	close(finish)
	group.Wait()
}
