package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"esignhooks/shared/store/document"
	"esignhooks/shared/store/document/documenttest"
	"esignhooks/shared/store/document/folder"
)

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "documents")
	documenttest.Run(t, folder.New(dir+"/"), func(key string) string { return filepath.Join(dir, filepath.FromSlash(key)) })
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
	for _, key := range []string{"../secret", "docusign/../../secret", filepath.Join(parent, "secret"), ""} {
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
	store, key := folder.New(t.TempDir()), document.Key("docusign", "e1", "documents.pdf")
	right := documenttest.File([]byte("that"), "application/pdf")
	wrong := documenttest.File([]byte("this"), "application/octet-stream")
	wrong.SHA256 = right.SHA256
	if stored, err := store.Put(t.Context(), key, wrong); err == nil {
		t.Errorf("stored as %+v", stored)
	}
	if _, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
	if got, err := store.Put(t.Context(), key, right); err != nil || got.SHA256 != right.SHA256 || got.ContentType != "application/pdf" {
		t.Errorf("the right one: %+v, %v", got, err)
	}
}

// What a crash leaves between the two files is no document, and stands in nobody's way.
func TestWhatHasOnlyItsPropertiesIsNotThere(t *testing.T) {
	dir := t.TempDir()
	store, key := folder.New(dir), document.Key("docusign", "e1", "documents.pdf")
	file := documenttest.File([]byte("content"), "application/pdf")
	if _, err := store.Put(t.Context(), key, file); err != nil {
		t.Fatal(err)
	}
	body := filepath.Join(dir, "docusign", "e1", "documents.pdf")
	if err := os.Remove(body); err != nil {
		t.Fatal(err)
	}
	other := documenttest.File([]byte("other"), "text/plain")
	if got, err := store.Put(t.Context(), key, other); err != nil || got.SHA256 != other.SHA256 || got.ContentType != "text/plain" {
		t.Errorf("another: %+v, %v", got, err)
	}
	if err := os.Remove(body); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := store.Put(t.Context(), key, file); err != nil || got.SHA256 != file.SHA256 || got.ContentType != "application/pdf" {
		t.Errorf("%+v, %v", got, err)
	}
}
