package folder_test

import (
	"testing"

	"esignhooks/shared/payload/folder"
	"esignhooks/shared/payload/payloadtest"
)

func TestStore(t *testing.T) { payloadtest.Run(t, folder.New(t.TempDir())) }
