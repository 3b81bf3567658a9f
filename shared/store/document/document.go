// Package document is the contract of the store of signed documents. Its drivers are s3, and folder for localhost. Both
// pass the suite in documenttest.
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

// ErrNotFound reports that no document is stored under the key.
var ErrNotFound = errors.New("document: not found")

// File is a document to store.
type File struct {
	Body        io.ReadSeeker
	Size        int64  // of the body, in bytes
	ContentType string // printable ASCII
	SHA256      string // of the body, lower-case hex
	// Metadata is stored with the document. Names are lower-case letters and hyphens, values are printable ASCII.
	Metadata map[string]string
}

// Stored describes a stored document.
type Stored struct {
	Location    string // s3://bucket/key, or a path
	ContentType string
	SHA256      string // of the stored content, lower-case hex
	Size        int64  // in bytes
}

// Store keeps documents. The first document stored under a key is never overwritten. A Store is safe for concurrent
// use.
type Store interface {
	// Put stores a file durably, complete or not at all, and returns a description of it. If there is already a document
	// under the key, Put changes nothing and returns the description of that one. After an error, the file may or may not
	// be stored.
	Put(ctx context.Context, key string, f File) (Stored, error)
	// Stat describes the document under key, or returns ErrNotFound.
	Stat(ctx context.Context, key string) (Stored, error)
	// Get returns the content of a small document, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
}

// safeName matches names without a special meaning in file systems, S3 keys and URLs. Hidden files do not match.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

const digestPrefix = "sha256-"

// Key returns the key of a file of an agreement: <provider>/<agreement>/<name>. An agreement ID or name that is not
// safe in a key is replaced by its hash.
func Key(provider, agreementID, name string) string {
	return Folder(provider, agreementID) + segment(name)
}

// Folder returns what the keys of all files of an agreement begin with: <provider>/<agreement>/.
func Folder(provider, agreementID string) string { return provider + "/" + segment(agreementID) + "/" }

func segment(s string) string {
	if safeName.MatchString(s) && !strings.HasPrefix(s, digestPrefix) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return digestPrefix + hex.EncodeToString(sum[:])
}
