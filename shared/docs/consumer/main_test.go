package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/outlet"
	"esignhooks/shared/store/bus"
)

func TestTheApplicationActsOncePerStatusAndPaysWhatIsConfirmed(t *testing.T) {
	id := strings.Repeat("0a", 32)
	deal := map[string]string{"deal_id": "d1"}
	for name, tt := range map[string]struct {
		typ        esign.Type
		references map[string]string
		change     func(*bus.Detail)
		want       action
	}{
		"a new status": {esign.AgreementCompleted, deal, func(d *bus.Detail) { d.StatusChanged = true },
			action{"d1", "show completed", id}},
		"no new status":  {esign.AgreementCompleted, deal, func(*bus.Detail) {}, action{}},
		"another sender": {esign.AgreementCompleted, nil, func(d *bus.Detail) { d.StatusChanged = true }, action{}},
		"confirmed":      {esign.AgreementConfirmed, deal, func(*bus.Detail) {}, action{"d1", "pay", id}},
		"replayed":       {esign.AgreementConfirmed, deal, func(d *bus.Detail) { d.Replay = true }, action{"d1", "pay", id}},
		"not reached": {esign.AgreementUndeliverable, deal, func(d *bus.Detail) { d.Event.Cause = esign.CauseBounced },
			action{"d1", "notify the sender: bounced", id}},
	} {
		e := bus.Event{DetailType: string(tt.typ), Detail: bus.Detail{
			EventID: id, StatusAfter: esign.Completed, Event: esign.Event{ID: id, Type: tt.typ},
			Agreement: &esign.Agreement{ID: "a", Status: esign.Completed, References: tt.references},
		}}
		tt.change(&e.Detail)
		envelope, err := outlet.Envelope(e, "", "", "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := decide(envelope)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(action{})); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		if err := handle(t.Context(), envelope); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
