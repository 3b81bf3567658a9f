// Package adobesign receives Adobe Acrobat Sign webhooks. Adobe signs nothing: a request is proved by the secret URL
// token, if there is one, and by the client ID, which anybody can know. Adobe wants the client ID back in every answer.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/webhookapis, read 2026-11-22: a GET when
// the webhook is created or reactivated and a POST for each event carry X-AdobeSign-ClientId; an answer without its
// echo has failed even with status 200, is retried for 72 hours, and all later events wait behind it.
package adobesign

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"esignhooks/shared/webhook"
)

const name = "adobesign"

// Provider is Adobe Acrobat Sign. Its keys are client IDs, also called application IDs.
//
// SPEC: https://helpx.adobe.com/de/sign/web/developers/webhooks/create.html, read 2026-11-22: webhooks made in the web
// application carry a shared public ID, those made by API the application's own. So there are several, and none is
// secret.
type Provider struct{}

var (
	_ webhook.Provider   = Provider{}
	_ webhook.Challenger = Provider{}
)

// Info implements [webhook.Provider].
//
// SPEC: https://helpx.adobe.com/de/sign/web/developers/webhooks/create.html, read 2026-11-23: events and notification
// parameters are chosen there; https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/webhookapis:
// includeSignedDocuments.
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events, read 2026-11-30: without
// conditional parameters a notification has the agreement's ID, name and status.
// SPEC: https://helpx.adobe.com/sign/developer/webhook/overview.html, read 2026-11-22: an answer within 5 seconds.
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:           name,
		Resource:       "AdobeSign",
		Title:          "Adobe Acrobat Sign",
		KeysVariable:   "ADOBESIGN_CLIENT_IDS",
		DevelopmentKey: "DEVELOPMENTCLIENTID",
		AnswerWithin:   5 * time.Second,
		Allow:          "GET, POST",
		Registration: []string{
			"Admin → Webhooks → Create webhook, or POST /webhooks of the API",
			"put the client ID into the secret before: Adobe verifies the URL with a GET that carries it",
			"the client ID is " + WebApplicationID + " for webhooks created in the web application, and your application's " +
				"for those created by API; put in both if you may use both",
			"subscribe to the events you need, without signed documents (includeSignedDocuments: false)",
			"include the details of the agreement (includeDetailedInfo: true): externalId, the sender's own key, comes only " +
				"with them; they disclose the message and the e-mail addresses of the sender and of those who get a copy",
			"include the participants (includeParticipantsInfo: true): roles, order, turns and replacements come only with " +
				"them; they disclose names, companies, e-mail addresses, user IDs and private messages",
		},
	}
}

// Challenge implements [webhook.Provider]: the verification of intent. Adobe does not create a webhook whose client ID
// is refused.
func (Provider) Challenge(r *webhook.Request, keys webhook.Keys) (*webhook.Response, error) {
	if r.Method != http.MethodGet {
		return nil, fmt.Errorf("adobesign: %w", webhook.ErrNoChallenge)
	}
	if err := verifyClientID(r, keys); err != nil {
		return nil, err
	}
	return echo(clientID(r)), nil
}

// ChallengeRequest implements [webhook.Challenger].
func (Provider) ChallengeRequest(key webhook.Secret) *webhook.Request {
	r := &webhook.Request{Method: http.MethodGet, Header: http.Header{}}
	r.Header.Set(clientIDHeader, key.Reveal())
	return r
}

// Acknowledge implements [webhook.Provider].
func (Provider) Acknowledge(r *webhook.Request) *webhook.Response { return echo(clientID(r)) }

// echo returns id in the header and in the body; Adobe accepts either. Without an ID it does not acknowledge.
func echo(id string) *webhook.Response {
	if id == "" {
		return &webhook.Response{Status: http.StatusUnauthorized}
	}
	body, _ := json.Marshal(map[string]string{"xAdobeSignClientId": id})              // a map of strings always marshals
	header := http.Header{"Content-Type": {"application/json"}, clientIDHeader: {id}} // spelt as Adobe does
	return &webhook.Response{Status: http.StatusOK, Header: header, Body: body}
}
