package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/archive"
	"esignhooks/shared/store/document"
)

const (
	jobVisibility  = 30 * time.Minute
	jobMaxReceives = 30
)

// documents is the bucket of the signed documents.
type documents struct {
	w       *world
	objects map[string][]byte
}

var _ document.Store = (*documents)(nil)

func (d *documents) stored(key string) document.Stored {
	sum := sha256.Sum256(d.objects[key])
	return document.Stored{Location: "s3://documents/" + key, ContentType: "application/pdf",
		SHA256: hex.EncodeToString(sum[:]), Size: int64(len(d.objects[key]))}
}

// Put implements [document.Store].
func (d *documents) Put(ctx context.Context, key string, f document.File) (stored document.Stored, err error) {
	if _, err := f.Body.Seek(0, io.SeekStart); err != nil {
		return stored, err
	}
	body, err := io.ReadAll(f.Body)
	if err != nil {
		return stored, err
	}
	err = d.w.do(ctx, "store "+key, networkFaults, func() error {
		if _, ok := d.objects[key]; !ok {
			d.objects[key] = body
		}
		stored = d.stored(key)
		return nil
	})
	return stored, err
}

// Stat implements [document.Store].
func (d *documents) Stat(ctx context.Context, key string) (stored document.Stored, err error) {
	err = d.w.do(ctx, "stat "+key, readFaults, func() error {
		if _, ok := d.objects[key]; !ok {
			return document.ErrNotFound
		}
		stored = d.stored(key)
		return nil
	})
	return stored, err
}

// Get implements [document.Store].
func (d *documents) Get(ctx context.Context, key string) (body []byte, err error) {
	err = d.w.do(ctx, "fetch "+key, readFaults, func() error {
		if body = d.objects[key]; body == nil {
			return document.ErrNotFound
		}
		return nil
	})
	return body, err
}

// jobs is the standard queue of what is to be archived, with its dead letters: at least once, in no order.
type jobs struct {
	w       *world
	waiting []*job
	dead    []string // bodies
	made    int
	changed chan struct{} // closed and renewed when something may be received
}

type job struct {
	id, body, receipt string
	receives          int
	hidden            time.Time
}

var _ archive.Jobs = (*jobs)(nil)

func (q *jobs) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *jobs) add(body string) {
	q.made++
	q.waiting = append(q.waiting, &job{id: fmt.Sprintf("job-%d", q.made), body: body})
	q.wake()
}

// Later implements [archive.Jobs].
func (q *jobs) Later(ctx context.Context, receipt string, after time.Duration) error {
	return q.w.do(ctx, "later "+receipt, networkFaults, func() error {
		for _, j := range q.waiting {
			if j.receipt == receipt {
				j.hidden = time.Now().Add(after)
			}
		}
		q.wake()
		return nil
	})
}

// Park implements [archive.Jobs].
func (q *jobs) Park(ctx context.Context, body string) error {
	return q.w.do(ctx, "park", networkFaults, func() error { q.dead = append(q.dead, body); return nil })
}

// receive gives a job that is visible, any; else when the next one is.
func (q *jobs) receive() (j *job, next time.Time) {
	var visible []*job
	for _, j := range slices.Clone(q.waiting) {
		switch {
		case j.hidden.After(time.Now()) && !(q.w.rate > 0 && q.w.choices.rarely(5)): // at times a job is delivered twice
			if next.IsZero() || j.hidden.Before(next) {
				next = j.hidden
			}
		case j.receives == jobMaxReceives:
			q.dead = append(q.dead, j.body)
			q.remove(j)
		default:
			visible = append(visible, j)
		}
	}
	if len(visible) == 0 {
		return nil, next
	}
	j = visible[q.w.choices.choose(len(visible))]
	j.receives++
	j.hidden, j.receipt = time.Now().Add(jobVisibility), fmt.Sprintf("%s/%d", j.id, j.receives)
	return j, next
}

func (q *jobs) remove(j *job) {
	q.waiting = slices.DeleteFunc(q.waiting, func(other *job) bool { return other == j })
}

// redrive moves the dead letters back.
func (q *jobs) redrive() {
	for _, body := range q.dead {
		q.add(body)
	}
	q.dead = nil
}

// archiveJobs is an event source mapping.
func (s *simulation) archiveJobs(name string) {
	a := s.after
	for n := 0; ; n++ {
		var j *job
		var receipt string
		var changed <-chan struct{}
		var next time.Time
		s.mapping(name, "receive", func() {
			if j, next = a.jobs.receive(); j != nil {
				receipt = j.receipt
			}
			changed = a.jobs.changed
		})
		if j == nil {
			var visible <-chan time.Time
			if !next.IsZero() {
				visible = time.After(time.Until(next))
			}
			select {
			case <-s.stop:
				return
			case <-changed:
			case <-visible:
			}
			continue
		}
		record := events.SQSMessage{
			MessageId: j.id, ReceiptHandle: receipt, Body: j.body,
			Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(j.receives)},
		}
		var response events.SQSEventResponse
		var err error
		lived := s.world.run(fmt.Sprintf("%s job %d", name, n), 5*time.Minute, func(ctx context.Context) {
			response, err = a.archiver.Handle(ctx, events.SQSEvent{Records: []events.SQSMessage{record}})
		})
		if lived && err == nil && len(response.BatchItemFailures) == 0 {
			s.mapping(name, "delete", func() {
				if j.receipt == receipt {
					a.jobs.remove(j)
				}
			})
		}
	}
}
