package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// EventID is the identity of an event: lower-case hex SHA-256 of the fields, the provider's name being the first, each
// prefixed with its length. It fits SQS's 128 characters and shows nobody's e-mail address.
func EventID(provider string, fields ...string) string {
	h := sha256.New()
	for _, field := range append([]string{provider}, fields...) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		h.Write(length[:])
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Unreadable is the identity of a genuine request that cannot be read: the hash of its body, under one subject per
// provider.
func Unreadable(provider string, body []byte) Identity {
	return Identity{EventID: EventID(provider, "unreadable", string(body)), Subject: UnreadableSubject(provider)}
}

// UnreadableSubject is the subject of the provider's unreadable requests.
func UnreadableSubject(provider string) string { return provider + "#unreadable" }

// maxSubject is the length of a message group ID and of a deduplication ID.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html: 128
// characters, alphanumeric and punctuation.
const maxSubject = 128

// AgreementSubject is the subject of an event that is about an agreement. An ID that holds anything but printable ASCII,
// or makes the subject too long, or could be taken for another subject, stands there as its hash.
func AgreementSubject(provider, agreementID string) string {
	id := AgreementID(agreementID)
	subject := provider + "#" + id
	if strings.Contains(id, ":") || subject == UnreadableSubject(provider) || !plain(subject, maxSubject) {
		subject = provider + "#" + digest(id)
	}
	return subject
}

// AgreementID is the vendor's ID of an agreement as it is stored and shown: itself, unless it is absurdly long.
func AgreementID(id string) string {
	if len(id) > 512 {
		return digest(id)
	}
	return id
}

// Subject is the subject of an event that is about something else: a template, an account. The id may be empty.
func Subject(provider, kind, id string) string {
	prefix := provider + "#" + kind + ":"
	if !plain(id, maxSubject-len(prefix)) || strings.HasPrefix(id, digestPrefix) {
		id = digest(id)
	}
	return prefix + id
}

// ParticipantKey is the form in which a participant is stored and shown: the vendor's opaque ID, or the hash of what may
// tell who it is.
func ParticipantKey(id string) string {
	if opaque(id) && !phone(id) {
		return id
	}
	return digest(id)
}

// opaque says whether id looks like vendors' own IDs. Integrators choose some IDs, and may choose an e-mail address, a name
// or a telephone number.
func opaque(id string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_*-"
	return len(id) <= 64 && strings.Trim(id, characters) == ""
}

// phone says whether id looks like a telephone number: nine digits or more, and hyphens.
func phone(id string) bool {
	return strings.Trim(id, "0123456789-") == "" && len(id)-strings.Count(id, "-") >= 9
}

// Label makes a vendor's word fit to be logged, stored and sent on: characters beyond printable ASCII become '?', and
// what goes beyond 100 is cut off.
func Label(s string) string {
	if plain(s, 100) {
		return s
	}
	b := []byte(s)[:min(len(s), 100)]
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			b[i] = '?'
		}
	}
	return strings.TrimSpace(string(b))
}

// plain says whether s consists of at most limit printable ASCII characters without space.
func plain(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

const digestPrefix = "sha256:"

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return digestPrefix + hex.EncodeToString(sum[:])
}
