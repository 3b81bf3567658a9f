package esign_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
)

func TestOnlyAllowedReferencesAreCarried(t *testing.T) {
	said := map[string]string{
		"deal": "1", "crm": "2", "crm.deal": "3", "crmx": "4", "": "5", "empty": "", strings.Repeat("n", 129): "6",
		strings.Repeat("é", 128): "7",
	}
	for list, want := range map[string]struct {
		carried map[string]string
		leftOut int
	}{
		"*": {map[string]string{"deal": "1", "crm": "2", "crm.deal": "3", "crmx": "4",
			strings.Repeat("é", 128): "7"}, 0},
		"":            {nil, 5},
		"crm":         {map[string]string{"crm": "2", "crm.deal": "3"}, 3},
		"Crm,crm.":    {nil, 5},
		" deal , x, ": {map[string]string{"deal": "1"}, 4},
	} {
		e := esign.Policy{References: esign.ParseReferences(list)}.Apply(esign.Event{References: said}, "")
		if diff := cmp.Diff(want.carried, e.References); diff != "" || e.ReferencesLeftOut != want.leftOut {
			t.Errorf("%q: %d left out, %s", list, e.ReferencesLeftOut, diff)
		}
	}
}

func TestReferencesAreLimited(t *testing.T) {
	e := esign.Event{Reason: strings.Repeat("é", 501), References: map[string]string{"a": strings.Repeat("é", 257),
		"b": strings.Repeat("é", 256), "c": "\xff"},
		Participants: []esign.Participant{{ID: "1", Reference: strings.Repeat("é", 101)}, {ID: "2", Reference: "two"}}}
	for i := range 60 {
		e.References[fmt.Sprintf("n%02d", i)] = "v"
	}
	everything := esign.Policy{References: []string{"*"}, Reasons: true}
	got := everything.Apply(e, "clientUserId")
	if len(got.References) != 50 || got.References["n46"] == "" || got.References["n47"] != "" {
		t.Errorf("%d references: %v", len(got.References), got.References)
	}
	if got.References["a"] != strings.Repeat("é", 256) || got.References["c"] != "\uFFFD" ||
		got.Participants[0].Reference != strings.Repeat("é", 100) || got.Reason != strings.Repeat("é", 500) {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{"a", "clientUserId"}, got.ReferencesCut); diff != "" {
		t.Error(diff)
	}
	if e.Participants[0].Reference == got.Participants[0].Reference {
		t.Error("the argument has changed")
	}
	none := esign.Policy{References: []string{"b"}}.Apply(e, "clientUserId")
	if none.Reason != "" || none.Participants[1].Reference != "" || none.ReferencesLeftOut != 63 ||
		len(none.References) != 1 {
		t.Errorf("%+v", none)
	}
}

func referring(second int, references map[string]string) esign.Event {
	e := event(esign.AgreementUpdated, second, "")
	e.References = references
	return e
}

// The newest value of each reference counts, and an event that omits a reference does not remove it.
func TestReferencesAreSticky(t *testing.T) {
	events := []esign.Event{
		referring(1, map[string]string{"a": "old", "b": "only"}), referring(3, map[string]string{"a": "new"}),
		referring(2, map[string]string{"a": "between"}), referring(3, map[string]string{"a": "late"}),
		event(esign.AgreementCompleted, 4, ""),
	}
	events[3].ReferencesCut = []string{"a"}
	permute(events, func(p []esign.Event) {
		a := fold(p...)
		if diff := cmp.Diff(map[string]string{"a": "new", "b": "only"}, a.References); diff != "" || a.ReferencesCut != nil {
			t.Fatalf("%v %s", a.ReferencesCut, diff)
		}
	})
}

// A reference that belongs to signers is the agreement's while all of them share it.
func TestASharedReference(t *testing.T) {
	about := func(second int, people ...esign.Participant) esign.Event {
		e := stated(second, people...)
		e.SharedReference = "businessId"
		return e
	}
	person := func(id, reference string) esign.Participant {
		return esign.Participant{ID: id, Status: esign.Sent, Reference: reference}
	}
	differs := about(2)
	differs.SharedReferenceDiffers = true
	copied := esign.Participant{ID: "c", Status: esign.Sent, Role: esign.RoleCopy}
	replaced := esign.Participant{ID: "r", Status: esign.Sent, Reference: "y", Replaced: true}
	for name, tt := range map[string]struct {
		events []esign.Event
		want   string
	}{
		"one":       {[]esign.Event{about(1, person("a", "x"))}, "x"},
		"two alike": {[]esign.Event{about(1, person("a", "x")), about(2, person("b", "x"))}, "x"},
		"two differ": {[]esign.Event{about(1, person("a", "x")), about(2, person("b", "y")),
			about(3, person("c", "x"))}, ""},
		"one has none":                 {[]esign.Event{about(1, person("a", "x"), person("b", ""))}, ""},
		"changed":                      {[]esign.Event{about(1, person("a", "x")), about(2, person("a", "y"))}, "y"},
		"copies do not count":          {[]esign.Event{about(1, person("a", "x"), copied)}, "x"},
		"one without progress differs": {[]esign.Event{about(1, person("a", "x")), differs}, ""},
		"replaced do not count":        {[]esign.Event{about(1, person("a", "x")), about(2, replaced)}, "x"},
	} {
		permute(tt.events, func(p []esign.Event) {
			if got := fold(p...).References["businessId"]; got != tt.want {
				t.Fatalf("%s: %q", name, got)
			}
		})
	}
}

// TestPeoplesFacts folds every permutation of each history.
func TestPeoplesFacts(t *testing.T) {
	yes, no := true, false
	person := func(status esign.Status, change func(*esign.Participant)) esign.Participant {
		p := esign.Participant{ID: "a", Status: status}
		change(&p)
		return p
	}
	waiting := func(w *bool) func(*esign.Participant) { return func(p *esign.Participant) { p.Waiting = w } }
	for name, tt := range map[string]struct {
		events []esign.Event
		want   func(esign.Progress) bool
	}{
		"waits": {[]esign.Event{stated(1, person(esign.Sent, waiting(&yes)))},
			func(p esign.Progress) bool { return p.Waiting }},
		"no longer": {[]esign.Event{stated(1, person(esign.Sent, waiting(&yes))),
			stated(2, person(esign.Sent, waiting(&no)))},
			func(p esign.Progress) bool { return !p.Waiting && p.WaitingAt.Equal(at(2)) }},
		"not told": {[]esign.Event{stated(1, person(esign.Sent, waiting(&yes))),
			stated(2, person(esign.Viewed, waiting(nil)))},
			func(p esign.Progress) bool { return p.Waiting }},
		"at one time": {[]esign.Event{stated(1, person(esign.Sent, waiting(&yes))),
			stated(1, person(esign.Sent, waiting(&no)))},
			func(p esign.Progress) bool { return p.Waiting }},
		"signed": {[]esign.Event{stated(1, person(esign.Signed, waiting(nil))), stated(2, person(esign.Sent, waiting(&yes)))},
			func(p esign.Progress) bool { return !p.Waiting && p.WaitingAt.IsZero() }},
		"ended": {[]esign.Event{stated(2, person(esign.Sent, waiting(&yes))), event(esign.AgreementCancelled, 1, "")},
			func(p esign.Progress) bool { return !p.Waiting }},
		"replaced": {[]esign.Event{stated(1, person(esign.Sent, waiting(&yes))),
			stated(2, person(esign.Sent, func(p *esign.Participant) { p.Replaced, p.ReplacedBy = true, "b" }))},
			func(p esign.Progress) bool { return !p.Waiting && p.Replaced && p.ReplacedBy == "b" }},
		"replaced by somebody who is named by an alias": {[]esign.Event{
			stated(1, person(esign.Sent, func(p *esign.Participant) { p.Replaced, p.ReplacedBy = true, "2" })),
			stated(2, esign.Participant{ID: "b", Aliases: []string{"2"}, Status: esign.Sent})},
			func(p esign.Progress) bool {
				return p.ReplacedBy == "b" && p.ReplacedByAlias == "2" && p.ReplacedAt.Equal(at(1))
			}},
		"replaced by one of two who have the alias": {[]esign.Event{
			stated(1, person(esign.Sent, func(p *esign.Participant) { p.Replaced, p.ReplacedBy = true, "2" })),
			stated(2, esign.Participant{ID: "b", Aliases: []string{"2"}, Status: esign.Sent}),
			stated(2, esign.Participant{ID: "c", Aliases: []string{"2"}, Status: esign.Sent})},
			func(p esign.Progress) bool { return p.ReplacedBy == "2" && p.ReplacedByAlias == "" }},
		"the newest facts, each by itself": {[]esign.Event{
			stated(1, person(esign.Sent, func(p *esign.Participant) { p.Role, p.Order = esign.RoleSigner, 2 })),
			stated(2, person(esign.Sent, func(p *esign.Participant) { p.Order, p.Reference = 1, "x" })),
			stated(3, person(esign.Sent, func(p *esign.Participant) { p.Reference = "w" }))},
			func(p esign.Progress) bool {
				return p.Role == esign.RoleSigner && p.Order == 1 && p.Reference == "w" && p.ToldAt.Equal(at(3)) &&
					p.RoleAt.Equal(at(1)) && p.OrderAt.Equal(at(2)) && p.ReferenceAt.IsZero()
			}},
		"a problem until the person acts": {[]esign.Event{
			stated(1, person(esign.Sent, func(p *esign.Participant) { p.Problem = esign.CauseBounced })),
			stated(2, person(esign.Viewed, func(p *esign.Participant) { p.Problem = esign.CauseIdentification }))},
			func(p esign.Progress) bool { return p.Problem == esign.CauseIdentification && p.ProblemAt.Equal(at(2)) }},
		"solved": {[]esign.Event{
			stated(2, person(esign.Sent, func(p *esign.Participant) { p.Problem = esign.CauseBounced })),
			event(esign.AgreementSigned, 1, "a")},
			func(p esign.Progress) bool { return p.Problem == "" && p.ProblemAt.IsZero() }},
	} {
		permute(tt.events, func(p []esign.Event) {
			if got := fold(p...).Participants["a"]; !tt.want(got) {
				t.Fatalf("%s: %+v", name, got)
			}
		})
	}
}

// What was dropped because the agreement was too large stays named, also after an event with other references.
func TestWhatWasDroppedStaysNamed(t *testing.T) {
	a := fold(referring(1, map[string]string{"a": "1"}))
	a.ReferencesCut = []string{"participants.reference", "z"}
	a = esign.Fold(a, referring(2, map[string]string{"b": "2"}))
	if diff := cmp.Diff([]string{"participants.reference", "z"}, a.ReferencesCut); diff != "" {
		t.Error(diff)
	}
}
