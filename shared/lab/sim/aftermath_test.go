package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// aftermath holds the real archiver and reconcilers, and the vendors' APIs.
type aftermath struct {
	offices     map[string]*office // by provider
	jobs        *jobs
	documents   *documents
	archiver    *archive.Archiver
	reconcilers []*reconcile.Reconciler // one per provider, because a process takes one step at a time
	findings    map[string]*happening   // by event ID
}

// newAftermath gives the simulation offices, an archiver and reconcilers.
func (s *simulation) newAftermath() {
	w := s.world
	a := &aftermath{
		offices: map[string]*office{}, jobs: &jobs{w: w, changed: make(chan struct{})},
		documents: &documents{w, map[string][]byte{}},
		findings:  map[string]*happening{},
	}
	s.after = a
	for _, p := range simulated() {
		name := p.Info().Name
		a.offices[name] = &office{w: w, provider: name, url: "https://example.com/webhooks/" + name}
	}
	clients := func(_ context.Context, name string) (vendorapi.Client, error) { return a.offices[name], nil }
	a.archiver = &archive.Archiver{Clients: clients, Documents: a.documents, Queue: s.queue, Jobs: a.jobs, Notes: s.table,
		Now: time.Now, Log: silent}
	for _, p := range simulated() {
		a.reconcilers = append(a.reconcilers, &reconcile.Reconciler{
			Providers: []webhook.Provider{p}, Clients: clients, Agreements: s.table, Notes: s.table, Table: s.table,
			Queue: s.queue,
			Webhook: func(_ context.Context, name string) (string, webhook.Keys, error) {
				return a.offices[name].url, webhook.Keys{}, nil
			},
			SilentAfter: day, Now: time.Now, Log: silent,
		})
	}
	s.bus.rule = func(e bus.Event) {
		if e.DetailType == string(esign.AgreementCompleted) {
			a.jobs.add(archive.Job(e))
		}
	}
	s.queue.sees = s.seesFinding
}

// seesFinding records a finding as a happening, so that its event may be in the table. Repeated findings are one
// happening.
func (s *simulation) seesFinding(m queue.Message) {
	if m.Attributes["proof"] != string(esign.ProofConfirmed) {
		return
	}
	var body struct {
		Type        esign.Type
		AgreementID string
	}
	if err := json.Unmarshal([]byte(m.Body), &body); err != nil {
		s.world.problem("a finding cannot be read: %v", err)
	}
	p, _ := webhook.Find(simulated(), m.Attributes["provider"])
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.after.findings[m.DeduplicationID]
	if h == nil {
		h = &happening{provider: p, agreement: body.AgreementID, example: string(body.Type), status: body.Type.Status(),
			readable: true}
		s.after.findings[m.DeduplicationID] = h
	}
	h.requests++
	s.bodies[hash([]byte(m.Body))] = h
}

// reconcile runs the reconcilers on their schedule.
func (s *simulation) reconcile() {
	for n := 0; ; n++ {
		for i, r := range s.after.reconcilers {
			s.world.run(fmt.Sprintf("reconciler %d pass %d", i, n), 5*time.Minute, func(ctx context.Context) { r.Run(ctx) })
		}
		select {
		case <-s.stop:
			return
		case <-time.After(3 * time.Hour):
		}
	}
}

// afterwards is one world of TestAfterTheEvent.
func afterwards(s *simulation) []string {
	c := s.world.choices
	s.newAftermath()
	s.world.rate = []int{30, 100, 10, 0}[c.choose(4)]
	s.world.crashes = c.choose(5)
	var vendors []func()
	for number := range 1 + c.choose(3) {
		vendors = append(vendors, s.agreement(number)...)
	}
	drop := []int{5, 1, 0}[c.choose(3)] // one in so many; 0 means none
	first := map[string]bool{}
	for _, h := range s.happenings {
		known := first[h.agreement]
		first[h.agreement] = true
		if h.provider.Info().Name == "esignglobal" && !known {
			continue
		}
		h.dropped = drop > 0 && c.rarely(drop)
	}
	off, repair := c.rarely(3), c.choose(2) == 1
	for _, r := range s.after.reconcilers {
		r.Repair = repair
	}
	if c.rarely(3) {
		vendors = append(vendors, s.impostor())
	}
	return s.simulate(2, func() {
		var all []chan struct{}
		for _, v := range vendors {
			done := make(chan struct{})
			all = append(all, done)
			s.world.start(func() {
				defer close(done)
				v()
			})
		}
		if off {
			time.Sleep(5 * time.Second)
			s.disable(true)
			if !repair {
				s.world.start(func() { // an operator reacts to the alarm the next day
					time.Sleep(day)
					s.disable(false)
				})
			}
		}
		for _, done := range all {
			<-done
		}
		s.mapping("faults", "end", func() { s.world.rate = 0 })
		time.Sleep(4 * day)
		s.mapping("operator", "redrives the archiver's dead letters", s.after.jobs.redrive)
		time.Sleep(4 * day)
	})
}

// disable disables or enables all subscriptions. The API of eSignGlobal has none.
func (s *simulation) disable(disabled bool) {
	s.mapping("vendors", fmt.Sprintf("subscriptions disabled: %v", disabled), func() {
		for _, name := range []string{"adobesign", "docusign", "dropboxsign"} {
			s.after.offices[name].disabled = disabled
		}
	})
}

// impostor completes an agreement that was only sent, with a request that passes for genuine.
func (s *simulation) impostor() func() {
	p := adobesign.Provider{}
	sent, id := about(s.t, p, "agreement-sent", 0x99)
	completed, _ := about(s.t, p, "agreement-completed", 0x99)
	reported := []*happening{
		{provider: p, agreement: id, example: "agreement-sent", status: esign.Sent, base: sent, readable: true},
		{provider: p, agreement: id, example: "agreement-completed", status: esign.Completed, base: completed, readable: true,
			untrue: true},
	}
	s.happenings = append(s.happenings, reported...)
	return func() { s.report("impostor", reported, 1, []time.Duration{time.Second, 0}) }
}

// checkAftermath checks that our agreements match the vendors', and that each completed one is confirmed and archived
// once.
func (s *simulation) checkAftermath(committed map[string]ledger.Entry) {
	published := map[string][]ledger.Entry{} // subject and type → events
	for _, e := range committed {
		published[e.Subject+" "+string(e.Type)] = append(published[e.Subject+" "+string(e.Type)], e)
	}
	for _, p := range simulated() {
		name := p.Info().Name
		if s.after.offices[name].disabled {
			s.world.problem("the subscription of %s is still disabled", name)
		}
		for _, f := range s.after.offices[name].agreements {
			subject := webhook.AgreementSubject(name, f.id)
			ours := s.table.agreements[subject].agreement
			if name == "esignglobal" && ours.Status == "" {
				continue // its API lists no agreements: one without any webhook cannot be found
			}
			untrue := slices.ContainsFunc(s.happenings, func(h *happening) bool { return h.agreement == f.id && h.untrue })
			if ours.Status != f.status && !untrue {
				s.world.problem("%s is %q, at its vendor %q", subject, ours.Status, f.status)
			}
			want := 0
			if f.status == esign.Completed {
				want = 1
			}
			confirmed, archived := published[subject+" agreement.confirmed"], published[subject+" agreement.archived"]
			if len(confirmed) != want || len(archived) != want {
				s.world.problem("%s, %q at its vendor, was confirmed %d and archived %d times", subject, f.status, len(confirmed),
					len(archived))
				continue
			}
			if untrue && !slices.ContainsFunc(s.after.jobs.dead,
				func(body string) bool { return strings.Contains(body, f.id) }) && ours.Status == esign.Completed {
				s.world.problem("%s was never completed, and no job is a dead letter", subject)
			}
			for _, e := range archived {
				s.checkDocuments(e)
			}
		}
	}
	if len(s.after.jobs.waiting) > 0 {
		s.world.problem("%d jobs are not done", len(s.after.jobs.waiting))
	}
}

// checkDocuments checks that the event lists the stored documents.
func (s *simulation) checkDocuments(e ledger.Entry) {
	if len(e.Event.Documents) != 2 {
		s.world.problem("%s was archived with %d documents", e.Subject, len(e.Event.Documents))
	}
	for _, d := range e.Event.Documents {
		stored := s.after.documents.stored(document.Key(e.Provider, e.AgreementID, d.Name))
		if stored.Size == 0 || stored.SHA256 != d.SHA256 || stored.Size != d.Size || stored.Location != d.Location {
			s.world.problem("%s: the event names %+v, stored is %+v", e.Subject, d, stored)
		}
	}
}
