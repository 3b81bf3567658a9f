// Package finding makes events from what we learned by asking a vendor's API: that an agreement has a status, that a
// completion is genuine, where its documents are stored. A finding is processed like every delivery: queued, folded,
// stored and published, once in effect.
package finding

import (
	"encoding/json"
	"fmt"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// body is the payload of a finding.
type body struct {
	Type        esign.Type        `json:"type"`
	Kind        string            `json:"kind"`
	AgreementID string            `json:"agreementId"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Documents   []esign.Document  `json:"documents,omitempty"`
}

// The kinds of findings. A finding's kind takes the place of the vendor's event name.
const (
	reconciled = "reconciled"
	confirmed  = "confirmed"
	archived   = "archived"
)

// Reconciled reports that an agreement has a status that no webhook has reported yet. If that webhook arrives later, it
// is recorded but changes no status. occurredAt is zero if the vendor does not report it.
func Reconciled(
	provider, agreementID string, status esign.Status, vendorStatus string, occurredAt, now time.Time,
) webhook.Delivery {
	b := body{
		Type: esign.Type("agreement." + status), Kind: reconciled,
		OccurredAt: occurredAt, Attributes: attributes(vendorStatus),
	}
	return b.delivery(provider, agreementID, now, string(status))
}

// Confirmed reports that the vendor's API confirms the completion of an agreement.
func Confirmed(provider, agreementID, vendorStatus string, now time.Time) webhook.Delivery {
	b := body{Type: esign.AgreementConfirmed, Kind: confirmed, OccurredAt: now, Attributes: attributes(vendorStatus)}
	return b.delivery(provider, agreementID, now, string(esign.Completed))
}

// Archived reports that the documents of an agreement were stored at the given time.
func Archived(provider, agreementID string, documents []esign.Document, at, now time.Time) webhook.Delivery {
	b := body{Type: esign.AgreementArchived, Kind: archived, OccurredAt: at, Documents: documents}
	return b.delivery(provider, agreementID, now)
}

func attributes(vendorStatus string) map[string]string {
	if label := webhook.Label(vendorStatus); label != "" {
		return map[string]string{"vendorStatus": label}
	}
	return nil
}

// delivery returns the finding as a delivery. The same finding always has the same event ID.
func (b body) delivery(provider, agreementID string, now time.Time, identity ...string) webhook.Delivery {
	subject := webhook.AgreementSubject(provider, agreementID)
	b.AgreementID = webhook.AgreementID(agreementID)
	payload, _ := json.Marshal(b) // strings and times always marshal
	return webhook.Delivery{
		Provider: provider, EventID: webhook.EventID(provider, append([]string{b.Kind, subject}, identity...)...),
		Subject: subject, Via: b.Kind, ReceivedAt: now.UTC(), Proof: esign.ProofConfirmed,
		ContentType: "application/json", Payload: payload,
	}
}

// Is reports whether a delivery is a finding. A receiver cannot make one, since Verify never returns this proof.
func Is(d *webhook.Delivery) bool { return d.Proof == esign.ProofConfirmed }

// Event returns the event of a finding, as [webhook.Provider]'s Normalize does for a vendor's delivery.
func Event(d *webhook.Delivery) (esign.Event, error) {
	var b body
	if err := json.Unmarshal(d.Payload, &b); err != nil || b.Type == "" || b.AgreementID == "" {
		return esign.Event{}, fmt.Errorf("finding: %w", webhook.ErrUnreadable)
	}
	return esign.Event{
		Type: b.Type, VendorType: b.Kind, AgreementID: b.AgreementID, OccurredAt: b.OccurredAt,
		Attributes: b.Attributes, Documents: b.Documents,
	}, nil
}
