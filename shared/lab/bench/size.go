package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// size measures the binaries as they are uploaded.
func (b *bench) size() {
	bare := b.zipped(baselines + "ok")
	for _, folder := range slices.Sorted(maps.Keys(b.binaries)) {
		name, goal := filepath.Base(folder), "≤ 6 MB"
		switch name {
		case "esignhooks", "ok", "copy": // not uploaded
			continue
		case "calls":
			name, goal = "a bare function with the two calls", ""
		}
		n := b.zipped(folder)
		b.report.add(row{"zipped binary, " + name, float64(n) / float64(bare), goal, n <= 6e6, megabytes(n),
			"a bare function that answers 200: " + megabytes(bare)})
	}
}

func (b *bench) zipped(folder string) int {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	_, err := must(z.Create("bootstrap")).Write(must(os.ReadFile(b.binaries[folder])))
	check(err, z.Close())
	return archive.Len()
}

func megabytes(n int) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
