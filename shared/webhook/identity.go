package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// EventID returns the ID of an event: the lower-case hex SHA-256 of the provider's name and the fields, each prefixed
// with its length. It fits into the 128 characters of an SQS deduplication ID, and hides e-mail addresses.
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

// Unreadable returns the identity of a genuine request that cannot be parsed. The ID is a hash of the body. All such
// requests of a provider have one subject.
func Unreadable(provider string, body []byte) Identity {
	return Identity{EventID: EventID(provider, "unreadable", string(body)), Subject: UnreadableSubject(provider)}
}

// UnreadableSubject returns the subject of the provider's unreadable requests.
func UnreadableSubject(provider string) string { return provider + "#unreadable" }

// maxSubject is the longest subject: it becomes a message group ID.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html: 128
// characters, alphanumeric and punctuation.
const maxSubject = 128

// AgreementSubject returns the subject of an event about an agreement: the provider's name and the ID. The ID is hashed
// if it is not printable ASCII, makes the subject too long, or could be mistaken for another subject.
func AgreementSubject(provider, agreementID string) string {
	id := AgreementID(agreementID)
	subject := provider + "#" + id
	if strings.Contains(id, ":") || subject == UnreadableSubject(provider) || !plain(subject, maxSubject) {
		subject = provider + "#" + digest(id)
	}
	return subject
}

// AgreementID returns the vendor's ID of an agreement as it is stored and shown. An ID over 512 bytes is hashed.
func AgreementID(id string) string {
	if len(id) > 512 {
		return digest(id)
	}
	return id
}

// Subject returns the subject of an event about something else, such as a template or an account. The id may be empty.
func Subject(provider, kind, id string) string {
	prefix := provider + "#" + kind + ":"
	if !plain(id, maxSubject-len(prefix)) || strings.HasPrefix(id, digestPrefix) {
		id = digest(id)
	}
	return prefix + id
}

// ParticipantKey returns the ID of a participant as it is stored and shown: the vendor's opaque ID, or a hash if the ID
// could identify the person.
func ParticipantKey(id string) string {
	if opaque(id) && !phone(id) {
		return id
	}
	return digest(id)
}

// SenderKey returns the ID of a participant whom only the sender's own ID identifies: always a hash, since a sender may
// choose anything. It returns "" for an empty ID.
func SenderKey(id string) string {
	if id == "" {
		return ""
	}
	return digest(id)
}

// opaque reports whether id looks like a vendor's own ID. Some IDs are chosen by integrators, who may choose an e-mail
// address, a name or a telephone number.
func opaque(id string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_*-"
	return len(id) <= 64 && strings.Trim(id, characters) == ""
}

// phone reports whether id looks like a telephone number: nine digits or more, and hyphens.
func phone(id string) bool {
	return strings.Trim(id, "0123456789-") == "" && len(id)-strings.Count(id, "-") >= 9
}

// Label makes a vendor's word safe to log, store and publish. It replaces characters that are not printable ASCII by
// '?', and truncates after 100.
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

// plain reports whether s has at most limit characters, all printable ASCII without spaces.
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
