package receive

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// maxExplanations is how many refusals a process explains in a second: more requests must not cost us more.
const maxExplanations = 5

// Limiter permits maxExplanations in any second. The zero Limiter is ready.
type Limiter struct {
	mu      sync.Mutex
	last    [maxExplanations]time.Time // when the last ones were permitted, a ring
	next    int                        // index of the oldest
	skipped int                        // since the last one that was permitted
}

// permit reports whether one more is permitted, and how many were not since the last one.
func (l *Limiter) permit(now time.Time) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := now.Sub(l.last[l.next]); since >= 0 && since < time.Second { // negative: the clock was set back
		l.skipped++
		return 0, false
	}
	l.last[l.next] = now
	l.next = (l.next + 1) % maxExplanations
	skipped, l.skipped = l.skipped, 0
	return skipped, true
}

// explain returns what the log says of the cause of a refusal: nothing if the limit is reached. The next explanation
// counts the refusals that were not explained.
func (r *Receiver) explain(ctx context.Context, request *webhook.Request, keys webhook.Keys,
	o *Observation) (attributes []any) {
	limiter := r.Explanations
	if limiter == nil {
		limiter = &r.explanations
	}
	skipped, ok := limiter.permit(r.Now())
	if !ok {
		o.Causes = nil
		return nil
	}
	if skipped > 0 {
		attributes = append(attributes, "unexplained", skipped)
	}
	defer func() {
		if recover() != nil { // the value may quote the body, the stack does not
			r.Log.ErrorContext(ctx, "panic in the provider's explanation", "stack", string(debug.Stack()))
		}
	}()
	if causes := refusal.Explain(r.Provider, r.Others, request, keys); len(causes) > 0 {
		o.Causes = causes
		attributes = append(attributes, "cause", o.Causes[0].Code, "hint", o.Causes[0].Hint)
	}
	return attributes
}
