// Package folder is the payload store of localhost: one file per payload.
package folder

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"esignhooks/shared/plumbing/durable"
	"esignhooks/shared/store/payload"
)

// Store implements [payload.Store] below a folder.
type Store struct{ dir string }

var _ payload.Store = Store{}

// New returns a store below dir. It creates dir if it does not exist.
func New(dir string) Store { return Store{filepath.Clean(dir)} }

// Put implements [payload.Store]. The file appears complete or not at all, and is synced to disk.
func (s Store) Put(_ context.Context, key string, body []byte) error {
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	dir := filepath.Dir(path)
	if _, err := os.Stat(path); err == nil {
		return durable.Sync(dir) // another Put may have stopped before this
	}
	if err := durable.Mkdir(s.dir, dir); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // already renamed on success
	_, err = file.Write(body)
	if err = errors.Join(err, durable.Fsync(file), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return durable.Sync(dir)
}

// Get implements [payload.Store].
func (s Store) Get(_ context.Context, key string) ([]byte, error) {
	body, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(key)))
	if errors.Is(err, fs.ErrNotExist) {
		err = payload.ErrNotFound
	}
	return body, err
}
