// Package document is the contract of the store of signed documents. Drivers: s3, and folder for localhost. documenttest is
// the suite that both pass.
package document

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"strings"
)

// ErrNotFound: there is no document under this key.
var ErrNotFound = errors.New("document: not found")

// File is a document to be stored.
type File struct {
	Body        io.ReadSeeker
	Size        int64  // of the body, in bytes
	ContentType string // printable ASCII
	SHA256      string // of the body, lower-case hex
	// Metadata is kept beside the document. Names are lower-case letters and hyphens, values printable ASCII.
	Metadata map[string]string
}

// Stored is a document as it is stored.
type Stored struct {
	Location    string // s3://bucket/key, or a path
	ContentType string
	SHA256      string // of what is stored, lower-case hex
	Size        int64  // in bytes
}

// Store keeps documents. What is stored first under a key stands. Its methods may be called at the same time.
type Store interface {
	// Put stores a file durably, whole or not at all, unless something is stored under its key already. It returns what is
	// stored then. An error means that it may or may not have happened.
	Put(ctx context.Context, key string, f File) (Stored, error)
	// Stat returns what is stored under key, or ErrNotFound.
	Stat(ctx context.Context, key string) (Stored, error)
	// Get returns the content of a small document, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
}

// safe are names that neither a file system nor S3 nor a URL takes for more than a name, nor hides.
var safe = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

const digestPrefix = "sha256-"

// Key is where a file of an agreement is stored: <provider>/<agreement>/<name>. An ID or a name that is not safe stands
// there as its hash.
func Key(provider, agreementID, name string) string {
	return provider + "/" + segment(agreementID) + "/" + segment(name)
}

func segment(s string) string {
	if safe.MatchString(s) && !strings.HasPrefix(s, digestPrefix) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return digestPrefix + hex.EncodeToString(sum[:])
}
