package folder_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"esignhooks/shared/plumbing/durable/durabletest"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/document/documenttest"
	"esignhooks/shared/store/document/folder"
)

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "documents")
	location := func(key string) string { return filepath.Join(dir, filepath.FromSlash(key)) }
	documenttest.Run(t, folder.New(dir+"/"), location)
	filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(filepath.Base(path), ".tmp-") {
			t.Errorf("left %s, %v", path, err)
		}
		return nil
	})
}

func TestNoKeyLeadsOutOfTheFolder(t *testing.T) {
	parent := t.TempDir()
	store := folder.New(filepath.Join(parent, "documents"))
	if err := os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"../secret", "acmesign/../../secret", filepath.Join(parent, "secret"), ""} {
		if got, err := store.Get(t.Context(), key); err == nil {
			t.Errorf("%s: %s", key, got)
		}
		if got, err := store.Stat(t.Context(), key); err == nil {
			t.Errorf("%s: %+v", key, got)
		}
		if got, err := store.Put(t.Context(), key, documenttest.File([]byte("mine"), "text/plain")); err == nil {
			t.Errorf("%s: %+v", key, got)
		}
	}
	if got, err := os.ReadFile(filepath.Join(parent, "secret")); err != nil || string(got) != "secret" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestABodyThatDoesNotHaveTheHashIsRefused(t *testing.T) {
	store, key := folder.New(t.TempDir()), document.Key("acmesign", "e1", "documents.pdf")
	right := documenttest.File([]byte("that"), "application/pdf")
	wrong := documenttest.File([]byte("this"), "application/octet-stream")
	wrong.SHA256 = right.SHA256
	if stored, err := store.Put(t.Context(), key, wrong); err == nil {
		t.Errorf("stored as %+v", stored)
	}
	if _, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
	wantPut(t, store, key, right)
}

// wantPut stores a file, and checks that it is the stored one.
func wantPut(t *testing.T, store document.Store, key string, f document.File) {
	t.Helper()
	got, err := store.Put(t.Context(), key, f)
	if err != nil || got.SHA256 != f.SHA256 || got.ContentType != f.ContentType {
		t.Errorf("%+v, %v", got, err)
	}
}

// A crash between the two files leaves properties without a document.
func TestPropertiesWithoutADocumentAreIgnored(t *testing.T) {
	dir := t.TempDir()
	store, key := folder.New(dir), document.Key("acmesign", "e1", "documents.pdf")
	file := documenttest.File([]byte("content"), "application/pdf")
	wantPut(t, store, key, file)
	body := filepath.Join(dir, "acmesign", "e1", "documents.pdf")
	if err := os.Remove(body); err != nil {
		t.Fatal(err)
	}
	wantPut(t, store, key, documenttest.File([]byte("other"), "text/plain"))
	if err := os.Remove(body); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
		t.Errorf("%+v, %v", got, err)
	}
	wantPut(t, store, key, file)
}

func TestADocumentSurvivesAPowerFailure(t *testing.T) {
	open := func(root string) folder.Store { return folder.New(filepath.Join(root, "documents")) }
	key := document.Key("acmesign", "e1", "documents.pdf")
	durabletest.Run(t,
		func(root string) error {
			_, err := open(root).Put(t.Context(), key, documenttest.File([]byte("content"), "application/pdf"))
			return err
		},
		func(root string) error {
			stored, err := open(root).Stat(t.Context(), key)
			if err != nil || stored.Size != int64(len("content")) || stored.ContentType != "application/pdf" {
				return fmt.Errorf("%+v, %w", stored, err)
			}
			return nil
		})
}
