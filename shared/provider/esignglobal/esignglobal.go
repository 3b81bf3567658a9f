// Package esignglobal receives eSignGlobal's callbacks in both shapes that are in use: v1 "Callback" and v2 "Webhook".
//
// SPEC: https://www.esignglobal.com/fr-FR/developer-center/api/e3esec8grw834hdls3c5uket, read 2026-11-22: the v1
// events and the answer; 200 within 5 seconds, otherwise up to 16 more attempts.
// SPEC: https://www.esignglobal.com/developer-center/document/vfj16znziy18o17n4sc5y7ng, read 2026-11-22: the v2 events,
// more of them than are listed here. No page has an event ID, a v2 event time, or a raw body.
package esignglobal

import (
	"net/http"
	"time"

	"esignhooks/shared/webhook"
)

const name = "esignglobal"

// Provider is eSignGlobal's protocol.
type Provider struct{}

var _ webhook.Provider = Provider{}

// Info implements [webhook.Provider].
//
// SPEC: https://www.esignglobal.com/en-US/service-center/detail/settings-integrations-apps and
// https://www.esignglobal.com/developer-center/document/vfj16znziy18o17n4sc5y7ng, read 2026-11-23.
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:            name,
		Resource:        "ESignGlobal",
		Title:           "eSignGlobal",
		KeysVariable:    "ESIGNGLOBAL_SECRETS",
		DevelopmentKey:  "development-esignglobal-secret",
		PersonReference: SharedReference,
		AnswerWithin:    5 * time.Second,
		Allow:           http.MethodPost,
		Registration: []string{
			"Settings → Integrations → Apps: callback address of the app; or Settings → Integrations → Webhook",
			"the URL's token suffices; the Secret Key goes into the secret only if eSignGlobal signs for you",
		},
	}
}

// Challenge implements [webhook.Provider]: the vendor has none.
func (Provider) Challenge(*webhook.Request, webhook.Keys) (*webhook.Response, error) {
	return nil, webhook.ErrNoChallenge
}

// Acknowledge implements [webhook.Provider].
//
// SPEC: https://www.esignglobal.com/fr-FR/developer-center/api/e3esec8grw834hdls3c5uket, read 2026-11-22: code is a
// string; a space, a slash or any other special character in the answer makes the vendor send again.
func (Provider) Acknowledge(*webhook.Request) *webhook.Response {
	return &webhook.Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(`{"code":"200","msg":"success"}`),
	}
}
