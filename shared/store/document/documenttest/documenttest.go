// Package documenttest is the suite that every driver of the document store passes.
package documenttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/store/document"
)

// File returns a file with this content.
func File(content []byte, contentType string) document.File {
	sum := sha256.Sum256(content)
	return document.File{
		Body: bytes.NewReader(content), Size: int64(len(content)), ContentType: contentType,
		SHA256: hex.EncodeToString(sum[:]), Metadata: map[string]string{"vendor-status": "SIGNED (all)", "agreement": "e1"},
	}
}

// Run runs the suite on an empty store. location returns the expected location of a key.
func Run(t *testing.T, store document.Store, location func(key string) string) {
	for name, test := range map[string]func(*testing.T, document.Store, func(string) string){
		"a document is stored unchanged":                       testContents,
		"the first document is never overwritten":              testFirst,
		"concurrent puts all return the one that is stored":    testRace,
		"a body that was partly read is stored from the start": testRewind,
		"unusual agreement IDs have a location of their own":   testKeys,
	} {
		t.Run(name, func(t *testing.T) { test(t, store, location) })
	}
}

func testContents(t *testing.T, store document.Store, location func(string) string) {
	for name, content := range map[string][]byte{
		"6 MB":   bytes.Repeat([]byte("PDF 1."), 1<<20),
		"binary": {0, 0xff, '\r', '\n'},
		"empty":  {},
	} {
		key, file := document.Key("acmesign", name, "documents.pdf"), File(content, "application/pdf")
		want := document.Stored{Location: location(key), ContentType: "application/pdf", SHA256: file.SHA256, Size: file.Size}
		if _, err := store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
			t.Errorf("%s: stat before it was put: %v", name, err)
		}
		if _, err := store.Get(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
			t.Errorf("%s: get before it was put: %v", name, err)
		}
		put, err := store.Put(t.Context(), key, file)
		if diff := cmp.Diff(want, put); err != nil || diff != "" {
			t.Errorf("%s: put: %v %s", name, err, diff)
		}
		stat, err := store.Stat(t.Context(), key)
		if diff := cmp.Diff(want, stat); err != nil || diff != "" {
			t.Errorf("%s: stat: %v %s", name, err, diff)
		}
		if got, err := store.Get(t.Context(), key); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
}

func testFirst(t *testing.T, store document.Store, _ func(string) string) {
	key := document.Key("acmesign", "twice", "audit-trail.pdf")
	first, err := store.Put(t.Context(), key, File([]byte("first"), "application/pdf"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.Put(t.Context(), key, File([]byte("second"), "text/plain"))
	if diff := cmp.Diff(first, second); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := store.Get(t.Context(), key); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
}

func testRace(t *testing.T, store document.Store, _ func(string) string) {
	key := document.Key("acmesign", "race", "audit-trail.pdf")
	returned := make([]document.Stored, 8)
	var group sync.WaitGroup
	for i := range returned {
		group.Go(func() {
			stored, err := store.Put(t.Context(), key, File([]byte(strings.Repeat("x", i+1)), fmt.Sprint("application/x-", i+1)))
			if err != nil {
				t.Error(err)
			}
			returned[i] = stored
		})
	}
	group.Wait()
	stat, err := store.Stat(t.Context(), key)
	if err != nil || stat.Size == 0 || stat.ContentType != fmt.Sprint("application/x-", stat.Size) {
		t.Fatalf("%+v, %v", stat, err)
	}
	for _, stored := range returned {
		if diff := cmp.Diff(stat, stored); diff != "" {
			t.Error(diff)
		}
	}
}

func testRewind(t *testing.T, store document.Store, _ func(string) string) {
	key, file := document.Key("acmesign", "rewind", "documents.pdf"), File([]byte("content"), "application/pdf")
	if _, err := file.Body.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if stored, err := store.Put(t.Context(), key, file); err != nil || stored.SHA256 != file.SHA256 {
		t.Errorf("%+v, %v", stored, err)
	}
}

func testKeys(t *testing.T, store document.Store, location func(string) string) {
	seen := map[string]bool{}
	for _, id := range []string{"..", "../..", "a/../b", "ä/ö", "/", "", "e1", "E 1", `\\host\c$`} {
		key := document.Key("acmesign", id, "documents.pdf")
		stored, err := store.Put(t.Context(), key, File([]byte(id), "application/pdf"))
		if err != nil || stored.Size != int64(len(id)) || stored.Location != location(key) || seen[stored.Location] {
			t.Errorf("%q: %+v, %v", id, stored, err)
		}
		seen[stored.Location] = true
	}
}
