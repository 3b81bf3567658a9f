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
	c, err := readEvent(d.Request())
	if err != nil {
		return esign.Event{}, err
	}
	return esign.Event{
		Type:         c.meaning(),
		VendorType:   c.vendorType(),
		AgreementID:  c.agreementID(),
		AccountID:    webhook.Label(c.accountID()),
		OccurredAt:   webhook.UnixTime(string(c.Event.Time)),
		Participant:  webhook.ParticipantKey(string(c.Event.Metadata.Signature)),
		Participants: c.participants(),
		Attributes:   c.attributes(),
	}, nil
}

// meaning is a type of an agreement only where the agreement is named: official samples of unknown_error have no object.
func (c *callback) meaning() esign.Type {
	meaning := cmp.Or(types[string(c.Event.Type)], esign.Other)
	if strings.HasPrefix(string(meaning), "agreement.") && c.agreementID() == "" {
		return esign.Other
	}
	return meaning
}

func (c *callback) participants() []esign.Participant {
	if c.agreementID() == "" {
		return nil
	}
	var said []esign.Participant
	for _, s := range c.request.Signatures {
		p := esign.Participant{ID: webhook.ParticipantKey(string(s.ID))}
		switch viewed := webhook.UnixTime(string(s.LastViewed)); {
		case s.ID == "":
			continue
		case s.Status == "signed":
			p.Status, p.At = esign.Signed, webhook.UnixTime(string(s.SignedAt))
		case s.Status == "declined":
			p.Status = esign.Declined
		case s.Status == "awaiting_signature" && !viewed.IsZero():
			p.Status, p.At = esign.Viewed, viewed
		case s.Status == "awaiting_signature":
			p.Status = esign.Sent
		default:
			continue
		}
		said = append(said, p)
	}
	return said
}

// attributes holds nothing of signature_request.metadata, which is the sender's own and may be personal.
func (c *callback) attributes() map[string]string {
	attributes := map[string]string{"callback": "account"}
	if c.Event.Metadata.App != "" {
		attributes["callback"] = "app"
	}
	if app := cmp.Or(c.Event.Metadata.App, c.ClientID); app != "" {
		attributes["app_id"] = webhook.Label(string(app))
	}
	if mode := c.request.TestMode; mode == "true" || mode == "1" {
		attributes["test_mode"] = "true"
	}
	if c.Event.Type == "signature_request_downloadable" && c.request.IsComplete != "" {
		attributes["is_complete"] = webhook.Label(string(c.request.IsComplete)) // then the copy is final
	}
	return attributes
}
