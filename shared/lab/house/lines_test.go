// Package house holds the rules that the whole source keeps, apart from its imports.
package house

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"esignhooks/shared/webhook/webhooktest"
)

// TestLinesWrap allows a few lines beyond 120 columns, such as payloads in tests. A tab counts as one column.
func TestLinesWrap(t *testing.T) {
	const columns, allowed = 120, 0.005
	lines := 0
	var long []string
	err := filepath.WalkDir(webhooktest.Root(t), func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && entry.Name() == ".build" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		for line := range bytes.Lines(source) {
			lines++
			if line = bytes.TrimRight(line, "\n"); utf8.RuneCount(line) > columns {
				long = append(long, path+": "+string(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if lines == 0 || float64(len(long)) > allowed*float64(lines) {
		t.Errorf("%d of %d lines are longer than %d columns, more than %.1f %%:\n%s",
			len(long), lines, columns, allowed*100, strings.Join(long, "\n"))
	}
}
