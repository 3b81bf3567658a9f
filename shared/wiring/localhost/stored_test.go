package localhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/lab/stored"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// openFolder opens a gateway on a store of its own. Nothing runs in it before Serve.
func openFolder(t *testing.T, data string, providers ...webhook.Provider) *Gateway {
	t.Helper()
	return openWith(t, map[string]string{"DATA": data, "PORT": "0", "ARCHIVE_FORM_DATA": "true"}, providers...)
}

func openWith(t *testing.T, environment map[string]string, providers ...webhook.Provider) *Gateway {
	t.Helper()
	config, err := ReadConfig(providers, func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := Open(config, providers, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.db.Close() })
	return g
}

// within compares JSON values, and ignores members that only got has: later versions add some.
func within(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, _ := got.(map[string]any)
		for name, v := range want {
			if member, ok := got[name]; !ok || !within(v, member) {
				return false
			}
		}
		return got != nil
	case []any:
		got, _ := got.([]any)
		for i, v := range want {
			if i >= len(got) || !within(v, got[i]) {
				return false
			}
		}
		return len(want) == len(got)
	}
	return fmt.Sprint(want) == fmt.Sprint(got)
}

func TestAFolderOfVersion1(t *testing.T) {
	g := openFolder(t, stored.LocalV1(t), provider.All()...)
	var shown map[string]any
	stored.V1(t, "local.want.json", &shown)
	for path, want := range shown {
		request := httptest.NewRequest("GET", path, nil)
		request.Host = "localhost"
		answer := httptest.NewRecorder()
		g.ServeHTTP(answer, request)
		var got any
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || !within(want, got) {
			t.Errorf("%s: got %s, want %v", path, answer.Body, want)
		}
	}
	for name, want := range map[string]int64{"acmesign/reconciled": 1, "acmesign/token": 2} {
		if text, version, err := g.ledger.Note(t.Context(), name); err != nil || text == "" || version != want {
			t.Errorf("%s: %q, version %d, %v", name, text, version, err)
		}
	}
	states := countStates(t, g)
	if states[ledger.Received] != 6 || states[ledger.Unreadable] != 1 || states[ledger.Failed] != 1 {
		t.Errorf("the folder holds %v", states)
	}
	published, err := g.bus.Events()
	if err != nil {
		t.Fatal(err)
	}

	stop := serve(t, g)
	// it was not enqueued
	await(t, "processing what was pending", func() bool { return countStates(t, g)[ledger.Received] == 1 })
	await(t, "publishing that, and what was committed before", func() bool {
		now, err := g.bus.Events()
		return err == nil && len(now) == len(published)+6
	})
	if moved, err := g.dead.Redrive(g.queue); err != nil || moved != 2 {
		t.Errorf("redrove %d dead letters, %v; want 2", moved, err)
	}
	await(t, "processing the dead letters", func() bool {
		states := countStates(t, g)
		return states[ledger.Failed] == 0 && states[ledger.Unreadable] == 1
	})
	stop()
}

// serve runs a gateway with all its loops until stop is called.
func serve(t *testing.T, g *Gateway) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- g.Serve(ctx, &silent{closed: make(chan struct{})}) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within two minutes", what)
		}
	}
}

func TestAFolderOfANewerReleaseIsRefusedAndUntouched(t *testing.T) {
	data := stored.LocalV1(t)
	openFolder(t, data, provider.All()...).db.Close()
	file := filepath.Join(data, "esignhooks.db")
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(storeBucket).Put(versionKey, []byte("2")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Data: data}, provider.All(), slog.New(slog.DiscardHandler))
	if !errors.Is(err, format.ErrNewer) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "DATA") {
		t.Errorf("%v, want %v and what to do", err, format.ErrNewer)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}

func countStates(t *testing.T, g *Gateway) map[ledger.State]int {
	t.Helper()
	events, err := g.ledger.Events()
	if err != nil {
		t.Fatal(err)
	}
	states := map[ledger.State]int{}
	for _, e := range events {
		states[e.State]++
	}
	return states
}
