package dropboxsign

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"strings"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider].
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r)
	if err != nil {
		return nil, err
	}
	eventID := p.eventID()
	return []webhook.Identity{{
		EventID:     eventID,
		Subject:     p.subject(),
		AgreementID: p.agreementID(),
		VendorType:  p.vendorType(),
		OccurredAt:  webhook.UnixTime(string(p.Event.Time)),
		Via:         p.via(),
		FormerIDs:   p.formerIDs(eventID),
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

// eventID leaves out everything in which the copies for an account and for its apps differ. It does not use event_hash,
// which requests sent in the same second share.
func (p *payload) eventID() string {
	kind, id := p.object()
	switch fields := []string{kind, string(p.Event.Type), string(p.Event.Time), id}; {
	case id == "" && kind != kindTest: // only the message differs from others of the same second
		return p.formerID(p.related(), "")
	case oneSigner[p.Event.Type] && p.signer() != "":
		return webhook.EventID(name, append(fields, string(p.signer()))...)
	case p.signerUnnamed():
		return webhook.EventID(name, append(fields, "", canonical(p.SignatureRequest))...)
	default:
		return webhook.EventID(name, append(fields, "")...)
	}
}

// oneSigner lists the types whose related_signature_id is the signer that the event is about. Other types may have one
// in the account's copy of an event and none in an app's.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: related_signature_id comes with
// signature_request_signed and signature_request_viewed; a callback of signature_request_declined that the vendor's
// support shows (https://gist.github.com/radhack/5c48596554f1, read 2026-11-30) has one too.
// SPEC: https://github.com/hellosign/hellosign-openapi examples/json, read 2026-11-30: in the two copies of one
// signature_request_sent, related_signature_id and signature_request.client_id differ.
var oneSigner = map[verbatim]bool{
	"signature_request_signed": true, "signature_request_viewed": true, "signature_request_declined": true,
}

func (p *payload) related() string { return string(p.Event.Metadata.Signature) }

// signer returns the signer that an event of a type in oneSigner is about, or "" if that is unclear.
func (p *payload) signer() webhook.Text {
	if id := p.Event.Metadata.Signature; id != "" {
		return id
	}
	return p.onlySignature(func(s Signature) bool {
		return p.Event.Type != "signature_request_declined" || s.Status == declined
	})
}

// onlySignature returns the ID of the agreement's signature that matches, if there is exactly one.
func (p *payload) onlySignature(matches func(Signature) bool) (id webhook.Text) {
	if p.agreementID() == "" {
		return ""
	}
	for _, s := range p.request.Signatures {
		switch {
		case !matches(s):
		case id != "" || s.ID == "":
			return ""
		default:
			id = s.ID
		}
	}
	return id
}

// signerUnnamed reports whether callbacks about two signers may have the same time, type and IDs. Only the state of the
// whole signature request distinguishes them. If the vendor sends a newer state with a retry, that makes a duplicate,
// which is better than a loss.
func (p *payload) signerUnnamed() bool {
	switch p.Event.Type {
	case "signature_request_prepared", "signature_request_sent", "signature_request_all_signed",
		"signature_request_declined", "signature_request_canceled", "signature_request_expired",
		"signature_request_invalid", "file_error", "unknown_error",
		"signature_request_downloadable", "signature_request_destroyed":
		return false // about the request as a whole, or one signer ends it
	}
	return true
}

// maxCanonical is far above the usual size of a signature request, in bytes. A larger one is not taken apart: a list of
// empty objects would need a hundred times its size in memory.
const maxCanonical = 256 << 10

// canonical returns a signature request without the fields that depend on whose copy it is, independent of the order of
// keys.
func canonical(request json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(request))
	d.UseNumber()
	var fields map[string]any
	if len(request) > maxCanonical || d.Decode(&fields) != nil {
		return string(request)
	}
	maps.DeleteFunc(fields, func(key string, value any) bool {
		// Only a signer's copy has a signing_url. An empty object may be written as [], or left out.
		return key == "client_id" || strings.HasSuffix(key, "_url") || strings.HasSuffix(key, "_uri") || empty(value)
	})
	b, _ := json.Marshal(fields) // was unmarshalled
	return string(b)
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
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
