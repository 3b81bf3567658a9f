package docusign

import (
	"cmp"
	"fmt"
	"strings"

	"esignhooks/shared/webhook"
)

// jsonMessage is SIM or an aggregate.
//
// SPEC: https://developers.docusign.com/platform/webhooks/connect/json-sim-event-model/, read 2026-11-22:
// envelopeSummary is optional. Scalars are strings in one version and numbers in another. That a JSON aggregate is the
// envelope at top level, without event and data, is not documented.
type jsonMessage struct {
	envelope
	Event             *text `json:"event"`
	URI               text  `json:"uri"`
	ConfigurationID   text  `json:"configurationId"`
	GeneratedDateTime text  `json:"generatedDateTime"`
	Data              struct {
		AccountID   text     `json:"accountId"`
		EnvelopeID  text     `json:"envelopeId"`
		RecipientID text     `json:"recipientId"`
		Reassigned  text     `json:"reassignedRecipientId"`
		AgreementID text     `json:"agreementId"`
		TemplateID  text     `json:"templateId"`
		Summary     envelope `json:"envelopeSummary"`
	} `json:"data"`
}

func parseJSON(body []byte) (*payload, error) {
	var j jsonMessage
	if err := webhook.DecodeJSON(body, &j); err != nil {
		return nil, err
	}
	event := ""
	if j.Event != nil {
		event = string(*j.Event)
	}
	p := &payload{
		generated: j.GeneratedDateTime, configuration: string(j.ConfigurationID),
		accountID: id(j.Data.AccountID, j.URI, "accounts"),
	}
	if event == "" && j.EnvelopeID != "" && j.Status != "" {
		p.format, p.envelope = formatAggregate, j.envelope
		p.envelopeID = strings.ToLower(string(j.EnvelopeID))
	} else {
		p.format, p.event, p.envelope = formatSIM, event, j.Data.Summary
		p.envelopeID = cmp.Or(id(j.Data.EnvelopeID, j.URI, "envelopes"), strings.ToLower(string(j.Data.Summary.EnvelopeID)))
		p.recipientID, p.reassignedID = string(j.Data.RecipientID), string(j.Data.Reassigned)
		p.agreementID = strings.ToLower(string(j.Data.AgreementID))
		p.templateID = cmp.Or(id(j.Data.TemplateID, j.URI, "templates"), p.envelopeID)
	}
	if j.Event == nil && p.format == formatSIM || event == "" && p.envelopeID == "" {
		return nil, fmt.Errorf("docusign: JSON with neither an event nor an envelope's status: %w", webhook.ErrUnreadable)
	}
	for _, document := range p.Documents {
		p.documents = p.documents || bool(document.PDFBytes)
	}
	return p, nil
}

// id is the ID in the data, or else the segment of the URI that follows collection.
func id(stated, uri text, collection string) string {
	if stated == "" {
		_, after, _ := strings.Cut(string(uri), "/"+collection+"/")
		segment, _, _ := strings.Cut(after, "/")
		stated = text(segment)
	}
	return strings.ToLower(string(stated))
}
