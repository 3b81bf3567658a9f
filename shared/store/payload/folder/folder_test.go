package folder_test

import (
	"testing"

	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/payload/payloadtest"
)

func TestStore(t *testing.T) { payloadtest.Run(t, folder.New(t.TempDir())) }
