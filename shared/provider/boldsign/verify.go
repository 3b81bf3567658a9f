package boldsign

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// SPEC: https://github.com/boldsign/boldsign-java-sdk WebhookUtility.java, read 2026-11-30: both headers.
const (
	signatureHeader = "X-BoldSign-Signature"
	eventHeader     = "X-BoldSign-Event" // the event type; it is not signed and not read
)

// Verify implements [webhook.Provider]. The age of the signature does not count. BoldSign's libraries refuse signatures
// older than 300 seconds, but no document reports whether a retry, up to 24 hours later, gets a new time: refusing old
// ones could lose events. A replayed request is a duplicate, because its event ID is signed.
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	if len(keys.Keys) == 0 {
		return "", fmt.Errorf("boldsign: %w", webhook.ErrNoKey)
	}
	at, sent := signatures(r.Header)
	if at == "" || !webhook.Matches(keys.Keys, sent,
		func(key webhook.Secret) string { return signature(key, at, r.Body) }) {
		return "", fmt.Errorf("boldsign: signature: %w", webhook.ErrNotGenuine)
	}
	return esign.ProofSigned, nil
}

// Sign implements [webhook.Provider].
func (Provider) Sign(r *webhook.Request, key webhook.Secret, at time.Time) error {
	t := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set(signatureHeader, "t="+t+", s0="+signature(key, t, r.Body))
	return nil
}

// signature returns the signature of a body at a time, in seconds since 1970.
//
// SPEC: https://developers.boldsign.com/webhooks/verify-webhook-events, read 2026-11-30: lower-case hex HMAC-SHA256 of
// the time, a full stop and the raw body.
func signature(key webhook.Secret, at string, body []byte) string {
	return hex.EncodeToString(key.HMAC(sha256.New, []byte(at), []byte("."), body))
}

// signatures returns the time and the signatures of the header "t=<time>, s0=<hex>[, s1=<hex>]". The time is empty if
// the header cannot be read. Each part may occur once, and unknown parts are skipped.
//
// SPEC: https://developers.boldsign.com/webhooks/verify-webhook-events, read 2026-11-30: s1 is made with the old secret
// while a new one is introduced.
func signatures(h http.Header) (at string, sent []string) {
	values := slices.Compact(slices.Clone(h.Values(signatureHeader)))
	if len(values) != 1 {
		return "", nil
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(values[0], ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[key]; twice {
			return "", nil
		}
		parts[key] = value
	}
	at = parts["t"]
	if strings.Trim(at, "0123456789") != "" { // with a full stop it could take a part of the body
		return "", nil
	}
	return at, []string{parts["s0"], parts["s1"]}
}
