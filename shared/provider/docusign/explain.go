package docusign

import (
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// Explain implements [webhook.Provider].
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	scheme := refusal.Scheme{
		Info:   p.Info(),
		Where:  "the header X-DocuSign-Signature-1",
		Format: "44 characters of base64",
		Source: "DocuSign's page Connect Keys",
		Absent: "switch on includeHMAC in the Connect configuration, and in the eventNotification of envelopes that have one",
		Sent:   signatures(r.Header),
		Header: refusal.Without(r.Header, isSignature),
		Body:   r.Body,
		Signed: func(body []byte) [][]byte { return [][]byte{body} },
	}
	return scheme.Causes(scheme.Find(keys.Keys))
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Docusign-") || name == "X-Authorization-Digest" {
			return true
		}
	}
	return webhook.Mentions(r.Body, `"envelopeSummary"`, `"configurationId"`, `"documentsUri"`, "DocuSignEnvelopeInformation")
}
