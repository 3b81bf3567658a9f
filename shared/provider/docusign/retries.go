package docusign

import (
	"slices"
	"time"

	"esignhooks/shared/webhook"
)

// Retries implements [webhook.Retrier], for a configuration that requires acknowledgement.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-22: with SIM, once a day and at most ten times; later messages are queued meanwhile, and the first
// success releases them all, in order. Others report shorter pauses. Nothing releases the queue after the last retry
// (inferred).
func (Provider) Retries() webhook.Retries {
	return webhook.Retries{Pauses: slices.Repeat([]time.Duration{24 * time.Hour}, 10), InOrder: true}
}

// Acknowledges implements [webhook.Retrier].
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-22: "a valid 200"; a status outside 200 to 299 is a failure.
func (Provider) Acknowledges(_ *webhook.Request, answer *webhook.Response) bool {
	return answer.Successful()
}
