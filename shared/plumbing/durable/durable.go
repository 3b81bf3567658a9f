// Package durable makes the names of files survive a power failure. Syncing a file alone does not sync its name.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Mkdir creates a folder and its parents for this user alone. The folder is root or below it. Mkdir syncs the names of
// all folders from root down.
func Mkdir(root, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for above := filepath.Dir(filepath.Clean(root)); dir != above; dir = filepath.Dir(dir) {
		if err := Sync(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// Sync makes the names of the files in a folder durable.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
