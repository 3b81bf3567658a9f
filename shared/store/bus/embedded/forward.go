package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// The pauses between attempts grow from one second to maxPause. All attempts together take about four minutes.
const (
	maxAttempts = 10
	maxPause    = time.Minute
)

// Forward posts events to the application until ctx is done, one after the other in the order of publication. A failed
// event is retried later. It blocks the later events of its subject, and no others.
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

// next returns the first attempt that is due, or else the one that will be due first. Of each subject, it considers the
// first event only.
func (b *Bus) next() (next attempt, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, seen := b.now(), map[string]bool{}
	for _, a := range b.waiting {
		switch {
		case seen[a.subject]:
			continue
		case !a.due.After(now):
			return a, true
		case !ok || a.due.Before(next.due):
			next, ok = a, true
		}
		seen[a.subject] = true
	}
	return next, ok
}

// postpone sets the time of an event's next attempt. A zero time means that there is no further attempt.
func (b *Bus) postpone(sequence uint64, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.waiting, func(a attempt) bool { return a.sequence == sequence })
	if i < 0 { // it was forgotten meanwhile
		return
	}
	if due.IsZero() {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.waiting[i].due = due
	}
}

var errForgotten = errors.New("bus/embedded: the event was forgotten")

// forward makes one attempt and records its result. It returns an error only if the store fails.
func (b *Bus) forward(ctx context.Context, log *slog.Logger, sequence uint64) error {
	var p Published
	err := b.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(eventsBucket).Get(sequenceKey(sequence))
		if v == nil {
			return errForgotten
		}
		return json.Unmarshal(v, &p)
	})
	if errors.Is(err, errForgotten) {
		return nil
	} else if err != nil {
		return err
	}
	body, err := json.Marshal(p.Envelope)
	if err != nil {
		return err
	}
	eventID, _ := about(p)
	failure := b.outlet.Post(ctx, eventID, body, b.keys...)
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
	// Only this goroutine changes a waiting event, so p is still current, unless the event was forgotten.
	err = b.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(eventsBucket).Get(sequenceKey(sequence)) == nil {
			return errForgotten
		}
		return b.put(tx, sequence, p)
	})
	if errors.Is(err, errForgotten) {
		return nil
	} else if err != nil {
		return err
	}
	b.postpone(sequence, p.Next)
	if failure != nil {
		log.Warn("not forwarded", "type", p.Envelope.DetailType, "attempts", p.Attempts, "state", p.State,
			"error", failure)
	}
	return nil
}
