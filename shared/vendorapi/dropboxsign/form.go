package dropboxsign

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// FormData implements [vendorapi.Client].
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (SignatureRequestResponseDataBase), read
// 2026-11-30: response_data has api_id, signature_id, name and value, a string or a boolean. Names may repeat, api_id
// is unique.
func (c *client) FormData(ctx context.Context, id string) ([]vendorapi.Field, error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("dropboxsign: %w: not the ID of a signature request", vendorapi.ErrUnknown)
	}
	content, err := c.http.Open(ctx, c.base+"/signature_request/"+id, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, fmt.Errorf("dropboxsign: %w", err)
	}
	var answer struct {
		Request struct {
			ID   webhook.Text `json:"signature_request_id"`
			Form vendorapi.Fields[struct {
				ID        webhook.Text    `json:"api_id"`
				Signature webhook.Text    `json:"signature_id"`
				Name      string          `json:"name"`
				Value     json.RawMessage `json:"value"`
			}] `json:"response_data"`
		} `json:"signature_request"`
	}
	body, err := vendorapi.ReadForm(content)
	if err == nil {
		err = vendorapi.DecodeForm(body, &answer)
	}
	if err == nil && string(answer.Request.ID) != id {
		err = vendorapi.ErrUnreadable
	}
	if err != nil {
		return nil, fmt.Errorf("dropboxsign: form data: %w", err)
	}
	var fields []vendorapi.Field
	for _, f := range answer.Request.Form {
		fields = append(fields, vendorapi.Field{
			Name: f.Name, ID: string(f.ID), Value: f.Value, Person: webhook.ParticipantKey(string(f.Signature)),
		})
	}
	return fields, nil
}
