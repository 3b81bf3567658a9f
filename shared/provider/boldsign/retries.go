package boldsign

import (
	"time"

	"esignhooks/shared/webhook"
)

// Retries implements [webhook.Retrier].
//
// SPEC: https://developers.boldsign.com/webhooks/webhook-configuration-and-lifecycle, read 2026-11-30: after 1, 15 and
// 45 minutes and 1, 8 and 24 hours. After seven more days of failures the webhook is disabled.
func (Provider) Retries() webhook.Retries {
	return webhook.Retries{Pauses: []time.Duration{
		time.Minute, 15 * time.Minute, 45 * time.Minute, time.Hour, 8 * time.Hour, 24 * time.Hour,
	}}
}

// Acknowledges implements [webhook.Retrier].
//
// SPEC: https://developers.boldsign.com/webhooks/webhook-configuration-and-lifecycle, read 2026-11-30: 200.
func (Provider) Acknowledges(_ *webhook.Request, answer *webhook.Response) bool {
	return answer.Status == 200
}
