// Package durable makes the names of files survive a power cut: syncing a file alone does not.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Mkdir makes a folder, which is root or below it, for this user alone. The names of all folders from root down to it are
// durable then.
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

// Sync makes the names in a folder durable.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
