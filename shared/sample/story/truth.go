package story

import (
	"fmt"
	"maps"
	"slices"

	"esignhooks/shared/esign"
)

// Truth is the state of an agreement at the end.
type Truth struct {
	Status       esign.Status      `json:"status"`
	Participants map[string]Person `json:"participants"` // by the vendor's ID
	Events       int               `json:"events"`       // different ones
}

// Person is the state of a participant at the end.
type Person struct {
	Status   esign.Status `json:"status"`
	Replaced bool         `json:"replaced,omitempty"`
	Problem  esign.Cause  `json:"problem,omitempty"`
}

func (p Person) String() string {
	s := string(p.Status)
	if p.Replaced {
		s += ", replaced"
	}
	if p.Problem != "" {
		s += ", " + string(p.Problem)
	}
	return s
}

// Differences returns in which points an agreement with so many events is not as it should be, a line for each.
func (t Truth) Differences(a esign.Agreement, events int) (all []string) {
	if a.Status != t.Status {
		all = append(all, fmt.Sprintf("status: %s instead of %s", a.Status, t.Status))
	}
	if events != t.Events {
		all = append(all, fmt.Sprintf("events: %d instead of %d", events, t.Events))
	}
	if len(a.Participants) != len(t.Participants) {
		all = append(all, fmt.Sprintf("participants: %d instead of %d", len(a.Participants), len(t.Participants)))
	}
	for _, id := range slices.Sorted(maps.Keys(t.Participants)) {
		want, got := t.Participants[id], "unknown"
		for other, p := range a.Participants {
			if other == id || slices.Contains(p.Aliases, id) {
				got = Person{p.Status, p.Replaced, p.Problem}.String()
			}
		}
		if got != want.String() {
			all = append(all, fmt.Sprintf("participant %s: %s instead of %s", id, got, want))
		}
	}
	return all
}
