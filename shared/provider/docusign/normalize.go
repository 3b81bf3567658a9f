package docusign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types maps SIM's events. All other names are [esign.AgreementUpdated] if they concern an envelope, and else
// [esign.Other].
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-22: the list of events.
var types = map[string]esign.Type{
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
	"recipient-completed":            esign.AgreementSigned,  // if the recipient signs
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

// Events are the names of SIM's events that every account knows and that [Provider.Normalize] maps, sorted.
func Events() []string { return slices.Sorted(maps.Keys(types)) }

// MoreEvents are the names of further events of envelopes, sorted. Accounts whose plan lacks a feature may not know
// them. [Provider.Normalize] maps them to [esign.AgreementUpdated], like all others that concern an envelope.
//
// SPEC: https://learn.microsoft.com/connectors/docusign/ and
// https://developers.docusign.com/platform/webhooks/connect/event-triggers/, read 2026-11-30.
func MoreEvents() []string {
	return []string{
		"envelope-reminder-sent",
		"envelope-removed", // for one recipient, or for all
		"extension-executed",
		"identity-verification-completed",
		"identity-verification-pending",
		"notary-session-notary-assigned",
		"notary-session-notary-removed",
		"notary-session-paused",
		"notary-session-signer-locked",
		"notary-session-signer-unlocked",
		"notary-session-status-updated",
		"notary-session-terminated",
		"sms-opt-in",
		"sms-opt-out",
	}
}

// statusTypes maps the statuses of XML and aggregates. All others are [esign.AgreementUpdated].
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

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	events := p.events()
	// An earlier release may have given the delivery another ID.
	p = events[max(0, slices.IndexFunc(events, func(p *payload) bool { return p.eventID() == d.EventID }))]
	return p.normalize(), nil
}

// ReadEnvelope reads an envelope as the API describes it: its status, as an event, and everybody's progress. It returns
// [webhook.ErrUnreadable] for anything else.
func ReadEnvelope(b []byte) (esign.Event, error) {
	p, err := parse(b)
	if err != nil {
		return esign.Event{}, err
	}
	if p.format != formatAggregate {
		return esign.Event{}, fmt.Errorf("docusign: not an envelope: %w", webhook.ErrUnreadable)
	}
	return p.normalize(), nil
}

func (p *payload) normalize() esign.Event {
	e := esign.Event{
		Type:       p.eventType(),
		VendorType: p.vendorType(),
		AccountID:  webhook.Label(p.accountID),
		Attributes: p.attributes(),
	}
	e.OccurredAt, e.Approximate = p.occurredAt()
	if _, e.AgreementID = p.subject(); e.AgreementID == "" {
		return e
	}
	if e.Type == esign.AgreementUndeliverable {
		e.Cause = p.cause()
	}
	e.References, e.Reason = p.Fields.references(), p.reason(e.Type)
	e.Participant, e.Participants, e.Present = p.participant(), p.participants(e.Type), p.present()
	if p.further {
		e.Present = nil
		e.Participants = slices.DeleteFunc(e.Participants, func(said esign.Participant) bool {
			return said.ID != e.Participant
		})
	}
	return e
}

func (p *payload) eventType() esign.Type {
	t, ok := types[p.event]
	if _, which := p.step(); p.event == "" && p.format != formatSIM {
		t, ok = statusTypes[which]
	}
	switch _, agreementID := p.subject(); {
	case agreementID == "" && (!ok || strings.HasPrefix(string(t), "agreement.")): // an envelope without an ID
		return esign.Other
	case agreementID != "" && !ok:
		return esign.AgreementUpdated
	case t == esign.AgreementCancelled && p.expired():
		return esign.AgreementExpired
	case t == esign.AgreementSigned && p.who.role() != "" && !p.who.signs():
		return esign.AgreementUpdated
	case t == esign.AgreementUpdated && p.cause() != "":
		return esign.AgreementUndeliverable
	}
	return t
}

// expired reports whether a voided envelope expired, rather than being voided by its sender. DocuSign has no event for
// expiry. A sender may use the same words, but not before the deadline.
//
// SPEC: https://support.docusign.com/s/articles/How-can-I-differentiate-between-Expired-and-Voided-envelopes, read
// 2026-11-30: the reason is "Envelope has expired."
func (p *payload) expired() bool {
	if !saysExpired(p.VoidedReason) {
		return false
	}
	deadline, _ := p.time(p.Expires)
	for _, s := range []text{p.StatusTime, p.Voided, p.generated} {
		if at, _ := p.time(s); !at.IsZero() {
			return !at.Before(deadline)
		}
	}
	return true
}

// saysExpired reports whether the reason is DocuSign's own sentence.
func saysExpired(reason text) bool {
	return strings.TrimSpace(strings.TrimSuffix(strings.ToLower(string(reason)), ".")) == "envelope has expired"
}

// reason returns why the envelope was declined or voided, in the words of the recipient or of the sender. DocuSign's
// own sentence is no reason.
func (p *payload) reason(t esign.Type) string {
	switch {
	case t == esign.AgreementDeclined:
		return string(p.lastDeclined().DeclinedReason)
	case t == esign.AgreementCancelled && !saysExpired(p.VoidedReason):
		return string(p.VoidedReason)
	}
	return ""
}

// lastDeclined returns the recipient who declined last; zero if the message does not describe one.
func (p *payload) lastDeclined() (last recipient) {
	var lastAt time.Time
	for _, r := range p.Recipients {
		at, _ := p.time(r.Declined)
		if strings.EqualFold(string(r.Status), "declined") && !at.Before(lastAt) {
			last, lastAt = r, at
		}
	}
	return last
}

// occurredAt is the time of the event. An approximate time is never later than the time of the message.
func (p *payload) occurredAt() (at time.Time, approximate bool) {
	for _, s := range []text{p.statusTime(), p.stepTime()} {
		if at, approximate = p.time(s); !at.IsZero() {
			return at, approximate
		}
	}
	if p.said.event != "" { // it follows from the recipient's last step, and a later message reports it again
		at = p.who.last(p)
	}
	if at.IsZero() {
		at, _ = p.time(p.generated)
	}
	return at, !at.IsZero()
}

// attributes are the details of the message that the event keeps.
func (p *payload) attributes() map[string]string {
	attributes := map[string]string{"format": p.format}
	if p.Status != "" {
		attributes["envelopeStatus"] = webhook.Label(string(p.Status))
	}
	if p.who.Type != "" {
		attributes["recipientType"] = webhook.Label(string(p.who.Type))
	}
	if p.documents {
		attributes["documentsIncluded"] = "true"
	}
	return attributes
}
