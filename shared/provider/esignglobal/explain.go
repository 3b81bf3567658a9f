package esignglobal

import (
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// Explain implements [webhook.Provider].
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	own := func(name string) bool {
		return strings.EqualFold(name, signatureHeader) || strings.EqualFold(name, timestampHeader)
	}
	timestamp := only(r.Header, timestampHeader)
	scheme := refusal.Scheme{
		Info:      p.Info(),
		Where:     "the header " + signatureHeader,
		Format:    "64 characters of lower-case hex, with " + timestampHeader,
		Source:    "the app's Secret Key in eSignGlobal",
		Absent:    "eSignGlobal may not sign; then register the URL with its token, which make urls shows",
		Sent:      r.Header.Values(signatureHeader),
		Header:    refusal.Without(r.Header, own),
		Body:      r.Body,
		Malformed: timestamp == "" || only(r.Header, signatureHeader) == "",
		Signed:    func(body []byte) [][]byte { return signed(r, timestamp, body) },
	}
	if len(r.Query) > 0 {
		scheme.WithoutQuery = func(body []byte) [][]byte { return [][]byte{[]byte(timestamp), body} }
	}
	return scheme.Causes(scheme.Find(keys.Keys))
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Tsign-") {
			return true
		}
	}
	return webhook.Mentions(r.Body, `"callBackEnum"`, `"callBackDesc"`, `"eventPayload"`)
}
