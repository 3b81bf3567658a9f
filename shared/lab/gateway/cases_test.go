package gateway

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"esignhooks/shared/webhook/webhooktest"
)

// TestCases sends each public case to a gateway of its own, and compares what the read API then shows.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range webhooktest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			g := start(t, webhooktest.CaseKeys...)
			var o webhooktest.Outcome
			for _, r := range c.Requests {
				sent := request{method: r.Method, path: r.Path, body: string(r.Body), header: map[string]string{}}
				for _, h := range r.Headers {
					sent.header[h[0]] = h[1]
				}
				got := g.send(sent)
				o.Answered(got.Status, []byte(got.Body))
			}
			g.outcome(&o)
			o.Check(t, c.Right)
		})
	}
}

// outcome adds what the read API and the log show.
func (g *gateway) outcome(o *webhooktest.Outcome) {
	g.t.Helper()
	all := g.events()
	g.await("publication of all events", func() bool {
		processed := slices.DeleteFunc(slices.Clone(all), func(e event) bool { return e.State != "processed" })
		return len(g.published()) >= len(processed)
	})
	after := map[string]string{}
	for _, p := range g.published() {
		after[p.Envelope.Detail.EventID] = string(p.Envelope.Detail.StatusAfter)
	}
	o.Agreements, o.Log = map[string]any{}, g.log.String()
	slices.SortStableFunc(all, func(a, b event) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	for _, e := range all {
		o.Events = append(o.Events, map[string]any{
			"type": e.Type, "agreement": e.AgreementID, "duplicates": e.Duplicates, "occurredAt": e.OccurredAt, "state": e.State,
			"status": after[e.ID],
		})
		if e.AgreementID == "" {
			continue
		}
		var a struct {
			Status       string
			Conflict     bool
			Reached      map[string]time.Time
			Participants map[string]struct{ Status string }
		}
		g.read("/api/agreements/"+e.Provider+"/"+url.PathEscape(e.AgreementID), &a)
		participants := []string{}
		for _, p := range a.Participants {
			participants = append(participants, p.Status)
		}
		slices.Sort(participants)
		o.Agreements[e.Provider+"/"+e.AgreementID] = map[string]any{
			"status": a.Status, "conflict": a.Conflict, "reached": a.Reached, "participants": participants,
		}
	}
}
