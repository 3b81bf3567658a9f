// Package durabletest is a power failure: the disk forgets what was not synced.
package durabletest

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"esignhooks/shared/plumbing/durable"
)

var errSync = errors.New("the disk fails on purpose")

// Run checks that what put has stored below a folder survives a power failure. check is called on what may be left. If
// a sync fails, put must return an error, and succeed when it is repeated, with or without a power failure in between.
// Run must not be called by parallel tests.
func Run(t *testing.T, put, check func(root string) error) {
	t.Helper()
	survives := func(d *disk, failed int) {
		t.Helper()
		if err := put(d.root); err != nil {
			t.Errorf("after sync %d failed: %v", failed, err)
		}
		for choice := range uint64(choices) {
			if err := check(d.crash(t, choice)); err != nil {
				t.Errorf("after sync %d failed: %v", failed, err)
			}
		}
		d.close()
	}
	survives(record(t, t.TempDir(), 0), 0)
	for failing := 1; ; failing++ {
		d := record(t, t.TempDir(), failing)
		if err := put(d.root); failing > d.syncs {
			return
		} else if err == nil {
			t.Errorf("sync %d of %d failed, and put did not", failing, d.syncs)
		}
		for choice := range uint64(choices) {
			survives(record(t, d.crash(t, choice), 0), failing)
		}
		durable.Fsync = d.fsync
		survives(d, failing)
	}
}

// choices is how many of the possible results of a power failure are tried.
const choices = 3

// disk records what is synced below a folder. Inodes are not used again, because all files stay open.
type disk struct {
	root    string
	syncs   int
	failing int // the sync that fails, from 1 on
	open    []*os.File
	files   map[uint64][]byte            // content that is synced, by inode
	folders map[uint64]map[string]uint64 // names that are synced, and their inodes
	isDir   map[uint64]bool
}

// record records all syncs until the next record. What is below root already is durable.
func record(t *testing.T, root string, failing int) *disk {
	t.Helper()
	d := &disk{
		root: root, failing: failing, files: map[uint64][]byte{}, folders: map[uint64]map[string]uint64{},
		isDir: map[uint64]bool{},
	}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, d.synced(path))
	})
	if err != nil {
		t.Fatal(err)
	}
	durable.Fsync = d.fsync
	t.Cleanup(func() { durable.Fsync = (*os.File).Sync })
	return d
}

func (d *disk) fsync(f *os.File) error {
	if d.syncs++; d.syncs == d.failing {
		return errSync
	}
	if within, err := filepath.Rel(d.root, f.Name()); err != nil || strings.HasPrefix(within, "..") {
		return nil
	}
	return d.synced(f.Name())
}

func (d *disk) close() {
	for _, f := range d.open {
		f.Close()
	}
	d.open = nil
}

// synced records a file's content or a folder's names.
func (d *disk) synced(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	d.open = append(d.open, f)
	i, dir, err := inode(path)
	if err != nil || !dir {
		content, readErr := os.ReadFile(path)
		d.files[i] = content
		return errors.Join(err, readErr)
	}
	d.folders[i], err = d.names(path)
	return err
}

func (d *disk) names(path string) (map[string]uint64, error) {
	entries, err := os.ReadDir(path)
	names := map[string]uint64{}
	for _, e := range entries {
		i, dir, err := inode(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		names[e.Name()], d.isDir[i] = i, dir
	}
	return names, err
}

func inode(path string) (i uint64, dir bool, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, info.IsDir(), nil
}

// crash returns a copy of the folder as a power failure may leave it: with what was synced, and with any part of the
// rest. It is the smallest for choice 0, and the largest for 1.
func (d *disk) crash(t *testing.T, choice uint64) string {
	t.Helper()
	random, to := rand.New(rand.NewPCG(choice, 0)), t.TempDir()
	keep := func() bool { return choice == 1 || choice > 1 && random.IntN(2) == 0 }
	i, _, err := inode(d.root)
	if err == nil {
		err = d.restore(i, d.root, to, keep)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// restore makes what is left of a folder, whose path was from.
func (d *disk) restore(i uint64, from, to string, keep func() bool) error {
	left := map[string]uint64{}
	now, err := d.names(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, i := range d.folders[i] {
		if now[name] == i || !keep() {
			left[name] = i
		}
	}
	for name, i := range now {
		if _, known := d.folders[i][name]; left[name] == 0 && !known && keep() {
			left[name] = i
		}
	}
	for name, i := range left {
		from, to := filepath.Join(from, name), filepath.Join(to, name)
		if d.isDir[i] {
			err = errors.Join(err, os.Mkdir(to, 0o700), d.restore(i, from, to, keep))
			continue
		}
		content, isSynced := d.files[i]
		if !isSynced && (keep() || strings.HasSuffix(name, ".db")) { // bbolt syncs its file itself
			content, err = os.ReadFile(from)
		}
		err = errors.Join(err, os.WriteFile(to, content, 0o600))
	}
	return err
}
