// Package folder is the document store of localhost: one file for each document. A hidden file in the same folder holds
// the properties that S3 keeps in an object's headers.
package folder

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"esignhooks/shared/plumbing/durable"
	"esignhooks/shared/store/document"
)

// Store implements [document.Store] below a folder.
type Store struct{ dir string }

var _ document.Store = Store{}

// New returns a store below dir. It creates dir if it does not exist.
func New(dir string) Store { return Store{filepath.Clean(dir)} }

// properties is the content of the hidden file.
type properties struct {
	ContentType string            `json:"contentType"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Put implements [document.Store].
func (s Store) Put(ctx context.Context, key string, f document.File) (document.Stored, error) {
	path, err := s.path(key)
	if err != nil {
		return document.Stored{}, err
	}
	if _, err := f.Body.Seek(0, io.SeekStart); err != nil {
		return document.Stored{}, err
	}
	props, err := json.Marshal(properties{f.ContentType, f.Metadata})
	if err != nil {
		return document.Stored{}, err
	}
	if err := durable.Mkdir(s.dir, filepath.Dir(path)); err != nil {
		return document.Stored{}, err
	}
	body, sha256sum, err := writeTemporary(filepath.Dir(path), f.Body)
	if err != nil {
		return document.Stored{}, err
	}
	defer os.Remove(body)
	if f.SHA256 != "" && f.SHA256 != sha256sum {
		return document.Stored{}, errors.New("document/folder: the hash of the body does not match")
	}
	propsFile, _, err := writeTemporary(filepath.Dir(path), bytes.NewReader(props))
	if err != nil {
		return document.Stored{}, err
	}
	defer os.Remove(propsFile)
	// The properties come first, so that a document never exists without them.
	if err := link(propsFile, propertiesPath(path, sha256sum)); err != nil {
		return document.Stored{}, err
	}
	if err := link(body, path); err != nil {
		return document.Stored{}, err
	}
	return s.Stat(ctx, key)
}

// Stat implements [document.Store].
func (s Store) Stat(_ context.Context, key string) (document.Stored, error) {
	path, err := s.path(key)
	if err != nil {
		return document.Stored{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return document.Stored{}, missing(err)
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return document.Stored{}, err
	}
	sha256sum := hex.EncodeToString(hash.Sum(nil))
	props, err := os.ReadFile(propertiesPath(path, sha256sum))
	if err != nil {
		return document.Stored{}, err
	}
	var p properties
	if err := json.Unmarshal(props, &p); err != nil {
		return document.Stored{}, fmt.Errorf("document/folder: properties: %w", err)
	}
	return document.Stored{Location: path, ContentType: p.ContentType, SHA256: sha256sum, Size: size}, nil
}

// Get implements [document.Store].
func (s Store) Get(_ context.Context, key string) ([]byte, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(path)
	return body, missing(err)
}

// missing turns the error for a missing file into ErrNotFound.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return document.ErrNotFound
	}
	return err
}

// path returns the path of a key's file. It returns an error for a key that leads out of the folder.
func (s Store) path(key string) (string, error) {
	if name := filepath.FromSlash(key); filepath.IsLocal(name) {
		return filepath.Join(s.dir, name), nil
	}
	return "", errors.New("document/folder: the key leads out of the folder")
}

// propertiesPath returns the path of the properties of a document with this hash. The hash keeps them apart from those
// of another Put under the same key, which failed or came too late.
func propertiesPath(path, sha256sum string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+sha256sum+".json")
}

// writeTemporary writes a temporary file, syncs it to disk, and returns its path and the hash of its content.
func writeTemporary(dir string, content io.Reader) (path, sha256sum string, err error) {
	path = filepath.Join(dir, ".tmp-"+rand.Text())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, hash), content)
	if err = errors.Join(err, durable.Fsync(file), file.Close()); err != nil {
		os.Remove(path)
		return "", "", err
	}
	return path, hex.EncodeToString(hash.Sum(nil)), nil
}

// link gives a file a name, durably. Unlike a rename, it does nothing if the name is already taken.
func link(temporary, path string) error {
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.Sync(filepath.Dir(path))
}
