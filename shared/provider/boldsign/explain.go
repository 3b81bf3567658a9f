package boldsign

import (
	"maps"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// Explain implements [webhook.Provider].
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	at, _ := signatures(r.Header)
	scheme := refusal.Scheme{
		Info:      p.Info(),
		Where:     "the header " + signatureHeader,
		Format:    "like t=1793610001, s0=<64 characters of lower-case hex>",
		Source:    "the webhook's page in BoldSign (Reveal)",
		Absent:    "it is not from BoldSign, or a proxy removed the header",
		Sent:      r.Header.Values(signatureHeader),
		Malformed: at == "",
		Header:    refusal.Without(r.Header, func(name string) bool { return strings.EqualFold(name, signatureHeader) }),
		Body:      r.Body,
	}
	for _, name := range slices.Sorted(maps.Keys(scheme.Header)) { // a proxy may have renamed it
		for _, value := range scheme.Header[name] {
			if t, sent, _ := strings.Cut(value, ","); at == "" && len(scheme.Sent) == 0 && strings.Contains(sent, "s0=") {
				at = strings.TrimPrefix(t, "t=")
			}
		}
	}
	scheme.Signed = func(body []byte) [][]byte { return [][]byte{[]byte(at), []byte("."), body} }
	return scheme.Causes(scheme.Find(keys.Keys))
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Boldsign-") {
			return true
		}
	}
	return webhook.Mentions(r.Body, `"signerDetails"`, `"environment"`, `"Verification"`) && webhook.Mentions(r.Body, `"eventType"`)
}
