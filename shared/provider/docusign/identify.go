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
	id := p.eventID()
	return []webhook.Identity{{
		EventID:     id,
		Subject:     subject,
		AgreementID: agreementID,
		VendorType:  p.vendorType(),
		OccurredAt:  occurredAt,
		Approximate: approximate,
		Via:         p.via(),
		FormerIDs:   p.formerIDs(id, occurredAt),
	}}, nil
}

// These events happen only once to an envelope, or to one of its recipients. All other events are told apart by their
// time.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: a queued purge can be dequeued and queued again. We infer that a deleted envelope, and a
// discarded draft, can be restored from the bin.
var (
	onceToEnvelope = []string{
		"envelope-created", "envelope-completed", envelopeDeclined, "envelope-voided",
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
	case p.event == "" && p.format != formatSIM && slices.Contains(onceAsStatus, which):
		return webhook.EventID(name, "envelope", p.envelopeID, "envelope-"+which)
	case p.event == "" && p.format != formatSIM:
		return p.statusID()
	case p.envelopeID != "" && slices.Contains(onceToEnvelope, p.event):
		return webhook.EventID(name, "envelope", p.envelopeID, p.event)
	case p.envelopeID != "" && p.recipientID != "" && slices.Contains(onceToRecipient, p.event):
		return webhook.EventID(name, "recipient", p.envelopeID, p.event, p.recipientID)
	}
	subject, _ := p.subject()
	return webhook.EventID(name, "repeatable", subject, p.event, p.recipientID, p.moment())
}

// statusID is the event ID of a message that describes the envelope. The recipients count too: a step of theirs that
// has no time of its own leaves the envelope unchanged. The time is as written, since only some configurations send a
// zone.
func (p *payload) statusID() string {
	status := strings.ToLower(string(p.Status))
	fields := []string{"status", p.envelopeID, status, string(cmp.Or(p.of(status), p.StatusTime))}
	for _, r := range p.Recipients {
		fields = append(fields, string(r.RecipientID), strings.ToLower(string(r.Status)))
	}
	return webhook.EventID(name, fields...)
}

// formerIDs returns the event IDs of the first releases, where they differ from the present one. Those identified every
// message that describes an envelope by its status, and had one ID for all purges of an envelope.
func (p *payload) formerIDs(id string, at time.Time) []webhook.FormerID {
	var former webhook.FormerID
	switch {
	case p.format != formatSIM && p.event != "":
		former.ID = p.statusID()
	case p.envelopeID != "" && slices.Contains([]string{"envelope-purge", "envelope-deleted", "envelope-discard"},
		p.event):
		former = webhook.FormerID{ID: webhook.EventID(name, "envelope", p.envelopeID, p.event), OccurredAt: at}
	}
	if former.ID == "" || former.ID == id {
		return nil
	}
	return []webhook.FormerID{former}
}

// moment distinguishes two events of the same kind. It is the time of the step, else the time of the message, else the
// whole body. The last two give one event two IDs if DocuSign generates a new message for a retry, or if a second
// configuration leaves out the summary. A duplicate is harmless; one ID for two events would lose an event.
//
// A time without a zone stays as it is, since only some configurations send the zone.
func (p *payload) moment() string {
	times := []text{p.stepTime(), p.statusTime()}
	if p.format != formatSIM {
		times = append(times, p.who.Sent) // the recipient's problem has no time: it follows from this sending
	}
	for _, s := range times {
		if at := webhook.Time(string(s)); !at.IsZero() {
			return at.Format(time.RFC3339Nano) // the same however the vendor writes it
		}
	}
	if p.format != formatSIM {
		return ""
	}
	return cmp.Or(string(p.generated), string(p.body))
}

func (p *payload) via() string {
	if p.configuration == "" {
		return p.format
	}
	return webhook.Label("configuration/" + p.configuration)
}
