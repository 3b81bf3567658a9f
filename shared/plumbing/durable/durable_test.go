package durable

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAFolderThatCannotBeSynced is about the folders above the data, some of which belong to the system.
func TestAFolderThatCannotBeSynced(t *testing.T) {
	defer func() { Fsync = (*os.File).Sync }()
	for _, tt := range []struct{ fails, want error }{
		{syscall.EACCES, nil}, {syscall.EPERM, nil}, {syscall.EROFS, nil}, {syscall.EINVAL, nil},
		{syscall.EIO, syscall.EIO}, {syscall.ENOSPC, syscall.ENOSPC},
	} {
		Fsync = func(*os.File) error { return tt.fails }
		root := t.TempDir()
		if err := Mkdir(root, filepath.Join(root, "a", "b")); !errors.Is(err, tt.want) {
			t.Errorf("%v becomes %v", tt.fails, err)
		}
	}
}
