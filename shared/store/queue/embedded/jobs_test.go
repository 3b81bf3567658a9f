package embedded_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/embedded"
)

var _ archive.Jobs = embedded.Jobs{}

func openJobs(t *testing.T, file string) embedded.Jobs {
	t.Helper()
	db := database(t, file)
	dead := open(t, db, embedded.Config{Name: "dead-letters", Visibility: time.Minute})
	return embedded.Jobs{Queue: open(t, db, embedded.Config{Name: "jobs", Visibility: time.Minute, MaxReceives: 3, DeadLetters: dead}), DeadLetters: dead}
}

func add(t *testing.T, j embedded.Jobs, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := j.Add(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
}

// take receives one message after a wait of exactly so long.
func take(t *testing.T, q *embedded.Queue, body string, after time.Duration) queue.Received {
	t.Helper()
	begin := time.Now()
	received, err := q.Receive(t.Context(), 1)
	if err != nil || len(received) != 1 || received[0].Body != body || time.Since(begin) != after {
		t.Fatalf("%+v, %v after %s, want %s after %s", received, err, time.Since(begin), body, after)
	}
	return received[0]
}

func TestAJobComesAgainWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openJobs(t, filepath.Join(t.TempDir(), "db"))
		add(t, j, "long", "short", "default", "done")
		if err := j.Later(t.Context(), take(t, j.Queue, "long", 0).Receipt, 2*time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := j.Later(t.Context(), take(t, j.Queue, "short", 0).Receipt, time.Second); err != nil {
			t.Fatal(err)
		}
		take(t, j.Queue, "default", 0)
		if err := j.Delete(t.Context(), take(t, j.Queue, "done", 0).Receipt); err != nil {
			t.Fatal(err)
		}
		if again := take(t, j.Queue, "short", time.Second); again.Receives != 2 {
			t.Errorf("%+v", again)
		}
		take(t, j.Queue, "default", time.Minute-time.Second)
		take(t, j.Queue, "short", time.Second)
	})
}

func TestAWaitingConsumerNoticesThatAJobComesSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openJobs(t, filepath.Join(t.TempDir(), "db"))
		add(t, j, "job")
		receipt := take(t, j.Queue, "job", 0).Receipt
		go func() {
			time.Sleep(time.Second)
			if err := j.Later(t.Context(), receipt, time.Second); err != nil {
				t.Error(err)
			}
		}()
		take(t, j.Queue, "job", 2*time.Second)
	})
}

func TestAnOldReceiptPutsNothingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openJobs(t, filepath.Join(t.TempDir(), "db"))
		add(t, j, "job")
		old := take(t, j.Queue, "job", 0).Receipt
		take(t, j.Queue, "job", time.Minute)
		for _, receipt := range []string{old, "", "none"} {
			if err := j.Later(t.Context(), receipt, time.Hour); err == nil {
				t.Errorf("receipt %q", receipt)
			}
		}
		take(t, j.Queue, "job", time.Minute)
	})
}

func TestAJobThatIsParkedCanBeRedrivenAtOnceAndAgain(t *testing.T) {
	j := openJobs(t, filepath.Join(t.TempDir(), "db"))
	add(t, j, "job", "job") // the same one twice is two
	for range 3 {
		for range 2 {
			received, err := j.Receive(t.Context(), 1)
			if err != nil || len(received) != 1 {
				t.Fatalf("%+v, %v", received, err)
			}
			if err := j.Park(t.Context(), received[0].Body); err != nil {
				t.Fatal(err)
			}
			if err := j.Delete(t.Context(), received[0].Receipt); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := j.DeadLetters.Redrive(j.Queue); n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
}

// What was put off when the process ended is tried when it starts again, and its attempts are still known.
func TestJobsSurviveARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	db := database(t, file)
	dead := open(t, db, embedded.Config{Name: "dead-letters"})
	j := embedded.Jobs{Queue: open(t, db, embedded.Config{Name: "jobs", Visibility: time.Hour, DeadLetters: dead}), DeadLetters: dead}
	add(t, j, "job")
	received, err := j.Receive(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Later(t.Context(), received[0].Receipt, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	db.Close()
	received, err = openJobs(t, file).Receive(t.Context(), 1)
	if err != nil || len(received) != 1 || received[0].Body != "job" || received[0].Receives != 2 {
		t.Errorf("%+v, %v", received, err)
	}
}
