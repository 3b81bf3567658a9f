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

// file is a database file with a queue and its dead-letter queue.
type file struct {
	db                *groupcommit.DB
	queue, deadLetter *embedded.Queue
}

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "db")
}

// open opens a database file. maxReceives is 0 for no limit.
func open(t *testing.T, path string, visibility time.Duration, maxReceives int) file {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := file{db: groupcommit.New(db)}
	f.deadLetter = openQueue(t, f.db, embedded.Config{Name: "dead-letters", Visibility: visibility})
	f.queue = openQueue(t, f.db, embedded.Config{
		Name: "q", Visibility: visibility, MaxReceives: maxReceives, DeadLetters: f.deadLetter,
	})
	return f
}

func openQueue(t *testing.T, db *groupcommit.DB, config embedded.Config) *embedded.Queue {
	t.Helper()
	config.Now = time.Now
	q, err := embedded.Open(db, config)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// impatient is a queue whose Receive returns nothing after a short wait.
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

func send(t *testing.T, q *embedded.Queue, group string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		err := q.Send(t.Context(), queue.Message{
			Group: group, DeduplicationID: id, Body: id, Attributes: map[string]string{"eventId": id},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantReceived receives the messages that are available now.
func wantReceived(t *testing.T, q *embedded.Queue, want ...string) []queue.Received {
	t.Helper()
	received, err := impatient{q}.Receive(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range received {
		if r.Attributes["eventId"] != r.Body {
			t.Errorf("message %q has attributes %v", r.Body, r.Attributes)
		}
	}
	if diff := cmp.Diff(want, bodies(received)); diff != "" {
		t.Errorf("received: %s", diff)
	}
	return received
}

func bodies(received []queue.Received) (all []string) {
	for _, r := range received {
		all = append(all, r.Body)
	}
	return all
}

// drain receives and deletes all messages that are available, and returns their bodies.
func drain(t *testing.T, q *embedded.Queue) (all []string) {
	t.Helper()
	for {
		received, err := impatient{q}.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(received) == 0 {
			return all
		}
		remove(t, q, received[0].Receipt)
		all = append(all, received[0].Body)
	}
}

func remove(t *testing.T, q *embedded.Queue, receipt string) {
	t.Helper()
	if err := q.Delete(t.Context(), receipt); err != nil {
		t.Fatal(err)
	}
}

func (f file) redrive(t *testing.T, want int) {
	t.Helper()
	if n, err := f.deadLetter.Redrive(f.queue); err != nil || n != want {
		t.Errorf("redriven: %d, %v; want %d", n, err, want)
	}
}

func TestQueue(t *testing.T) {
	queuetest.RunInBubble(t, func(t *testing.T) (queuetest.Queue, queuetest.Queue) {
		f := open(t, newPath(t), queuetest.Visibility, queuetest.MaxReceives)
		return impatient{f.queue}, impatient{f.deadLetter}
	})
}

func TestRestartKeepsMessagesCountsAndDeduplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		f := open(t, path, time.Hour, 0)
		send(t, f.queue, "g", "1", "2", "3")
		received, err := f.queue.Receive(t.Context(), 2)
		if err != nil || len(received) != 2 {
			t.Fatalf("%+v, %v", received, err)
		}
		remove(t, f.queue, received[0].Receipt)
		f.db.Close()

		f = open(t, path, time.Hour, 0)
		send(t, f.queue, "g", "1")
		received = wantReceived(t, f.queue, "2", "3")
		if received[0].Receives != 2 || received[1].Receives != 1 {
			t.Errorf("%+v", received)
		}
	})
}

func TestDeduplicationExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Hour, 0)
		send(t, f.queue, "g", "1", "1")
		time.Sleep(5*time.Minute - time.Nanosecond)
		send(t, f.queue, "g", "1")
		if got := drain(t, f.queue); len(got) != 1 {
			t.Errorf("%d messages within 5 minutes", len(got))
		}
		send(t, f.queue, "g", "1")
		wantReceived(t, f.queue, "1")
	})
}

func TestReceiveWakesUpForANewMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Hour, 0)
		time.AfterFunc(time.Minute, func() { send(t, f.queue, "g", "1") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if received, err := f.queue.Receive(ctx, 1); err != nil || received[0].Body != "1" {
			t.Errorf("%+v, %v", received, err)
		}
	})
}

func TestReceiveContinuesAfterADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Second, 1)
		send(t, f.queue, "g", "poison", "follower")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, want := range []string{"poison", "follower"} {
			received, err := f.queue.Receive(ctx, 1) // the second call first moves the poison to the dead letters
			if err != nil || !slices.Equal(bodies(received), []string{want}) {
				t.Fatalf("%+v, %v; want %s", received, err, want)
			}
		}
	})
}

func TestOnDeadLetterIsPartOfTheTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Hour, 0)
		failing := true
		var recorded []string
		q := openQueue(t, f.db, embedded.Config{
			Name: "recorded", Visibility: time.Second, MaxReceives: 1, DeadLetters: f.deadLetter,
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
		if moved := drain(t, f.deadLetter); len(moved) > 0 {
			t.Errorf("moved %q", moved)
		}
		failing = false
		if left := drain(t, q); len(left) > 0 {
			t.Errorf("left %q", left)
		}
		want := []string{"poison"}
		if moved := drain(t, f.deadLetter); !slices.Equal(moved, want) || !slices.Equal(recorded, want) {
			t.Errorf("moved %q, recorded %q", moved, recorded)
		}
	})
}

func TestRedrivenMessagesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		f := open(t, path, time.Second, 1)
		f.redrive(t, 0)
		send(t, f.queue, "g", "1", "2", "3")
		send(t, f.queue, "h", "4")
		wantReceived(t, f.queue, "1", "2", "3", "4")
		time.Sleep(time.Second)
		wantReceived(t, f.queue) // all go to the dead letters
		send(t, f.deadLetter, "g", "5")
		f.redrive(t, 5)
		wantReceived(t, f.deadLetter)
		f.db.Close()

		f = open(t, path, time.Second, 1)
		wantReceived(t, f.deadLetter)
		if received := wantReceived(t, f.queue, "1", "2", "3", "4", "5"); received[0].Receives != 1 {
			t.Errorf("received %d times", received[0].Receives)
		}
		time.Sleep(time.Second)
		wantReceived(t, f.queue)
		f.redrive(t, 5) // a second redrive, within the deduplication window
		wantReceived(t, f.queue, "1", "2", "3", "4", "5")
	})
}

func TestRedriveSkipsMessagesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Second, 1)
		send(t, f.deadLetter, "g", "1")
		inFlight := wantReceived(t, f.deadLetter, "1")
		send(t, f.deadLetter, "h", "2")
		f.redrive(t, 1)
		wantReceived(t, f.queue, "2")
		remove(t, f.deadLetter, inFlight[0].Receipt)
		f.redrive(t, 0)
	})
}

func TestNothingIsLostBetweenDeadLetterAndRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Nanosecond, 1)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf("%02d", i))
			send(t, f.queue, fmt.Sprint(i%3), want[i])
		}
		ctx, cancel := context.WithCancel(t.Context())
		var receivers, redrivers sync.WaitGroup
		redriven := make([]int, 2)
		for side := range redriven {
			receivers.Go(func() {
				for ctx.Err() == nil {
					if _, err := f.queue.Receive(ctx, 3); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			})
			redrivers.Go(func() {
				for range 50 {
					n, err := f.deadLetter.Redrive(f.queue)
					if err != nil {
						t.Error(err)
					}
					redriven[side] += n
					time.Sleep(time.Nanosecond)
				}
			})
		}
		redrivers.Wait()
		cancel()
		receivers.Wait()
		if redriven[0]+redriven[1] == 0 {
			t.Error("nothing was redriven")
		}
		got := append(drain(t, f.queue), drain(t, f.deadLetter)...)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeletedMessagesLeaveNothingOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Nanosecond, 1)
		send(t, f.queue, "g", "1", "2", "3")
		if received, err := f.queue.Receive(t.Context(), 1); err != nil || len(received) != 1 {
			t.Fatalf("%+v, %v", received, err)
		}
		if deleted := drain(t, f.queue); !slices.Equal(deleted, []string{"2", "3"}) {
			t.Errorf("received %q behind the dead letter", deleted)
		}
		drain(t, f.deadLetter)
		time.Sleep(time.Hour)
		send(t, f.queue, "g", "4")
		drain(t, f.queue)
		err := f.db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
				// The next message removes the deduplication IDs that have expired.
				if n := b.Stats().KeyN; n > 0 && (n > 1 || !strings.HasSuffix(string(name), ".deduplicated")) {
					t.Errorf("%s: %d", name, n)
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestTheOrderInMemoryIsTheOrderOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Hour, 0)
		stop := groupcommittest.Spoil(t, f.db)
		const sides, each = 16, 20
		var group sync.WaitGroup
		for side := range sides {
			group.Go(func() {
				for i := range each {
					send(t, f.queue, "g", fmt.Sprintf("%02d.%02d", side, i))
				}
			})
		}
		group.Wait()
		stop()
		order := func(q *embedded.Queue) []string {
			received, err := q.Receive(t.Context(), 2*sides*each)
			if err != nil {
				t.Fatal(err)
			}
			return bodies(received)
		}
		inMemory := order(f.queue)
		var onDisk []string
		groupcommittest.RunTwice(f.db, func() {
			onDisk = order(openQueue(t, f.db, embedded.Config{Name: "q", Visibility: time.Hour}))
		})
		if diff := cmp.Diff(onDisk, inMemory); diff != "" || len(inMemory) != sides*each {
			t.Errorf("%d messages: %s", len(inMemory), diff)
		}
		for side := range sides {
			own := slices.DeleteFunc(slices.Clone(inMemory), func(body string) bool {
				return body[:2] != fmt.Sprintf("%02d", side)
			})
			if len(own) != each || !slices.IsSorted(own) {
				t.Errorf("sent one after the other, received %v", own)
			}
		}
	})
}

func TestManyConsumersKeepTheOrderOfEachGroup(t *testing.T) {
	f := open(t, newPath(t), time.Hour, 0)
	groupcommittest.Spoil(t, f.db)
	const groups, each, consumers = 10, 30, 8
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for g := range groups {
		group.Go(func() {
			for i := range each {
				send(t, f.queue, fmt.Sprint(g), fmt.Sprintf("%d.%02d", g, i))
			}
		})
	}
	var mu sync.Mutex
	got, inFlight, left := map[string][]string{}, map[string]int{}, groups*each
	for consumer := range consumers {
		group.Go(func() {
			for {
				received, err := f.queue.Receive(ctx, 4)
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
				if err := f.queue.DeleteBatch(t.Context(), receipts); err != nil {
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

func TestAnInvalidReceiptDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		f := open(t, path, time.Hour, 0)
		send(t, f.queue, "g", "1", "2", "3")
		received := wantReceived(t, f.queue, "1", "2", "3")
		first, third := received[0].Receipt, received[2].Receipt
		for _, receipt := range []string{"", "x", "0", "2", "2.", "2.2", "4.1", "-2.1", "2.1.1"} {
			if err := f.queue.Delete(t.Context(), receipt); err == nil {
				t.Errorf("receipt %q is valid", receipt)
			}
		}
		if err := f.queue.DeleteBatch(t.Context(), []string{first, "none", first, third}); err == nil {
			t.Error("every receipt was valid")
		}
		if err := f.queue.DeleteBatch(t.Context(), nil); err != nil {
			t.Error(err)
		}
		f.db.Close()
		wantReceived(t, open(t, path, time.Hour, 0).queue, "2")
	})
}

// Each receiver starts to wait before the next one does. The first one gets the message.
func TestAnotherReceiverGetsAnExpiredMessage(t *testing.T) {
	for name, second := range map[string]time.Duration{
		"the second receiver":                       time.Hour,
		"the third, since the second has timed out": time.Minute / 2,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := open(t, newPath(t), time.Minute, 0).queue
				when, start := make(chan time.Duration, 3), time.Now()
				for _, timeout := range []time.Duration{time.Hour, second, time.Hour} {
					ctx, cancel := context.WithTimeout(t.Context(), timeout)
					defer cancel()
					go func() {
						if received, err := q.Receive(ctx, 1); err == nil && len(received) == 1 {
							when <- time.Since(start)
						}
					}()
					synctest.Wait()
				}
				send(t, q, "g", "1") // never deleted
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

func TestOneRedriveWakesAllReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Hour, 0)
		for _, id := range []string{"1", "2", "3"} {
			send(t, f.deadLetter, "group "+id, id)
		}
		received := make(chan int, 3)
		for range 3 {
			go func() {
				messages, err := f.queue.Receive(t.Context(), 1)
				if err != nil {
					t.Error(err)
				}
				received <- len(messages)
			}()
		}
		synctest.Wait()
		f.redrive(t, 3) // in one transaction
		synctest.Wait()
		if len(received) != 3 || <-received+<-received+<-received != 3 {
			t.Error("not all receivers got a message")
		}
	})
}

func TestReceiveAndChangeVisibilityDoNotWaitForACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newPath(t), time.Hour, 0)
		send(t, f.queue, "g", "1")
		receipt := wantReceived(t, f.queue, "1")[0].Receipt
		groupcommittest.Block(f.db, func() {
			go f.queue.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "2", Body: "2"})
			wantReceived(t, f.queue) // the message is not committed yet
			if err := f.queue.ChangeVisibility(t.Context(), receipt, 2*time.Hour); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestWhatSQSRefusesIsRefused(t *testing.T) {
	q := open(t, newPath(t), time.Hour, 0).queue
	long := strings.Repeat("x", 128)
	for behaviour, tt := range map[string]struct {
		group, id, body string
		attributes      int
		accepted        bool
	}{
		"the least":             {"g", "d", "b", 0, true},
		"the most":              {long, long, "b", 10, true},
		"no group":              {"", "d", "b", 0, false},
		"too long a group":      {long + "x", "d", "b", 0, false},
		"no ID":                 {"g", "", "b", 0, false},
		"too long an ID":        {"g", long + "x", "b", 0, false},
		"no body":               {"g", "d", "", 0, false},
		"too many attributes":   {"g", "d", "b", 11, false},
		"an attribute is empty": {"g", "d", "b", -1, false},
	} {
		m := queue.Message{Group: tt.group, DeduplicationID: tt.id, Body: tt.body, Attributes: map[string]string{}}
		for i := range tt.attributes {
			m.Attributes[fmt.Sprint(i)] = "x"
		}
		if tt.attributes < 0 {
			m.Attributes["empty"] = ""
		}
		if err := q.Send(t.Context(), m); (err == nil) != tt.accepted {
			t.Errorf("%s: %v", behaviour, err)
		}
	}
}
