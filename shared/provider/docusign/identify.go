package docusign

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]. A SIM message holds one event, other messages usually do.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	var all []webhook.Identity
	for _, p := range p.events() {
		subject, agreementID := p.subject()
		occurredAt, approximate := p.occurredAt()
		id := p.eventID()
		if slices.ContainsFunc(all, func(known webhook.Identity) bool { return known.EventID == id }) {
			continue // such as two signers who declined
		}
		all = append(all, webhook.Identity{
			EventID:     id,
			Subject:     subject,
			AgreementID: agreementID,
			VendorType:  p.vendorType(),
			OccurredAt:  occurredAt,
			Approximate: approximate,
			Via:         p.via(),
			FormerIDs:   p.formerIDs(id, occurredAt),
		})
	}
	return all, nil
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
	asked := p.said.others()
	switch {
	case p.event == "" && p.format != formatSIM && slices.Contains(onceAsStatus, which):
		return webhook.EventID(name, "envelope", p.envelopeID, "envelope-"+which)
	case p.event == "" && p.format != formatSIM:
		return p.statusID()
	case p.said.cause != "":
		return webhook.EventID(name, "problem", p.envelopeID, p.event, p.recipientID, moment(p.who.Sent), p.said.problem)
	case p.envelopeID != "" && slices.Contains(onceToEnvelope, p.event):
		return webhook.EventID(name, "envelope", p.envelopeID, p.event)
	case len(asked) > 0:
		return p.routedID(asked)
	case p.envelopeID != "" && p.recipientID != "" && slices.Contains(onceToRecipient, p.event):
		return webhook.EventID(name, "recipient", p.envelopeID, p.event, p.recipientID)
	}
	subject, _ := p.subject()
	return webhook.EventID(name, "repeatable", subject, p.event, p.recipientID, p.moment())
}

// routedID is the event ID of an action after which somebody was asked. It differs from the ID of the action alone:
// usually one message reports both, but there may have been one about the action before, and this is about the asking.
// Nothing tells which. So the action may be two events, and none is lost.
func (p *payload) routedID(asked []change) string {
	fields := []string{"routed", p.envelopeID, p.event, p.recipientID, moment(p.said.stated)}
	for _, c := range asked {
		fields = append(fields, c.event, c.id, moment(c.stated))
	}
	return webhook.EventID(name, fields...)
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
// message that describes an envelope by its status, and had one ID for all purges of an envelope. They did not find a
// recipient whom SIM's event named by the GUID.
//
// An envelope can have the same statuses again, except after a recipient has finished. Then the former ID could be that
// of another event, which would be lost. A duplicate is harmless.
func (p *payload) formerIDs(id string, at time.Time) []webhook.FormerID {
	var former webhook.FormerID
	switch subject, _ := p.subject(); {
	case p.format != formatSIM && (p.event == "recipient-completed" || p.event == envelopeDeclined):
		former.ID = p.statusID()
	case p.format == formatSIM && p.stepTime() != "" && string(p.who.RecipientID) != p.recipientID &&
		strings.HasPrefix(p.event, "recipient-") && !slices.Contains(onceToRecipient, p.event):
		former.ID = webhook.EventID(name, "repeatable", subject, p.event, p.recipientID,
			cmp.Or(string(p.generated), string(p.body)))
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
	stated := cmp.Or(moment(p.stepTime()), moment(p.statusTime()))
	if p.format != formatSIM {
		return cmp.Or(stated, moment(p.who.Sent)) // a view without a time of its own
	}
	return cmp.Or(stated, string(p.generated), string(p.body))
}

// moment returns a time in the form in which it is the same however the vendor writes it, or "".
func moment(s text) string {
	at := webhook.Time(string(s))
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

func (p *payload) via() string {
	if p.configuration == "" {
		return p.format
	}
	return webhook.Label("configuration/" + p.configuration)
}
