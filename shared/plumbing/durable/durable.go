// Package durable makes the names of files survive a power failure. Syncing a file alone does not sync its name.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Fsync makes the content of a file, or the names in a folder, durable. Package durabletest replaces it.
var Fsync = (*os.File).Sync

// Mkdir creates a folder and its parents for this user alone. The folder is root or below it. Mkdir syncs the names of
// all folders from root down. It skips those in a folder that this user may not read, or that is read-only, since Mkdir
// cannot have created them, and in a folder that cannot be synced.
func Mkdir(root, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for above := filepath.Dir(filepath.Clean(root)); dir != above; dir = filepath.Dir(dir) {
		err := Sync(filepath.Dir(dir))
		harmless := errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL)
		if err != nil && !harmless {
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
	return errors.Join(Fsync(d), d.Close())
}
