package esign

import (
	"maps"
	"time"
)

// Agreement is the state of one agreement: the fold of all its events.
type Agreement struct {
	Provider     string               `json:"provider"`
	ID           string               `json:"id"`
	Status       Status               `json:"status" jsonschema:"the highest status that an event has reported; empty if none has"`
	UpdatedAt    time.Time            `json:"updatedAt" jsonschema:"the latest occurredAt of the events"`
	Reached      map[Status]time.Time `json:"reached,omitempty" jsonschema:"for each status that an event has reported, the earliest time reported for it; a time that the vendor stated precedes an approximate one"`
	Approximate  map[Status]bool      `json:"reachedApproximate,omitempty" jsonschema:"the statuses in reached whose time the vendor has not stated"`
	Participants map[string]Progress  `json:"participants,omitempty" jsonschema:"the progress of each participant, by the vendor's ID or a hash"`
	Listing      *Listing             `json:"listing,omitempty" jsonschema:"the newest list of everybody whom the agreement concerns"`
	// References are those that the operator allows, at most MaxReferences.
	References             map[string]string    `json:"references,omitempty" jsonschema:"the sender's own keys, by the vendor's name for them; of each the newest value"`
	ReferencesAt           time.Time            `json:"referencesAt,omitzero" jsonschema:"the time of the newest reference"`
	ReferencesOlder        map[string]time.Time `json:"referencesOlder,omitempty" jsonschema:"the time of each reference that is older"`
	ReferencesCut          []string             `json:"referencesCut,omitempty" jsonschema:"the references whose value is cut, or that were dropped because the agreement was too large"`
	SharedReference        string               `json:"sharedReference,omitempty" jsonschema:"the name of the reference that the agreement has only while all its signers share one value"`
	SharedReferenceDiffers bool                 `json:"sharedReferenceDiffers,omitempty" jsonschema:"true if an event has named signers with different values of sharedReference who are not all in participants"`
	Conflict               bool                 `json:"conflict,omitempty" jsonschema:"true if events have reported different terminal statuses; status is the highest of them"`
}

// Progress is the progress of one participant.
type Progress struct {
	Status      Status    `json:"status"`
	At          time.Time `json:"at"`
	Approximate bool      `json:"atApproximate,omitempty" jsonschema:"true if the vendor has not stated the time"`
	Aliases     []string  `json:"aliases,omitempty" jsonschema:"other IDs of the same person"`
	Replaced    bool      `json:"replaced,omitempty" jsonschema:"true if another person has taken over, so that nothing more is expected of this one"`
	// RoleAt, OrderAt and ReferenceAt are absent if they are ToldAt.
	Role        Role      `json:"role,omitempty"`
	Order       int       `json:"order,omitempty" jsonschema:"whose turn it is, from 1; equal numbers act at the same time"`
	Reference   string    `json:"reference,omitempty" jsonschema:"the sender's own ID of this participant"`
	ToldAt      time.Time `json:"toldAt,omitzero" jsonschema:"the latest event that stated role, order or reference"`
	RoleAt      time.Time `json:"roleAt,omitzero" jsonschema:"the latest event that stated the role, if not toldAt"`
	OrderAt     time.Time `json:"orderAt,omitzero" jsonschema:"the latest event that stated the order, if not toldAt"`
	ReferenceAt time.Time `json:"referenceAt,omitzero" jsonschema:"the latest event that stated the reference, if not toldAt"`
	Waiting     bool      `json:"waiting,omitempty" jsonschema:"true if it is this participant's turn"`
	WasWaiting  bool      `json:"wasWaiting,omitempty" jsonschema:"true if it was this participant's turn when another person took over"`
	WaitingAt   time.Time `json:"waitingAt,omitzero" jsonschema:"the latest event that stated whose turn it is"`
	Problem     Cause     `json:"problem,omitempty" jsonschema:"the newest reason why a message did not reach this participant, who has not acted yet; more causes may be added"`
	ProblemAt   time.Time `json:"problemAt,omitzero" jsonschema:"the latest event that stated the problem"`
	StatedAt    time.Time `json:"statedAt,omitzero" jsonschema:"the latest event that named the participant; absent if not later than at"`
	ReplacedAt  time.Time `json:"replacedAt,omitzero" jsonschema:"the latest event that stated that the participant was replaced"`
	// ReplacedBy is the person's ID even if the event named an alias, which is then ReplacedByAlias. ReplacedByAt is
	// absent if it is ReplacedAt.
	ReplacedBy      string    `json:"replacedBy,omitempty" jsonschema:"who has taken over, if the vendor says so"`
	ReplacedByAlias string    `json:"replacedByAlias,omitempty" jsonschema:"how the event named who has taken over, if not by the ID in replacedBy"`
	ReplacedByAt    time.Time `json:"replacedByAt,omitzero" jsonschema:"the latest event that stated who has taken over, if not replacedAt"`
}

// Listing is what the newest list of everybody states.
type Listing struct {
	At  time.Time `json:"at" jsonschema:"the time of the event"`
	IDs []string  `json:"ids,omitempty" jsonschema:"all IDs of everybody in the list; absent if there are too many"`
}

// MaxParticipants is the largest number of participants that an agreement keeps, so that an event with its agreement
// always fits into an entry of EventBridge, which has 256 KB. Beyond it, those with the lowest IDs are kept, which does
// not depend on the order of arrival.
const MaxParticipants = 250

// MaxAliases is the largest number of aliases that an agreement keeps of one participant: those with the lowest values.
const MaxAliases = 4

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
		a.Approximate = maps.Clone(a.Approximate)
		if at, ok := a.Reached[status]; !ok || wins(e.OccurredAt, e.Approximate, at, a.Approximate[status]) {
			a.Reached[status] = e.OccurredAt
			a.setApproximate(status, e.Approximate)
		}
		a.Conflict = conflict(a.Reached)
	}
	a = foldReferences(foldPeople(a, e), e)
	if e.SharedReference > a.SharedReference {
		a.SharedReference = e.SharedReference
	}
	a.SharedReferenceDiffers = a.SharedReferenceDiffers || e.SharedReferenceDiffers
	return a.share().limited()
}

// wins reports whether a time is better than a known one: a time that the vendor stated precedes an approximate one,
// and the earlier of two alike precedes the later.
func wins(at time.Time, approximate bool, known time.Time, knownApproximate bool) bool {
	if approximate != knownApproximate {
		return knownApproximate
	}
	return at.Before(known)
}

func (a *Agreement) setApproximate(status Status, approximate bool) {
	delete(a.Approximate, status)
	if approximate {
		if a.Approximate == nil {
			a.Approximate = map[Status]bool{}
		}
		a.Approximate[status] = true
	}
	if len(a.Approximate) == 0 {
		a.Approximate = nil
	}
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
