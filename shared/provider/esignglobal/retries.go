package esignglobal

import (
	"time"

	"esignhooks/shared/webhook"
)

// Retries implements [webhook.Retrier].
//
// SPEC: https://www.esignglobal.com/developer-center/document/vfj16znziy18o17n4sc5y7ng, read 2026-11-30: 10 and 30
// seconds, 1 to 10, 20 and 30 minutes, 1 and 2 hours, which is one of two schedules. The other one is a picture only.
func (Provider) Retries() webhook.Retries {
	pauses := []time.Duration{10 * time.Second, 30 * time.Second}
	for minutes := range time.Duration(10) {
		pauses = append(pauses, (minutes+1)*time.Minute)
	}
	return webhook.Retries{Pauses: append(pauses, 20*time.Minute, 30*time.Minute, time.Hour, 2*time.Hour)}
}

// Acknowledges implements [webhook.Retrier].
//
// SPEC: https://www.esignglobal.com/fr-FR/developer-center/api/e3esec8grw834hdls3c5uket, read 2026-11-22: a status from
// 200 to 299, and this body without a space, a slash or any other special character.
func (Provider) Acknowledges(_ *webhook.Request, answer *webhook.Response) bool {
	return answer.Successful() && string(answer.Body) == `{"code":"200","msg":"success"}`
}
