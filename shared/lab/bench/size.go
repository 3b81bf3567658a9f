package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// size measures the binaries as they are uploaded, and tells what weighs how much in some of them.
func (b *bench) size() error {
	bare, err := zipped(string(b.built["ok"]))
	if err != nil {
		return err
	}
	for _, name := range []string{"AdobeSign", "DocuSign", "DropboxSign", "ESignGlobal", "Worker", "Publisher", "Archiver", "Reconciler", "calls"} {
		n, err := zipped(string(b.built[name]))
		if err != nil {
			return err
		}
		r := row{
			figure: "zipped binary, " + strings.ToLower(name), ratio: float64(n) / float64(bare), goal: "≤ 6 MB", met: n <= 6e6,
			measured: fmt.Sprintf("%.2f MB", float64(n)/1e6), beside: fmt.Sprintf("a bare function that answers 200: %.2f MB", float64(bare)/1e6),
		}
		if name == "calls" {
			r.figure, r.goal = "zipped binary, a bare function with the two calls", ""
		}
		b.report.add(r)
	}
	return b.weigh([]string{functions + "/docusign", functions + "/worker", functions + "/archiver", baselines + "/calls", baselines + "/ok"})
}

// zipped is the size of a file in a ZIP archive, at the usual level.
func zipped(file string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.DefaultCompression) })
	w, err := z.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, f); err != nil {
		return 0, err
	}
	err = z.Close()
	return archive.Len(), err
}

// weigh makes a table of what the parts of programs weigh, unzipped.
func (b *bench) weigh(programs []string) error {
	var weights []map[string]int
	parts := map[string]int{}
	for _, program := range programs {
		w, err := b.weights(program)
		if err != nil {
			return err
		}
		weights = append(weights, w)
		for part, n := range w {
			parts[part] = max(parts[part], n)
		}
	}
	var t strings.Builder
	fmt.Fprintln(&t, "What weighs how much in a binary, unzipped, in kB:\n\n| part | "+strings.Join(mapped(programs, filepath.Base), " | ")+" |\n|---|"+strings.Repeat("---:|", len(programs)))
	for _, part := range slices.SortedFunc(maps.Keys(parts), func(a, b string) int { return parts[b] - parts[a] }) {
		line := "| " + part
		for _, w := range weights {
			line += fmt.Sprintf(" | %.0f", float64(w[part])/1e3)
		}
		fmt.Fprintln(&t, line+" |")
	}
	b.report.weights = t.String()
	return nil
}

func mapped(list []string, f func(string) string) (out []string) {
	for _, s := range list {
		out = append(out, f(s))
	}
	return out
}

// weights builds a program with its symbols, and adds up by part the sizes of those that are in the file. The linker's table
// of functions and lines is a part; what has no symbol is the rest of what the program weighs when it is stripped.
func (b *bench) weights(program string) (map[string]int, error) {
	var sizes [2]int
	file := filepath.Join(b.dir, "weighed")
	for i, flags := range []string{"-s -w", "-w"} { // stripped, as it is deployed, and with symbols
		build := exec.CommandContext(b, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", file, "./"+program)
		build.Dir, build.Env = b.root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("bench: build %s: %w: %s", program, err, out)
		}
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		sizes[i] = int(info.Size())
	}
	binary, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer binary.Close()
	symbols, err := binary.Symbols()
	if err != nil {
		return nil, err
	}
	weights := map[string]int{}
	if lines := binary.Section(".gopclntab"); lines != nil {
		weights["the linker's table of functions and lines"] = int(lines.Size)
	}
	for _, s := range symbols {
		if int(s.Section) < len(binary.Sections) && binary.Sections[s.Section].Type != elf.SHT_NOBITS {
			weights[part(s.Name)] += int(s.Size)
		}
	}
	sum := 0
	for _, n := range weights {
		sum += n
	}
	weights["types and whatever else has no symbol"] = sizes[0] - sum
	weights["**whole**"] = sizes[0]
	return weights, nil
}

// part is what a symbol belongs to: a service's client, a module, or a group of the standard library's packages.
func part(symbol string) string {
	if strings.HasPrefix(symbol, "type:") || strings.HasPrefix(symbol, "go:") {
		return "texts, interfaces and what else the compiler makes"
	}
	name := symbol
	if at := strings.IndexAny(name, "[("); at > 0 {
		name = name[:at]
	}
	slash := strings.LastIndex(name, "/") + 1
	path, _, _ := strings.Cut(name[slash:], ".")
	path = name[:slash] + path
	const sdk = "github.com/aws/aws-sdk-go-v2/"
	first, _, _ := strings.Cut(path, "/")
	switch {
	case strings.HasPrefix(path, sdk+"service/") && !strings.HasPrefix(path, sdk+"service/internal"):
		service, _, _ := strings.Cut(strings.TrimPrefix(path, sdk+"service/"), "/")
		return "client of " + service
	case strings.HasPrefix(path, sdk):
		return "aws-sdk-go-v2 without clients"
	case strings.HasPrefix(path, "github.com/aws/"):
		return strings.Split(path, "/")[2]
	case strings.HasPrefix(path, "go.etcd.io/bbolt"):
		return "bbolt"
	case strings.Contains(first, "."):
		return strings.Join(strings.Split(path, "/")[:min(3, strings.Count(path, "/")+1)], "/")
	case first == "esignhooks" || first == "main":
		return "esignhooks"
	case first == "crypto" || first == "encoding" || first == "runtime" || first == "vendor":
		return first
	case first == "net":
		return "net"
	case strings.HasPrefix(first, "_") || first == "internal":
		return "runtime"
	}
	return "rest of the standard library"
}
