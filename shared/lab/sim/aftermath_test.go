package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/provider/dropboxsign"
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
	clients     func(context.Context, string) (vendorapi.Client, error)
	log         bytes.Buffer // the archiver's errors
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
	a.clients = func(_ context.Context, name string) (vendorapi.Client, error) { return a.offices[name], nil }
	a.archiver = &archive.Archiver{Clients: a.clients, Documents: a.documents, Queue: s.queue, Jobs: a.jobs,
		Notes: s.table, Tombstones: s.table, Now: time.Now,
		Log: slog.New(slog.NewJSONHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelError}))}
	for _, p := range simulated() {
		a.reconcilers = append(a.reconcilers, &reconcile.Reconciler{
			Providers: []webhook.Provider{p}, Clients: a.clients, Agreements: s.table, Tombstones: s.table, Notes: s.table,
			Table: s.table, Queue: s.queue,
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
	if c.rarely(3) {
		vendors = append(vendors, s.foreigner())
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
		s.mapping("operator", "redrives the archiver's dead letters", func() {
			s.checkForged() // before there are credentials of another account
			s.after.jobs.redrive()
		})
		s.grant()
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

// impostor completes an agreement that was only sent, or does not exist, with a request that passes for genuine. An
// agreement that does not exist is said to be another account's.
func (s *simulation) impostor() func() {
	var reported []*happening
	report := func(p webhook.Provider, example string, status esign.Status) *happening {
		base, id := about(s.t, p, example, 0x99)
		h := &happening{provider: p, agreement: id, example: example, status: status, base: base, readable: true,
			untrue: status == esign.Completed}
		reported = append(reported, h)
		return h
	}
	switch s.world.choices.choose(3) {
	case 0:
		report(adobesign.Provider{}, "agreement-sent", esign.Sent)
		report(adobesign.Provider{}, "agreement-completed", esign.Completed)
	case 1: // who knows the signature of another request
		h := report(dropboxsign.Provider{}, "signature-request-all-signed", esign.Completed)
		h.base.Header.Del("Content-Sha256")
		h.name(foreignAccount("dropboxsign"))
	case 2: // who has stolen the key
		report(docusign.Provider{}, "envelope-completed", esign.Completed).name("7305528")
	}
	s.happenings = append(s.happenings, reported...)
	return func() { s.report("impostor", reported, 1, make([]time.Duration, len(reported))) }
}

// name makes a happening one of another account.
func (h *happening) name(account string) {
	h.base.Body = bytes.ReplaceAll(h.base.Body, []byte(accounts[h.provider.Info().Name]), []byte(account))
}

// foreigner reports the completion of an agreement of an account without credentials.
func (s *simulation) foreigner() func() {
	c := s.world.choices
	p, examples := webhook.Provider(docusign.Provider{}), []string{"envelope-sent", "envelope-completed"}
	if c.choose(2) == 1 {
		p, examples = dropboxsign.Provider{}, []string{"signature-request-sent", "signature-request-all-signed"}
	}
	var reported []*happening
	for i, example := range examples {
		base, id := about(s.t, p, example, 0x88)
		h := &happening{provider: p, agreement: id, example: example, status: []esign.Status{esign.Sent, esign.Completed}[i],
			base: base, readable: true, foreign: true}
		h.name(foreignAccount(p.Info().Name))
		reported = append(reported, h)
	}
	s.happenings = append(s.happenings, reported...)
	if c.rarely(3) { // an operator acts at once
		s.world.start(func() {
			time.Sleep([]time.Duration{time.Minute, time.Hour, day}[c.choose(3)])
			s.grant()
		})
	}
	return func() { s.report("foreigner", reported, 1, make([]time.Duration, len(reported))) }
}

// grant adds credentials of the foreign accounts, and has the archiver ask again.
func (s *simulation) grant() {
	s.mapping("operator", "adds credentials", func() {
		for _, o := range s.after.offices {
			o.granted = true
		}
	})
	target := operate.Target{Providers: simulated(), Clients: s.after.clients, Notes: s.table,
		Archive: func(ctx context.Context, e bus.Event) error {
			return s.world.do(ctx, "queue again", networkFaults, func() error { s.after.jobs.add(archive.Job(e)); return nil })
		}}
	s.world.run("operator asks again", 5*time.Minute,
		func(ctx context.Context) { operate.AskAgain(ctx, io.Discard, target) })
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
			if ours.Status != f.status && !untrue && !f.foreign {
				s.world.problem("%s is %q, at its vendor %q", subject, ours.Status, f.status)
			}
			want := 0
			if f.status == esign.Completed && (!f.foreign || ours.Status == esign.Completed) {
				want = 1
			}
			confirmed, archived := published[subject+" agreement.confirmed"], published[subject+" agreement.archived"]
			if len(confirmed) != want || len(archived) != want {
				s.world.problem("%s, %q at its vendor, was confirmed %d and archived %d times", subject, f.status, len(confirmed),
					len(archived))
				continue
			}
			if f.foreign && s.after.calledForged(f.id) {
				s.world.problem("%s is another account's, and called forged", subject)
			}
			for _, e := range archived {
				s.checkDocuments(e)
			}
		}
	}
	s.checkForged()
	for _, h := range s.happenings {
		subject := webhook.AgreementSubject(h.provider.Info().Name, h.agreement)
		if h.untrue && len(published[subject+" agreement.confirmed"]) > 0 {
			s.world.problem("%s was never completed, and is confirmed", subject)
		}
	}
	if len(s.after.jobs.waiting) > 0 {
		s.world.problem("%d jobs are not done", len(s.after.jobs.waiting))
	}
}

// checkForged checks that an alarm has started for each completion that an impostor made up, and that the job is a dead
// letter.
func (s *simulation) checkForged() {
	for _, h := range s.happenings {
		subject := webhook.AgreementSubject(h.provider.Info().Name, h.agreement)
		isDead := slices.ContainsFunc(s.after.jobs.dead,
			func(body string) bool { return strings.Contains(body, h.agreement) })
		if h.untrue && s.table.agreements[subject].agreement.Status == esign.Completed &&
			!(isDead && s.after.calledForged(h.agreement)) {
			s.world.problem("%s was never completed, and not called forged", subject)
		}
	}
}

// calledForged reports whether the archiver has called the completion of an agreement forged, which starts an alarm.
func (a *aftermath) calledForged(agreement string) bool {
	for line := range strings.Lines(a.log.String()) {
		if strings.Contains(line, `"msg":"forged"`) && strings.Contains(line, agreement) {
			return true
		}
	}
	return false
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
