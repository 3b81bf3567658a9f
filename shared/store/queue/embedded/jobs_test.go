package embedded_test

import (
	"testing"
	"testing/synctest"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/embedded"
)

var _ archive.Jobs = embedded.Jobs{}

func openJobs(t *testing.T, path string, bodies ...string) (embedded.Jobs, file) {
	t.Helper()
	f := open(t, path, time.Minute, 3)
	jobs := embedded.Jobs{Queue: f.queue, DeadLetters: f.deadLetter}
	for _, body := range bodies {
		if err := jobs.Add(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
	return jobs, f
}

// receiveAfter receives one job after a wait of exactly this long.
func receiveAfter(t *testing.T, q *embedded.Queue, body string, wait time.Duration) queue.Received {
	t.Helper()
	begin := time.Now()
	received, err := q.Receive(t.Context(), 1)
	if took := time.Since(begin); err != nil || len(received) != 1 || received[0].Body != body || took != wait {
		t.Fatalf("%+v, %v after %s, want %s after %s", received, err, took, body, wait)
	}
	return received[0]
}

func later(t *testing.T, j embedded.Jobs, receipt string, d time.Duration) {
	t.Helper()
	if err := j.Later(t.Context(), receipt, d); err != nil {
		t.Error(err)
	}
}

func TestAPostponedJobIsRedeliveredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := openJobs(t, newPath(t), "long", "short", "default", "done")
		later(t, j, receiveAfter(t, j.Queue, "long", 0).Receipt, 2*time.Hour)
		later(t, j, receiveAfter(t, j.Queue, "short", 0).Receipt, time.Second)
		receiveAfter(t, j.Queue, "default", 0)
		remove(t, j.Queue, receiveAfter(t, j.Queue, "done", 0).Receipt)
		if again := receiveAfter(t, j.Queue, "short", time.Second); again.Receives != 2 {
			t.Errorf("%+v", again)
		}
		receiveAfter(t, j.Queue, "default", time.Minute-time.Second)
		receiveAfter(t, j.Queue, "short", time.Second)
	})
}

func TestAWaitingConsumerNoticesAnEarlierTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := openJobs(t, newPath(t), "job")
		receipt := receiveAfter(t, j.Queue, "job", 0).Receipt
		time.AfterFunc(time.Second, func() { later(t, j, receipt, time.Second) })
		receiveAfter(t, j.Queue, "job", 2*time.Second)
	})
}

func TestAnExpiredReceiptPostponesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := openJobs(t, newPath(t), "job")
		expired := receiveAfter(t, j.Queue, "job", 0).Receipt
		receiveAfter(t, j.Queue, "job", time.Minute)
		for _, receipt := range []string{expired, "", "none"} {
			if err := j.Later(t.Context(), receipt, time.Hour); err == nil {
				t.Errorf("receipt %q is valid", receipt)
			}
		}
		receiveAfter(t, j.Queue, "job", time.Minute)
	})
}

func TestAParkedJobCanBeRedrivenAtOnceAndRepeatedly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, f := openJobs(t, newPath(t), "job", "job") // equal jobs are not deduplicated
		for range 3 {
			for range 2 {
				received := receiveAfter(t, j.Queue, "job", 0)
				if err := j.Park(t.Context(), received.Body); err != nil {
					t.Fatal(err)
				}
				remove(t, j.Queue, received.Receipt)
			}
			f.redrive(t, 2)
		}
	})
}

// After a restart, a postponed job is visible at once, and its receives are still counted.
func TestJobsSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		j, f := openJobs(t, path, "job")
		later(t, j, receiveAfter(t, j.Queue, "job", 0).Receipt, 2*time.Hour)
		f.db.Close()
		j, _ = openJobs(t, path)
		if received := receiveAfter(t, j.Queue, "job", 0); received.Receives != 2 {
			t.Errorf("%+v", received)
		}
	})
}
