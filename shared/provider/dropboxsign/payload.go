package dropboxsign

import (
	"encoding/json"
	"fmt"

	"esignhooks/shared/webhook"
)

// payload holds the fields of a message that we read. The rest, much of it personal, is ignored.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (EventCallbackRequest), read 2026-11-22: only event
// is required. account_guid and client_id appear only in official examples. An empty object may come as [], as PHP
// writes it.
type payload struct {
	message []byte // the JSON text as it was sent

	Event struct {
		Time     verbatim `json:"event_time"` // seconds since 1970
		Type     verbatim `json:"event_type"`
		Hash     verbatim `json:"event_hash"`
		Metadata struct {
			Signature webhook.Text `json:"related_signature_id"`
			Account   webhook.Text `json:"reported_for_account_id"`
			App       webhook.Text `json:"reported_for_app_id"` // makes it an app callback
			Message   webhook.Text `json:"event_message"`
		} `json:"event_metadata"`
	} `json:"event"`
	AccountGUID  webhook.Text `json:"account_guid"`
	ClientID     webhook.Text `json:"client_id"`
	Template     template     `json:"template"`
	Account      account      `json:"account"`
	Transmission transmission `json:"transmission"` // a fax

	SignatureRequest json.RawMessage `json:"signature_request"`
	request          Request
}

type template struct {
	ID webhook.Text `json:"template_id"`
}

type account struct {
	ID webhook.Text `json:"account_id"`
}

type transmission struct {
	FilesURL webhook.Text `json:"files_url"` // the only field that identifies a fax
}

// verbatim is a JSON string or number exactly as written. event_hash covers it, so it is not trimmed.
type verbatim string

// UnmarshalJSON implements [json.Unmarshaler].
func (v *verbatim) UnmarshalJSON(b []byte) error {
	*v = ""
	switch {
	case b[0] == '"':
		s, err := webhook.Unquote(b)
		*v = verbatim(s)
		return err
	case b[0] == '-', '0' <= b[0] && b[0] <= '9':
		*v = verbatim(b)
	}
	return nil
}

// parse reads the callback in r. A callback without an event type is unreadable.
func parse(r *webhook.Request) (*payload, error) {
	p, err := decode(r)
	if err != nil {
		return nil, err
	}
	if p.vendorType() == "" {
		return nil, fmt.Errorf("dropboxsign: no event_type: %w", webhook.ErrUnreadable)
	}
	_ = webhook.DecodeJSON(p.SignatureRequest, &p.request) // a value of another type has no fields
	return p, nil
}

// decode reads the callback in r, with or without an event type, so that it can be verified. If the callback is not
// JSON, decode returns its bytes with ErrUnreadable.
func decode(r *webhook.Request) (*payload, error) {
	text, err := message(r)
	if err != nil {
		return nil, err
	}
	p := &payload{message: text}
	return p, webhook.DecodeJSON(text, p)
}

func (p *payload) vendorType() string { return webhook.Label(string(p.Event.Type)) }
