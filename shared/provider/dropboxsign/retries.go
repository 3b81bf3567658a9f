package dropboxsign

import (
	"bytes"
	"net/http"
	"time"

	"esignhooks/shared/webhook"
)

// Retries implements [webhook.Retrier].
//
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-22: six retries, after 5, 15 and 45
// minutes, 2 hours 15 minutes, 6 hours 45 minutes and 20 hours 15 minutes. Ten failures in a row clear the callback URL.
func (Provider) Retries() webhook.Retries {
	var pauses []time.Duration
	for pause := 5 * time.Minute; len(pauses) < 6; pause *= 3 {
		pauses = append(pauses, pause)
	}
	return webhook.Retries{Pauses: pauses, MaxFailures: 10}
}

// Acknowledges implements [webhook.Retrier].
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: 200, and a body that contains this
// text.
func (Provider) Acknowledges(_ *webhook.Request, answer *webhook.Response) bool {
	return answer.Status == http.StatusOK && bytes.Contains(answer.Body, []byte("Hello API Event Received"))
}
