package dropboxsign

import (
	"cmp"
	"strings"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider].
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	c, err := readEvent(r)
	if err != nil {
		return nil, err
	}
	return []webhook.Identity{{
		EventID:     c.eventID(),
		Subject:     c.subject(),
		AgreementID: c.agreementID(),
		VendorType:  c.vendorType(),
		OccurredAt:  webhook.UnixTime(string(c.Event.Time)),
		Via:         c.via(),
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

// object says what the callback is about, and its ID, which may be empty. The type decides; where it is no help, the
// object that is there.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (2026), read 2026-11-22: account_confirmed carries
// account, template_* template, callback_test nothing, all others signature_request; official examples of fax_* carry
// transmission.
func (c *callback) object() (kind, id string) {
	switch typ := string(c.Event.Type); {
	case typ == "callback_test":
		return kindTest, ""
	case strings.HasPrefix(typ, "template_"):
		return kindTemplate, string(c.Template.ID)
	case strings.HasPrefix(typ, "account_"):
		return kindAccount, string(c.Account.ID)
	case strings.HasPrefix(typ, "fax_"):
		return kindFax, string(c.Transmission.FilesURL)
	case c.request.ID != "":
		return kindAgreement, string(c.request.ID)
	case c.Template.ID != "":
		return kindTemplate, string(c.Template.ID)
	case c.Account.ID != "":
		return kindAccount, string(c.Account.ID)
	case c.Transmission.FilesURL != "":
		return kindFax, string(c.Transmission.FilesURL)
	}
	return kindOther, ""
}

// eventID leaves out whom the callback is reported for: account and app are both told of one event. event_hash would
// not do: requests sent in the same second share it.
func (c *callback) eventID() string {
	kind, id := c.object()
	fields := []string{kind, string(c.Event.Type), string(c.Event.Time), id, string(c.Event.Metadata.Signature)}
	if c.signerUnnamed() {
		fields = append(fields, string(c.SignatureRequest))
	}
	return webhook.EventID(name, fields...)
}

// signerUnnamed says whether callbacks about two signers could be alike in time, type and IDs. Only the state of the
// whole signature request tells those apart. Should the vendor send a newer state with a retry, that makes a duplicate,
// which is cheaper than a loss.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: related_signature_id comes with
// signature_request_signed and signature_request_viewed.
func (c *callback) signerUnnamed() bool {
	switch c.Event.Type {
	case "signature_request_signed", "signature_request_viewed":
		return c.Event.Metadata.Signature == ""
	case "signature_request_prepared", "signature_request_sent", "signature_request_all_signed",
		"signature_request_declined", "signature_request_canceled", "signature_request_expired",
		"signature_request_invalid", "file_error", "unknown_error",
		"signature_request_downloadable", "signature_request_destroyed":
		return false // about the request as a whole
	}
	return true
}

func (c *callback) agreementID() string {
	if kind, id := c.object(); kind == kindAgreement {
		return webhook.AgreementID(id)
	}
	return ""
}

func (c *callback) subject() string {
	kind, id := c.object()
	switch kind {
	case kindAgreement:
		return webhook.AgreementSubject(name, c.agreementID())
	case kindAccount:
		id = cmp.Or(id, c.accountID())
	case kindFax:
		id = webhook.EventID(name, kindFax, id) // an address is nobody's business
	}
	return webhook.Subject(name, kind, id)
}

// accountID is the account that the callback is reported for; app callbacks may not name it.
func (c *callback) accountID() string { return string(cmp.Or(c.Event.Metadata.Account, c.AccountGUID)) }

// via names the subscription.
//
// SPEC: https://github.com/hellosign/hellosign-openapi sdks (EventCallbackHelper), read 2026-11-22: it is an app
// callback if reported_for_app_id is not empty, else an account callback.
func (c *callback) via() string {
	if app := c.Event.Metadata.App; app != "" {
		return webhook.Label("app/" + string(app))
	}
	if account := c.accountID(); account != "" {
		return webhook.Label("account/" + account)
	}
	return ""
}
