package docusign

import (
	"cmp"
	"slices"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]. A message holds one event.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	m, err := read(r.Body)
	if err != nil {
		return nil, err
	}
	subject, agreementID := m.subject()
	occurredAt, _ := m.occurredAt()
	return []webhook.Identity{{
		EventID:     m.eventID(),
		Subject:     subject,
		AgreementID: agreementID,
		VendorType:  m.vendorType(),
		OccurredAt:  occurredAt,
		Via:         m.via(),
	}}, nil
}

// What happens to an envelope, or to one recipient of it, once. Of everything else the time tells two apart.
var (
	onceToEnvelope = []string{
		"envelope-created", "envelope-completed", "envelope-declined", "envelope-voided",
		"envelope-purge", "envelope-deleted", "envelope-discard",
	}
	onceToRecipient = []string{"recipient-completed", "recipient-declined"}
	onceAsStatus    = []string{"created", "completed", "declined", "voided"} // each the event of the same name
)

// eventID makes an identity of what does not change when DocuSign sends the same event again, or through a second
// configuration: not the body, not retryCount, not configurationId, and the account neither, which in "Recipient Connect"
// is not the sender's and in XML has another form.
func (m *message) eventID() string {
	_, which := m.step()
	switch {
	case m.format != formatSIM && slices.Contains(onceAsStatus, which):
		return webhook.EventID(name, "envelope", m.envelopeID, "envelope-"+which)
	case m.format != formatSIM: // the time as it is written: the message's zone comes and goes with the configuration
		return webhook.EventID(name, "status", m.envelopeID, which, string(cmp.Or(m.stepTime(), m.StatusTime)))
	case m.envelopeID != "" && slices.Contains(onceToEnvelope, m.event):
		return webhook.EventID(name, "envelope", m.envelopeID, m.event)
	case m.envelopeID != "" && m.recipientID != "" && slices.Contains(onceToRecipient, m.event):
		return webhook.EventID(name, "recipient", m.envelopeID, m.event, m.recipientID)
	}
	subject, _ := m.subject()
	return webhook.EventID(name, "repeatable", subject, m.event, m.recipientID, m.moment())
}

// moment tells two events of the same kind apart: the time of the step, else that of the message, else the whole body.
// The last two count the event twice if DocuSign makes the message anew for a retry, or if a second configuration does
// not ask for the summary. That is harmless; making one of two events would lose one.
func (m *message) moment() string {
	if step := string(m.stepTime()); !webhook.Time(step).IsZero() {
		return step
	}
	return cmp.Or(string(m.generated), string(m.body))
}

func (m *message) via() string {
	if m.configuration == "" {
		return m.format
	}
	return webhook.Label("configuration/" + m.configuration)
}
