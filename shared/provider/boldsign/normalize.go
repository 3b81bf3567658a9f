package boldsign

import (
	"cmp"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

const verification = "Verification" // of the webhook's URL

// types are the events that mean more than a change.
//
// SPEC: https://developers.boldsign.com/webhooks/available-events, read 2026-11-30, and
// https://github.com/boldsign/boldsign-node-sdk (WebhookEventMetadata) for the spelling.
var types = map[webhook.Text]esign.Type{
	"DraftCreated":           esign.AgreementCreated,
	"Sent":                   esign.AgreementSent,
	"Viewed":                 esign.AgreementViewed,
	"Signed":                 esign.AgreementSigned,
	"Completed":              esign.AgreementCompleted,
	"Declined":               esign.AgreementDeclined,
	"Revoked":                esign.AgreementCancelled,
	"Expired":                esign.AgreementExpired,
	"SendFailed":             esign.AgreementFailed,
	"TemplateCreated":        esign.TemplateCreated,
	"TemplateDraftCreated":   esign.TemplateCreated,
	"TemplateCreateFailed":   esign.TemplateFailed,
	"TemplateSendFailed":     esign.TemplateFailed,
	"SenderIdentityVerified": esign.AccountConfirmed,
}

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	return esign.Event{
		Type:         p.eventType(),
		VendorType:   webhook.Label(string(p.Event.Type)),
		AgreementID:  p.agreementID(),
		OccurredAt:   webhook.UnixTime(string(p.Event.Created)),
		Participant:  p.participant(),
		Participants: p.participants(),
		Attributes:   p.attributes(),
	}, nil
}

func (p *payload) eventType() esign.Type {
	known := types[p.Event.Type]
	ofAgreement := strings.HasPrefix(string(known), "agreement.")
	switch {
	case known != "" && ofAgreement == (p.agreementID() != ""):
		return known
	case p.agreementID() != "":
		return esign.AgreementUpdated
	case strings.HasPrefix(string(p.Event.Type), "Template"):
		return esign.TemplateUpdated
	}
	return esign.Other
}

// participant returns the signer who caused the event, if the message lists that signer.
func (p *payload) participant() string {
	actor := p.Context.Actor.ID
	if actor == "" || !slices.ContainsFunc(p.Data.Signers, func(s signer) bool { return s.ID == actor }) {
		return ""
	}
	return webhook.ParticipantKey(string(actor))
}

// participants returns how far the signers of a document have come. The status says Completed of who has signed. Who
// has only been asked is known unless the document is a draft, or is sent to one signer after the other.
func (p *payload) participants() []esign.Participant {
	if p.agreementID() == "" {
		return nil
	}
	asked := p.Data.Status != "Draft" && p.Data.Status != "Scheduled" && p.Data.Ordered == "false"
	var all []esign.Participant
	for _, s := range p.Data.Signers {
		id := cmp.Or(s.ID, s.Email)
		participant := esign.Participant{ID: webhook.ParticipantKey(string(id))}
		switch {
		case id == "":
			continue
		case s.Status == "Completed":
			participant.Status, participant.At = esign.Signed, webhook.UnixTime(string(s.ActiveAt))
		case s.Status == "Declined":
			participant.Status, participant.At = esign.Declined, webhook.UnixTime(string(s.ActiveAt))
		case s.Status == "NotCompleted" && s.Viewed == "true":
			participant.Status = esign.Viewed
		case s.Status == "NotCompleted" && asked:
			participant.Status = esign.Sent
		default:
			continue
		}
		all = append(all, participant)
	}
	return all
}

// attributes holds two words of BoldSign's own. Titles, messages, labels and metadata are the sender's.
func (p *payload) attributes() map[string]string {
	attributes := map[string]string{}
	if status := p.Data.Status; status != "" && p.agreementID() != "" {
		attributes["status"] = webhook.Label(string(status))
	}
	if p.Event.Environment == "Test" {
		attributes["test_mode"] = "true"
	}
	if len(attributes) == 0 {
		return nil
	}
	return attributes
}
