// Package boldsign receives BoldSign's webhooks, of the account level and of the app level.
//
// SPEC: https://developers.boldsign.com/webhooks/webhook-configuration-and-lifecycle, read 2026-11-30: 200 within 10
// seconds, otherwise retries after 1, 15 and 45 minutes and 1, 8 and 24 hours. The same event may arrive more than
// once.
package boldsign

import (
	"bytes"
	"net/http"
	"time"

	"esignhooks/shared/webhook"
)

const name = "boldsign"

// Provider implements [webhook.Provider].
type Provider struct{}

var (
	_ webhook.Provider   = Provider{}
	_ webhook.Challenger = Provider{}
)

// Info implements [webhook.Provider].
//
// SPEC: https://developers.boldsign.com/webhooks/setting-webhook and
// https://developers.boldsign.com/webhooks/verify-webhook-events, read 2026-11-30.
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:            name,
		Resource:        "BoldSign",
		Disabled:        true,
		Title:           "BoldSign",
		KeysVariable:    "BOLDSIGN_SECRETS",
		DevelopmentKey:  "development-boldsign-secret",
		SignsAll:        true,
		PersonReference: "signerRole",
		AnswerWithin:    10 * time.Second,
		Allow:           http.MethodPost,
		Registration: []string{
			"API → Webhooks → Add Webhook: account level, or app level for the documents of one OAuth app",
			"choose the events, press Verify, then Save",
			"the secret is shown by Reveal on the webhook's page, only after Save",
		},
	}
}

// maxVerification is far more than the size of a verification, in bytes.
const maxVerification = 2048

// Challenge implements [webhook.Provider]. BoldSign verifies a URL by a POST before the webhook has a secret. Any body
// of that form gets 200, since it cannot be proved yet. Nothing is stored, and the answer is empty.
//
// SPEC: https://developers.boldsign.com/webhooks/setting-webhook, read 2026-11-30: the body is {"event": {…}} with the
// eventType Verification, and the answer is 200 within 10 seconds.
func (Provider) Challenge(r *webhook.Request, _ webhook.Keys) (*webhook.Response, error) {
	if r.Method != http.MethodPost || len(r.Body) > maxVerification || !bytes.Contains(r.Body, []byte(verification)) {
		return nil, webhook.ErrNoChallenge
	}
	if p, err := parse(r.Body); err != nil || p.Event.Type != verification || p.about() != "" {
		return nil, webhook.ErrNoChallenge
	}
	return &webhook.Response{Status: http.StatusOK}, nil
}

// ChallengeRequest implements [webhook.Challenger].
func (Provider) ChallengeRequest(webhook.Secret) *webhook.Request {
	return &webhook.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}},
		Body: []byte(`{"event":{"eventType":"` + verification + `"}}`),
	}
}

// Acknowledge implements [webhook.Provider].
func (Provider) Acknowledge(*webhook.Request) *webhook.Response {
	return &webhook.Response{Status: http.StatusOK}
}
