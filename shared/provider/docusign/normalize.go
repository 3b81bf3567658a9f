package docusign

import (
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	m, err := read(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	e := esign.Event{
		Type:       m.eventType(),
		VendorType: m.vendorType(),
		AccountID:  webhook.Label(m.accountID),
		Attributes: m.attributes(),
	}
	e.OccurredAt, e.Approximate = m.occurredAt()
	if _, e.AgreementID = m.subject(); e.AgreementID == "" {
		return e, nil
	}
	e.Participants = m.participants()
	if m.recipientID != "" {
		e.Participant = webhook.ParticipantKey(m.recipientID)
	}
	return e, nil
}

// eventTypes maps SIM's events. Names that are not here are [esign.Other].
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI 2.1,
// read 2026-11-22: the list of events.
var eventTypes = map[string]esign.Type{
	"envelope-created":               esign.AgreementCreated,
	"envelope-sent":                  esign.AgreementSent,
	"envelope-delivered":             esign.AgreementViewed, // all recipients have opened it
	"envelope-completed":             esign.AgreementCompleted,
	"envelope-declined":              esign.AgreementDeclined,
	"envelope-voided":                esign.AgreementCancelled, // or expired
	"envelope-resent":                esign.AgreementUpdated,
	"envelope-corrected":             esign.AgreementUpdated,
	"envelope-purge":                 esign.AgreementUpdated,
	"envelope-deleted":               esign.AgreementUpdated,
	"envelope-discard":               esign.AgreementUpdated,
	"recipient-sent":                 esign.AgreementUpdated,
	"recipient-resent":               esign.AgreementUpdated,
	"recipient-delivered":            esign.AgreementViewed,  // the recipient has opened it
	"recipient-completed":            esign.AgreementSigned,  // if the recipient is one who signs
	"recipient-declined":             esign.AgreementUpdated, // envelope-declined follows
	"recipient-authenticationfailed": esign.AgreementUpdated,
	"recipient-autoresponded":        esign.AgreementUpdated,
	"recipient-reassign":             esign.AgreementUpdated,
	"recipient-delegate":             esign.AgreementUpdated,
	"recipient-finish-later":         esign.AgreementUpdated,
	"template-created":               esign.TemplateCreated,
	"template-modified":              esign.TemplateUpdated,
	"template-deleted":               esign.TemplateDeleted,
}

// statusTypes maps the statuses of XML and aggregates. Those that are not here are [esign.AgreementUpdated].
var statusTypes = map[string]esign.Type{
	"created":   esign.AgreementCreated,
	"sent":      esign.AgreementSent,
	"delivered": esign.AgreementViewed,
	"signed":    esign.AgreementSigned,
	"completed": esign.AgreementCompleted,
	"declined":  esign.AgreementDeclined,
	"voided":    esign.AgreementCancelled, // or expired
	"timedout":  esign.AgreementExpired,
}

func (m *message) eventType() esign.Type {
	_, which := m.step()
	types, key, unknown := eventTypes, m.event, esign.Other
	if m.format != formatSIM {
		types, key, unknown = statusTypes, which, esign.AgreementUpdated
	}
	t, ok := types[key]
	switch _, agreementID := m.subject(); {
	case !ok:
		return unknown
	case agreementID == "" && strings.HasPrefix(string(t), "agreement."):
		return esign.Other // of an envelope that nobody can name
	case t == esign.AgreementCancelled && m.expired():
		return esign.AgreementExpired
	case t == esign.AgreementSigned && m.recipient().list != "" && !m.recipient().signs():
		return esign.AgreementUpdated
	}
	return t
}

// expired tells the end of time from a sender's decision. There is no event for it: an expired envelope is voided.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI 2.1,
// read 2026-11-22. The wording of the reason is not documented.
func (m *message) expired() bool {
	return strings.Contains(strings.ToLower(string(m.VoidedReason)), "expired")
}

// occurredAt is when it happened, or approximately: not later than the message was made.
func (m *message) occurredAt() (at time.Time, approximate bool) {
	var changed text
	if whose, which := m.step(); whose == "envelope" && strings.EqualFold(which, string(m.Status)) {
		changed = m.StatusTime // otherwise it is another status's
	}
	for _, s := range []text{changed, m.stepTime()} {
		if at, approximate = m.time(s); !at.IsZero() {
			return at, approximate
		}
	}
	at, _ = m.time(m.generated)
	return at, !at.IsZero()
}

// progress maps the statuses of recipients. "created" is no progress yet.
var progress = map[string]esign.Status{
	"sent":      esign.Sent,
	"delivered": esign.Viewed,
	"signed":    esign.Signed,
	"completed": esign.Signed,
	"declined":  esign.Declined,
}

// participants are those who sign, by ID, as many as an agreement remembers.
func (m *message) participants() []esign.Participant {
	var said []esign.Participant
	for _, r := range m.Recipients {
		status := strings.ToLower(string(r.Status))
		if r.RecipientID == "" || !r.signs() || progress[status] == "" {
			continue
		}
		at, _ := m.time(r.of(status))
		said = append(said, esign.Participant{
			ID: webhook.ParticipantKey(string(r.RecipientID)), Status: progress[status], At: at,
		})
	}
	slices.SortStableFunc(said, func(a, b esign.Participant) int { return strings.Compare(a.ID, b.ID) })
	return said[:min(len(said), esign.MaxParticipants)]
}

// attributes are the vendor's words that are worth keeping.
func (m *message) attributes() map[string]string {
	attributes := map[string]string{"format": m.format}
	if m.Status != "" {
		attributes["envelopeStatus"] = webhook.Label(string(m.Status))
	}
	if r := m.recipient(); r.Type != "" {
		attributes["recipientType"] = webhook.Label(string(r.Type))
	}
	if m.documents {
		attributes["documentsIncluded"] = "true"
	}
	return attributes
}
