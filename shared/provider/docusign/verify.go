package docusign

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

const (
	signaturePrefix = "x-docusign-signature-" // then a number from 1, one per active key of the account
	maxSignatures   = 100                     // as many as an account can have keys
)

// Verify implements [webhook.Provider]: any of the signatures, under any of the keys. Nothing else of the request is
// signed, neither headers nor URL nor time.
//
// SPEC: https://developers.docusign.com/platform/webhooks/connect/validate/, read 2026-11-22: base64 of the HMAC-SHA256
// over the raw body, line endings included. The key is the string as shown; it looks like base64 and is not decoded.
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	if len(keys.Keys) == 0 {
		return "", fmt.Errorf("docusign: %w", webhook.ErrNoKey)
	}
	sent := signatures(r.Header)
	if len(sent) == 0 {
		return "", fmt.Errorf("docusign: no signature header: %w", webhook.ErrNotGenuine)
	}
	if !webhook.Matches(keys.Keys, sent, func(key webhook.Secret) string { return signature(key, r.Body) }) {
		return "", fmt.Errorf("docusign: no signature matches: %w", webhook.ErrNotGenuine)
	}
	return esign.ProofSigned, nil
}

// Sign implements [webhook.Provider]. The time is not signed.
func (Provider) Sign(r *webhook.Request, key webhook.Secret, _ time.Time) error {
	maps.DeleteFunc(r.Header, func(header string, _ []string) bool { return isSignature(header) })
	r.Header.Set("X-Authorization-Digest", "HMACSHA256")
	r.Header.Set(signaturePrefix+"1", signature(key, r.Body))
	return nil
}

func signature(key webhook.Secret, body []byte) string {
	return base64.StdEncoding.EncodeToString(key.HMAC(sha256.New, body))
}

// signatures returns the values of all signature headers.
func signatures(header http.Header) []string {
	var names, found []string
	for h := range header {
		if isSignature(h) {
			names = append(names, h)
		}
	}
	slices.Sort(names)
	for _, h := range names {
		for value := range strings.SplitSeq(strings.Join(header[h], ","), ",") {
			if value = strings.TrimSpace(value); value != "" {
				found = append(found, value)
			}
		}
	}
	return found[:min(len(found), maxSignatures)]
}

func isSignature(header string) bool {
	const n = len(signaturePrefix)
	return len(header) > n && strings.EqualFold(header[:n], signaturePrefix) &&
		strings.Trim(header[n:], "0123456789") == ""
}
