package dropboxsign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Verify implements [webhook.Provider]: event_hash always, Content-Sha256 whenever it is there. Without it anybody who
// has seen one genuine callback can send another body under that time and type: ProofPartlySigned.
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	if len(keys.Keys) == 0 {
		return "", fmt.Errorf("dropboxsign: %w", webhook.ErrNoKey)
	}
	c, err := read(r)
	if err != nil {
		return "", fmt.Errorf("dropboxsign: nothing to verify in the body: %w", webhook.ErrNotGenuine)
	}
	sent := r.Header.Values("Content-Sha256")
	var event, content bool
	for _, key := range keys.Keys {
		if key.Reveal() == "" {
			continue // anybody can sign with it
		}
		event = hmac.Equal([]byte(c.Event.Hash), []byte(eventHash(c, key))) || event
		asHex, asBytes := contentSHA256(c, key)
		content = allEqual(sent, asHex) || allEqual(sent, asBytes) || content
	}
	switch {
	case !event || borderMoved(string(c.Event.Time), string(c.Event.Type)):
		return "", fmt.Errorf("dropboxsign: event_hash: %w", webhook.ErrNotGenuine)
	case len(sent) == 0:
		return esign.ProofPartlySigned, nil
	case !content:
		return "", fmt.Errorf("dropboxsign: Content-Sha256: %w", webhook.ErrNotGenuine)
	}
	return esign.ProofSigned, nil
}

// eventHash is what event_hash must be under key.
//
// SPEC: https://github.com/hellosign/hellosign-openapi sdks (EventCallbackHelper), read 2026-11-22: lower-case hex
// HMAC-SHA256, under the account's primary API key, of event_time and event_type without a separator.
func eventHash(c *callback, key webhook.Secret) string {
	return hex.EncodeToString(key.HMAC(sha256.New, []byte(c.Event.Time), []byte(c.Event.Type)))
}

// borderMoved says whether characters have gone from event_time to event_type or back, which event_hash would not tell.
// A time ends in a digit and no type begins with one.
func borderMoved(eventTime, eventType string) bool {
	const digits = "0123456789"
	return eventTime != "" && !strings.ContainsAny(eventTime[len(eventTime)-1:], digits) ||
		eventType != "" && strings.ContainsAny(eventType[:1], digits)
}

// contentSHA256 is what Content-Sha256 may be under key, in two forms.
//
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-22: base64 HMAC-SHA256 of the JSON. The
// example printed there is base64 of the hex digest; the words would also fit base64 of its bytes.
func contentSHA256(c *callback, key webhook.Secret) (asHex, asBytes string) {
	sum := key.HMAC(sha256.New, c.message)
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum))), base64.StdEncoding.EncodeToString(sum)
}

// allEqual says whether there are values and each is want.
func allEqual(values []string, want string) bool {
	equal := len(values) > 0
	for _, value := range values {
		equal = hmac.Equal([]byte(strings.TrimSpace(value)), []byte(want)) && equal
	}
	return equal
}

// Sign implements [webhook.Provider]: it replaces the event_hash that stands in the body by one for the body's
// event_time and event_type, and Content-Sha256 if r has it. The event_hash must be there, once, and not empty.
func (Provider) Sign(r *webhook.Request, key webhook.Secret, _ time.Time) error {
	c, err := read(r)
	if err != nil {
		return err
	}
	signed, old, hash := *r, []byte(c.Event.Hash), eventHash(c, key)
	if bytes.Count(r.Body, old) == 1 {
		signed.Body = bytes.Replace(r.Body, old, []byte(hash), 1)
	}
	if c, err = read(&signed); err != nil || string(c.Event.Hash) != hash {
		return fmt.Errorf("dropboxsign: no event_hash that could be replaced: %w", webhook.ErrUnreadable)
	}
	r.Body = signed.Body
	if len(r.Header.Values("Content-Sha256")) > 0 {
		asHex, _ := contentSHA256(c, key)
		r.Header.Set("Content-Sha256", asHex)
	}
	return nil
}
