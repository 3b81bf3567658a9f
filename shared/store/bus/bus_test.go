package bus_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
)

func TestEventOf(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	completed := esign.Event{
		ID: "e1", Provider: "acmesign", Type: esign.AgreementCompleted, AgreementID: "a1",
		OccurredAt: at.Add(-time.Hour), Proof: esign.ProofPartlySigned,
	}
	after := esign.Fold(esign.Agreement{}, completed)
	template := esign.Event{
		ID: "e2", Provider: "acmesign", Type: esign.TemplateCreated, OccurredAt: at, Proof: esign.ProofClientID,
	}
	entry := func(before esign.Status) ledger.Entry {
		return ledger.Entry{
			ProcessedAt: at, Event: &completed, Agreement: &after, StatusBefore: before, StatusAfter: esign.Completed,
		}
	}
	for name, tt := range map[string]struct {
		entry ledger.Entry
		want  bus.Event
	}{
		"a status is entered": {
			entry(esign.Sent),
			bus.Event{Source: "esign.acmesign", DetailType: "agreement.completed", Time: at, Detail: bus.Detail{
				Version: 1,
				EventID: "e1", Proof: esign.ProofPartlySigned, StatusBefore: esign.Sent, StatusAfter: esign.Completed,
				StatusChanged: true, Event: completed, Agreement: &after,
			}},
		},
		"the status is the same": {
			entry(esign.Completed),
			bus.Event{Source: "esign.acmesign", DetailType: "agreement.completed", Time: at, Detail: bus.Detail{
				Version: 1,
				EventID: "e1", Proof: esign.ProofPartlySigned, StatusBefore: esign.Completed,
				StatusAfter: esign.Completed, Event: completed, Agreement: &after,
			}},
		},
		"not about an agreement": {
			ledger.Entry{ProcessedAt: at, Event: &template},
			bus.Event{Source: "esign.acmesign", DetailType: "template.created", Time: at, Detail: bus.Detail{
				Version: 1,
				EventID: "e2", Proof: esign.ProofClientID, Event: template,
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, bus.EventOf(tt.entry)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
