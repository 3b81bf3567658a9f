package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"strings"
)

// Secret is a key, a client ID or a URL token. It prints as REDACTED under every verb, in JSON and in slog; the bytes
// stand behind a closure, so that they do not show when a Secret is printed as an unexported field either.
type Secret struct{ reveal func() string }

// NewSecret makes a Secret of s.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the secret itself. It is for those who send requests, never for logs, errors or answers.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Equal says whether candidate is the secret, in a time that depends on neither. No candidate equals an empty secret.
func (s Secret) Equal(candidate string) bool {
	want := s.Reveal()
	got, wanted := sha256.Sum256([]byte(candidate)), sha256.Sum256([]byte(want))
	return hmac.Equal(got[:], wanted[:]) && want != ""
}

// HMAC returns the keyed hash of the parts, one after the other, with the secret's bytes as they are as the key.
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

// Keys is what one provider's requests are proved with. All keys of a list are valid at once: rotating is adding one.
type Keys struct {
	Keys      []Secret // the vendor's keys, or client IDs
	URLTokens []Secret // if there are any, the URL must end in one of them; the newest is the last
}

// URL is the address to register: that of the webhook, with the newest token if there are any.
func (k Keys) URL(webhook string) string {
	if n := len(k.URLTokens); n > 0 {
		return webhook + "/" + k.URLTokens[n-1].Reveal()
	}
	return webhook
}

// Configured says whether anything at all is there to prove a request with.
func (k Keys) Configured() bool { return len(k.Keys)+len(k.URLTokens) > 0 }

// Any says whether candidate is one of the secrets. It compares with all of them.
func Any(secrets []Secret, candidate string) bool {
	return Matches(secrets, []string{candidate}, Secret.Reveal)
}

// Matches says whether any of the values is what sign makes under any of the keys. It compares all with all, in constant
// time. Nothing matches under an empty key: anybody could sign with it.
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

// Secrets makes a list of keys as people write and paste them: surrounding white space and quotes go, and so do empty
// and repeated ones.
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
