package dropboxsign

import (
	"cmp"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types are what the vendor's events mean; any other is [esign.Other].
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (event_type), read 2026-11-22. The list is open:
// fax_* is in official examples and not in it.
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

	"signature_request_downloadable":   esign.AgreementUpdated, // also long before the end
	"signature_request_email_bounce":   esign.AgreementUpdated,
	"signature_request_remind":         esign.AgreementUpdated,
	"signature_request_incomplete_qes": esign.AgreementUpdated,
	"signature_request_destroyed":      esign.AgreementUpdated,
	"signature_request_reassigned":     esign.AgreementUpdated,
	"signature_request_signer_removed": esign.AgreementUpdated,
	"sign_url_invalid":                 esign.AgreementUpdated,

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
	return esign.Event{
		Type:         p.eventType(),
		VendorType:   p.vendorType(),
		AgreementID:  p.agreementID(),
		AccountID:    webhook.Label(p.accountID()),
		OccurredAt:   webhook.UnixTime(string(p.Event.Time)),
		Participant:  webhook.ParticipantKey(string(p.Event.Metadata.Signature)),
		Participants: p.participants(),
		Attributes:   p.attributes(),
	}, nil
}

// eventType is a type of an agreement only where the agreement is named: official samples of unknown_error have no
// object.
func (p *payload) eventType() esign.Type {
	t := cmp.Or(types[string(p.Event.Type)], esign.Other)
	if strings.HasPrefix(string(t), "agreement.") && p.agreementID() == "" {
		return esign.Other
	}
	return t
}

func (p *payload) participants() []esign.Participant {
	if p.agreementID() == "" {
		return nil
	}
	var said []esign.Participant
	for _, s := range p.request.Signatures {
		participant := esign.Participant{ID: webhook.ParticipantKey(string(s.ID))}
		switch viewed := webhook.UnixTime(string(s.LastViewed)); {
		case s.ID == "":
			continue
		case s.Status == "signed":
			participant.Status, participant.At = esign.Signed, webhook.UnixTime(string(s.SignedAt))
		case s.Status == "declined":
			participant.Status = esign.Declined
		case s.Status == "awaiting_signature" && !viewed.IsZero():
			participant.Status, participant.At = esign.Viewed, viewed
		case s.Status == "awaiting_signature":
			participant.Status = esign.Sent
		default:
			continue
		}
		said = append(said, participant)
	}
	return said
}

// attributes holds nothing of signature_request.metadata, which is the sender's own and may be personal.
func (p *payload) attributes() map[string]string {
	attributes := map[string]string{"callback": "account"}
	if p.Event.Metadata.App != "" {
		attributes["callback"] = "app"
	}
	if app := cmp.Or(p.Event.Metadata.App, p.ClientID); app != "" {
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
