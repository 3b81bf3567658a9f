// Package stored holds data that earlier versions of the product wrote, for the tests of the packages that read it.
//
// Later versions must read the data, or migrate it, without loss. Never change a file in testdata, and never weaken a
// test that reads it: users have such data in their tables, queues and folders. When a format changes, add a folder for
// it.
//
// testdata/v1 was written before items and messages carried a version:
//
//	items.json        DynamoDB items in every state, also notes; want: the events and agreements in them
//	messages.json     the queue's messages as Lambda's event source mapping delivers them; want: the deliveries in them
//	stream.json       a batch of the table's stream; want: the events to publish from it
//	unpublished.json  a record that the publisher set aside
//	job.json          a job of the archiver
//	local.tar.gz      a .local folder with pending messages, dead letters, unpublished changes, archived documents and
//	                  notes; want: what the read API shows of it before anything in it runs
//
// testdata/v2 has events of version 2, whose content is compressed with a dictionary:
//
//	items.json        DynamoDB items; want: the events in them
package stored

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

//go:embed testdata
var files embed.FS

// V1 reads a JSON file of version 1 into v.
func V1(t testing.TB, name string, v any) {
	t.Helper()
	read(t, "v1/"+name, v)
}

// V2 reads a JSON file of version 2 into v.
func V2(t testing.TB, name string, v any) {
	t.Helper()
	read(t, "v2/"+name, v)
}

func read(t testing.TB, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(contents(t, name), v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// V1Bytes returns a file of version 1.
func V1Bytes(t testing.TB, name string) []byte {
	t.Helper()
	return contents(t, "v1/"+name)
}

func contents(t testing.TB, name string) []byte {
	t.Helper()
	b, err := files.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// NoteV1 returns the text of a note of version 1: "acmesign/reconciled" or "acmesign/token". The token is "the token of
// 2026", sealed with "the credentials of 2026".
func NoteV1(t testing.TB, name string) string {
	t.Helper()
	var items []struct{ PK, Text struct{ S string } }
	V1(t, "items.json", &items)
	for _, item := range items {
		if item.PK.S == "@"+name {
			return item.Text.S
		}
	}
	t.Fatalf("no note %s", name)
	return ""
}

// LocalV1 unpacks the .local folder of version 1, and returns its path.
func LocalV1(t testing.TB) string {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(V1Bytes(t, "local.tar.gz")))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return filepath.Join(root, ".local")
		} else if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(root, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
