package docusign

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// form is a list of fields. Further members of a field, such as its original value, are left out.
type form = vendorapi.Fields[struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}]

// FormData implements [vendorapi.Client]. Recipients may share a tab's name; each has the field then. What the sender
// has filled in has no person.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/envelopes/envelopeformdata/get, read 2026-11-30:
// formData, prefillFormData and recipientFormData, each with the fields formData; recipientId is the sender's. The
// account's setting "Allow sender to download form data" must be on. A refusal is a 400 with an errorCode.
func (c *client) FormData(ctx context.Context, id string) ([]vendorapi.Field, error) {
	if !guid.MatchString(id) {
		return nil, fmt.Errorf("docusign: %w: not the ID of an envelope", vendorapi.ErrUnknown)
	}
	base, err := c.base(ctx)
	if err != nil {
		return nil, fmt.Errorf("docusign: %w", err)
	}
	content, err := c.http.Open(ctx, base+"/envelopes/"+id+"/form_data", http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, fmt.Errorf("docusign: %w", err)
	}
	body, err := vendorapi.ReadForm(content)
	if err == nil {
		var fields []vendorapi.Field
		if fields, err = readForm(body, id); err == nil {
			return fields, nil
		}
	}
	return nil, fmt.Errorf("docusign: form data: %w", err)
}

func readForm(body []byte, id string) ([]vendorapi.Field, error) {
	var answer struct {
		ID      webhook.Text `json:"envelopeId"`
		All     form         `json:"formData"`
		Prefill struct {
			Fields form `json:"formData"`
		} `json:"prefillFormData"`
		Recipients vendorapi.Fields[json.RawMessage] `json:"recipientFormData"`
	}
	if err := vendorapi.DecodeForm(body, &answer); err != nil {
		return nil, err
	}
	if !strings.EqualFold(string(answer.ID), id) {
		return nil, vendorapi.ErrUnreadable
	}
	var fields []vendorapi.Field
	listed := map[string]bool{}
	add := func(person string, some form, unless map[string]bool) error {
		for _, f := range some {
			if !unless[f.Name] {
				fields = append(fields, vendorapi.Field{Name: f.Name, Value: f.Value, Person: person})
			}
		}
		return vendorapi.CheckFields(len(fields))
	}
	if err := add("", answer.Prefill.Fields, nil); err != nil {
		return nil, err
	}
	for _, text := range answer.Recipients { // one by one, so that all together have at most MaxFields
		var recipient struct {
			ID     webhook.Text `json:"recipientId"`
			Fields form         `json:"formData"`
		}
		if err := vendorapi.DecodeForm(text, &recipient); err != nil {
			return nil, err
		}
		if err := add(webhook.ParticipantKey(string(recipient.ID)), recipient.Fields, nil); err != nil {
			return nil, err
		}
	}
	for _, f := range fields {
		listed[f.Name] = true
	}
	return fields, add("", answer.All, listed) // it repeats the fields of the recipients
}
