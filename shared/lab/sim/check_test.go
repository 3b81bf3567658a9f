package sim

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
)

// check checks the guarantees. All queues must be empty.
func (s *simulation) check() {
	committed := s.checkEffects()
	s.checkAgreements(committed)
	s.checkReferences()
	s.checkPublished(committed)
	s.checkForgeries()
	if s.after != nil {
		s.checkAftermath(committed)
	}
}

// checkEffects checks that each acknowledged event had exactly one effect, and no event had two.
func (s *simulation) checkEffects() map[string]ledger.Entry {
	effects, committed := map[*happening][]ledger.Entry{}, map[string]ledger.Entry{}
	for _, k := range s.table.keys() {
		e := *s.table.items[k]
		h := s.bodies[e.SHA256]
		if h == nil {
			s.world.problem("%s is in the table but was never sent", short(e.ID))
			continue
		}
		switch {
		case e.State == ledger.Processed:
			effects[h] = append(effects[h], e)
			committed[e.ID] = e
			if s.faultless && !s.table.expired && h.timeless != nil && h.timed && e.Event.Approximate {
				s.world.problem("%s has no exact time, though nothing failed", h)
			}
		case e.State == ledger.Duplicate:
			s.checkDuplicate(h, e)
		case e.State == ledger.Unreadable && !h.readable:
			effects[h] = append(effects[h], e)
		case s.queue.taken[e.ID]:
			s.world.problem("%s was in the queue, and is %s", h, e.State)
		}
		if e.Duplicates >= h.requests+1 {
			s.world.problem("%s has %d duplicates of %d requests", h, e.Duplicates, h.requests)
		}
	}
	for _, h := range s.happenings {
		switch n := len(effects[h]); {
		case h.acknowledged && n == 0:
			s.world.problem("%s was acknowledged, and had no effect", h)
		case n > 1 && h.readable: // unreadable requests are identified by their bytes
			s.world.problem("%s had %d effects", h, n)
		}
		if !h.readable && h.acknowledged && !s.isDeadLetter(h) {
			s.world.problem("%s is unreadable, and not among the dead letters", h)
		}
	}
	letters := map[string]int{}
	for _, l := range s.queue.dead.waiting {
		id := l.message.Attributes["eventId"]
		if letters[id]++; s.faultless && letters[id] == 2 {
			s.world.problem("%s has several dead letters", short(id))
		}
	}
	return committed
}

func (s *simulation) isDeadLetter(h *happening) bool {
	return slices.ContainsFunc(s.queue.dead.waiting, func(l *letter) bool { return s.bodies[s.hashOf(l)] == h })
}

// checkAgreements checks that the state is the fold of the true history.
func (s *simulation) checkAgreements(committed map[string]ledger.Entry) {
	folded, said, events := map[string]esign.Agreement{}, map[string]esign.Status{}, map[string]int64{}
	for _, id := range slices.Sorted(maps.Keys(committed)) { // in another order than they were committed
		e := committed[id]
		folded[e.Subject] = esign.Fold(folded[e.Subject], *e.Event)
		events[e.Subject]++
		if !e.CorrectedAt.IsZero() {
			events[e.Subject]++
		}
		if status := s.bodies[e.SHA256].status; said[e.Subject].Before(status) {
			said[e.Subject] = status
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(folded)) {
		stored := s.table.agreements[subject]
		if diff := cmp.Diff(folded[subject], stored.agreement); diff != "" {
			s.world.problem("%s is not the fold of its events: %s", subject, diff)
		}
		if stored.agreement.Status != said[subject] {
			s.world.problem("%s is %q, its vendor has said %q", subject, stored.agreement.Status, said[subject])
		}
		if stored.version != events[subject] {
			s.world.problem("%s has version %d and %d events", subject, stored.version, events[subject])
		}
	}
}

// checkPublished checks that exactly the committed events were published, and that each status was entered once.
func (s *simulation) checkPublished(committed map[string]ledger.Entry) {
	seen := map[string]bus.Event{}
	for _, e := range s.setAside() {
		seen[e.Detail.EventID] = e
	}
	for _, e := range s.bus.published {
		if first, ok := seen[e.Detail.EventID]; ok && !cmp.Equal(first, e) {
			s.world.problem("%s was published twice, differently", short(e.Detail.EventID))
		}
		seen[e.Detail.EventID] = e
	}
	entered := map[string]map[esign.Status]int{}
	for _, id := range slices.Sorted(maps.Keys(committed)) {
		c := committed[id]
		e, ok := seen[id]
		if !ok {
			s.world.problem("%s (%s) was committed and not published", short(id), s.bodies[c.SHA256])
			continue
		}
		if want := bus.EventOf(c); c.CorrectedAt.IsZero() && !sameEvent(want, e) {
			s.world.problem("%s was published as %+v", short(id), e)
		}
		if !c.CorrectedAt.IsZero() && (c.Event.Approximate || !e.Detail.Event.Approximate) {
			s.world.problem("%s was corrected, and published as %+v", short(id), e)
		}
		if d := e.Detail; d.StatusChanged {
			if entered[d.Event.Subject] == nil {
				entered[d.Event.Subject] = map[esign.Status]int{}
			}
			entered[d.Event.Subject][d.StatusAfter]++
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(s.table.agreements)) {
		for status, n := range entered[subject] {
			if n > 1 {
				s.world.problem("%s entered %q %d times", subject, status, n)
			}
		}
		if status := s.table.agreements[subject].agreement.Status; entered[subject][status] != 1 {
			s.world.problem("%s is %q, but no published event says so", subject, status)
		}
	}
	if s.faultless && len(seen) != len(s.bus.published) { // then, none is refused
		s.world.problem("%d events were published %d times, though nothing failed", len(seen), len(s.bus.published))
	}
}

// setAside returns the events that the publisher has set aside. It checks that the bus refuses them.
func (s *simulation) setAside() (all []bus.Event) {
	for _, key := range slices.Sorted(maps.Keys(s.aside.objects)) {
		batch, err := publish.Records(s.aside.objects[key])
		if err != nil {
			s.world.problem("%s: %v", key, err)
			continue
		}
		entry, _, err := publish.Committed(batch.Records[0])
		if err != nil || len(batch.Records) != 1 || !s.bus.refused[entry.ID] {
			s.world.problem("%s was set aside: %v", key, err)
			continue
		}
		all = append(all, bus.EventOf(entry))
	}
	return all
}

// sameEvent compares the JSON, which is what consumers see.
func sameEvent(a, b bus.Event) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// checkForgeries checks that a forgery leaves nothing in any store.
func (s *simulation) checkForgeries() {
	for _, k := range s.table.keys() {
		if s.forged[s.table.items[k].SHA256] {
			s.world.problem("a forgery is in the table")
		}
	}
	for _, q := range []*fifo{s.queue, s.queue.dead} {
		for _, l := range q.waiting {
			if s.forged[s.hashOf(l)] {
				s.world.problem("a forgery is in the %s", q.name)
			}
		}
	}
	for _, body := range s.payloads.objects {
		if s.forged[hash(body)] {
			s.world.problem("a forgery is in the payload store")
		}
	}
}
