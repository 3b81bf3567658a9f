// Package folder is the store of documents on localhost: one file per document, and a hidden one beside it for what S3
// keeps in an object's headers.
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

// New makes a store below dir, which need not exist.
func New(dir string) Store { return Store{filepath.Clean(dir)} }

// properties are what the hidden file holds.
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
	described, err := json.Marshal(properties{f.ContentType, f.Metadata})
	if err != nil {
		return document.Stored{}, err
	}
	if err := durable.Mkdir(s.dir, filepath.Dir(path)); err != nil {
		return document.Stored{}, err
	}
	body, sha256sum, err := write(filepath.Dir(path), f.Body)
	if err != nil {
		return document.Stored{}, err
	}
	defer os.Remove(body)
	if f.SHA256 != "" && f.SHA256 != sha256sum {
		return document.Stored{}, errors.New("document/folder: the body has another hash")
	}
	beside, _, err := write(filepath.Dir(path), bytes.NewReader(described))
	if err != nil {
		return document.Stored{}, err
	}
	defer os.Remove(beside)
	if err := link(beside, hidden(path, sha256sum)); err != nil { // first: what has no properties is not there
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
	beside, err := os.ReadFile(hidden(path, sha256sum))
	if err != nil {
		return document.Stored{}, err
	}
	var p properties
	if err := json.Unmarshal(beside, &p); err != nil {
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

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return document.ErrNotFound
	}
	return err
}

// path is where a key's file is: below the folder, or nowhere.
func (s Store) path(key string) (string, error) {
	if name := filepath.FromSlash(key); filepath.IsLocal(name) {
		return filepath.Join(s.dir, name), nil
	}
	return "", errors.New("document/folder: a key that leads out of the folder")
}

// hidden is where the properties of a document with this hash are: those of another Put, that failed or came too late, are
// nobody else's.
func hidden(path, sha256sum string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+sha256sum+".json")
}

// write makes a temporary file with this content, synced to disk, and returns its path and the content's hash.
func write(dir string, content io.Reader) (path, sha256sum string, err error) {
	path = filepath.Join(dir, ".tmp-"+rand.Text())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, hash), content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		os.Remove(path)
		return "", "", err
	}
	return path, hex.EncodeToString(hash.Sum(nil)), nil
}

// link gives a file its name, durably, unless another one has it. Unlike a rename it replaces nothing.
func link(temporary, path string) error {
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.Sync(filepath.Dir(path))
}
