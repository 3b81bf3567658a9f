package esign_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
)

var allTypes = []esign.Type{
	esign.AgreementCreated, esign.AgreementSent, esign.AgreementViewed, esign.AgreementSigned,
	esign.AgreementCompleted, esign.AgreementDeclined, esign.AgreementCancelled, esign.AgreementExpired,
	esign.AgreementFailed, esign.AgreementUpdated, esign.AgreementUndeliverable, esign.Other,
}

func at(second int) time.Time {
	return time.Date(2026, 11, 1, 12, 0, second, 0, time.UTC)
}

func fold(events ...esign.Event) esign.Agreement {
	var a esign.Agreement
	for _, e := range events {
		a = esign.Fold(a, e)
	}
	return a
}

func event(t esign.Type, second int, participant string) esign.Event {
	return esign.Event{
		Provider: "acmesign", AgreementID: "e1", Type: t, OccurredAt: at(second), Participant: participant,
	}
}

func TestFold(t *testing.T) {
	for name, tt := range map[string]struct {
		events []esign.Event
		want   esign.Agreement
	}{
		"no status yet": {
			[]esign.Event{event(esign.AgreementUpdated, 5, "")},
			esign.Agreement{Provider: "acmesign", ID: "e1", UpdatedAt: at(5)},
		},
		"a late view does not reopen a completed agreement": {
			[]esign.Event{event(esign.AgreementCompleted, 9, ""), event(esign.AgreementViewed, 3, "p1")},
			esign.Agreement{
				Provider: "acmesign", ID: "e1", Status: esign.Completed, UpdatedAt: at(9),
				Reached:      map[esign.Status]time.Time{esign.Completed: at(9), esign.Viewed: at(3)},
				Participants: map[string]esign.Progress{"p1": {Status: esign.Viewed, At: at(3)}},
			},
		},
		"two signers are distinguished, each with its own highest status": {
			[]esign.Event{
				event(esign.AgreementSigned, 4, "p1"),
				event(esign.AgreementViewed, 5, "p1"),
				event(esign.AgreementViewed, 6, "p2"),
			},
			esign.Agreement{
				Provider: "acmesign", ID: "e1", Status: esign.Signed, UpdatedAt: at(6),
				Reached: map[esign.Status]time.Time{esign.Signed: at(4), esign.Viewed: at(5)},
				Participants: map[string]esign.Progress{
					"p1": {Status: esign.Signed, At: at(4), StatedAt: at(5)}, "p2": {Status: esign.Viewed, At: at(6)},
				},
			},
		},
		"two terminal statuses are a conflict, and the higher one is kept": {
			[]esign.Event{event(esign.AgreementDeclined, 4, ""), event(esign.AgreementExpired, 8, "")},
			esign.Agreement{
				Provider: "acmesign", ID: "e1", Status: esign.Declined, UpdatedAt: at(8), Conflict: true,
				Reached: map[esign.Status]time.Time{esign.Declined: at(4), esign.Expired: at(8)},
			},
		},
		"a summary states the progress of all participants": {
			[]esign.Event{{
				Provider: "acmesign", AgreementID: "e1", Type: esign.AgreementSent, OccurredAt: at(1),
				Participants: []esign.Participant{
					{ID: "p1", Status: esign.Signed, At: at(7)}, {ID: "p2", Status: esign.Sent},
					{ID: "", Status: esign.Sent}, {ID: "p3", Status: "no such status"},
				},
			}},
			esign.Agreement{
				Provider: "acmesign", ID: "e1", Status: esign.Sent, UpdatedAt: at(1),
				Reached: map[esign.Status]time.Time{esign.Sent: at(1)},
				Participants: map[string]esign.Progress{
					"p1": {Status: esign.Signed, At: at(7)}, "p2": {Status: esign.Sent, At: at(1)},
				},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, fold(tt.events...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func stated(second int, participants ...esign.Participant) esign.Event {
	e := event(esign.AgreementUpdated, second, "")
	e.Participants = participants
	return e
}

func listed(second int, present ...string) esign.Event {
	e := stated(second)
	e.Present = present
	return e
}

// TestPeople folds every permutation of each history.
func TestPeople(t *testing.T) {
	const clear = "deal-7"
	viewed, signed := esign.Viewed, esign.Signed
	for name, tt := range map[string]struct {
		events []esign.Event
		want   map[string]esign.Progress
	}{
		"a person known under two IDs is one, under the stable ID": {
			[]esign.Event{
				event(esign.AgreementSigned, 4, "1"),
				stated(3, esign.Participant{ID: "guid", Aliases: []string{"1"}, Status: viewed}),
				event(esign.AgreementViewed, 2, "guid"),
			},
			map[string]esign.Progress{"guid": {Status: signed, At: at(4), Aliases: []string{"1"}}},
		},
		"a corrected recipient gets the alias of the one before, and nothing else": {
			[]esign.Event{
				stated(3, esign.Participant{ID: "b", Aliases: []string{"1"}, Status: viewed}),
				stated(4, esign.Participant{ID: "a", Aliases: []string{"1"}, Status: esign.Sent}),
				listed(4, "a", "1"),
			},
			map[string]esign.Progress{
				"a": {Status: esign.Sent, At: at(4), Aliases: []string{"1"}},
				"b": {Status: viewed, At: at(3), Aliases: []string{"1"}, Replaced: true},
			},
		},
		"signers who share the sender's ID are told apart by their addresses": {
			[]esign.Event{
				stated(1, esign.Participant{ID: "deal", Aliases: []string{"x"}, Status: signed}),
				stated(2, esign.Participant{ID: "deal", Aliases: []string{"y"}, Status: viewed}),
				stated(3, esign.Participant{ID: "y", Status: esign.Declined}),
				stated(4, esign.Participant{ID: "deal", Aliases: []string{"x"}, Status: signed}),
			},
			map[string]esign.Progress{
				"x": {Status: signed, At: at(1), Aliases: []string{"deal"}, StatedAt: at(4)},
				"y": {Status: esign.Declined, At: at(3), Aliases: []string{"deal"}},
			},
		},
		"of signers who share the sender's ID, the one acts whose address the event states": {
			[]esign.Event{
				stated(1, esign.Participant{ID: "deal", Aliases: []string{"x"}, Status: viewed}),
				stated(5, esign.Participant{ID: "deal", Aliases: []string{"y"}, Status: viewed}),
				{
					Type: esign.AgreementSigned, OccurredAt: at(3), Participant: "deal",
					Participants: []esign.Participant{{ID: "deal", Aliases: []string{"x"}, Status: viewed}},
				},
			},
			map[string]esign.Progress{
				"x": {Status: signed, At: at(3), Aliases: []string{"deal"}},
				"y": {Status: viewed, At: at(5), Aliases: []string{"deal"}},
			},
		},
		"signers who share an address are told apart by the sender's IDs": {
			[]esign.Event{
				stated(1, esign.Participant{ID: "buyer", Aliases: []string{"office"}, Status: signed}),
				stated(2, esign.Participant{ID: "seller", Aliases: []string{"office"}, Status: viewed}),
			},
			map[string]esign.Progress{
				"buyer":  {Status: signed, At: at(1), Aliases: []string{"office"}},
				"seller": {Status: viewed, At: at(2), Aliases: []string{"office"}},
			},
		},
		"an ID and its digest are one person, and only the digest is kept": {
			[]esign.Event{
				event(esign.AgreementSigned, 4, clear), event(esign.AgreementViewed, 3, esign.Digest(clear)),
				event(esign.AgreementViewed, 2, clear),
			},
			map[string]esign.Progress{esign.Digest(clear): {Status: signed, At: at(4)}},
		},
		"an exact time precedes an approximate one": {
			[]esign.Event{
				{Type: esign.AgreementSigned, OccurredAt: at(2), Approximate: true, Participant: "a"},
				{Type: esign.AgreementSigned, OccurredAt: at(5), Participant: "a"},
				{Type: esign.AgreementSigned, OccurredAt: at(3), Approximate: true, Participant: "b"},
			},
			map[string]esign.Progress{
				"a": {Status: signed, At: at(5)}, "b": {Status: signed, At: at(3), Approximate: true},
			},
		},
		"who is missing from the newest list was replaced": {
			[]esign.Event{
				event(esign.AgreementViewed, 2, "old"), listed(1, "old"), listed(3, "new"), event(esign.AgreementSigned, 4, "new"),
			},
			map[string]esign.Progress{
				"old": {Status: viewed, At: at(2), Replaced: true}, "new": {Status: signed, At: at(4)},
			},
		},
		"who is in the newest list under any ID was not replaced": {
			[]esign.Event{
				stated(1, esign.Participant{ID: "guid", Aliases: []string{"1"}, Status: viewed}), listed(2, "2"),
				listed(3, "1", "2"),
			},
			map[string]esign.Progress{"guid": {Status: viewed, At: at(1), Aliases: []string{"1"}}},
		},
		"who acts after the newest list was not replaced": {
			[]esign.Event{listed(3, "a"), event(esign.AgreementSigned, 4, "b")},
			map[string]esign.Progress{"b": {Status: signed, At: at(4)}},
		},
		"a list of an approximate time replaces nobody": {
			[]esign.Event{
				event(esign.AgreementViewed, 2, "a"),
				{Type: esign.AgreementUpdated, OccurredAt: at(3), Approximate: true, Present: []string{"b"}},
			},
			map[string]esign.Progress{"a": {Status: viewed, At: at(2)}},
		},
		"a person stated as replaced keeps the status": {
			[]esign.Event{
				event(esign.AgreementViewed, 2, "a"),
				stated(3, esign.Participant{ID: "a", Status: esign.Sent, Replaced: true}),
			},
			map[string]esign.Progress{
				"a": {Status: viewed, At: at(2), StatedAt: at(3), Replaced: true, ReplacedAt: at(3)},
			},
		},
		"declined is higher than expired, expired than signed": {
			[]esign.Event{
				stated(1, esign.Participant{ID: "a", Status: signed}), stated(2, esign.Participant{ID: "a", Status: esign.Expired}),
				stated(3, esign.Participant{ID: "b", Status: esign.Expired}),
				stated(2, esign.Participant{ID: "b", Status: esign.Declined}),
			},
			map[string]esign.Progress{
				"a": {Status: esign.Expired, At: at(2)}, "b": {Status: esign.Declined, At: at(2), StatedAt: at(3)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			permute(tt.events, func(p []esign.Event) {
				if diff := cmp.Diff(tt.want, fold(p...).Participants); diff != "" {
					t.Errorf("order %v: %s", p, diff)
				}
			})
		})
	}
}

func roughly(e esign.Event) esign.Event {
	e.Approximate = true
	return e
}

// TestFoldKeepsMinimaAndMaxima folds every permutation of each history, and wants one whole agreement of all.
func TestFoldKeepsMinimaAndMaxima(t *testing.T) {
	const sent, viewed, signed = esign.Sent, esign.Viewed, esign.Signed
	reached := func(status esign.Status, second int) map[esign.Status]time.Time {
		return map[esign.Status]time.Time{status: at(second)}
	}
	person := func(p esign.Progress) map[string]esign.Progress { return map[string]esign.Progress{"p": p} }
	says := func(second int, p esign.Participant) esign.Event {
		p.ID = "p"
		return stated(second, p)
	}
	for name, tt := range map[string]struct {
		events []esign.Event
		want   esign.Agreement
	}{
		"a status is reached at the earliest of its times": {
			[]esign.Event{
				event(esign.AgreementSent, 5, ""), event(esign.AgreementSent, 3, ""), event(esign.AgreementSent, 7, ""),
			},
			esign.Agreement{Status: sent, UpdatedAt: at(7), Reached: reached(sent, 3)},
		},
		"an exact time precedes an earlier approximate one": {
			[]esign.Event{
				roughly(event(esign.AgreementSent, 1, "")), event(esign.AgreementSent, 5, ""),
				event(esign.AgreementSent, 4, ""), roughly(event(esign.AgreementSent, 8, "")),
			},
			esign.Agreement{Status: sent, UpdatedAt: at(8), Reached: reached(sent, 4)},
		},
		"of approximate times, the earliest is kept": {
			[]esign.Event{
				roughly(event(esign.AgreementSent, 3, "")), roughly(event(esign.AgreementSent, 2, "")),
				event(esign.AgreementViewed, 4, ""),
			},
			esign.Agreement{
				Status: viewed, UpdatedAt: at(4), Reached: map[esign.Status]time.Time{sent: at(2), viewed: at(4)},
				Approximate: map[esign.Status]bool{sent: true},
			},
		},
		"the status is the highest, though reached first, and updated last by an event without a status": {
			[]esign.Event{
				event(esign.AgreementCompleted, 1, ""), event(esign.AgreementSent, 2, ""),
				event(esign.AgreementUpdated, 9, ""),
			},
			esign.Agreement{
				Status: esign.Completed, UpdatedAt: at(9),
				Reached: map[esign.Status]time.Time{esign.Completed: at(1), sent: at(2)},
			},
		},
		"a participant has the earliest time of the highest status, and is named last at the latest": {
			[]esign.Event{
				says(4, esign.Participant{Status: signed}), says(6, esign.Participant{Status: signed}),
				says(2, esign.Participant{Status: viewed}), says(9, esign.Participant{Status: viewed}),
			},
			esign.Agreement{
				UpdatedAt: at(9), Participants: person(esign.Progress{Status: signed, At: at(4), StatedAt: at(9)}),
			},
		},
		"a participant's own time precedes the event's": {
			[]esign.Event{
				says(8, esign.Participant{Status: signed, At: at(3)}), says(9, esign.Participant{Status: signed, At: at(2)}),
			},
			esign.Agreement{
				UpdatedAt: at(9), Participants: person(esign.Progress{Status: signed, At: at(2), StatedAt: at(9)}),
			},
		},
		"a participant's own time is exact, even if the event's is not": {
			[]esign.Event{
				roughly(says(1, esign.Participant{Status: signed, At: at(5)})),
				says(2, esign.Participant{Status: signed, At: at(3), Approximate: true}),
			},
			esign.Agreement{UpdatedAt: at(2), Participants: person(esign.Progress{Status: signed, At: at(5)})},
		},
		"the latest replacement is kept": {
			[]esign.Event{
				says(3, esign.Participant{Status: sent, Replaced: true}), says(5, esign.Participant{Status: sent, Replaced: true}),
				says(4, esign.Participant{Status: sent}),
			},
			esign.Agreement{UpdatedAt: at(5), Participants: person(esign.Progress{
				Status: sent, At: at(3), StatedAt: at(5), ReplacedAt: at(5), Replaced: true,
			})},
		},
		"who is named after the replacement is back": {
			[]esign.Event{
				says(3, esign.Participant{Status: sent, Replaced: true}), says(4, esign.Participant{Status: viewed}),
			},
			esign.Agreement{UpdatedAt: at(4), Participants: person(esign.Progress{
				Status: viewed, At: at(4), ReplacedAt: at(3),
			})},
		},
		"the newest list is kept, with all who are in lists of its time": {
			[]esign.Event{listed(5, "b"), listed(3, "a", "p"), listed(5, "c", "b"), roughly(listed(6, "d"))},
			esign.Agreement{UpdatedAt: at(6), Listing: &esign.Listing{At: at(5), IDs: []string{"b", "c"}}},
		},
		"who was named at the time of the list is not replaced, who was named before is": {
			[]esign.Event{
				listed(5, "q"), says(5, esign.Participant{Status: sent}), stated(4, esign.Participant{ID: "o", Status: sent}),
			},
			esign.Agreement{
				UpdatedAt: at(5), Listing: &esign.Listing{At: at(5), IDs: []string{"q"}},
				Participants: map[string]esign.Progress{
					"p": {Status: sent, At: at(5)}, "o": {Status: sent, At: at(4), Replaced: true},
				},
			},
		},
		"the lowest aliases are kept": {
			[]esign.Event{
				says(1, esign.Participant{Status: sent, Aliases: []string{"6", "2", "4"}}),
				says(1, esign.Participant{Status: sent, Aliases: []string{"6", "5", "3", "1"}}),
			},
			esign.Agreement{UpdatedAt: at(1), Participants: person(esign.Progress{
				Status: sent, At: at(1), Aliases: []string{"1", "2", "3", "4"},
			})},
		},
		"an end is no conflict, a second end is": {
			[]esign.Event{
				event(esign.AgreementExpired, 2, ""), event(esign.AgreementExpired, 1, ""), event(esign.AgreementFailed, 3, ""),
			},
			esign.Agreement{
				Status: esign.Expired, UpdatedAt: at(3), Conflict: true,
				Reached: map[esign.Status]time.Time{esign.Expired: at(1), esign.Failed: at(3)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.want.Provider, tt.want.ID = "acmesign", "e1"
			permute(tt.events, func(p []esign.Event) {
				if diff := cmp.Diff(tt.want, fold(p...)); diff != "" {
					t.Errorf("order %v: %s", p, diff)
				}
			})
		})
	}
}

// TestFoldIgnoresOrderAndRepetition folds every permutation of short histories, and random permutations with random
// repetitions of long ones.
func TestFoldIgnoresOrderAndRepetition(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	history := func(n int) []esign.Event {
		events := make([]esign.Event, n)
		for i := range events {
			e := event(allTypes[random.IntN(len(allTypes))], random.IntN(6), fmt.Sprintf("p%d", random.IntN(3)))
			e.Approximate = random.IntN(4) == 0
			for range random.IntN(3) {
				n := random.IntN(4)
				p := esign.Participant{
					ID: fmt.Sprintf("p%d", n), Status: allTypes[random.IntN(len(allTypes))].Status(),
					Replaced: random.IntN(8) == 0,
				}
				if random.IntN(2) == 0 {
					p.At = at(random.IntN(6))
				}
				stateFacts(random, &p)
				switch random.IntN(8) {
				case 0:
					p.ID = esign.Digest(p.ID)
				case 1:
					p.ID = fmt.Sprint(n)
				case 2:
					p.Aliases = []string{fmt.Sprint(n)}
				case 3: // two share an ID
					p.ID, p.Aliases = "shared", []string{fmt.Sprint("own", n%2)}
				case 4:
					p.ID = fmt.Sprint("own", n%2)
				}
				e.Participants = append(e.Participants, p)
			}
			for range random.IntN(5) - 2 {
				e.Present = append(e.Present, fmt.Sprintf("p%d", random.IntN(4)))
			}
			for range random.IntN(3) {
				refer(random, &e)
			}
			events[i] = e
		}
		return events
	}
	for range slow.Cases(8, 40) {
		events := history(5)
		want := fold(events...)
		permute(events, func(p []esign.Event) {
			if diff := cmp.Diff(want, fold(p...)); diff != "" {
				t.Fatalf("order %v: %s", p, diff)
			}
			if diff := cmp.Diff(want, fold(append(append([]esign.Event{}, p...), p...)...)); diff != "" {
				t.Fatalf("repeated %v: %s", p, diff)
			}
		})
	}
	for range slow.Cases(100, 300) {
		events := history(30)
		want := fold(events...)
		shuffled := append(append([]esign.Event{}, events...), events[:random.IntN(len(events))]...)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(want, fold(shuffled...)); diff != "" {
			t.Fatal(diff)
		}
	}
}

// stateFacts adds some of what an event may state about a participant.
func stateFacts(random *rand.Rand, p *esign.Participant) {
	switch random.IntN(8) {
	case 0:
		p.Role = []esign.Role{esign.RoleSigner, esign.RoleApprover, esign.RoleCopy}[random.IntN(3)]
	case 1:
		p.Order = 1 + random.IntN(3)
	case 2:
		p.Reference = fmt.Sprint("person ", random.IntN(2))
	case 3, 4:
		waiting := random.IntN(2) == 0
		p.Waiting = &waiting
	case 5:
		p.Problem = []esign.Cause{esign.CauseBounced, esign.CauseSMS}[random.IntN(2)]
	case 6:
		p.Replaced, p.ReplacedBy = random.IntN(2) == 0, fmt.Sprint("p", random.IntN(4))
	}
}

// refer adds a reference to the event.
func refer(random *rand.Rand, e *esign.Event) {
	if e.References == nil {
		e.References = map[string]string{}
	}
	name := fmt.Sprint("r", random.IntN(3))
	e.References[name] = fmt.Sprint("deal ", random.IntN(3))
	if random.IntN(4) == 0 {
		e.ReferencesCut = []string{name}
	}
	if random.IntN(3) == 0 {
		e.SharedReference, e.SharedReferenceDiffers = "shared", random.IntN(9) == 0
	}
}

func permute(events []esign.Event, visit func([]esign.Event)) {
	if len(events) == 0 {
		visit(nil)
	}
	for i := range events {
		rest := append(append([]esign.Event{}, events[:i]...), events[i+1:]...)
		permute(rest, func(p []esign.Event) { visit(append(p, events[i])) })
	}
}

func TestFoldChangesNeitherArgument(t *testing.T) {
	before := fold(event(esign.AgreementSigned, 4, "p1"))
	want := fold(event(esign.AgreementSigned, 4, "p1"))
	esign.Fold(before, event(esign.AgreementCompleted, 9, "p2"))
	esign.Fold(before, event(esign.AgreementViewed, 9, "p2"))
	if diff := cmp.Diff(want, before); diff != "" {
		t.Error(diff)
	}
}

func TestFoldKeepsTheLowestParticipantsInAnyOrder(t *testing.T) {
	var events []esign.Event
	for i := range esign.MaxParticipants + 50 {
		events = append(events, event(esign.AgreementViewed, 1, fmt.Sprintf("p%04d", i)))
	}
	want := fold(events...)
	if len(want.Participants) != esign.MaxParticipants {
		t.Fatalf("%d participants kept", len(want.Participants))
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	if diff := cmp.Diff(want, fold(events...)); diff != "" {
		t.Error(diff)
	}
}

func TestTheNewestListIsBounded(t *testing.T) {
	var events []esign.Event
	for i := range esign.MaxParticipants/100 + 1 {
		e := listed(3)
		for n := range 100 {
			e.Present = append(e.Present, fmt.Sprint(i, "-", n))
		}
		events = append(events, e)
	}
	viewer := event(esign.AgreementViewed, 1, "a")
	a := fold(append(events, viewer)...)
	if a.Listing == nil || a.Listing.IDs != nil || a.Participants["a"].Replaced {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff(a, fold(append([]esign.Event{viewer, events[0]}, events...)...)); diff != "" {
		t.Error(diff)
	}
	if a = esign.Fold(a, listed(4, "b")); !a.Participants["a"].Replaced {
		t.Errorf("%+v", a)
	}
}

func TestAnEventWithItsAgreementFitsIntoAnEntryOfTheBus(t *testing.T) {
	e := event(esign.AgreementCompleted, 1, "")
	e.References = map[string]string{}
	for i := range 2 * esign.MaxParticipants {
		p := esign.Participant{
			ID: fmt.Sprintf("sha256:%064d", i), Status: esign.Completed, At: at(1).Add(123456789), Replaced: true,
			Role: esign.RoleFormFiller, Order: i, Reference: strings.Repeat("\u2028", 200), Problem: esign.CauseIdentification,
			ReplacedBy: fmt.Sprintf("sha256:%064d", i),
		}
		for n := range esign.MaxAliases + 1 {
			p.Aliases = append(p.Aliases, fmt.Sprintf("sha256:%d%063d", n, i))
		}
		e.Participants = append(e.Participants, p)
		e.Present = append(e.Present, p.ID)
	}
	for i := range 2 * esign.MaxReferences {
		name := fmt.Sprintf("%03d%s", i, strings.Repeat("\x01", esign.MaxReferenceName-3))
		e.References[name] = strings.Repeat("\u2028", esign.MaxReference+1)
	}
	e = esign.Policy{References: []string{"*"}}.Apply(e, "clientUserId")
	a := fold(e, event(esign.AgreementViewed, 59, ""))
	e = e.Limited()
	encoded, _ := json.Marshal(a)
	if len(encoded) > 100<<10 || !slices.Contains(a.ReferencesCut, "participants.reference") {
		t.Errorf("an agreement of %d bytes", len(encoded))
	}
	entry, err := json.Marshal(map[string]any{"event": e, "agreement": esign.Fold(a, e)})
	if err != nil || len(entry) > 250<<10 {
		t.Errorf("%d bytes, %v", len(entry), err)
	}
}

// Only what has the exact form of a digest is stored as it is.
func TestADigestIsKeptAndAllElseIsHashed(t *testing.T) {
	digest := esign.Digest("jane@example.com")
	if esign.Digest(digest) != digest {
		t.Error("a digest is hashed")
	}
	hash := strings.TrimPrefix(digest, "sha256:")
	for _, key := range []string{
		"jane@example.com", hash, "sha256:jane@example.com", digest + "0", "sha256:" + strings.ToUpper(hash), "sha256:",
	} {
		if got := esign.Digest(key); got == key || len(got) != len(digest) {
			t.Errorf("%q became %q", key, got)
		}
	}
}

func TestStatusOrder(t *testing.T) {
	order := []esign.Status{
		"", esign.Created, esign.Sent, esign.Viewed, esign.Signed,
		esign.Failed, esign.Expired, esign.Cancelled, esign.Declined, esign.Completed,
	}
	for i, s := range order {
		if s.Terminal() != (i >= 5) {
			t.Errorf("%q terminal: %v", s, s.Terminal())
		}
		for j, u := range order {
			if s.Before(u) != (i < j) {
				t.Errorf("%q before %q: %v", s, u, s.Before(u))
			}
		}
	}
	for typ, want := range map[esign.Type]esign.Status{
		esign.AgreementCompleted: esign.Completed, esign.AgreementUpdated: "", esign.Test: "",
		esign.TemplateCreated: "", "created": "", "": "",
	} {
		if got := typ.Status(); got != want {
			t.Errorf("%q has status %q, want %q", typ, got, want)
		}
	}
}

func BenchmarkFold(b *testing.B) {
	for _, participants := range []int{2, 100} {
		b.Run(fmt.Sprint(participants, " participants"), func(b *testing.B) {
			e := esign.Event{Provider: "acmesign", AgreementID: "1", Type: esign.AgreementViewed, OccurredAt: at(2)}
			for i := range participants {
				e.Participants = append(e.Participants, esign.Participant{ID: fmt.Sprint(i), Status: esign.Viewed})
			}
			before := fold(esign.Event{Provider: "acmesign", AgreementID: "1", Type: esign.AgreementSent, OccurredAt: at(1)}, e)
			b.ReportAllocs()
			for b.Loop() {
				esign.Fold(before, e)
			}
		})
	}
}
