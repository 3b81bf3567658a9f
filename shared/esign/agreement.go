package esign

import (
	"maps"
	"slices"
	"time"
)

// Agreement is the state of one agreement: all its events, folded.
type Agreement struct {
	Provider     string               `json:"provider"`
	ID           string               `json:"id"`
	Status       Status               `json:"status" jsonschema:"the highest that an event has claimed; empty if none has"`
	UpdatedAt    time.Time            `json:"updatedAt" jsonschema:"the highest occurredAt of the events"`
	Reached      map[Status]time.Time `json:"reached,omitempty" jsonschema:"for every status that an event has claimed, the earliest time claimed for it"`
	Participants map[string]Progress  `json:"participants,omitempty" jsonschema:"the progress of each participant, by the vendor's ID or a hash"`
	Conflict     bool                 `json:"conflict,omitempty" jsonschema:"true if events have claimed two different terminal statuses; the higher one stands"`
}

// Progress is how far a participant has come.
type Progress struct {
	Status Status    `json:"status"`
	At     time.Time `json:"at"`
}

// MaxParticipants bounds how many participants an agreement remembers, so that its item stays far below DynamoDB's
// 400 KB. Beyond it those with the lowest IDs are kept, which does not depend on the order of arrival.
const MaxParticipants = 500

// Fold returns a after e. It changes neither argument. The result depends only on the set of events folded, not on
// their order or repetition: every part of the state is a minimum, a maximum or a union.
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

func foldParticipants(known map[string]Progress, e Event) map[string]Progress {
	said := e.Participants
	switch status := e.Type.Status(); status {
	case Sent, Viewed, Signed, Declined: // what one person does; the other types are the agreement's
		if e.Participant != "" {
			said = append(slices.Clip(said), Participant{ID: e.Participant, Status: status})
		}
	}
	if len(said) == 0 {
		return known
	}
	folded := maps.Clone(known)
	if folded == nil {
		folded = map[string]Progress{}
	}
	for _, p := range said {
		if p.ID == "" || rank[p.Status] == 0 {
			continue
		}
		if p.At.IsZero() {
			p.At = e.OccurredAt
		}
		now := folded[p.ID]
		if now.Status.Before(p.Status) || now.Status == p.Status && p.At.Before(now.At) {
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
