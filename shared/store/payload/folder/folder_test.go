package folder_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"esignhooks/shared/plumbing/durable/durabletest"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/payload/payloadtest"
)

func TestStore(t *testing.T) { payloadtest.Run(t, folder.New(t.TempDir())) }

func TestAPayloadSurvivesAPowerFailure(t *testing.T) {
	open := func(root string) folder.Store { return folder.New(filepath.Join(root, "payloads")) }
	const key = "2026/11/02/acmesign/00ff"
	durabletest.Run(t,
		func(root string) error {
			temporary := func() int { // a power failure may leave some
				files, _ := filepath.Glob(filepath.Join(root, "payloads", filepath.Dir(key), ".tmp-*"))
				return len(files)
			}
			before := temporary()
			err := open(root).Put(t.Context(), key, []byte("content"))
			if temporary() > before {
				t.Errorf("a temporary file is left, %v", err)
			}
			return err
		},
		func(root string) error {
			if got, err := open(root).Get(t.Context(), key); err != nil || string(got) != "content" {
				return fmt.Errorf("%q, %w", got, err)
			}
			return nil
		})
}
