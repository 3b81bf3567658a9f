package localhost

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/operate"
	"esignhooks/shared/webhook"
)

func TestEventsOfAStackArePulled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := release(t, t.TempDir(), acmesign.Provider{Renamed: true})
		defer serve(t, g.Gateway)()
		at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
		pulled := func(e acmesign.Event, proof esign.Proof) operate.Pulled {
			r := acmesign.Request(e)
			ids, err := g.Identify(r)
			if err != nil {
				t.Fatal(err)
			}
			return operate.Pulled{Provider: acmesign.Name, EventID: ids[0].EventID, ReceivedAt: at, Proof: proof, Payload: r.Body}
		}
		sent := pulled(acmesign.Event{Number: 1, Type: "sent", Agreement: "a1", At: at}, esign.ProofURLToken)
		large := pulled(acmesign.Event{Number: 2, Type: "completed", Agreement: "a1", At: at,
			Via: strings.Repeat("x", 2<<20)}, esign.ProofSigned)
		former := pulled(acmesign.Event{Number: 3, Type: "sent", Agreement: "a2", At: at}, esign.ProofSigned)
		ids, _ := g.Identify(&webhook.Request{Body: former.Payload})
		former.EventID = ids[0].FormerIDs[0].ID
		unknown, forged, unreadable, elsewhere := sent, sent, sent, sent
		unknown.EventID, forged.Proof, unreadable.Payload, elsewhere.Provider = "0", esign.ProofConfirmed, []byte("?"), "nosign"
		for _, tt := range []struct {
			behaviour string
			pulled    operate.Pulled
			status    int
			isNew     bool
		}{
			{"a new event", sent, 200, true},
			{"again", sent, 200, false},
			{"a large payload", large, 200, true},
			{"under a former ID", former, 200, true},
			{"another event", unknown, 422, false},
			{"a proof that no request has", forged, 422, false},
			{"what cannot be read", unreadable, 422, false},
			{"another provider", elsewhere, 422, false},
		} {
			body, _ := json.Marshal(tt.pulled)
			answer := g.ask("POST", "/api/pull", string(body), http.Header{"Content-Type": {"application/json"}})
			var state struct{ New bool }
			json.Unmarshal(answer.Body.Bytes(), &state)
			if answer.Code != tt.status || state.New != tt.isNew {
				t.Errorf("%s: %d %s", tt.behaviour, answer.Code, answer.Body)
			}
			time.Sleep(time.Minute)
		}
		listed := read[struct{ Events []event }](t, g.Gateway, "/api/events")
		if len(listed.Events) != 3 {
			t.Fatalf("%d events", len(listed.Events))
		}
		for _, e := range listed.Events {
			proof := map[string]esign.Proof{sent.EventID: esign.ProofURLToken}[e.ID]
			if proof == "" {
				proof = esign.ProofSigned
			}
			if !e.Pulled || e.Proof != proof || !e.ReceivedAt.Equal(at) || e.State != "processed" {
				t.Errorf("%+v", e)
			}
		}
		if a := read[esign.Agreement](t, g.Gateway, "/api/agreements/acmesign/a1"); a.Status != esign.Completed {
			t.Errorf("the agreement is %s", a.Status)
		}
		foreign := g.ask("POST", "/api/pull", "{}", http.Header{"Content-Type": {"application/json"},
			"Sec-Fetch-Site": {"cross-site"}})
		if foreign.Code != http.StatusForbidden {
			t.Errorf("another web page gets %d", foreign.Code)
		}
	})
}
