package boldsign

import (
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Some of the vendor's types of events.
const (
	verification         = "Verification" // of the webhook's URL
	deliveryFailed       = "DeliveryFailed"
	authenticationFailed = "AuthenticationFailed"
	reassigned           = "Reassigned"
)

// types are the events that mean more than a change.
//
// SPEC: https://developers.boldsign.com/webhooks/available-events, read 2026-11-30, and
// https://github.com/boldsign/boldsign-node-sdk (WebhookEventMetadata) for the spelling.
var types = map[webhook.Text]esign.Type{
	"DraftCreated":       esign.AgreementCreated,
	"Sent":               esign.AgreementSent,
	"Viewed":             esign.AgreementViewed,
	"Signed":             esign.AgreementSigned,
	"Completed":          esign.AgreementCompleted,
	"Declined":           esign.AgreementDeclined,
	"Revoked":            esign.AgreementCancelled,
	"Expired":            esign.AgreementExpired,
	"SendFailed":         esign.AgreementFailed,
	deliveryFailed:       esign.AgreementUndeliverable,
	authenticationFailed: esign.AgreementUndeliverable,

	"IdentityVerificationFailed": esign.AgreementUndeliverable,

	"TemplateCreated":        esign.TemplateCreated,
	"TemplateDraftCreated":   esign.TemplateCreated,
	"TemplateCreateFailed":   esign.TemplateFailed,
	"TemplateSendFailed":     esign.TemplateFailed,
	"SenderIdentityVerified": esign.AccountConfirmed,
}

// causes are those of the events that are undeliverable.
//
// SPEC: https://developers.boldsign.com/webhooks/available-events, read 2026-11-30: the delivery of an e-mail failed;
// the authentication or the identity verification of a signer failed.
var causes = map[webhook.Text]esign.Cause{
	deliveryFailed:               esign.CauseBounced,
	authenticationFailed:         esign.CauseIdentification,
	"IdentityVerificationFailed": esign.CauseIdentification,
}

// Normalize implements [webhook.Provider].
//
// SPEC: https://developers.boldsign.com/documents/update-metadata, read 2026-11-30: up to 50 pairs, included in the
// webhooks. Labels are no keys.
// SPEC: https://github.com/boldsign/boldsign-node-sdk docs/WebhookEventData.md and docs/DocumentSignerWebhookModel.md,
// read 2026-11-30: metaData, revokeMessage, errorMessage; order, signerRole, declineMessage.
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	event := esign.Event{
		Type:        p.eventType(),
		VendorType:  webhook.Label(string(p.Event.Type)),
		AgreementID: p.agreementID(),
		OccurredAt:  webhook.UnixTime(string(p.Event.Created)),
		Attributes:  p.attributes(),
	}
	if event.Type == esign.AgreementUndeliverable {
		event.Cause = causes[p.Event.Type]
	}
	if event.AgreementID != "" {
		event.References = webhook.Metadata(p.Data.MetaData)
		event.Reason = string(p.reason(event.Type))
		people := p.people()
		event.Participant, event.Present = people.participant(), people.present()
		event.Participants = people.participants(event)
	}
	return event, nil
}

// reason returns why the document was declined or revoked, or could not be sent.
func (p *payload) reason(t esign.Type) (reason webhook.Text) {
	switch t {
	case esign.AgreementDeclined:
		for _, s := range p.Data.Signers {
			if s.Status == "Declined" && reason == "" {
				reason = s.Declined
			}
		}
	case esign.AgreementCancelled:
		reason = p.Data.Revoked
	case esign.AgreementFailed:
		reason = p.Data.Error
	}
	return reason
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
