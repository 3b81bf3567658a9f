// Package payload is the contract of the payload stores: one for payloads too large for a message, and the archive. Its
// drivers are s3, and folder for localhost. Both pass the suite in payloadtest.
package payload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// ErrNotFound reports that no payload is stored under the key.
var ErrNotFound = errors.New("payload: not found")

// Store keeps payloads.
type Store interface {
	// Put stores a payload durably. Storing the same payload again is not an error, and makes no second copy.
	Put(ctx context.Context, key string, payload []byte) error
	// Get returns the payload under key, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
}

// Key returns the key of a large payload, made of day, provider and hash. So a delivery repeated on the same day is
// stored once, and old payloads can expire.
func Key(provider string, receivedAt time.Time, payload []byte) string {
	sum := sha256.Sum256(payload)
	return KeyOf(provider, receivedAt, hex.EncodeToString(sum[:]))
}

// KeyOf is [Key], by the hash of the payload in lower-case hex.
func KeyOf(provider string, receivedAt time.Time, sha256 string) string {
	return receivedAt.UTC().Format("2006/01/02/") + provider + "/" + sha256
}

// ArchiveKey returns the key of a payload in the archive. It is made of fields in the event's history, so the payload
// can be found from there. sha256 is lower-case hex.
func ArchiveKey(provider, sha256 string) string { return provider + "/" + sha256 }
