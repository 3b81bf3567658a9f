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
	occurredAt, _ := p.occurredAt()
	return []webhook.Identity{{
		EventID:     p.eventID(),
		Subject:     subject,
		AgreementID: agreementID,
		VendorType:  p.vendorType(),
		OccurredAt:  occurredAt,
		Via:         p.via(),
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
// configuration: not the body, not retryCount, not configurationId, and the account neither, which in "Recipient
// Connect" is not the sender's and in XML has another form.
func (p *payload) eventID() string {
	_, which := p.step()
	switch {
	case p.format != formatSIM && slices.Contains(onceAsStatus, which):
		return webhook.EventID(name, "envelope", p.envelopeID, "envelope-"+which)
	case p.format != formatSIM: // the time as it is written: the message's zone comes and goes with the configuration
		fields := []string{"status", p.envelopeID, which, string(cmp.Or(p.stepTime(), p.StatusTime))}
		for _, r := range p.Recipients { // a message may come because one of them has gone on, and the envelope has not
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

// moment tells two events of the same kind apart: the time of the step, else that of the message, else the whole body.
// The last two count the event twice if DocuSign makes the message anew for a retry, or if a second configuration does
// not ask for the summary. That is harmless; making one of two events would lose one.
func (p *payload) moment() string {
	for _, s := range []text{p.stepTime(), p.statusTime()} {
		if at := webhook.Time(string(s)); !at.IsZero() {
			return at.Format(time.RFC3339Nano) // however it is written
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
