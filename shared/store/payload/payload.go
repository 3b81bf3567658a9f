// Package payload is the contract of the stores of payloads: of those that do not fit in one message, and of the archive.
// Drivers: s3, and folder for localhost. payloadtest is the suite that both pass.
package payload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// ErrNotFound: there is no payload under this key.
var ErrNotFound = errors.New("payload: not found")

// Store keeps payloads.
type Store interface {
	// Put stores a payload durably under its key. Putting the same payload again is not an error, and costs no second
	// copy.
	Put(ctx context.Context, key string, payload []byte) error
	// Get returns the payload under key, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
}

// Key is where a payload is stored: by day, provider and hash, so that a repeated delivery of a day finds it there and
// old ones can be expired.
func Key(provider string, receivedAt time.Time, payload []byte) string {
	sum := sha256.Sum256(payload)
	return receivedAt.UTC().Format("2006/01/02/") + provider + "/" + hex.EncodeToString(sum[:])
}

// ArchiveKey is where the archive keeps a payload: what an event's history holds suffices to find it. sha256 is lower-case
// hex.
func ArchiveKey(provider, sha256 string) string { return provider + "/" + sha256 }
