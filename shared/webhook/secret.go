package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"strings"
)

// Secret is a key, a client ID or a URL token. It prints as REDACTED under every verb, in JSON and in slog. A closure
// holds the value, so that it is not printed as part of an unexported field either.
type Secret struct{ reveal func() string }

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the value. It is for sending requests, never for logs, errors or answers.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Equal reports whether candidate is the secret, in constant time. No candidate equals an empty secret.
func (s Secret) Equal(candidate string) bool {
	want := s.Reveal()
	got, wanted := sha256.Sum256([]byte(candidate)), sha256.Sum256([]byte(want))
	return hmac.Equal(got[:], wanted[:]) && want != ""
}

// Fingerprint returns the first four hexadecimal digits of the secret's SHA-256, by which an operator recognises it.
func (s Secret) Fingerprint() string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:2])
}

// HMAC returns the HMAC of the concatenated parts. The key is the secret's bytes, without decoding.
func (s Secret) HMAC(h func() hash.Hash, parts ...[]byte) []byte {
	mac := hmac.New(h, []byte(s.Reveal()))
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

const redacted = "REDACTED"

func (Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (Secret) String() string               { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Keys prove the requests of one provider. All keys of a list are valid at the same time: to rotate, add one.
type Keys struct {
	Keys      []Secret // the vendor's keys, or client IDs
	URLTokens []Secret // if not empty, the URL must end in one of them; the newest is last
	// Certificates are those of which the vendor must show one, whatever else proves a request.
	Certificates ClientCertificates
}

// URL returns the address to register: the webhook's, with the newest token if there is one.
func (k Keys) URL(webhook string) string {
	if n := len(k.URLTokens); n > 0 {
		return webhook + "/" + k.URLTokens[n-1].Reveal()
	}
	return webhook
}

// Configured reports whether there is a key or a token.
func (k Keys) Configured() bool { return len(k.Keys)+len(k.URLTokens) > 0 }

// Any reports whether candidate is one of the secrets. It compares with all of them, in constant time.
func Any(secrets []Secret, candidate string) bool {
	return Matches(secrets, []string{candidate}, Secret.Reveal)
}

// Matches reports whether one of the values is what sign returns for one of the keys. It compares all with all, in
// constant time. Nothing matches an empty key, because anyone could sign with it.
func Matches(keys []Secret, values []string, sign func(Secret) string) bool {
	found := false
	for _, key := range keys {
		made, usable := NewSecret(sign(key)), key.Reveal() != ""
		for _, value := range values {
			found = made.Equal(value) && usable || found
		}
	}
	return found
}

// Secrets returns the values as secrets. It trims white space and quotes, which people paste, and drops empty and
// repeated values.
func Secrets(values ...string) []Secret {
	var seen []string
	var secrets []Secret
	for _, value := range values {
		value = strings.Trim(value, " \t\r\n\"'")
		if value == "" || slices.Contains(seen, value) {
			continue
		}
		seen = append(seen, value)
		secrets = append(secrets, NewSecret(value))
	}
	return secrets
}

// Respelt returns each secret in other spellings, to explain a refusal. Nothing may be accepted under them.
func Respelt(secrets []Secret, spellings func(string) []string) (respelt []Secret) {
	for _, secret := range secrets {
		for _, spelling := range spellings(secret.Reveal()) {
			respelt = append(respelt, NewSecret(spelling))
		}
	}
	return respelt
}
