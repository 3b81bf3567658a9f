package dropboxsign

import (
	"cmp"
	"strings"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider].
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r)
	if err != nil {
		return nil, err
	}
	return []webhook.Identity{{
		EventID:     p.eventID(),
		Subject:     p.subject(),
		AgreementID: p.agreementID(),
		VendorType:  p.vendorType(),
		OccurredAt:  webhook.UnixTime(string(p.Event.Time)),
		Via:         p.via(),
	}}, nil
}

// The kinds of object that a callback is about.
const (
	kindAgreement = "agreement"
	kindTemplate  = "template"
	kindAccount   = "account"
	kindFax       = "fax"
	kindTest      = "test"
	kindOther     = "other"
)

// object returns the kind of object that the callback is about, and its ID, which may be empty. The type decides. If
// the type is unknown, the object in the payload decides.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (2026), read 2026-11-22: account_confirmed carries
// account, template_* template, callback_test nothing, all others signature_request; official examples of fax_* carry
// transmission.
func (p *payload) object() (kind, id string) {
	switch typ := string(p.Event.Type); {
	case typ == "callback_test":
		return kindTest, ""
	case strings.HasPrefix(typ, "template_"):
		return kindTemplate, string(p.Template.ID)
	case strings.HasPrefix(typ, "account_"):
		return kindAccount, string(p.Account.ID)
	case strings.HasPrefix(typ, "fax_"):
		return kindFax, string(p.Transmission.FilesURL)
	case p.request.ID != "":
		return kindAgreement, string(p.request.ID)
	case p.Template.ID != "":
		return kindTemplate, string(p.Template.ID)
	case p.Account.ID != "":
		return kindAccount, string(p.Account.ID)
	case p.Transmission.FilesURL != "":
		return kindFax, string(p.Transmission.FilesURL)
	}
	return kindOther, ""
}

// eventID leaves out the account or app that the callback is reported for, because both receive the same event. It does
// not use event_hash, which requests sent in the same second share.
func (p *payload) eventID() string {
	kind, id := p.object()
	fields := []string{kind, string(p.Event.Type), string(p.Event.Time), id, string(p.Event.Metadata.Signature)}
	switch {
	case id == "" && kind != kindTest: // only the message differs from others of the same second
		fields = append(fields, strings.ReplaceAll(string(p.message), string(p.Event.Hash), ""))
	case p.signerUnnamed():
		fields = append(fields, string(p.SignatureRequest))
	}
	return webhook.EventID(name, fields...)
}

// signerUnnamed reports whether callbacks about two signers may have the same time, type and IDs. Only the state of the
// whole signature request distinguishes them. If the vendor sends a newer state with a retry, that makes a duplicate,
// which is better than a loss.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: related_signature_id comes with
// signature_request_signed and signature_request_viewed.
func (p *payload) signerUnnamed() bool {
	switch p.Event.Type {
	case "signature_request_signed", "signature_request_viewed":
		return p.Event.Metadata.Signature == ""
	case "signature_request_prepared", "signature_request_sent", "signature_request_all_signed",
		"signature_request_declined", "signature_request_canceled", "signature_request_expired",
		"signature_request_invalid", "file_error", "unknown_error",
		"signature_request_downloadable", "signature_request_destroyed":
		return false // about the request as a whole
	}
	return true
}

func (p *payload) agreementID() string {
	if kind, id := p.object(); kind == kindAgreement {
		return webhook.AgreementID(id)
	}
	return ""
}

func (p *payload) subject() string {
	kind, id := p.object()
	switch kind {
	case kindAgreement:
		return webhook.AgreementSubject(name, p.agreementID())
	case kindAccount:
		id = cmp.Or(id, p.accountID())
	case kindFax:
		id = webhook.EventID(name, kindFax, id) // may hold an address: store a hash
	}
	return webhook.Subject(name, kind, id)
}

// accountID is the account that the callback is reported for. It may be empty for an app callback.
func (p *payload) accountID() string { return string(cmp.Or(p.Event.Metadata.Account, p.AccountGUID)) }

// via names the subscription.
//
// SPEC: https://github.com/hellosign/hellosign-openapi sdks (EventCallbackHelper), read 2026-11-22: it is an app
// callback if reported_for_app_id is not empty, else an account callback.
func (p *payload) via() string {
	if app := p.Event.Metadata.App; app != "" {
		return webhook.Label("app/" + string(app))
	}
	if account := p.accountID(); account != "" {
		return webhook.Label("account/" + account)
	}
	return ""
}
