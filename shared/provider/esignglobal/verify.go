package esignglobal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// SPEC: https://open.esign.cn/doc/opendoc/notify3/pmy852, read 2026-11-22: the headers of the parent platform,
// esign.cn. That eSignGlobal sends them is not documented: its pages say that a key exists, not what it is for.
const (
	appIDHeader     = "X-Tsign-Open-App-Id"
	timestampHeader = "X-Tsign-Open-TIMESTAMP" // milliseconds since 1970
	algorithmHeader = "X-Tsign-Open-SIGNATURE-ALGORITHM"
	signatureHeader = "X-Tsign-Open-SIGNATURE"
)

// Verify implements [webhook.Provider]. A signature that can be checked must be valid, even with the right URL token.
// Without a signature the URL token decides. The age of the timestamp is not checked, because it is not documented
// whether a retry has a new one.
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	signed := len(r.Header.Values(signatureHeader))+len(r.Header.Values(timestampHeader)) > 0
	switch {
	case signed && len(keys.Keys) > 0:
		if !genuine(r, keys.Keys) {
			return "", fmt.Errorf("esignglobal: signature: %w", webhook.ErrNotGenuine)
		}
		return esign.ProofSigned, nil
	case r.TokenMatched:
		return esign.ProofURLToken, nil
	case !keys.Configured():
		return "", fmt.Errorf("esignglobal: %w", webhook.ErrNoKey)
	}
	return "", fmt.Errorf("esignglobal: neither a signature nor a URL token: %w", webhook.ErrNotGenuine)
}

// Sign implements [webhook.Provider].
func (Provider) Sign(r *webhook.Request, key webhook.Secret, at time.Time) error {
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	r.Header.Set(appIDHeader, "7400000001")
	r.Header.Set(timestampHeader, timestamp)
	r.Header.Set(algorithmHeader, "hmac-sha256")
	r.Header.Set(signatureHeader, signature(r, timestamp, key))
	return nil
}

func genuine(r *webhook.Request, keys []webhook.Secret) bool {
	sent, timestamp := only(r.Header, signatureHeader), only(r.Header, timestampHeader)
	return timestamp != "" && webhook.Matches(keys, []string{sent}, func(key webhook.Secret) string {
		return signature(r, timestamp, key)
	})
}

// signature returns the vendor's signature of r. Nothing separates the signed parts. Moving the borders between them
// cannot make another event, because no proper suffix of a JSON object is a JSON object.
//
// SPEC: https://open.esign.cn/doc/opendoc/notify3/pmy852, read 2026-11-22: lower-case hex HMAC-SHA256, with the app's
// secret, of the timestamp, the values of the URL's query in ascending order of their keys, and the raw body. That the
// values are percent-decoded is inferred from the vendor's Java and PHP examples.
func signature(r *webhook.Request, timestamp string, key webhook.Secret) string {
	return hex.EncodeToString(key.HMAC(sha256.New, signed(r, timestamp, r.Body)...))
}

// signed returns what the signature of r covers if it has this body.
func signed(r *webhook.Request, timestamp string, body []byte) [][]byte {
	parts := [][]byte{[]byte(timestamp)}
	for _, parameter := range slices.Sorted(maps.Keys(r.Query)) {
		for _, value := range r.Query[parameter] {
			parts = append(parts, []byte(value))
		}
	}
	return append(parts, body)
}

// only returns the value of a header. It is empty if the header is missing or has several different values.
func only(h http.Header, header string) string {
	values := slices.Compact(slices.Clone(h.Values(header)))
	if len(values) != 1 {
		return ""
	}
	return strings.TrimSpace(values[0])
}
