package webhooktest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/webhook"
)

// Happening is something that happens to an agreement: all requests by which the vendor may report it, in different
// formats and through different subscriptions. All of them report the same event.
type Happening []*webhook.Request

// Tell checks that any life of an agreement ends in the same agreement and the same events, however it is reported:
// each happening by any of its requests, several times, and in any order.
//
// life makes a random life of one agreement, as the vendor's documents allow it. It returns the life once for each
// family of formats whose requests do not share event IDs; nearly every vendor has one family. Families are also mixed.
// They must agree in the agreement's statuses and times, in the participants' progress, and in the events' types and
// times.
func Tell(t *testing.T, p webhook.Provider, life func(*rand.Rand) [][]Happening) {
	t.Helper()
	for seed := range uint64(slow.Cases(25, 150)) {
		r := rand.New(rand.NewPCG(seed, 1))
		families := life(r)
		h := history{p, map[*webhook.Request][]reported{}}
		var mixed []Happening
		var first story
		for i, family := range families {
			mixed = append(mixed, family...)
			inOrder := make([]Happening, len(family))
			for n, happening := range family {
				inOrder[n] = happening[:1]
			}
			want := h.tell(t, slices.Concat(inOrder...))
			for range 10 {
				if diff := gocmp.Diff(want, h.tell(t, anyhow(r, family))); diff != "" {
					t.Fatalf("seed %d, family %d: %s", seed, i, diff)
				}
			}
			if i == 0 {
				first = want
			} else if diff := gocmp.Diff(first.meaning(), want.meaning()); diff != "" {
				t.Fatalf("seed %d: families 0 and %d differ: %s", seed, i, diff)
			}
		}
		if len(families) > 1 {
			want := first.meaning()
			got := h.tell(t, anyhow(r, mixed)).meaning()
			want.Happened, got.Happened = slices.Compact(want.Happened), slices.Compact(got.Happened)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, mixed: %s", seed, diff)
			}
		}
	}
}

// anyhow returns requests that report all happenings, in any order and number.
func anyhow(r *rand.Rand, happenings []Happening) (requests []*webhook.Request) {
	for _, ways := range happenings {
		for range 1 + r.IntN(2*len(ways)) {
			requests = append(requests, ways[r.IntN(len(ways))])
		}
	}
	r.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return requests
}

// story is what requests about one agreement left.
type story struct {
	Agreement esign.Agreement
	Events    map[string]happened // by event ID
}

// history reads each request once.
type history struct {
	p    webhook.Provider
	read map[*webhook.Request][]reported
}

type reported struct {
	id    string
	event esign.Event
}

// events returns what a request reports.
func (h history) events(t *testing.T, r *webhook.Request) []reported {
	t.Helper()
	if read, ok := h.read[r]; ok {
		return read
	}
	ids, err := h.p.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		e, err := h.p.Normalize(Delivery(h.p, r, id, esign.ProofSigned))
		if err != nil {
			t.Fatal(err)
		}
		if e.OccurredAt.IsZero() {
			e.OccurredAt, e.Approximate = ReceivedAt, true
		}
		e.Provider = h.p.Info().Name
		h.read[r] = append(h.read[r], reported{id.EventID, e})
	}
	return h.read[r]
}

// tell does with the requests what the pipeline does: the first report of an event counts, unless only a later one
// states its time.
func (h history) tell(t *testing.T, requests []*webhook.Request) story {
	t.Helper()
	known, order := map[string]esign.Event{}, []string{}
	for _, r := range requests {
		for _, said := range h.events(t, r) {
			before, ok := known[said.id]
			if !ok {
				order = append(order, said.id)
			}
			if !ok || before.Approximate && !said.event.Approximate {
				known[said.id] = said.event
			}
		}
	}
	s := story{Events: map[string]happened{}}
	for _, id := range order {
		e := known[id]
		s.Events[id] = happened{e.Type, e.OccurredAt, e.Approximate}
		if e.AgreementID != "" {
			s.Agreement = esign.Fold(s.Agreement, e)
		}
	}
	return s
}

// meaning is the part of a story that is the same in all formats.
type meaning struct {
	Status   esign.Status
	Conflict bool
	Reached  map[esign.Status]time.Time
	People   []esign.Progress
	Happened []happened
}

type happened struct {
	Type        esign.Type
	At          time.Time
	Approximate bool
}

func (s story) meaning() meaning {
	m := meaning{Status: s.Agreement.Status, Conflict: s.Agreement.Conflict, Reached: s.Agreement.Reached}
	for _, p := range s.Agreement.Participants {
		m.People = append(m.People, esign.Progress{Status: p.Status, At: p.At, Replaced: p.Replaced})
	}
	slices.SortFunc(m.People, func(a, b esign.Progress) int {
		return cmp.Or(a.At.Compare(b.At), a.Status.Compare(b.Status),
			cmp.Compare(fmt.Sprint(a.Replaced), fmt.Sprint(b.Replaced)))
	})
	for _, h := range s.Events {
		if h.Type == esign.AgreementUndeliverable && h.Approximate { // only some formats have a time that is close
			h.At = time.Time{}
		}
		h.Approximate = false
		m.Happened = append(m.Happened, h)
	}
	slices.SortFunc(m.Happened, func(a, b happened) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Type, b.Type)) })
	return m
}
