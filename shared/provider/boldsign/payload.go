package boldsign

import (
	"encoding/json"

	"esignhooks/shared/webhook"
)

// payload is what we read of a message. The rest, much of it personal, is skipped.
//
// SPEC: https://developers.boldsign.com/webhooks/sample-event-data and https://github.com/boldsign/boldsign-node-sdk
// (WebhookEventMetadata, DocumentEvent, TemplateEvent, SenderIdentityEvent), read 2026-11-30. The id of a signer is in
// the sample only, and not in messages that were captured in 2025. The library also has a member document, which no
// sample shows.
type payload struct {
	Event struct {
		ID          webhook.Text `json:"id"`
		Created     webhook.Text `json:"created"` // seconds since 1970
		Type        webhook.Text `json:"eventType"`
		App         webhook.Text `json:"clientId"` // the OAuth app of an app-level webhook
		Environment webhook.Text `json:"environment"`
	} `json:"event"`
	Context struct {
		Actor struct {
			ID   webhook.Text `json:"id"`
			Type webhook.Text `json:"userType"`
		} `json:"actor"`
	} `json:"context"`
	Data     data `json:"data"`
	Document data `json:"document"`
}

type data struct {
	DocumentID webhook.Text         `json:"documentId"`
	TemplateID webhook.Text         `json:"templateId"`
	ID         webhook.Text         `json:"id"` // of a sender identity
	Status     webhook.Text         `json:"status"`
	MetaData   json.RawMessage      `json:"metaData"` // the sender's own
	Revoked    webhook.Text         `json:"revokeMessage"`
	Error      webhook.Text         `json:"errorMessage"`
	Ordered    webhook.Text         `json:"enableSigningOrder"`
	Signers    webhook.List[signer] `json:"signerDetails"`
	Signer     signer               `json:"signerDetail"` // of an identity verification
	CCs        webhook.List[copied] `json:"ccDetails"`
}

// copied is somebody who only gets a copy.
type copied struct {
	Email webhook.Text `json:"emailAddress"`
}

type signer struct {
	ID           webhook.Text `json:"id"`
	Email        webhook.Text `json:"signerEmail"`
	Status       webhook.Text `json:"status"`
	Type         webhook.Text `json:"signerType"`
	Role         webhook.Text `json:"signerRole"` // of the template
	Order        webhook.Text `json:"order"`
	Declined     webhook.Text `json:"declineMessage"`
	Viewed       webhook.Text `json:"isViewed"`
	Undelivered  webhook.Text `json:"isDeliveryFailed"`
	Unidentified webhook.Text `json:"isAuthenticationFailed"`
	Reassigned   webhook.Text `json:"isReassigned"`
	ActiveAt     webhook.Text `json:"lastActivityDate"` // seconds since 1970
}

func parse(body []byte) (*payload, error) {
	p := &payload{}
	if err := webhook.DecodeJSON(body, p); err != nil {
		return nil, err
	}
	if p.Data.DocumentID == "" && p.Document.DocumentID != "" {
		p.Data = p.Document
	}
	return p, nil
}

// about returns the ID of what the event is about, or an empty string.
func (p *payload) about() string {
	for _, id := range []webhook.Text{p.Data.DocumentID, p.Data.TemplateID, p.Data.ID} {
		if id != "" {
			return string(id)
		}
	}
	return ""
}
