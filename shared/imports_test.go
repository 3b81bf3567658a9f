// Package shared holds tests of the rules that all packages keep.
package shared

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers are the packages from the top down. Imports run downwards only. Packages of one layer do not import each other.
var layers = [][]string{
	{"functions/*"},
	{"shared/wiring/lambda/background"},
	{"shared/wiring/*", "shared/stack"},
	{"shared/receive", "shared/process", "shared/publish", "shared/operate", "shared/sample"},
	{"shared/archive", "shared/reconcile"},
	{"shared/store/*/*", "shared/vendorapi/all"},
	{"shared/plumbing/apigw", "shared/store/queue", "shared/store/bus", "shared/provider", "shared/vendorapi/*"},
	{"shared/vendorapi", "shared/store/document"},
	{"shared/store/ledger", "shared/store/payload", "shared/finding", "shared/provider/*"},
	{"shared/webhook"},
	{"shared/esign", "shared/plumbing/*", "events"},
}

// aside are packages for tests and measurements only. Any test may import them, and no product package may.
var aside = []string{
	"shared/docs", "shared/lab/*", "shared/lab/bench/*", "shared/lab/bench/baseline/*",
	"shared/webhook/webhooktest", "shared/store/*/*test", "shared/plumbing/*/*test", "shared/wiring/lambda/lambdatest",
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) map[string]goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps", "esignhooks/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]goPackage{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if ours, ok := strings.CutPrefix(p.ImportPath, "esignhooks/"); ok {
			found[ours] = p
		}
	}
}

func layer(name string) int {
	return slices.IndexFunc(layers, func(patterns []string) bool { return matches(patterns, name) })
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

func TestImportsRunDownwards(t *testing.T) {
	for name, p := range packages(t) {
		if name == "shared" || matches(aside, name) {
			continue
		}
		if layer(name) < 0 {
			t.Errorf("%s stands in no layer", name)
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, "esignhooks/")
			if ours && (matches(aside, imported) || layer(imported) <= layer(name)) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// TestPurity: what must not do I/O cannot.
func TestPurity(t *testing.T) {
	all := packages(t)
	for name, p := range all {
		allowed := []string{"strings", "time", "maps", "slices", "cmp"}
		switch {
		case name == "shared/esign":
		case strings.HasPrefix(name, "shared/provider/"):
			allowed = append(allowed, "bytes", "crypto/sha256", "encoding/base64", "encoding/hex", "encoding/json",
				"encoding/xml", "errors", "fmt", "io", "math", "mime", "mime/multipart", "net/http", "net/url", "strconv",
				"esignhooks/shared/esign", "esignhooks/shared/webhook")
		default:
			continue
		}
		for _, imported := range p.Imports {
			if !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// TestLocalhostDoesNotKnowAWS: the first start of localhost need not compile the SDK.
func TestLocalhostDoesNotKnowAWS(t *testing.T) {
	for _, name := range []string{"functions/local", "shared/wiring/localhost"} {
		deps := packages(t)[name].Deps
		if len(deps) == 0 {
			t.Fatalf("no package %s", name)
		}
		for _, imported := range deps {
			if strings.HasPrefix(imported, "github.com/aws/aws-sdk-go-v2") || strings.HasPrefix(imported, "github.com/aws/smithy-go") {
				t.Errorf("%s depends on %s", name, imported)
			}
		}
	}
}

// TestFunctionsAreSmall: a new module in a Lambda binary is a decision.
func TestFunctionsAreSmall(t *testing.T) {
	modules := []string{
		"esignhooks", "github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go",
		"go.etcd.io/bbolt", "golang.org/x/oauth2", "golang.org/x/sys",
	}
	for name, p := range packages(t) {
		if !strings.HasPrefix(name, "functions/") {
			continue
		}
		for _, imported := range p.Deps {
			first, _, _ := strings.Cut(imported, "/")
			if strings.Contains(first, ".") && !slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(imported, m+"/") || imported == m }) {
				t.Errorf("%s depends on %s", name, imported)
			}
		}
	}
}

// TestTheHouseIsSmall: a newcomer sees shared at one glance. What is new finds a home in a folder that exists.
func TestTheHouseIsSmall(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 20 {
		t.Errorf("shared holds %d entries, more than 20", len(entries))
	}
}
