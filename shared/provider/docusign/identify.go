package docusign

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]. A message holds one event.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	subject, agreementID := p.subject()
	occurredAt, approximate := p.occurredAt()
	return []webhook.Identity{{
		EventID:     p.eventID(),
		Subject:     subject,
		AgreementID: agreementID,
		VendorType:  p.vendorType(),
		OccurredAt:  occurredAt,
		Approximate: approximate,
		Via:         p.via(),
	}}, nil
}

// These events happen only once to an envelope, or to one of its recipients. All other events are told apart by their
// time.
var (
	onceToEnvelope = []string{
		"envelope-created", "envelope-completed", "envelope-declined", "envelope-voided",
		"envelope-purge", "envelope-deleted", "envelope-discard",
	}
	onceToRecipient = []string{"recipient-completed", "recipient-declined"}
	onceAsStatus    = []string{"created", "completed", "declined", "voided"} // each is the event of the same name
)

// eventID hashes only what stays the same when DocuSign sends the event again, or through a second configuration. So it
// leaves out the body, retryCount and configurationId. It leaves out the account too: in "Recipient Connect" it is not
// the sender's, and XML writes it differently.
func (p *payload) eventID() string {
	_, which := p.step()
	switch {
	case p.format != formatSIM && slices.Contains(onceAsStatus, which):
		return webhook.EventID(name, "envelope", p.envelopeID, "envelope-"+which)
	case p.format != formatSIM: // the time as written, since only some configurations send a zone
		fields := []string{"status", p.envelopeID, which, string(cmp.Or(p.stepTime(), p.StatusTime))}
		for _, r := range p.Recipients { // the step may be a recipient's, with the envelope unchanged
			fields = append(fields, string(r.RecipientID), strings.ToLower(string(r.Status)))
		}
		return webhook.EventID(name, fields...)
	case p.envelopeID != "" && slices.Contains(onceToEnvelope, p.event):
		return webhook.EventID(name, "envelope", p.envelopeID, p.event)
	case p.envelopeID != "" && p.recipientID != "" && slices.Contains(onceToRecipient, p.event):
		return webhook.EventID(name, "recipient", p.envelopeID, p.event, p.recipientID)
	}
	subject, _ := p.subject()
	return webhook.EventID(name, "repeatable", subject, p.event, p.recipientID, p.moment())
}

// moment distinguishes two events of the same kind. It is the time of the step, else the time of the message, else the
// whole body. The last two give one event two IDs if DocuSign generates a new message for a retry, or if a second
// configuration leaves out the summary. A duplicate is harmless; one ID for two events would lose an event.
func (p *payload) moment() string {
	for _, s := range []text{p.stepTime(), p.statusTime()} {
		if at := webhook.Time(string(s)); !at.IsZero() {
			return at.Format(time.RFC3339Nano) // the same however the vendor writes it
		}
	}
	return cmp.Or(string(p.generated), string(p.body))
}

func (p *payload) via() string {
	if p.configuration == "" {
		return p.format
	}
	return webhook.Label("configuration/" + p.configuration)
}
