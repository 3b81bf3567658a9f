package esign

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of what an event carries of the sender's own texts. They count code points, except MaxReferences.
const (
	MaxReferences      = 50 // names of an event or agreement: the first in alphabetical order
	MaxReferenceName   = 128
	MaxReference       = 256
	MaxPersonReference = 100
	MaxReason          = 500
)

// Policy is what the operator lets events carry of the sender's own texts. The zero Policy lets nothing through.
type Policy struct {
	// References are the names that may be carried. A name covers its nested keys: "crm" allows "crm.deal". "*" allows
	// all.
	References []string
	Reasons    bool // whether [Event.Reason] may be carried
}

// ParseReferences returns the names in a comma-separated list.
func ParseReferences(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Allows reports whether a reference of this name may be carried.
func (p Policy) Allows(name string) bool {
	return slices.ContainsFunc(p.References, func(allowed string) bool {
		return allowed == "*" || name == allowed || strings.HasPrefix(name, allowed+".")
	})
}

// Apply returns e with what the policy allows, within the limits. personReference is the vendor's name for
// [Participant.Reference]. [Event.ReferencesLeftOut] counts the names that are not on the list.
func (p Policy) Apply(e Event, personReference string) Event {
	said := e.References
	e.References, e.ReferencesCut, e.ReferencesLeftOut = nil, nil, 0
	for _, name := range slices.Sorted(maps.Keys(said)) {
		switch value := strings.ToValidUTF8(said[name], "\uFFFD"); {
		case name == "" || value == "" || utf8.RuneCountInString(name) > MaxReferenceName:
		case !p.Allows(name):
			e.ReferencesLeftOut++
		case len(e.References) < MaxReferences:
			if e.References == nil {
				e.References = map[string]string{}
			}
			cut := Truncate(value, MaxReference)
			if e.References[name] = cut; cut != value {
				e.ReferencesCut = append(e.ReferencesCut, name)
			}
		}
	}
	e = p.applyToPeople(e, personReference)
	if e.Reason = Truncate(strings.ToValidUTF8(e.Reason, "\uFFFD"), MaxReason); !p.Reasons {
		e.Reason = ""
	}
	return e
}

func (p Policy) applyToPeople(e Event, name string) Event {
	if !p.Allows(e.SharedReference) {
		e.SharedReference, e.SharedReferenceDiffers = "", false
	}
	e.Participants = slices.Clone(e.Participants)
	leftOut, shortened := false, false
	for i, person := range e.Participants {
		if person.Reference == "" {
			continue
		}
		said := strings.ToValidUTF8(person.Reference, "\uFFFD")
		cut := Truncate(said, MaxPersonReference)
		if !p.Allows(name) {
			cut, leftOut = "", true
		}
		shortened = shortened || cut != "" && cut != said
		e.Participants[i].Reference = cut
	}
	if leftOut {
		e.ReferencesLeftOut++
	}
	if shortened {
		e.ReferencesCut = with(e.ReferencesCut, name)
	}
	return e
}

// Truncate returns the first code points of s.
func Truncate(s string, codePoints int) string {
	for i := range s {
		if codePoints == 0 {
			return s[:i]
		}
		codePoints--
	}
	return s
}

// foldReferences folds what e states about the agreement's references. One that e does not mention stays.
func foldReferences(a Agreement, e Event) Agreement {
	if len(e.References) == 0 {
		return a
	}
	known := map[string]reference{}
	for name, value := range a.References {
		if name != a.SharedReference {
			known[name] = reference{told[string]{value, a.referenceAt(name)}, slices.Contains(a.ReferencesCut, name)}
		}
	}
	for name, value := range e.References {
		said := reference{told[string]{value, e.OccurredAt}, slices.Contains(e.ReferencesCut, name)}
		known[name] = known[name].or(said)
	}
	names := slices.Sorted(maps.Keys(known))
	names = names[:min(len(names), MaxReferences)]
	var dropped []string // for their size
	for _, name := range a.ReferencesCut {
		if _, kept := known[name]; !kept && len(known) < MaxReferences {
			dropped = append(dropped, name)
		}
	}
	a.References, a.ReferencesAt, a.ReferencesOlder, a.ReferencesCut = map[string]string{}, time.Time{}, nil, dropped
	for _, name := range names {
		if r := known[name]; r.at.After(a.ReferencesAt) {
			a.ReferencesAt = r.at
		}
	}
	for _, name := range names {
		r := known[name]
		a.References[name] = r.value
		if r.cut {
			a.ReferencesCut = with(a.ReferencesCut, name)
		}
		if r.at.Equal(a.ReferencesAt) {
			continue
		}
		if a.ReferencesOlder == nil {
			a.ReferencesOlder = map[string]time.Time{}
		}
		a.ReferencesOlder[name] = r.at
	}
	return a
}

// reference is the value of a reference, which may have been cut.
type reference struct {
	told[string]
	cut bool
}

func (r reference) or(s reference) reference {
	if r.told == s.told {
		return reference{r.told, r.cut || s.cut}
	}
	if r.told.or(s.told) == s.told {
		return s
	}
	return r
}

func (a Agreement) referenceAt(name string) time.Time {
	if at, older := a.ReferencesOlder[name]; older {
		return at
	}
	return a.ReferencesAt
}

// share makes the reference that all signers share the agreement's too.
func (a Agreement) share() Agreement {
	if a.SharedReference == "" {
		return a
	}
	value, differs := "", a.SharedReferenceDiffers
	for _, p := range a.Participants {
		if p.Replaced || p.Role != "" && !p.Role.acts() {
			continue
		}
		differs = differs || p.Reference == "" || value != "" && p.Reference != value
		value = p.Reference
	}
	if differs {
		value = ""
	}
	if a.References[a.SharedReference] == value {
		return a
	}
	a.References = maps.Clone(a.References)
	if delete(a.References, a.SharedReference); value != "" {
		if a.References == nil {
			a.References = map[string]string{}
		}
		a.References[a.SharedReference] = value
	}
	if len(a.References) == 0 {
		a.References = nil
	}
	return a
}

// told is what the newest event that states a value says. Of several at the same time, it is the greatest value.
type told[T cmp.Ordered] struct {
	value T // the zero value is not told
	at    time.Time
}

func (t told[T]) or(u told[T]) told[T] {
	var none T
	switch {
	case u.value == none, t.value != none && cmp.Or(t.at.Compare(u.at), cmp.Compare(t.value, u.value)) >= 0:
		return t
	}
	return u
}

// time is when the value was told; zero if it was not.
func (t told[T]) time() (at time.Time) {
	var none T
	if t.value == none {
		return at
	}
	return t.at
}
