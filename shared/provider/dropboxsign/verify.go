package dropboxsign

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Verify implements [webhook.Provider]. It always checks event_hash, and Content-Sha256 if the header is present.
// Without the header the proof is only ProofPartlySigned: anyone who has seen a genuine callback can send another body
// with its time and type.
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	if len(keys.Keys) == 0 {
		return "", fmt.Errorf("dropboxsign: %w", webhook.ErrNoKey)
	}
	p, err := decode(r)
	if p == nil {
		return "", fmt.Errorf("dropboxsign: nothing to verify in the body: %w", webhook.ErrNotGenuine)
	}
	sent, present := contentHeader(r.Header)
	signed := present && p.contentMatches(keys.Keys, sent)
	switch {
	case err != nil && signed: // not JSON, so without event_hash, but signed by the vendor
		return esign.ProofSigned, nil
	case !webhook.Matches(keys.Keys, []string{string(p.Event.Hash)}, p.eventHash) || p.borderMoved() || err != nil:
		return "", fmt.Errorf("dropboxsign: event_hash: %w", webhook.ErrNotGenuine)
	case !present:
		return esign.ProofPartlySigned, nil
	case !signed:
		return "", fmt.Errorf("dropboxsign: Content-Sha256: %w", webhook.ErrNotGenuine)
	}
	return esign.ProofSigned, nil
}

// contentMatches reports whether Content-Sha256 is valid in either form.
func (p *payload) contentMatches(keys []webhook.Secret, sent string) bool {
	return webhook.Matches(keys, []string{sent}, p.hexDigest) || webhook.Matches(keys, []string{sent}, p.rawDigest)
}

// Sign implements [webhook.Provider]. It computes event_hash from the body's event_time and event_type, and replaces it
// in the body. It also replaces Content-Sha256 if r has it. The body must contain a non-empty event_hash exactly once.
func (Provider) Sign(r *webhook.Request, key webhook.Secret, _ time.Time) error {
	p, err := decode(r)
	if err != nil {
		return err
	}
	signed, old, hash := *r, []byte(p.Event.Hash), p.eventHash(key)
	if bytes.Count(r.Body, old) == 1 {
		signed.Body = bytes.Replace(r.Body, old, []byte(hash), 1)
	}
	if p, err = decode(&signed); err != nil || string(p.Event.Hash) != hash {
		return fmt.Errorf("dropboxsign: no event_hash that could be replaced: %w", webhook.ErrUnreadable)
	}
	r.Body = signed.Body
	if len(r.Header.Values("Content-Sha256")) > 0 {
		r.Header.Set("Content-Sha256", p.hexDigest(key))
	}
	return nil
}

// eventHash is what event_hash must be under key.
//
// SPEC: https://github.com/hellosign/hellosign-openapi sdks (EventCallbackHelper), read 2026-11-22: lower-case hex
// HMAC-SHA256, under the account's primary API key, of event_time and event_type without a separator.
func (p *payload) eventHash(key webhook.Secret) string {
	return hex.EncodeToString(key.HMAC(sha256.New, []byte(p.Event.Time), []byte(p.Event.Type)))
}

// borderMoved reports whether characters have moved between event_time and event_type, which event_hash does not
// detect. A genuine time ends in a digit, and no genuine type begins with one.
func (p *payload) borderMoved() bool {
	const digits = "0123456789"
	eventTime, eventType := string(p.Event.Time), string(p.Event.Type)
	return eventTime != "" && !strings.ContainsAny(eventTime[len(eventTime)-1:], digits) ||
		eventType != "" && strings.ContainsAny(eventType[:1], digits)
}

// hexDigest is what Content-Sha256 may be under key: base64 of the hex digest.
//
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-22: base64 HMAC-SHA256 of the JSON. The
// example printed there is base64 of the hex digest; the words would also fit base64 of its bytes.
func (p *payload) hexDigest(key webhook.Secret) string {
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(key.HMAC(sha256.New, p.message))))
}

// rawDigest is the other form of Content-Sha256 under key: base64 of the digest's bytes.
func (p *payload) rawDigest(key webhook.Secret) string {
	return base64.StdEncoding.EncodeToString(key.HMAC(sha256.New, p.message))
}

// contentHeader returns the value of Content-Sha256, and whether the header is present. The value is empty if the
// header has several different values.
func contentHeader(h http.Header) (value string, present bool) {
	for _, next := range h.Values("Content-Sha256") {
		if next = strings.TrimSpace(next); present && next != value {
			return "", true
		}
		value, present = next, true
	}
	return value, present
}
