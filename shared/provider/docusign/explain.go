package docusign

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
)

// maxHashed is how much is hashed to explain a refusal, in bytes. A body larger than a part of it gets no explanation.
const maxHashed = 1 << 20

// Explain implements [webhook.Explainer].
//
// SPEC: https://pinter.org/archives/11140, read 2026-11-30: DocuSign's page showed a key with "=" at its end, and a
// copy without it did not match.
func (Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	sent := signatures(r.Header)
	if len(sent) == 0 {
		return []webhook.Refusal{{
			Code: "signature-missing",
			Hint: "the request has no X-DocuSign-Signature header: switch on includeHMAC in the Connect configuration, " +
				"and in the eventNotification of envelopes that have one",
		}}
	}
	tries := maxHashed / (len(r.Body) + sha256.BlockSize*4)
	matches := func(spellings func(key string) []string) bool {
		respelt := webhook.Respelt(keys.Keys, spellings)
		respelt = respelt[:min(len(respelt), tries)]
		tries -= len(respelt)
		return webhook.Matches(respelt, sent, func(key webhook.Secret) string { return signature(key, r.Body) })
	}
	switch {
	case matches(padded):
		return []webhook.Refusal{{
			Code: "key-encoding",
			Hint: `the signature matches a configured key with "=" added to its end or removed from it: copy the whole key ` +
				"from DocuSign's page Connect Keys again",
		}}
	case matches(decoded):
		return []webhook.Refusal{{
			Code: "key-encoding",
			Hint: "the signature matches a configured key after decoding it: configure the key exactly as the sender uses " +
				"it, without another encoding",
		}}
	}
	return nil
}

// padded returns the key with other numbers of "=" at its end.
func padded(key string) []string {
	bare := strings.TrimRight(key, "=")
	return slices.DeleteFunc([]string{bare, bare + "=", bare + "=="}, func(made string) bool { return made == key })
}

// decoded returns what the key is if it is base64 or hex.
func decoded(key string) (found []string) {
	if b, err := base64.StdEncoding.DecodeString(key); err == nil {
		found = append(found, string(b))
	}
	if b, err := hex.DecodeString(key); err == nil {
		found = append(found, string(b))
	}
	return found
}
