package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// The pauses between attempts grow from one second to maxPause. All attempts together take about four minutes.
const (
	maxAttempts = 10
	maxPause    = time.Minute
	timeout     = 10 * time.Second // of one attempt
)

func newClient() *http.Client {
	return &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // following it would drop the body
		},
	}
}

// Forward posts events to the application until ctx is done, one after the other in the order of publication. A failed
// event is retried later, and does not block the events behind it.
func (b *Bus) Forward(ctx context.Context, log *slog.Logger) {
	for ctx.Err() == nil {
		next, ok := b.next()
		if pause := next.due.Sub(b.now()); !ok || pause > 0 {
			var due <-chan time.Time
			if ok {
				due = time.After(pause)
			}
			select {
			case <-ctx.Done():
			case <-b.changed:
			case <-due:
			}
			continue
		}
		if err := b.forward(ctx, log, next.sequence); err != nil && ctx.Err() == nil {
			log.Error("forwarding failed, local store unavailable", "error", err)
			b.postpone(next.sequence, b.now().Add(time.Second))
		}
	}
}

// next returns the first attempt that is due, or else the one that will be due first.
func (b *Bus) next() (attempt, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return attempt{}, false
	}
	now := b.now()
	if i := slices.IndexFunc(b.waiting, func(a attempt) bool { return !a.due.After(now) }); i >= 0 {
		return b.waiting[i], true
	}
	return slices.MinFunc(b.waiting, func(x, y attempt) int { return x.due.Compare(y.due) }), true
}

// postpone sets the time of an event's next attempt. A zero time means that there is no further attempt.
func (b *Bus) postpone(sequence uint64, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.waiting, func(a attempt) bool { return a.sequence == sequence })
	if due.IsZero() {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.waiting[i].due = due
	}
}

// forward makes one attempt and records its result. It returns an error only if the store fails.
func (b *Bus) forward(ctx context.Context, log *slog.Logger, sequence uint64) error {
	var p Published
	err := b.db.View(func(tx *bbolt.Tx) error {
		return json.Unmarshal(tx.Bucket(eventsBucket).Get(sequenceKey(sequence)), &p)
	})
	if err != nil {
		return err
	}
	failure := b.post(ctx, p)
	if ctx.Err() != nil {
		return nil // stopped by us: not a failed attempt
	}
	pause := min(time.Second<<p.Attempts, maxPause)
	p.Attempts, p.Error, p.Next = p.Attempts+1, "", time.Time{}
	switch {
	case failure == nil:
		p.State = Forwarded
	case p.Attempts >= maxAttempts:
		p.State, p.Error = Failed, failure.Error()
	default:
		p.Error, p.Next = failure.Error(), b.now().Add(pause).UTC()
	}
	// Only this goroutine changes a waiting event, so p is still current.
	err = b.db.Update(func(tx *bbolt.Tx) error { return put(tx.Bucket(eventsBucket), sequence, p) })
	if err != nil {
		return err
	}
	b.postpone(sequence, p.Next)
	if failure != nil {
		log.Warn("not forwarded", "type", p.Envelope.DetailType, "attempts", p.Attempts, "state", p.State,
			"error", failure)
	}
	return nil
}

// post sends the envelope. Its errors do not contain the URL, which may contain a secret.
func (b *Bus) post(ctx context.Context, p Published) error {
	body, err := json.Marshal(p.Envelope)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.target, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL is not valid")
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := b.client.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	} else if err != nil {
		return err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be reused
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the application answered %d", answer.StatusCode)
	}
	return nil
}
