// Package dropboxsign receives Dropbox Sign (formerly HelloSign) callbacks, API version 3.
//
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-22: one event per POST, as the single
// field json of a multipart form; event_hash covers nothing but event_time and event_type; Content-Sha256, where it is
// sent, covers the field; there is no event ID.
package dropboxsign

import (
	"net/http"

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
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:           name,
		Resource:       "DropboxSign",
		Title:          "Dropbox Sign",
		KeysVariable:   "DROPBOXSIGN_API_KEYS",
		DevelopmentKey: "development-dropboxsign-api-key",
		Allow:          http.MethodPost,
		Registration: []string{
			"Settings → API → Account callback, and the Event callback of each API app",
			"press Test",
		},
	}
}

// Challenge implements [webhook.Provider]: there is none. The Test button in the vendor's settings POSTs a
// callback_test, an event like any other.
func (Provider) Challenge(*webhook.Request, webhook.Keys) (*webhook.Response, error) {
	return nil, webhook.ErrNoChallenge
}

// Acknowledge implements [webhook.Provider]. Anything else counts as a failure; ten in a row erase the callback URL.
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
