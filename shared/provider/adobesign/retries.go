package adobesign

import (
	"encoding/json"
	"time"

	"esignhooks/shared/webhook"
)

// Retries implements [webhook.Retrier].
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/webhookapis, read 2026-11-22: the pause
// doubles from a minute to 12 hours; 15 retries in 72 hours. A failing notification holds up all later ones of the
// webhook, which is then disabled, and those that waited are lost. So the last pause ends after 72 hours (inferred).
func (Provider) Retries() webhook.Retries {
	var pauses []time.Duration
	left := 72 * time.Hour
	for pause := time.Minute; len(pauses) < 14; pause *= 2 {
		pauses = append(pauses, min(pause, 12*time.Hour))
		left -= min(pause, 12*time.Hour)
	}
	return webhook.Retries{Pauses: append(pauses, left), InOrder: true}
}

// Acknowledges implements [webhook.Retrier].
//
// SPEC: https://helpx.adobe.com/sign/developer/webhook/overview.html, read 2026-11-22: 2xx, and the client ID in the
// header, or in the body as xAdobeSignClientId.
func (Provider) Acknowledges(r *webhook.Request, answer *webhook.Response) bool {
	var body struct {
		ID string `json:"xAdobeSignClientId"`
	}
	_ = json.Unmarshal(answer.Body, &body) // without JSON the header counts
	id := clientID(r)
	return answer.Successful() && id != "" && (answer.Header.Get(clientIDHeader) == id || body.ID == id)
}
