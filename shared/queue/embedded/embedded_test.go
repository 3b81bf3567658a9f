package embedded_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/queue"
	"esignhooks/shared/queue/embedded"
	"esignhooks/shared/queue/queuetest"
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

func database(t *testing.T, file string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t *testing.T, db *bbolt.DB, config embedded.Config) *embedded.Queue {
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
