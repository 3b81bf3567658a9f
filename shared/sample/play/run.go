package play

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"esignhooks/shared/webhook"
)

// inFlight is how many requests are sent at once, unless the vendor sends one after the other.
const inFlight = 30

// run is a play in progress.
type run struct {
	*Play
	retries webhook.Retries
	began   time.Time
	report  *Report

	mu       sync.Mutex
	waiting  queue
	head     *delivery     // which holds up all that wait
	flying   int           // deliveries that are being sent
	changed  chan struct{} // closed when one of the above changes
	failures int           // in a row
	stopped  bool          // the vendor sends nothing more
	err      error         // why the play cannot go on
}

// Run plays. It returns an error if ctx ends first, or if a request cannot be made.
func (p *Play) Run(ctx context.Context) (*Report, error) {
	r := &run{Play: p, retries: p.retrier.Retries(), began: time.Now(), changed: make(chan struct{}), report: newReport(p)}
	r.waiting = append(r.waiting, p.deliveries...) // sorted, so it is a heap
	var workers sync.WaitGroup
	n := inFlight
	if r.retries.InOrder {
		n = 1
	}
	for range n {
		workers.Go(func() {
			for d := r.next(ctx); d != nil; d = r.next(ctx) {
				r.settle(d, r.send(ctx, d))
			}
		})
	}
	workers.Wait()
	if err := errors.Join(r.err, ctx.Err()); err != nil {
		return nil, err
	}
	r.report.Seconds = time.Since(r.began).Seconds()
	return r.report, r.judge(ctx)
}

// next waits for the next delivery that is due. It returns nil if there is none left.
func (r *run) next(ctx context.Context) *delivery {
	for {
		r.mu.Lock()
		d, changed, wait := r.head, r.changed, time.Hour
		if d == nil && len(r.waiting) > 0 {
			d = r.waiting[0]
		}
		if r.err != nil || ctx.Err() != nil || d == nil && r.flying == 0 {
			r.mu.Unlock()
			return nil
		}
		if d != nil {
			wait = r.real(d.due) - time.Since(r.began)
		}
		if d != nil && wait <= 0 {
			if r.head == nil {
				heap.Pop(&r.waiting)
			}
			r.head = nil
			r.flying++
			r.mu.Unlock()
			return d
		}
		r.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// result is what came of one try.
type result struct {
	at           time.Duration // the vendor's time, since the beginning of the stories
	took         time.Duration
	status       int // zero without an answer
	refuse       bool
	acknowledged bool
	trouble      string // why there was no answer
	cause        string // why a genuine request was refused, if the receiver explains it
	err          error  // why there was no request
}

// send sends a delivery once.
func (r *run) send(ctx context.Context, d *delivery) (came result) {
	began := time.Now()
	came.at = time.Duration(min(float64(began.Sub(r.began))*r.Speed, 1e18)) // at most 31 years: no overflow
	request, refuse, err := r.request(d)
	if came.refuse, came.err = refuse, err; err != nil {
		return came
	}
	answer, err := r.post(ctx, request)
	came.took = time.Since(began)
	switch {
	case ctx.Err() != nil:
		came.err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		came.trouble = fmt.Sprintf("no answer within %v", r.Provider.Info().AnswerWithin)
	case err != nil:
		came.trouble = err.Error()
	default:
		came.status, came.acknowledged = answer.Status, r.retrier.Acknowledges(request, answer)
	}
	if came.status/100 == 4 && !came.refuse && r.API != "" {
		came.cause = r.cause(ctx)
	}
	return came
}

// post sends a request, and follows no redirect. Its error does not quote the URL, which has the token.
func (r *run) post(ctx context.Context, request *webhook.Request) (*webhook.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Provider.Info().AnswerWithin)
	defer cancel()
	made, err := http.NewRequestWithContext(ctx, request.Method, r.URL, bytes.NewReader(request.Body))
	if err != nil {
		return nil, errors.New("the URL cannot be parsed")
	}
	made.Header = request.Header
	client := *r.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(made)
	if err != nil {
		return nil, unquoted(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return &webhook.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}, err
}

// unquoted returns the error without the URL.
func unquoted(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// settle decides what the vendor does after a try.
func (r *run) settle(d *delivery, came result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		r.flying--
		close(r.changed)
		r.changed = make(chan struct{})
	}()
	if came.err != nil {
		r.err = came.err
		return
	}
	r.report.count(d, came)
	step := Progress{At: r.start.Add(came.at), Agreement: d.agreement.ID, Step: d.message.Step, Try: d.try,
		Status: came.status, Took: came.took}
	lost := came.acknowledged && !came.refuse && d.loses && d.try == 0
	switch {
	case came.acknowledged && !lost:
		r.failures = 0
		r.report.Acknowledged++
		step.Outcome = "acknowledged"
		if came.refuse {
			step.Outcome = "accepted, although it is false"
			r.report.differ(d.agreement.ID, answers, "a false request was accepted: "+d.message.Step)
		}
	default:
		r.failures++
		step.Outcome = reason(came, lost) + ", " + r.retry(d, came.at)
	}
	if r.Progress != nil {
		step.Done = r.report.Acknowledged + r.report.GivenUp
		step.Left = len(r.deliveries) - step.Done
		r.Plan.Progress(step)
	}
}

func reason(came result, lost bool) string {
	switch {
	case lost:
		return "acknowledgement lost"
	case came.trouble != "":
		return came.trouble
	case came.refuse:
		return "refused, as it must be"
	}
	return "not acknowledged" + came.cause
}

// retry arranges the next try of a delivery, or gives up, and describes it.
func (r *run) retry(d *delivery, at time.Duration) string {
	pauses, number := r.retries.Pauses, d.try
	d.try++
	switch {
	case !r.stopped && r.retries.MaxFailures > 0 && r.failures >= r.retries.MaxFailures:
		r.stop()
		return fmt.Sprintf("%d failures in a row: the vendor sends nothing more", r.failures)
	case r.stopped:
		r.report.GivenUp++
		return "given up"
	case number == len(pauses) && r.retries.InOrder:
		r.stop()
		return "given up, with all that waited behind it"
	case number == len(pauses):
		r.report.GivenUp++
		return "given up"
	case r.retries.InOrder:
		r.head = d
	}
	if d.due = at + pauses[number]; r.head == nil {
		heap.Push(&r.waiting, d)
	}
	return "next try in " + short(pauses[number])
}

// stop gives up the current delivery and all that wait.
func (r *run) stop() {
	r.stopped = true
	r.report.GivenUp += 1 + len(r.waiting)
	r.waiting = nil
}

// short returns a duration without zeros at the end, such as 12h.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// queue is a heap of deliveries, by the time at which they are due.
type queue []*delivery

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(d any)        { *q = append(*q, d.(*delivery)) }

func (q *queue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	*q = (*q)[:last]
	return d
}
