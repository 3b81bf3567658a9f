package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// envelope is the form in which applications receive events.
type envelope struct {
	Version, ID, Source, Account, Region string
	DetailType                           string `json:"detail-type"`
	Time                                 time.Time
	Resources                            []string
	Detail                               detail
}

type detail struct {
	EventID, Proof            string
	StatusBefore, StatusAfter string
	StatusChanged, Replay     bool
	Event                     struct{ ID, Provider, Type, AgreementID string }
	Agreement                 *struct{ Provider, ID, Status string }
}

// application is a developer's application, to which events are forwarded.
type application struct {
	*httptest.Server
	mu     sync.Mutex
	got    []envelope
	answer func(envelope) int // status; nil is 204
}

func startApplication(t *testing.T, answer func(envelope) int) *application {
	a := &application{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var e envelope
		if err != nil || json.Unmarshal(body, &e) != nil || r.Method != "POST" ||
			r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/events" {
			t.Errorf("%s %s %v: %q, %v", r.Method, r.URL, r.Header, body, err)
		}
		status := http.StatusNoContent
		if a.answer != nil {
			status = a.answer(e)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, e)
		w.WriteHeader(status)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *application) variable() string { return "FORWARD_URL=" + a.URL + "/events" }

func (a *application) envelopes() []envelope {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.got)
}

type published struct {
	Envelope envelope
	State    string
	Attempts int
	Error    string
}

func (g *gateway) published() []published {
	g.t.Helper()
	var list struct{ Published []published }
	if status := g.read("/api/published", &list); status != http.StatusOK {
		g.t.Fatalf("/api/published: %d", status)
	}
	return list.Published
}

func TestEveryCommittedEventIsForwardedOnce(t *testing.T) {
	t.Parallel()
	app := startApplication(t, nil)
	g := start(t, app.variable())
	id := guid()
	for _, event := range []string{"envelope-sent", "envelope-delivered", "envelope-completed"} {
		r := message(id, event)
		g.accept(r, r, r)
	}
	history := g.agreement(reference, id).Events
	g.await("forwarding", func() bool { return len(app.envelopes()) >= 3 })
	time.Sleep(300 * time.Millisecond) // for more than there should be
	if len(app.envelopes()) != 3 {
		t.Fatalf("%+v", app.envelopes())
	}
	var changes []string
	for i, e := range app.envelopes() {
		if want := (envelope{Version: "0", ID: e.ID, Source: "esign." + reference, Account: "000000000000",
			Region: "localhost", DetailType: history[i].Type,
			Time: e.Time, Resources: []string{}, Detail: e.Detail}); !cmp.Equal(want, e) {
			t.Error(cmp.Diff(want, e))
		}
		if time.Since(e.Time) > time.Hour || e.ID == "" {
			t.Errorf("%+v", e)
		}
		if d := e.Detail; d.EventID != history[i].ID || d.Event.ID != d.EventID || d.Proof != "signed" ||
			d.Agreement.ID != id || d.Agreement.Status != d.StatusAfter || d.Replay {
			t.Errorf("%+v", d)
		}
		changes = append(changes, fmt.Sprintf("%s>%s %v", e.Detail.StatusBefore, e.Detail.StatusAfter,
			e.Detail.StatusChanged))
	}
	if diff := cmp.Diff([]string{">sent true", "sent>viewed true", "viewed>completed true"}, changes); diff != "" {
		t.Error(diff)
	}
	for i, p := range g.published() { // the last first
		if p.State != "forwarded" || p.Attempts != 1 || !cmp.Equal(p.Envelope, app.envelopes()[2-i]) {
			t.Errorf("%+v", p)
		}
	}
}

func TestAnEventThatTheApplicationRefusesIsRetried(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	refused := map[string]bool{}
	app := startApplication(t, func(e envelope) int {
		mu.Lock()
		defer mu.Unlock()
		if first := !refused[e.ID]; first {
			refused[e.ID] = true
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	g := start(t, app.variable())
	g.accept(message(guid(), "envelope-completed"))
	g.await("second attempt", func() bool { return len(app.envelopes()) == 2 })
	first, second := app.envelopes()[0], app.envelopes()[1]
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	g.await("success", func() bool { return g.published()[0].State == "forwarded" })
	if p := g.published()[0]; p.Attempts != 2 || p.Error != "" {
		t.Errorf("%+v", p)
	}
	if strings.Contains(g.output.String(), app.URL) {
		t.Error("the output shows FORWARD_URL")
	}
}

func TestEventsArePublishedWithoutAnApplication(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.accept(message(guid(), "envelope-completed"))
	g.await("publication", func() bool { return len(g.published()) == 1 })
	if p := g.published()[0]; p.State != "unforwarded" || p.Attempts != 0 ||
		p.Envelope.DetailType != "agreement.completed" {
		t.Errorf("%+v", p)
	}
	if got := g.send(request{method: "GET", path: "/api/published",
		host: "tunnel.example"}); got.Status != http.StatusNotFound {
		t.Errorf("through a tunnel: %d", got.Status)
	}
}

func TestCommittedEventsArePublishedAfterAKill(t *testing.T) {
	t.Parallel()
	app := startApplication(t, nil)
	g := start(t, app.variable())
	c := crowd{sent: map[string]request{}, acknowledged: map[string]bool{}}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { c.work(g) })
	}
	g.await("acknowledgements", func() bool { return c.count() > 60 })
	g.stop(syscall.SIGKILL)
	group.Wait()
	g = startIn(t, g.data, g.env...)
	g.await("forwarding of all that was acknowledged", func() bool {
		forwarded := map[string]bool{}
		for _, e := range app.envelopes() {
			forwarded[e.Detail.Event.AgreementID] = true
		}
		for id := range c.acknowledged {
			if !forwarded[id] {
				return false
			}
		}
		return true
	})
	changed := map[string]string{}      // agreement → the event that changed its status
	for _, e := range app.envelopes() { // perhaps twice, since it was killed
		id := e.Detail.Event.AgreementID
		if event, ok := changed[id]; !e.Detail.StatusChanged || ok && event != e.Detail.EventID {
			t.Errorf("%+v after %s", e, event)
		}
		changed[id] = e.Detail.EventID
	}
}

func TestAnInvalidForwardURLIsReportedWithoutItsValue(t *testing.T) {
	t.Parallel()
	out, err := command(t.TempDir(), "FORWARD_URL=canary:8080/events").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "FORWARD_URL") || strings.Contains(string(out), "canary") {
		t.Errorf("%v\n%s", err, out)
	}
}
