package docusign

import (
	"maps"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types maps SIM's events. All other names are [esign.Other].
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

// Events are the names of SIM's events that [Provider.Normalize] maps, sorted.
func Events() []string { return slices.Sorted(maps.Keys(types)) }

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
	e := esign.Event{
		Type:       p.eventType(),
		VendorType: p.vendorType(),
		AccountID:  webhook.Label(p.accountID),
		Attributes: p.attributes(),
	}
	e.OccurredAt, e.Approximate = p.occurredAt()
	if _, e.AgreementID = p.subject(); e.AgreementID == "" {
		return e, nil
	}
	e.Participants = p.participants()
	if p.recipientID != "" {
		e.Participant = webhook.ParticipantKey(p.recipientID)
	}
	return e, nil
}

func (p *payload) eventType() esign.Type {
	_, which := p.step()
	t, ok := types[p.event]
	unknown := esign.Other
	if p.format != formatSIM {
		t, ok = statusTypes[which]
		unknown = esign.AgreementUpdated
	}
	switch _, agreementID := p.subject(); {
	case !ok:
		return unknown
	case agreementID == "" && strings.HasPrefix(string(t), "agreement."):
		return esign.Other // an envelope without an ID
	case t == esign.AgreementCancelled && p.expired():
		return esign.AgreementExpired
	case t == esign.AgreementSigned && p.recipient().list != "" && !p.recipient().signs():
		return esign.AgreementUpdated
	}
	return t
}

// expired reports whether a voided envelope expired, rather than being voided by its sender. DocuSign has no event for
// expiry.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-22. The wording of the reason is not documented.
func (p *payload) expired() bool {
	words := strings.Fields(strings.ToLower(string(p.VoidedReason)))
	says := func(word string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Trim(w, `.,;:!"'`) == word })
	}
	return says("expired") && !says("not") // "not expired", which a sender may write
}

// occurredAt is the time of the event. An approximate time is never later than the time of the message.
func (p *payload) occurredAt() (at time.Time, approximate bool) {
	for _, s := range []text{p.statusTime(), p.stepTime()} {
		if at, approximate = p.time(s); !at.IsZero() {
			return at, approximate
		}
	}
	at, _ = p.time(p.generated)
	return at, !at.IsZero()
}

// progress maps the statuses of recipients. It leaves out "created", which is not progress.
var progress = map[string]esign.Status{
	"sent":      esign.Sent,
	"delivered": esign.Viewed,
	"signed":    esign.Signed,
	"completed": esign.Signed,
	"declined":  esign.Declined,
}

// participants are the recipients who sign, by ID, at most as many as an agreement keeps.
func (p *payload) participants() []esign.Participant {
	var said []esign.Participant
	for _, r := range p.Recipients {
		status := strings.ToLower(string(r.Status))
		if r.RecipientID == "" || !r.signs() || progress[status] == "" {
			continue
		}
		at, _ := p.time(r.of(status))
		said = append(said, esign.Participant{
			ID: webhook.ParticipantKey(string(r.RecipientID)), Status: progress[status], At: at,
		})
	}
	slices.SortStableFunc(said, func(a, b esign.Participant) int { return strings.Compare(a.ID, b.ID) })
	return said[:min(len(said), esign.MaxParticipants)]
}

// attributes are the details of the message that the event keeps.
func (p *payload) attributes() map[string]string {
	attributes := map[string]string{"format": p.format}
	if p.Status != "" {
		attributes["envelopeStatus"] = webhook.Label(string(p.Status))
	}
	if r := p.recipient(); r.Type != "" {
		attributes["recipientType"] = webhook.Label(string(r.Type))
	}
	if p.documents {
		attributes["documentsIncluded"] = "true"
	}
	return attributes
}
