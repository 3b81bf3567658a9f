// Package shared holds tests of rules for all packages.
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

// layers lists the packages from the top down. Imports run downwards only. Packages of one layer do not import each
// other.
var layers = [][]string{
	{"functions/*"},
	{"shared/wiring/lambda/background"},
	{"shared/wiring/*", "shared/stack"},
	{"shared/operate/doctor", "shared/sample/fixture", "shared/sample/play"},
	{"shared/receive", "shared/process", "shared/publish", "shared/operate", "shared/sample", "shared/sample/story"},
	{"shared/archive", "shared/reconcile"},
	{"shared/store/*/*", "shared/vendorapi/all"},
	{"shared/outlet"},
	{"shared/plumbing/apigw", "shared/store/queue", "shared/store/bus", "shared/provider", "shared/vendorapi/*"},
	{"shared/vendorapi", "shared/store/document"},
	{"shared/store/ledger/item"},
	{"shared/store/ledger", "shared/store/payload", "shared/finding", "shared/provider/*"},
	{"shared/webhook/refusal"},
	{"shared/webhook"},
	{"shared/esign", "shared/plumbing/*", "events"},
}

// testOnly are packages for tests and measurements. Tests may import them; product packages must not.
var testOnly = []string{
	"shared/docs", "shared/docs/*", "shared/lab/*", "shared/lab/bench/*", "shared/lab/bench/baseline/*",
	"shared/webhook/webhooktest", "shared/store/*/*test", "shared/plumbing/*/*test", "shared/wiring/lambda/lambdatest",
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// packages lists ours, with this build tag.
func packages(t *testing.T, tag string) map[string]goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-tags="+tag, "-deps", "-json=ImportPath,Imports,Deps", "esignhooks/...").Output()
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
	exact := slices.IndexFunc(layers, func(patterns []string) bool { return slices.Contains(patterns, name) })
	if exact >= 0 {
		return exact // a name outweighs a pattern
	}
	return slices.IndexFunc(layers, func(patterns []string) bool { return matches(patterns, name) })
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

func TestImportsRunDownwards(t *testing.T) {
	for name, p := range packages(t, "stacks") {
		if name == "shared" || matches(testOnly, name) {
			continue
		}
		if layer(name) < 0 {
			t.Errorf("%s is in no layer: add it to layers or testOnly", name)
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, "esignhooks/")
			if ours && (matches(testOnly, imported) || layer(imported) <= layer(name)) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// TestPurity checks that the domain and the providers import nothing that does I/O.
func TestPurity(t *testing.T) {
	all := packages(t, "")
	for name, p := range all {
		allowed := []string{"strings", "time", "maps", "slices", "cmp", "crypto/sha256", "encoding/hex"}
		switch {
		case name == "shared/esign":
			allowed = append(allowed, "encoding/json", "unicode/utf8")
		case strings.HasPrefix(name, "shared/provider/"):
			allowed = append(allowed, "bytes", "encoding/base64", "encoding/binary", "encoding/json", "encoding/xml",
				"errors", "fmt", "io", "math", "mime", "mime/multipart", "net/http", "net/url", "regexp", "strconv",
				"unicode/utf16", "unicode/utf8", "esignhooks/shared/esign", "esignhooks/shared/webhook",
				"esignhooks/shared/webhook/refusal")
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

// TestLocalhostDoesNotImportTheSDK keeps the first `make run` fast: it need not compile the AWS SDK.
func TestLocalhostDoesNotImportTheSDK(t *testing.T) {
	for _, name := range []string{"functions/esignhooks", "shared/wiring/localhost"} {
		deps := packages(t, "")[name].Deps
		if len(deps) == 0 {
			t.Fatalf("no package %s", name)
		}
		for _, imported := range deps {
			isSDK := strings.HasPrefix(imported, "github.com/aws/aws-sdk-go-v2") ||
				strings.HasPrefix(imported, "github.com/aws/smithy-go")
			if isSDK {
				t.Errorf("%s depends on %s", name, imported)
			}
		}
	}
	if !slices.Contains(packages(t, "stacks")["functions/esignhooks"].Deps, "esignhooks/shared/stack") {
		t.Error("the build tag stacks does not add the commands on stacks")
	}
}

// TestFunctionsUseFewModules makes each new module in a Lambda binary a decision: add it here.
func TestFunctionsUseFewModules(t *testing.T) {
	modules := []string{
		"esignhooks", "github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go",
		"go.etcd.io/bbolt", "golang.org/x/oauth2", "golang.org/x/sys",
	}
	for name, p := range packages(t, "stacks") {
		if !strings.HasPrefix(name, "functions/") {
			continue
		}
		allowed := modules
		if name == "functions/esignhooks" {
			allowed = append(slices.Clone(modules), "github.com/alecthomas/kong")
		}
		for _, imported := range p.Deps {
			host, _, _ := strings.Cut(imported, "/")
			known := slices.ContainsFunc(allowed, func(module string) bool {
				return imported == module || strings.HasPrefix(imported, module+"/")
			})
			if strings.Contains(host, ".") && !known { // the standard library has no dot
				t.Errorf("%s depends on %s", name, imported)
			}
		}
	}
}

// TestSharedHasFewEntries keeps shared readable at a glance. Put a new package into an existing folder.
func TestSharedHasFewEntries(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 20 {
		t.Errorf("shared has %d entries, more than 20", len(entries))
	}
}
