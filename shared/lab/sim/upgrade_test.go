package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// duplicates is the number of events, in all worlds, that were recognised under another ID.
var duplicates atomic.Int64

// TestUpgrade simulates worlds in which a later release, which gives all events other IDs, replaces the earlier one
// while vendors send and retry. All faults happen as well. Each event has one effect and is published, as in all
// worlds.
func TestUpgrade(t *testing.T) {
	before, worlds := duplicates.Load(), max(*seeds/5, 100)
	t.Cleanup(func() {
		n := duplicates.Load() - before
		t.Logf("%d events were recognised under another ID", n)
		if *seed == 0 && !t.Failed() && n < int64(worlds)/10 {
			t.Error("too few such events: the simulation does not test upgrades")
		}
	})
	simulateWorlds(t, worlds, upgraded)
}

// TestMended simulates worlds in which the later release can read what the earlier one could not. All dead letters of
// what it can read are deleted, and others expire. Then the vendors send everything once more.
func TestMended(t *testing.T) {
	before, worlds := resent.Load(), max(*seeds/10, 100)
	t.Cleanup(func() {
		if n := resent.Load() - before; *seed == 0 && !t.Failed() && n < int64(worlds)/4 {
			t.Errorf("%d events that were unreadable are too few", n)
		}
	})
	simulateWorlds(t, worlds, mended)
}

// resent is the number of unreadable events, in all worlds, of which a copy was sent after the upgrade.
var resent atomic.Int64

// mended is one world of TestMended.
func mended(s *simulation) []string {
	pause := []time.Duration{6 * time.Minute, queue.DeadLetterRetention + time.Hour}[s.world.choices.choose(2)]
	s.upgrade = &upgrade{done: make(chan struct{}), mends: true, resends: pause}
	return s.withReleases()
}

// resend lets dead letters disappear, and lets vendors send everything once more.
func (s *simulation) resend() {
	time.Sleep(s.upgrade.resends)
	s.mapping("dead letters", "expire", func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.queue.dead.waiting = slices.DeleteFunc(s.queue.dead.waiting, func(l *letter) bool {
			m := l.message
			unreadable := s.table.state(ledger.Key{Subject: m.Group, ID: m.Attributes["eventId"]}) == ledger.Unreadable
			if unreadable {
				resent.Add(1)
			}
			return time.Since(l.sent) >= queue.DeadLetterRetention || unreadable && s.bodies[s.hashOf(l)].readable
		})
	})
	for i, h := range s.happenings {
		s.insist(fmt.Sprintf("resend %d", i), h, 1)
	}
}

// upgraded is one world of TestUpgrade.
func upgraded(s *simulation) []string {
	s.upgrade = &upgrade{done: make(chan struct{}), merged: s.world.choices.choose(2) == 1}
	return s.withReleases()
}

// withReleases plays a scenario with an upgrade.
func (s *simulation) withReleases() []string {
	s.worker.Providers = nil
	for _, p := range simulated() {
		p = released{p, s.upgrade}
		s.receivers[p.Info().Name].Provider = p
		s.worker.Providers = append(s.worker.Providers, referring{p})
	}
	return scenario(s)
}

// upgrade replaces the earlier release of all functions by the later one.
type upgrade struct {
	happened atomic.Bool
	done     chan struct{} // closed when it has happened
	merged   bool          // the earlier release gives all events of an envelope with the same name one ID
	mends    bool          // the releases differ only in what they can read
	resends  time.Duration // then, how much later the vendors send everything once more
}

func (u *upgrade) happen() {
	u.happened.Store(true)
	close(u.done)
}

// released is a provider in both releases.
type released struct {
	webhook.Provider
	*upgrade
}

// Identify implements [webhook.Provider].
func (r released) Identify(request *webhook.Request) ([]webhook.Identity, error) {
	ids, err := r.Provider.Identify(request)
	if r.mends {
		return ids, err
	}
	for i, id := range ids {
		former := webhook.FormerID{ID: id.EventID}
		if r.merges(id) {
			event, err := r.Provider.Normalize(webhooktest.Delivery(r.Provider, request, id, esign.ProofSigned))
			if err != nil {
				return nil, err
			}
			former.ID = webhook.EventID("merged", id.Subject, id.VendorType)
			former.OccurredAt = event.OccurredAt
		}
		if ids[i].EventID, ids[i].FormerIDs = former.ID, nil; r.happened.Load() {
			ids[i].EventID, ids[i].FormerIDs = webhook.EventID("later", id.EventID), []webhook.FormerID{former}
		}
	}
	return ids, err
}

// merges reports whether the earlier release gives this and other events one ID. It does so to DocuSign's: in the
// stories of other vendors, two events have the same time.
func (r released) merges(id webhook.Identity) bool {
	return r.merged && strings.HasPrefix(id.Subject, "docusign#")
}

// Normalize implements [webhook.Provider]. It accepts the IDs of both releases. The release that is mended later cannot
// read every other event.
func (r released) Normalize(d *webhook.Delivery) (esign.Event, error) {
	if r.mends && !r.happened.Load() && d.EventID[0]%2 == 0 {
		return esign.Event{}, webhook.ErrUnreadable
	}
	known := *d
	if ids, err := r.Provider.Identify(d.Request()); err == nil {
		known.EventID = ids[0].EventID // the simulated vendors send one event in a request
	}
	return r.Provider.Normalize(&known)
}

// upgradeAt adds the upgrade to the other troubles. Some readable messages of the earlier release become dead letters.
func (s *simulation) upgradeAt(troubles []trouble) []trouble {
	c := s.world.choices
	after := []time.Duration{time.Second, 5 * time.Second, time.Minute, 10 * time.Minute, time.Hour, day}[c.choose(6)]
	return slices.Insert(troubles, c.choose(len(troubles)+1), trouble{after, "operator upgrades", func() {
		for _, l := range slices.Clone(s.queue.waiting) {
			hash := s.hashOf(l)
			s.mu.Lock()
			readable := s.bodies[hash].readable
			s.mu.Unlock()
			if l.hidden.IsZero() && readable && c.rarely(2) {
				s.queue.giveUp(l)
			}
		}
		s.upgrade.happen()
	}})
}

// delayMerged delays the happenings that the earlier release would take for others, and so would lose.
func (s *simulation) delayMerged(reported []*happening) {
	known := map[string]bool{}
	for _, h := range reported {
		ids, err := h.provider.Identify(h.base)
		if err != nil {
			continue // it cannot be read
		}
		h.delayed = released{h.provider, s.upgrade}.merges(ids[0]) && known[ids[0].VendorType]
		known[ids[0].VendorType] = true
	}
}

// checkDuplicate checks that a duplicate is one.
func (s *simulation) checkDuplicate(h *happening, e ledger.Entry) {
	duplicates.Add(1)
	original := s.table.items[ledger.Key{Subject: e.Subject, ID: e.DuplicateOf}]
	if original == nil || original.State != ledger.Processed || s.bodies[original.SHA256] != h {
		s.world.problem("%s is marked as a duplicate of %+v", h, original)
	}
}
