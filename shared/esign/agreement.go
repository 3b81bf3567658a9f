package esign

import (
	"maps"
	"slices"
	"time"
)

// Agreement is the state of one agreement: the fold of all its events.
type Agreement struct {
	Provider     string               `json:"provider"`
	ID           string               `json:"id"`
	Status       Status               `json:"status" jsonschema:"the highest status that an event has reported; empty if none has"`
	UpdatedAt    time.Time            `json:"updatedAt" jsonschema:"the latest occurredAt of the events"`
	Reached      map[Status]time.Time `json:"reached,omitempty" jsonschema:"for each status that an event has reported, the earliest time reported for it"`
	Participants map[string]Progress  `json:"participants,omitempty" jsonschema:"the progress of each participant, by the vendor's ID or a hash"`
	Conflict     bool                 `json:"conflict,omitempty" jsonschema:"true if events have reported different terminal statuses; status is the highest of them"`
}

// Progress is the progress of one participant.
type Progress struct {
	Status Status    `json:"status"`
	At     time.Time `json:"at"`
}

// MaxParticipants is the largest number of participants that an agreement keeps, so that its item stays far below
// DynamoDB's 400 KB. Beyond it, those with the lowest IDs are kept, which does not depend on the order of arrival.
const MaxParticipants = 500

// Fold returns the state after e. It changes neither argument. The result depends only on the set of folded events, not
// on their order or repetition, because every part of the state is a minimum, a maximum or a union.
func Fold(a Agreement, e Event) Agreement {
	a.Provider, a.ID = e.Provider, e.AgreementID
	if e.OccurredAt.After(a.UpdatedAt) {
		a.UpdatedAt = e.OccurredAt
	}
	if status := e.Type.Status(); status != "" {
		if a.Status.Before(status) {
			a.Status = status
		}
		a.Reached = maps.Clone(a.Reached)
		if a.Reached == nil {
			a.Reached = map[Status]time.Time{}
		}
		if at, ok := a.Reached[status]; !ok || e.OccurredAt.Before(at) {
			a.Reached[status] = e.OccurredAt
		}
		a.Conflict = conflict(a.Reached)
	}
	a.Participants = foldParticipants(a.Participants, e)
	return a
}

func conflict(reached map[Status]time.Time) bool {
	terminal := 0
	for status := range reached {
		if status.Terminal() {
			terminal++
		}
	}
	return terminal > 1
}

func foldParticipants(before map[string]Progress, e Event) map[string]Progress {
	stated := e.Participants
	switch status := e.Type.Status(); status {
	case Sent, Viewed, Signed, Declined: // one person's action; the other types concern the whole agreement
		if e.Participant != "" {
			stated = append(slices.Clip(stated), Participant{ID: e.Participant, Status: status})
		}
	}
	if len(stated) == 0 {
		return before
	}
	folded := maps.Clone(before)
	if folded == nil {
		folded = map[string]Progress{}
	}
	for _, p := range stated {
		if p.ID == "" || rank[p.Status] == 0 {
			continue
		}
		if p.At.IsZero() {
			p.At = e.OccurredAt
		}
		known := folded[p.ID]
		if known.Status.Before(p.Status) || known.Status == p.Status && p.At.Before(known.At) {
			folded[p.ID] = Progress{p.Status, p.At}
		}
	}
	if len(folded) > MaxParticipants {
		for _, id := range slices.Sorted(maps.Keys(folded))[MaxParticipants:] {
			delete(folded, id)
		}
	}
	if len(folded) == 0 {
		return nil
	}
	return folded
}
