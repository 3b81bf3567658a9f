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

// Merge removes each [Duplicate], and adds its requests and subscriptions to the event that it duplicates. If that
// event has expired, they are not shown. Merge also removes each [Dropped] event.
func Merge(history []Entry) []Entry {
	events, index := make([]Entry, 0, len(history)), map[Key]int{}
	for _, e := range history {
		if e.State != Duplicate && e.State != Dropped {
			index[e.Key] = len(events)
			events = append(events, e)
		}
	}
	for _, copied := range history {
		i, known := index[Key{copied.Subject, copied.DuplicateOf}]
		if copied.State != Duplicate || !known {
			continue
		}
		e := &events[i]
		e.Duplicates += 1 + copied.Duplicates
		via := append(slices.Clone(e.Via), copied.Via...)
		slices.Sort(via)
		via = slices.Compact(via)
		e.Via = via[:min(len(via), MaxVia)]
	}
	return events
}

// InOrderOfCommits sorts events by the time their effects were committed, and returns them.
func InOrderOfCommits(history []Entry) []Entry {
	slices.SortStableFunc(history, func(a, b Entry) int { return a.ProcessedAt.Compare(b.ProcessedAt) })
	return history
}
