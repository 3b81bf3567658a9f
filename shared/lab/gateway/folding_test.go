package gateway

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var rising = []string{"", "created", "sent", "viewed", "signed", "failed", "expired", "cancelled", "declined",
	"completed"}

// life returns a request for each of a provider's examples that share an agreement, with increasing times.
func life(t *testing.T, p webhook.Provider, id string) (requests []request, known string) {
	t.Helper()
	about := map[string][]string{} // examples by agreement
	most := ""
	examples := webhooktest.Examples(t, p.Info().Name)
	for _, example := range slices.Sorted(maps.Keys(examples)) {
		ids, err := p.Identify(examples[example])
		if err != nil || examples[example].Method != http.MethodPost {
			continue
		}
		id := ids[0].AgreementID
		about[id] = append(about[id], example)
		if id != "" && len(about[id]) > len(about[most]) {
			most = id
		}
	}
	for i, example := range about[most] {
		r, same := signed(p, id, example, p.Info().DevelopmentKey, time.Now().Add(time.Duration(i-100)*time.Second))
		requests, known = append(requests, r), same
	}
	return requests, known
}

func TestExamplesInAnyOrderEndAlike(t *testing.T) {
	t.Parallel()
	for _, p := range provider.All() {
		t.Run(p.Info().Name, func(t *testing.T) {
			g := start(t)
			for round := range slow.Cases(2, 3) {
				requests, id := life(t, p, guid())
				events, status := map[string]int{}, ""
				for _, r := range requests {
					events[r.identities(t)[0].EventID] += 2
				}
				requests = append(requests, requests...) // each is delivered twice
				random := rand.New(rand.NewPCG(uint64(round), 7))
				if round > 0 {
					random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
				}
				g.accept(requests...)
				a := g.agreement(p.Info().Name, id)
				for _, e := range a.Events {
					if s := string(esign.Type(e.Type).Status()); slices.Index(rising, s) > slices.Index(rising, status) {
						status = s
					}
				}
				if len(events) < 3 || status == "" {
					t.Fatalf("%d examples about one agreement, which becomes %q", len(events), status)
				}
				wantLife(t, a, status, events)
			}
		})
	}
}

// wantLife checks an agreement. The deliveries are counted by event.
func wantLife(t *testing.T, a agreement, status string, deliveries map[string]int) {
	t.Helper()
	if a.Status != status || len(a.Events) != len(deliveries) {
		t.Errorf("got %s with %d events %s, want %s with %d", a.Status, len(a.Events), names(a.Events), status,
			len(deliveries))
	}
	var newest time.Time
	for _, e := range a.Events {
		if want := deliveries[e.ID] - 1; e.Duplicates != want || e.State != "processed" {
			t.Errorf("%s is %s with %d duplicates, want processed with %d", e.VendorType, e.State, e.Duplicates, want)
		}
		if e.OccurredAt.After(newest) {
			newest = e.OccurredAt
		}
	}
	if !a.UpdatedAt.Equal(newest) {
		t.Errorf("updated at %v, want the highest of its events' times, %v", a.UpdatedAt, newest)
	}
	inOrder := slices.IsSortedFunc(a.Events, func(a, b event) int {
		if c := a.OccurredAt.Compare(b.OccurredAt); c != 0 {
			return c
		}
		return a.ReceivedAt.Compare(b.ReceivedAt)
	})
	if !inOrder {
		t.Errorf("the events are not in the order of occurredAt, then receivedAt: %+v", a.Events)
	}
}

func TestStatusesNeverGoBack(t *testing.T) {
	t.Parallel()
	g := start(t)
	id, before := guid(), 0
	var seen []string
	for _, example := range []string{
		"recipient-completed", "envelope-created", "envelope-delivered", "envelope-completed", "recipient-completed-second",
		"envelope-sent", "envelope-delivered",
	} {
		g.accept(message(id, example))
		status := g.agreement(reference, id).Status
		seen = append(seen, status)
		rank := slices.Index(rising, status)
		if rank < before {
			t.Fatalf("the status went back: %q", seen)
		}
		before = rank
	}
	if first, last := seen[0], seen[len(seen)-1]; first != "signed" || last != "completed" {
		t.Errorf("got %q, want from signed to completed", seen)
	}
}

func TestOfTwoTerminalStatusesTheHigherStaysWithAConflict(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, order := range [][]string{{"envelope-declined", "envelope-completed"},
		{"envelope-completed", "envelope-declined"}} {
		id := guid()
		g.accept(message(id, order[0]), message(id, order[1]))
		if a := g.agreement(reference, id); a.Status != "completed" || !a.Conflict {
			t.Errorf("%s: got %s, conflict %v; want completed with a conflict", order, a.Status, a.Conflict)
		}
	}
}

// eSignGlobal may send an event in two formats, of which one does not state the time.
func TestTheExactTimeWinsWhicheverCopyComesFirst(t *testing.T) {
	t.Parallel()
	g := start(t)
	p, _ := webhook.Find(provider.All(), "esignglobal")
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, order := range [][]string{
		{"envelope-finish-v2", "envelope-finish"}, {"envelope-finish", "envelope-finish-v2"},
		{"envelope-finish-v2", "envelope-finish-v2", "envelope-finish", "envelope-finish"},
	} {
		for name, accept := range map[string]func(...request){
			"one after the other": func(all ...request) { g.accept(all...) },
			"at once":             func(all ...request) { g.atOnce(all) },
		} {
			id := guid()
			var copies []request
			for _, example := range order {
				r, _ := signed(p, id, example, p.Info().DevelopmentKey, at)
				copies = append(copies, r)
			}
			accept(copies...)
			g.await("the exact time", func() bool {
				return g.one("esignglobal", id, len(copies)-1).OccurredAt.Equal(at)
			})
			var a esign.Agreement
			g.read("/api/agreements/esignglobal/"+id, &a)
			if !a.UpdatedAt.Equal(at) || !a.Reached[esign.Completed].Equal(at) || len(a.Approximate) > 0 {
				t.Errorf("%s, %s: updated at %v, reached %v, approximate %v", order, name, a.UpdatedAt, a.Reached, a.Approximate)
			}
		}
	}
	all := len(g.events())
	g.await("publication", func() bool { return len(g.published()) >= all })
	if published := len(g.published()); published != all {
		t.Errorf("%d events were published %d times", all, published)
	}
}
