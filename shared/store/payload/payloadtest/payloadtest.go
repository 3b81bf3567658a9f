// Package payloadtest is the suite that every driver of the payload store passes.
package payloadtest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"esignhooks/shared/store/payload"
)

// Run runs the suite. The store may hold other payloads.
func Run(t *testing.T, store payload.Store) {
	day := time.Date(2026, 11, 2, 23, 59, 59, 0, time.FixedZone("", -3600))
	for name, body := range map[string][]byte{
		"3 MB":   bytes.Repeat([]byte("PDF "), 3<<18),
		"5 MB":   bytes.Repeat([]byte("PDF1."), 1<<20),
		"binary": {0, 0xff, '\r', '\n'},
		"empty":  {},
	} {
		t.Run(name, func(t *testing.T) {
			key := payload.Key("acmesign", day, body)
			if _, err := store.Get(t.Context(), key); !errors.Is(err, payload.ErrNotFound) {
				t.Errorf("before it was put: %v", err)
			}
			for range 2 { // a vendor retries
				if err := store.Put(t.Context(), key, body); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := store.Get(t.Context(), key); err != nil || !bytes.Equal(got, body) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}
