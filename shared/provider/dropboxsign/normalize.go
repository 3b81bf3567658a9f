package dropboxsign

import (
	"cmp"
	"maps"
	"slices"
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
	return esign.Event{
		Type:         typ,
		VendorType:   p.vendorType(),
		AgreementID:  p.agreementID(),
		AccountID:    webhook.Label(p.accountID()),
		OccurredAt:   webhook.UnixTime(string(p.Event.Time)),
		Cause:        p.cause(typ),
		Participant:  webhook.ParticipantKey(string(p.participant(typ))),
		Participants: p.participants(),
		Present:      p.present(),
		Attributes:   p.attributes(),
	}, nil
}

// eventType is a type of an agreement exactly where the agreement is named: official samples of unknown_error have no
// object, and new types of signature_request_* are about their request.
func (p *payload) eventType() esign.Type {
	t := types[string(p.Event.Type)]
	switch kind, _ := p.object(); {
	case p.agreementID() == "" && strings.HasPrefix(string(t), "agreement."):
		return esign.Other
	case kind == kindAgreement && t == esign.AgreementFailed && p.onlyAddressesInvalid():
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

// The status codes of a signature that are compared by name. An on_hold signature has reached nobody yet.
//
// SPEC: https://github.com/hellosign/hellosign-java-sdk SignatureStatus.java, read 2026-11-23. error_invalid_email is
// known from other clients only; the sender can still correct the address.
// SPEC: https://developers.hellosign.com/docs/signature-request/expiration, read 2026-11-30: expired.
const (
	awaiting     = "awaiting_signature"
	signed       = "signed"
	declined     = "declined"
	expired      = "expired"
	errorPrefix  = "error_"
	invalidEmail = "error_invalid_email"
)

// onlyAddressesInvalid reports whether nothing but invalid addresses is wrong with the request.
func (p *payload) onlyAddressesInvalid() bool {
	invalid := false
	for _, s := range p.request.Signatures {
		switch {
		case s.Status == invalidEmail:
			invalid = true
		case strings.HasPrefix(string(s.Status), errorPrefix):
			return false
		}
	}
	return invalid
}

// participant returns the signer whom the event is about. Events about the whole request have none, although the
// account's copy may name one.
func (p *payload) participant(t esign.Type) webhook.Text {
	switch {
	case oneSigner[p.Event.Type]:
		return p.signer()
	case t == esign.AgreementUndeliverable:
		unreached := p.onlySignature(func(s signature) bool { return s.Status == invalidEmail })
		return cmp.Or(p.Event.Metadata.Signature, unreached)
	case t == esign.AgreementUpdated:
		return p.Event.Metadata.Signature
	}
	return ""
}

func (p *payload) participants() []esign.Participant {
	if p.agreementID() == "" {
		return nil
	}
	replaced := p.replaced()
	var said []esign.Participant
	for _, s := range p.request.Signatures {
		participant := esign.Participant{ID: webhook.ParticipantKey(string(s.ID)), Replaced: replaced[s.ID]}
		switch viewed := webhook.UnixTime(string(s.LastViewed)); {
		case s.ID == "":
			continue
		case s.Status == signed:
			participant.Status, participant.At = esign.Signed, webhook.UnixTime(string(s.SignedAt))
		case s.Status == declined:
			participant.Status = esign.Declined
		case s.Status == expired:
			participant.Status = esign.Expired
		case s.Status == awaiting && !viewed.IsZero():
			participant.Status, participant.At = esign.Viewed, viewed
		case s.Status == awaiting:
			participant.Status = esign.Sent
		default:
			continue
		}
		delete(replaced, s.ID)
		said = append(said, participant)
	}
	for _, id := range slices.Sorted(maps.Keys(replaced)) { // whom the list no longer states
		key := webhook.ParticipantKey(string(id))
		said = append(said, esign.Participant{ID: key, Status: esign.Sent, Replaced: true})
	}
	return said
}

// replaced returns the signatures that were reassigned.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (SignatureRequestResponseSignatures), read
// 2026-11-30: reassigned_from is the previous signature_id. Whether the previous one stays in the list is unknown.
func (p *payload) replaced() map[webhook.Text]bool {
	replaced := map[webhook.Text]bool{}
	for _, s := range p.request.Signatures {
		if s.ReassignedFrom != "" && s.ReassignedFrom != s.ID {
			replaced[s.ReassignedFrom] = true
		}
	}
	return replaced
}

// present returns the IDs of all signers. A signer whose address the sender has changed has a new ID.
//
// SPEC: https://developers.hellosign.com/api/reference/operation/signatureRequestUpdate, read 2026-11-30: a changed
// signer has a new signature_id.
func (p *payload) present() (all []string) {
	if p.agreementID() == "" || len(p.request.Signatures) == webhook.MaxList {
		return nil // no list, or perhaps a part of it
	}
	replaced := p.replaced()
	for _, s := range p.request.Signatures {
		switch {
		case s.ID == "":
			return nil
		case !replaced[s.ID]:
			all = append(all, webhook.ParticipantKey(string(s.ID)))
		}
	}
	return all
}

// app returns the app whose request or callback it is, if any.
func (p *payload) app() webhook.Text { return cmp.Or(p.Event.Metadata.App, p.ClientID) }

// attributes holds nothing of signature_request.metadata, which is the sender's own and may be personal.
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
