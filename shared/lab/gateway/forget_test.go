package gateway

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files returns the names of the files below a folder of the gateway's data.
func (g *gateway) files(folder string) (names []string) {
	filepath.WalkDir(filepath.Join(g.data, folder), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, path)
		}
		return nil
	})
	return names
}

func TestAnOperatorForgetsAnAgreement(t *testing.T) {
	t.Parallel()
	g := start(t)
	id, other := guid(), guid()
	completed := message(id, "envelope-completed")
	g.accept(message(id, "envelope-sent"), completed, message(other, "envelope-sent"))
	g.agreement(reference, other)
	g.await("publication", func() bool { return len(g.published()) == 3 })
	documents := filepath.Join(g.data, "documents", reference, id)
	if err := os.MkdirAll(documents, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(documents, "manifest.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	forget := func(wants []string, more ...string) {
		t.Helper()
		out, err := g.operate(append([]string{"forget", "-provider", reference, "-id", strings.ToUpper(id)}, more...)...)
		for _, want := range wants {
			if out := strings.Join(strings.Fields(out), " "); err != nil || !strings.Contains(out, want) {
				t.Errorf("no %q, %v:\n%s", want, err, out)
			}
		}
	}
	forget([]string{"documents 1", "published events 2", "items of the table ",
		"nothing is removed yet: APPLY=1 removes it"})
	if g.agreement(reference, id); len(g.published()) != 3 || len(g.files("documents")) != 1 {
		t.Error("it was removed without being asked for")
	}
	for range 2 { // the second time, nothing is left
		forget([]string{"removed:", "it is forgotten"}, "-apply")
		g.accept(completed, message(id, "envelope-delivered"), message(other, "envelope-completed")) // the vendor's retry
		g.await("publication", func() bool { return len(g.published()) == 2 })
		g.await("the retry is dropped", func() bool { return len(g.events()) == 2 })
		if code := g.read("/api/agreements/"+reference+"/"+id, nil); code != 404 {
			t.Errorf("the agreement: %d", code)
		}
		for _, p := range g.published() {
			if p.Envelope.Detail.Event.AgreementID != other {
				t.Errorf("published: %+v", p)
			}
		}
		if names := g.files("documents"); len(names) > 0 {
			t.Errorf("%q are left", names)
		}
	}
	if out, err := g.operate("forget", "-provider", reference, "-id", guid(), "-apply"); err == nil ||
		!strings.Contains(out, "unknown agreement") {
		t.Errorf("%v\n%s", err, out)
	}
}
