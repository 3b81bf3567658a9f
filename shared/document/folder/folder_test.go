package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"esignhooks/shared/document"
	"esignhooks/shared/document/documenttest"
	"esignhooks/shared/document/folder"
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
	file := documenttest.File([]byte("this"), "application/pdf")
	file.SHA256 = documenttest.File([]byte("that"), "").SHA256
	if stored, err := store.Put(t.Context(), key, file); err == nil {
		t.Errorf("stored as %+v", stored)
	}
	if _, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
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
	if err := os.Remove(filepath.Join(dir, "docusign", "e1", "documents.pdf")); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := store.Put(t.Context(), key, file); err != nil || got.SHA256 != file.SHA256 || got.ContentType != "application/pdf" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAPutThatFailedGivesNothingToTheNext(t *testing.T) {
	store, key := folder.New(t.TempDir()), document.Key("docusign", "e1", "documents.pdf")
	file := documenttest.File([]byte("half"), "application/octet-stream")
	file.SHA256 = documenttest.File([]byte("whole"), "").SHA256
	if stored, err := store.Put(t.Context(), key, file); err == nil {
		t.Fatalf("stored as %+v", stored)
	}
	file = documenttest.File([]byte("whole"), "application/pdf")
	if got, err := store.Put(t.Context(), key, file); err != nil || got.SHA256 != file.SHA256 || got.ContentType != "application/pdf" {
		t.Errorf("%+v, %v", got, err)
	}
}
