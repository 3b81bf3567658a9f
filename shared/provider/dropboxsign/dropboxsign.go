// Package dropboxsign receives Dropbox Sign (formerly HelloSign) callbacks, API version 3.
//
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-22: one event per POST, as the single
// field json of a multipart form; event_hash covers nothing but event_time and event_type; Content-Sha256, where it is
// sent, covers the field; there is no event ID.
package dropboxsign

import (
	"net/http"
	"time"

	"esignhooks/shared/webhook"
)

const name = "dropboxsign"

// Provider is Dropbox Sign's protocol.
type Provider struct{}

var _ webhook.Provider = Provider{}

// Info implements [webhook.Provider].
//
// SPEC: https://help.dropbox.com/integrations/how-to-manage-your-dropbox-sign-api-apps, read 2026-11-23: the API tab of
// the settings.
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-22: an answer within 30 seconds.
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:            name,
		Resource:        "DropboxSign",
		Title:           "Dropbox Sign",
		KeysVariable:    "DROPBOXSIGN_API_KEYS",
		DevelopmentKey:  "development-dropboxsign-api-key",
		PersonReference: "signer_role",
		AnswerWithin:    30 * time.Second,
		Allow:           http.MethodPost,
		Registration: []string{
			"Settings → API → Account callback, and the Event callback of each API app",
			"press Test",
		},
	}
}

// Challenge implements [webhook.Provider]. Dropbox Sign sends no challenge. The Test button in its settings POSTs a
// callback_test, which is handled as an event.
func (Provider) Challenge(*webhook.Request, webhook.Keys) (*webhook.Response, error) {
	return nil, webhook.ErrNoChallenge
}

// Acknowledge implements [webhook.Provider]. The vendor counts any other answer as a failure. After ten in a row it
// clears the callback URL.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: 200, text/plain, this text, with
// no full stop.
func (Provider) Acknowledge(*webhook.Request) *webhook.Response {
	return &webhook.Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/plain"}},
		Body:   []byte("Hello API Event Received"),
	}
}
