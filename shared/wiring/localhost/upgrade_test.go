package localhost

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// released is a gateway of one release.
type released struct {
	*Gateway
	webhook.Provider
}

func release(t *testing.T, data string, p webhook.Provider) released {
	return released{openFolder(t, data, p), p}
}

// post delivers an event through a subscription.
func (r released) post(t *testing.T, e acmesign.Event, via string) {
	t.Helper()
	e.Via = via
	deliver(t, r.Gateway, acmesign.Request(e))
}

// deliver sends a request, which must be acknowledged.
func deliver(t *testing.T, g *Gateway, request *webhook.Request) {
	t.Helper()
	over := httptest.NewRequest("POST", "/webhooks/acmesign", bytes.NewReader(request.Body))
	over.Header = request.Header
	answer := httptest.NewRecorder()
	if g.ServeHTTP(answer, over); answer.Code != 200 {
		t.Fatalf("%s was answered %d", request.Body, answer.Code)
	}
}

func (r released) identity(t *testing.T, e acmesign.Event) webhook.Identity {
	t.Helper()
	ids, err := r.Identify(acmesign.Request(e))
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// awaitState waits until an event has a state under its ID in this release.
func (r released) awaitState(t *testing.T, e acmesign.Event, want ledger.State) {
	t.Helper()
	id := r.identity(t, e)
	await(t, e.Type+" becomes "+string(want), func() bool {
		found, err := r.ledger.Event(t.Context(), ledger.Key{Subject: id.Subject, ID: id.EventID})
		return err == nil && found.State == want
	})
}

// published returns how often each event was published, by its ID.
func (r released) published(t *testing.T) (first, replayed map[string]int) {
	t.Helper()
	all, err := r.bus.Events()
	if err != nil {
		t.Fatal(err)
	}
	first, replayed = map[string]int{}, map[string]int{}
	for _, p := range all {
		var d bus.Detail
		if err := json.Unmarshal(p.Envelope.Detail, &d); err != nil {
			t.Fatal(err)
		}
		if d.Replay {
			replayed[d.EventID]++
		} else {
			first[d.EventID]++
		}
	}
	return first, replayed
}

// A later release calls the same events differently. The vendor retries, a second subscription delivers copies, and an
// operator redrives and replays. Each event is published once, under the ID that it was first processed under.
func TestAnUpgradeThatChangesEventIDsPublishesEachEventOnce(t *testing.T) {
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	event := func(number int64, typ string) acmesign.Event {
		at = at.Add(time.Second)
		return acmesign.Event{Number: number, Type: typ, Agreement: "a", At: at}
	}
	sent, viewed, signed := event(1, "sent"), event(2, "viewed"), event(3, "signed")
	purged, again := event(0, "purged"), event(0, "purged") // the earlier release gives both one ID
	data := t.TempDir()

	earlier := release(t, data, acmesign.Provider{})
	want := map[string]int{}
	for _, e := range []acmesign.Event{sent, viewed, purged} {
		want[earlier.identity(t, e).EventID] = 1
	}
	stop := serve(t, earlier.Gateway)
	for _, e := range []acmesign.Event{sent, purged} {
		earlier.post(t, e, "callback/1")
		earlier.awaitState(t, e, ledger.Processed)
	}
	stop()
	earlier = release(t, data, acmesign.Provider{})
	earlier.post(t, viewed, "callback/1") // is in the queue during the upgrade
	letter, _ := queue.Encode(webhooktest.Delivery(earlier.Provider, acmesign.Request(signed), earlier.identity(t, signed),
		esign.ProofSigned))
	if err := earlier.dead.Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if err := earlier.db.Close(); err != nil {
		t.Fatal(err)
	}

	later := release(t, data, acmesign.Provider{Renamed: true})
	for _, e := range []acmesign.Event{signed, again} {
		want[later.identity(t, e).EventID] = 1
	}
	for _, via := range []string{"callback/1", "callback/2"} {
		later.post(t, viewed, via) // the earlier message is still in the queue
	}
	stop = serve(t, later.Gateway)
	for range 2 {
		for _, e := range []acmesign.Event{sent, signed, purged, again} {
			for _, via := range []string{"callback/1", "callback/2"} {
				later.post(t, e, via)
			}
		}
	}
	for _, e := range []acmesign.Event{sent, viewed, purged} {
		later.awaitState(t, e, ledger.Duplicate)
	}
	for _, e := range []acmesign.Event{signed, again} {
		later.awaitState(t, e, ledger.Processed)
	}
	var report bytes.Buffer
	if err := later.redrive(t.Context(), &report); err != nil {
		t.Fatal(err)
	}
	released{later.Gateway, acmesign.Provider{}}.awaitState(t, signed, ledger.Duplicate)
	run, err := operate.Parse([]string{"replay", "-provider", acmesign.Name, "-id", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Act(t.Context(), &report, later.target()); err != nil {
		t.Fatal(err)
	}
	var first, replayed map[string]int
	await(t, "publishing", func() bool {
		first, replayed = later.published(t)
		return len(first) >= len(want)
	})
	for name, got := range map[string]map[string]int{"published": first, "replayed": replayed} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	shown, err := later.ledger.Events()
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	for _, e := range shown {
		events[e.ID]++
		if e.ID == earlier.identity(t, sent).EventID && (e.Duplicates != 4 || len(e.Via) != 2) {
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("shown: %s", diff)
	}
	if _, version, err := later.ledger.Agreement(t.Context(), "acmesign#a"); err != nil || version != int64(len(want)) {
		t.Errorf("the agreement has version %d, %v", version, err)
	}
	stop()
}

// immature reads who an event is about, but not what has happened.
type immature struct{ acmesign.Provider }

func (immature) Normalize(*webhook.Delivery) (esign.Event, error) {
	return esign.Event{}, webhook.ErrUnreadable
}

// A later release can read what the earlier one could not. The vendor's next copy arrives at once.
func TestAMendedParserReadsLaterCopies(t *testing.T) {
	data, e := t.TempDir(), acmesign.Event{Number: 1, Type: "completed", Agreement: "a", At: time.Now().Add(-time.Hour)}
	earlier := release(t, data, immature{})
	stop := serve(t, earlier.Gateway)
	earlier.post(t, e, "callback/1")
	earlier.awaitState(t, e, ledger.Unreadable)
	stop()
	later := release(t, data, acmesign.Provider{})
	stop = serve(t, later.Gateway)
	defer stop()
	later.post(t, e, "callback/2")
	later.awaitState(t, e, ledger.Processed)
	later.post(t, e, "callback/2")
	if shown, err := later.ledger.Events(); err != nil || len(shown) != 1 || shown[0].Duplicates != 2 {
		t.Errorf("%+v, %v", shown, err)
	}
}
