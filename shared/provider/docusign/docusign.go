// Package docusign receives DocuSign Connect: one message per envelope, recipient, template or click event ("SIM",
// JSON), and what older configurations send, JSON aggregates and XML.
//
// SPEC: https://developers.docusign.com/platform/webhooks/connect/, read 2026-11-22: there is no handshake, no event ID
// and no delivery ID; retryCount is part of the signed body, so body and signature change with every try.
package docusign

import (
	"net/http"
	"time"

	"esignhooks/shared/webhook"
)

const name = "docusign"

// Provider is DocuSign Connect.
type Provider struct{}

var _ webhook.Provider = Provider{}

// Info implements [webhook.Provider].
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectconfigurations/create, read
// 2026-11-23: JSON SIM is recommended; https://developers.docusign.com/platform/webhooks/connect/validate/: HMAC keys.
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-22: an answer within 100 seconds.
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:            name,
		Resource:        "DocuSign",
		Title:           "DocuSign Connect",
		KeysVariable:    "DOCUSIGN_HMAC_KEYS",
		DevelopmentKey:  "development-docusign-hmac-key",
		SignsAll:        true,
		PersonReference: "clientUserId",
		AnswerWithin:    100 * time.Second,
		Allow:           http.MethodPost,
		Registration: []string{
			"Settings → Connect → Add configuration → Custom",
			"data format REST v2.1 (JSON), Send Individual Messages (SIM), no documents",
			"include recipients, for who acts and whose turn it is, and custom fields, for your own keys",
			"require acknowledgement: without it DocuSign never sends again",
			"include HMAC signature: the key is made under Connect Keys",
			`envelopes with an eventNotification of their own: requireAcknowledgment and includeHMAC "true" as well`,
		},
	}
}

// Challenge implements [webhook.Provider]: Connect sends none.
func (Provider) Challenge(*webhook.Request, webhook.Keys) (*webhook.Response, error) {
	return nil, webhook.ErrNoChallenge
}

// Acknowledge implements [webhook.Provider].
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-22: "a valid 200", no header or body required. One refused message stops all later SIM messages.
func (Provider) Acknowledge(*webhook.Request) *webhook.Response {
	return &webhook.Response{Status: http.StatusOK}
}
