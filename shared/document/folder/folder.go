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

	"esignhooks/shared/document"
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
	beside, err := json.Marshal(properties{f.ContentType, f.Metadata})
	if err != nil {
		return document.Stored{}, err
	}
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return document.Stored{}, err
	}
	if err := write(hidden(path), bytes.NewReader(beside), ""); err != nil { // first: what has no properties is not there
		return document.Stored{}, err
	}
	if err := write(path, f.Body, f.SHA256); err != nil {
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
	beside, err := os.ReadFile(hidden(path))
	if err != nil {
		return document.Stored{}, err
	}
	var p properties
	if err := json.Unmarshal(beside, &p); err != nil {
		return document.Stored{}, fmt.Errorf("document/folder: properties: %w", err)
	}
	return document.Stored{Location: path, ContentType: p.ContentType, SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size}, nil
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

func hidden(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".json")
}

// mkdir makes a folder below s.dir, durably.
func (s Store) mkdir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for ; dir != s.dir; dir = filepath.Dir(dir) {
		if err := sync(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// write makes a file with this content, unless there is one: whole or not at all, and synced to disk. sha256sum is the
// hash that the content must have, or empty.
func write(path string, content io.Reader, sha256sum string) error {
	dir := filepath.Dir(path)
	temporary := filepath.Join(dir, ".tmp-"+rand.Text())
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, hash), content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if sha256sum != "" && hex.EncodeToString(hash.Sum(nil)) != sha256sum {
		return errors.New("document/folder: the body has another hash")
	}
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) { // unlike a rename it replaces nothing
		return err
	}
	return sync(dir)
}

// sync makes the names in a folder durable.
func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
