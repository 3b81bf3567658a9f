// Package docusign receives DocuSign Connect: one message per envelope, recipient, template or click event ("SIM", JSON),
// and what older configurations send, JSON aggregates and XML.
//
// SPEC: https://developers.docusign.com/platform/webhooks/connect/, read 2026-11-22: there is no handshake, no event ID
// and no delivery ID; retryCount stands inside the signed body, so that body and signature change with every try.
package docusign

import (
	"crypto/hmac"
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

const name = "docusign"

// Provider is DocuSign Connect.
type Provider struct{}

var _ webhook.Provider = Provider{}

// Info implements [webhook.Provider].
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name:           name,
		Title:          "DocuSign Connect",
		KeysVariable:   "DOCUSIGN_HMAC_KEYS",
		DevelopmentKey: "development-docusign-hmac-key",
		Allow:          http.MethodPost,
	}
}

// Challenge implements [webhook.Provider]: Connect sends none.
func (Provider) Challenge(*webhook.Request, webhook.Keys) (*webhook.Response, error) {
	return nil, webhook.ErrNoChallenge
}

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
	usable := slices.DeleteFunc(slices.Clone(keys.Keys), func(key webhook.Secret) bool { return key.Reveal() == "" })
	if len(usable) == 0 {
		return "", fmt.Errorf("docusign: %w", webhook.ErrNoKey)
	}
	sent := signatures(r.Header)
	if len(sent) == 0 {
		return "", fmt.Errorf("docusign: no signature header: %w", webhook.ErrNotGenuine)
	}
	genuine := false
	for _, key := range usable {
		want := []byte(signature(key, r.Body))
		for _, got := range sent {
			genuine = hmac.Equal(want, []byte(got)) || genuine
		}
	}
	if !genuine {
		return "", fmt.Errorf("docusign: no signature matches: %w", webhook.ErrNotGenuine)
	}
	return esign.ProofSigned, nil
}

// Acknowledge implements [webhook.Provider].
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI 2.1,
// read 2026-11-22: "a valid 200", no header or body required. One refused message stops all later SIM messages.
func (Provider) Acknowledge(*webhook.Request) *webhook.Response {
	return &webhook.Response{Status: http.StatusOK}
}

// Sign implements [webhook.Provider]. The time is not signed.
func (Provider) Sign(r *webhook.Request, key webhook.Secret, _ time.Time) error {
	if r.Header == nil {
		r.Header = http.Header{}
	}
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
	var found []string
	for _, h := range slices.Sorted(maps.Keys(header)) {
		if !isSignature(h) {
			continue
		}
		for value := range strings.SplitSeq(strings.Join(header[h], ","), ",") {
			if value = strings.TrimSpace(value); value != "" {
				found = append(found, value)
			}
		}
	}
	return found[:min(len(found), maxSignatures)]
}

func isSignature(header string) bool {
	number, ok := strings.CutPrefix(strings.ToLower(header), signaturePrefix)
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}
