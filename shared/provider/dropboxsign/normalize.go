package dropboxsign

import (
	"cmp"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types are what the vendor's events mean. The list is open, see eventType.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (event_type), read 2026-11-30: nothing newer. fax_*
// is in official examples and not in the list. signature_request_email_bounce means that an e-mail to a signer came
// back; the text of signature_request_incomplete_qes is a qualified signature whose identification is not finished.
var types = map[string]esign.Type{
	"signature_request_prepared":   esign.AgreementCreated,
	"signature_request_sent":       esign.AgreementSent,
	"signature_request_viewed":     esign.AgreementViewed,
	"signature_request_signed":     esign.AgreementSigned, // one signer; all_signed ends it
	"signature_request_all_signed": esign.AgreementCompleted,
	"signature_request_declined":   esign.AgreementDeclined,
	"signature_request_canceled":   esign.AgreementCancelled,
	"signature_request_expired":    esign.AgreementExpired,
	"signature_request_invalid":    esign.AgreementFailed,
	"file_error":                   esign.AgreementFailed,
	"unknown_error":                esign.AgreementFailed,

	"signature_request_email_bounce":   esign.AgreementUndeliverable,
	"signature_request_incomplete_qes": esign.AgreementUndeliverable,

	"template_created":  esign.TemplateCreated,
	"template_error":    esign.TemplateFailed,
	"account_confirmed": esign.AccountConfirmed,
	"callback_test":     esign.Test,
}

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Request())
	if err != nil {
		return esign.Event{}, err
	}
	typ := p.eventType()
	event := esign.Event{
		Type:        typ,
		VendorType:  p.vendorType(),
		AgreementID: p.agreementID(),
		AccountID:   webhook.Label(p.accountID()),
		OccurredAt:  webhook.UnixTime(string(p.Event.Time)),
		Cause:       p.cause(typ),
		Reason:      string(p.reason(typ)),
		Participant: webhook.ParticipantKey(string(p.participant(typ))),
		Attributes:  p.attributes(),
	}
	if event.AgreementID != "" {
		event.References = p.request.References()
		event.Participants = p.participants(event)
		event.Present = p.request.present()
	}
	return event, nil
}

// eventType is a type of an agreement exactly where the agreement is named: official samples of unknown_error have no
// object, and new types of signature_request_* are about their request.
func (p *payload) eventType() esign.Type {
	t := types[string(p.Event.Type)]
	switch kind, _ := p.object(); {
	case p.agreementID() == "" && strings.HasPrefix(string(t), "agreement."):
		return esign.Other
	case kind == kindAgreement && t == esign.AgreementFailed && p.request.onlyAddressesInvalid():
		return esign.AgreementUndeliverable
	case kind == kindAgreement:
		return cmp.Or(t, esign.AgreementUpdated)
	case kind == kindTemplate && strings.HasPrefix(string(p.Event.Type), "template_"):
		return cmp.Or(t, esign.TemplateUpdated)
	}
	return cmp.Or(t, esign.Other)
}

func (p *payload) cause(t esign.Type) esign.Cause {
	switch {
	case t != esign.AgreementUndeliverable:
		return ""
	case p.Event.Type == "signature_request_incomplete_qes":
		return esign.CauseIdentification
	}
	return esign.CauseBounced
}

// reason returns why the request was declined or failed.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (event_message, decline_reason, error), read
// 2026-11-30: the message about a declined or failed flow; the signer's reason for declining; the error of a signature.
// A cancelled or expired request has none. The reason for a reassignment is no reason of the request.
func (p *payload) reason(t esign.Type) (reason webhook.Text) {
	if t != esign.AgreementDeclined && t != esign.AgreementFailed {
		return ""
	}
	for _, s := range p.request.Signatures {
		if reason != "" {
			break
		}
		if reason = s.Error; t == esign.AgreementDeclined {
			reason = s.DeclineReason
		}
	}
	return cmp.Or(p.Event.Metadata.Message, reason)
}

// app returns the app whose request or callback it is, if any.
func (p *payload) app() webhook.Text { return cmp.Or(p.Event.Metadata.App, p.ClientID) }

// attributes holds only the vendor's own words.
func (p *payload) attributes() map[string]string {
	attributes := map[string]string{"callback": "account"}
	if p.Event.Metadata.App != "" {
		attributes["callback"] = "app"
	}
	if app := p.app(); app != "" {
		attributes["app_id"] = webhook.Label(string(app))
	}
	if mode := p.request.TestMode; mode == "true" || mode == "1" {
		attributes["test_mode"] = "true"
	}
	if p.Event.Type == "signature_request_downloadable" && p.request.IsComplete != "" {
		attributes["is_complete"] = webhook.Label(string(p.request.IsComplete)) // then the copy is final
	}
	return attributes
}
