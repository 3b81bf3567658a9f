// Package finding makes events from what we learned by asking a vendor's API: that an agreement has a status, that a
// completion is genuine, where its documents are stored. A finding is processed like every delivery: queued, folded,
// stored and published, once in effect.
package finding

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// body is the payload of a finding. An older release ignores the members that it does not know.
type body struct {
	Type        esign.Type        `json:"type"`
	Kind        string            `json:"kind"`
	AgreementID string            `json:"agreementId"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Documents   []esign.Document  `json:"documents,omitempty"`
	Said
}

// Said is what a vendor's answer states of an agreement apart from its status, as in [esign.Event]. What the answer
// leaves out is absent.
type Said struct {
	References      map[string]string   `json:"references,omitempty"`
	SharedReference string              `json:"sharedReference,omitempty"`
	Participants    []esign.Participant `json:"participants,omitempty"`
}

// maxReferences limits the references of a finding, in bytes of JSON.
const maxReferences = 64 << 10

// bounded returns s without what no event carries, so that a finding always fits in a message. It keeps one code point
// more of a value than an event carries: the worker sees that the value is cut.
func (s Said) bounded() Said {
	var references map[string]string
	size := 0
	for _, name := range slices.Sorted(maps.Keys(s.References)) {
		if utf8.RuneCountInString(name) > esign.MaxReferenceName {
			continue
		}
		value := esign.Truncate(s.References[name], esign.MaxReference+1)
		encoded, _ := json.Marshal(name + value) // texts always marshal
		if size += len(encoded); size > maxReferences {
			break
		}
		if references == nil {
			references = map[string]string{}
		}
		references[name] = value
	}
	people := slices.Clone(s.Participants)
	for i, p := range people {
		people[i].Reference = esign.Truncate(p.Reference, esign.MaxPersonReference+1)
	}
	people = esign.Event{Participants: people}.Limited().Participants
	return Said{references, esign.Truncate(s.SharedReference, esign.MaxReferenceName), people}
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
	provider, agreementID string, status esign.Status, vendorStatus string, occurredAt, now time.Time, said Said,
) webhook.Delivery {
	b := body{
		Type: esign.Type("agreement." + status), Kind: reconciled,
		OccurredAt: occurredAt, Attributes: attributes(vendorStatus), Said: said.bounded(),
	}
	return b.delivery(provider, agreementID, now, string(status))
}

// Updated reports facts about an agreement that no webhook has reported. It changes no status. asked is when the vendor
// stated them. differences are what is new; the same ones make the same finding.
func Updated(
	provider, agreementID, vendorStatus string, asked, now time.Time, said Said, differences []string,
) webhook.Delivery {
	b := body{
		Type: esign.AgreementUpdated, Kind: reconciled, OccurredAt: asked, Attributes: attributes(vendorStatus),
		Said: said.bounded(),
	}
	return b.delivery(provider, agreementID, now, append([]string{"updated"}, differences...)...)
}

// Confirmed reports that the vendor's API confirms the completion of an agreement.
func Confirmed(provider, agreementID, vendorStatus string, now time.Time, said Said) webhook.Delivery {
	b := body{
		Type: esign.AgreementConfirmed, Kind: confirmed, OccurredAt: now, Attributes: attributes(vendorStatus),
		Said: said.bounded(),
	}
	return b.delivery(provider, agreementID, now, string(esign.Completed))
}

// Archived reports that the documents of an agreement were stored at the given time.
func Archived(provider, agreementID string, documents []esign.Document, at, now time.Time) webhook.Delivery {
	b := body{Type: esign.AgreementArchived, Kind: archived, OccurredAt: at, Documents: documents}
	return b.delivery(provider, agreementID, now)
}

// FormData reports that the form data of an archived agreement was stored at the given time, after its documents were.
// documents are all that are stored of the agreement.
func FormData(provider, agreementID string, documents []esign.Document, at, now time.Time) webhook.Delivery {
	b := body{Type: esign.AgreementArchived, Kind: archived, OccurredAt: at, Documents: documents}
	return b.delivery(provider, agreementID, now, "form-data")
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
		References: b.References, SharedReference: b.SharedReference, Participants: b.Participants,
	}, nil
}
