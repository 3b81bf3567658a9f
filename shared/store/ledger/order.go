package ledger

import (
	"cmp"
	"slices"
	"time"
)

// Sort orders a history by OccurredAt, then ReceivedAt, then ID. An event without a time is placed at its ReceivedAt.
func Sort(history []Entry) {
	slices.SortFunc(history, func(a, b Entry) int {
		return cmp.Or(a.occurred().Compare(b.occurred()), a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.ID, b.ID))
	})
}

func (e Entry) occurred() time.Time {
	if e.OccurredAt.IsZero() {
		return e.ReceivedAt
	}
	return e.OccurredAt
}

// InOrderOfCommits sorts events by the time their effects were committed, and returns them.
func InOrderOfCommits(history []Entry) []Entry {
	slices.SortStableFunc(history, func(a, b Entry) int { return a.ProcessedAt.Compare(b.ProcessedAt) })
	return history
}
