// Package finding is what we found out ourselves, by asking a vendor's API: that an agreement has a status, that a
// completion is true, where its documents are stored. A finding takes the way of every delivery, through the queue and the
// worker into the table and onto the bus, so that it too is kept, folded, published and repeated without a second effect.
package finding

import (
	"encoding/json"
	"fmt"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// body is the payload of a delivery that is a finding.
type body struct {
	Type        esign.Type        `json:"type"`
	Kind        string            `json:"kind"`
	AgreementID string            `json:"agreementId"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Documents   []esign.Document  `json:"documents,omitempty"`
}

// The kinds of findings. They stand where a vendor's name of the event would.
const (
	reconciled = "reconciled"
	confirmed  = "confirmed"
	archived   = "archived"
)

// Reconciled is that an agreement has a status that no webhook has told of yet. A webhook that comes late is recorded, and
// changes no status. occurredAt is zero if the vendor does not tell.
func Reconciled(provider, agreementID string, status esign.Status, vendorStatus string, occurredAt, now time.Time) webhook.Delivery {
	b := body{Type: esign.Type("agreement." + status), Kind: reconciled, OccurredAt: occurredAt, Attributes: attributes(vendorStatus)}
	return b.delivery(provider, agreementID, now, string(status))
}

// Confirmed is that the vendor's API says of an agreement that it is completed.
func Confirmed(provider, agreementID, vendorStatus string, now time.Time) webhook.Delivery {
	b := body{Type: esign.AgreementConfirmed, Kind: confirmed, OccurredAt: now, Attributes: attributes(vendorStatus)}
	return b.delivery(provider, agreementID, now, string(esign.Completed))
}

// Archived is that the documents of an agreement are stored, at the given time.
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

// delivery makes the finding one. However often it is found, its event ID is the same.
func (b body) delivery(provider, agreementID string, now time.Time, identity ...string) webhook.Delivery {
	subject := webhook.AgreementSubject(provider, agreementID)
	b.AgreementID = webhook.AgreementID(agreementID)
	payload, _ := json.Marshal(b) // texts and times always marshal
	return webhook.Delivery{
		Provider: provider, EventID: webhook.EventID(provider, append([]string{b.Kind, subject}, identity...)...), Subject: subject,
		Via: b.Kind, ReceivedAt: now.UTC(), Proof: esign.ProofConfirmed, ContentType: "application/json", Payload: payload,
	}
}

// Is says whether a delivery is a finding. No receiver can make one of a request: Verify never says so much.
func Is(d *webhook.Delivery) bool { return d.Proof == esign.ProofConfirmed }

// Event says what a finding means, as [webhook.Provider]'s Normalize does of a vendor's delivery.
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
