package esign

import (
	"encoding/json"
	"maps"
	"slices"
)

// maxSize is the largest agreement that is stored, and the largest event, in bytes of JSON. Both together fit into an
// entry of EventBridge, which has 256 KB.
const maxSize = 100 << 10

// peoplesReferences is the name in referencesCut that means the references of participants.
const peoplesReferences = "participants.reference"

// limited returns a with as much as fits. It drops references from the end, then people's references from the end, and
// then people. Beyond the limit, what is left may depend on the order of the events.
func (a Agreement) limited() Agreement {
	if roomy(a.References, a.Participants) {
		return a
	}
	a.References, a.Participants = maps.Clone(a.References), maps.Clone(a.Participants)
	drop(&a, backwards(a.References), func(name string) {
		delete(a.References, name)
		a.ReferencesCut = with(a.ReferencesCut, name)
	})
	drop(&a, backwards(a.Participants), func(id string) {
		if p := a.Participants[id]; p.Reference != "" {
			p.Reference = ""
			a.Participants[id], a.ReferencesCut = p, with(a.ReferencesCut, peoplesReferences)
		}
	})
	drop(&a, backwards(a.Participants), func(id string) { delete(a.Participants, id) })
	return a
}

// fitting returns e with as much as fits, in the same way.
func (e Event) fitting() Event {
	if len(e.Participants) < 50 && roomy(e.References, map[string]Progress{}) {
		return e
	}
	e.References, e.Participants = maps.Clone(e.References), slices.Clone(e.Participants)
	drop(&e, backwards(e.References), func(name string) {
		delete(e.References, name)
		e.ReferencesCut = with(e.ReferencesCut, name)
	})
	last := make([]int, len(e.Participants))
	for i := range last {
		last[i] = len(last) - 1 - i
	}
	drop(&e, last, func(i int) {
		if e.Participants[i].Reference != "" {
			e.Participants[i].Reference, e.ReferencesCut = "", with(e.ReferencesCut, peoplesReferences)
		}
	})
	drop(&e, last, func(i int) { e.Participants = e.Participants[:i] })
	return e
}

// roomy reports whether an agreement is small for sure, without encoding it.
func roomy(references map[string]string, participants map[string]Progress) bool {
	const escaped, perPerson = 6, 700 // bytes of JSON: of a byte, and of a participant with aliases
	n := perPerson * len(participants)
	for name, value := range references {
		n += escaped * (2*len(name) + len(value))
	}
	for _, p := range participants {
		n += escaped * len(p.Reference)
	}
	return n < maxSize/2
}

// drop drops items, in their order, until v fits.
func drop[T any](v any, items []T, remove func(T)) {
	for _, item := range items {
		if encoded, _ := json.Marshal(v); len(encoded) <= maxSize { // v always encodes
			return
		}
		remove(item)
	}
}

func backwards[T any](m map[string]T) []string {
	names := slices.Sorted(maps.Keys(m))
	slices.Reverse(names)
	return names
}

func with(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return slices.Sorted(slices.Values(append(slices.Clone(names), name)))
}
