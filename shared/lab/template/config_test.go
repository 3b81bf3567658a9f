package template

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/provider"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/background"
)

type lookup = func(string) (string, bool)

// config is how a function reads its environment, and the struct that documents it.
type config struct {
	read func(lookup)
	file string
	name string
}

const (
	receiverFile   = "../../wiring/lambda/config.go"
	backgroundFile = "../../wiring/lambda/background/config.go"
)

var (
	receiverConfig    = config{func(l lookup) { wiring.ReadReceiverConfig(l) }, receiverFile, "ReceiverConfig"}
	backgroundConfigs = map[string]config{
		"WorkerFunction": {
			func(l lookup) { background.ReadWorkerConfig(l) }, backgroundFile, "WorkerConfig",
		},
		"PublisherFunction": {
			func(l lookup) { background.ReadPublisherConfig(l) }, backgroundFile, "PublisherConfig",
		},
		"ArchiverFunction": {
			func(l lookup) { background.ReadArchiverConfig(provider.All(), l) }, backgroundFile, "ArchiverConfig",
		},
		"ReconcilerFunction": {
			func(l lookup) { background.ReadReconcilerConfig(provider.All(), l) }, backgroundFile, "ReconcilerConfig",
		},
	}
)

// notOurs are variables that the template sets and no config struct names: the Go runtime reads GOGC and its like, and
// the AWS clients read the endpoints; see wiring.AWS.
var notOurs = regexp.MustCompile(`^(GOGC|GOMAXPROCS|GOMEMLIMIT|AWS_ENDPOINT_URL_[A-Z0-9_]+)$`)

// TestConfigsMatchTheTemplate checks that a function reads exactly the variables that the template sets and the config
// struct documents. A variable of all functions need not be read by each.
func TestConfigsMatchTheTemplate(t *testing.T) {
	all := readTemplate(t)
	global := names(at(all.Globals, "Function", "Environment", "Variables"))
	readByAny := map[string]bool{}
	for function, properties := range all.of(t, "AWS::Serverless::Function") {
		c, ok := backgroundConfigs[function]
		if !ok {
			c = receiverConfig
		}
		read := map[string]bool{}
		c.read(func(name string) (string, bool) {
			read[name], readByAny[name] = true, true
			return "", false
		})
		own := names(at(properties, "Environment", "Variables"))
		for _, name := range own {
			if !read[name] {
				t.Errorf("%s has %s, and does not read it", function, name)
			}
		}
		for name := range read {
			if !slices.Contains(own, name) && !slices.Contains(global, name) {
				t.Errorf("%s reads %s, and does not have it", function, name)
			}
		}
		documented := c.documented(t)
		if got := slices.Sorted(maps.Keys(read)); !slices.Equal(got, documented) {
			t.Errorf("%s reads %q, and %s documents %q", function, got, c.name, documented)
		}
	}
	for _, name := range global {
		if !readByAny[name] {
			t.Errorf("all functions have %s, and none reads it", name)
		}
	}
}

// names returns the names of variables, without those that are not ours.
func names(variables yaml.Node) (found []string) {
	for i := 0; i < len(variables.Content); i += 2 {
		if name := variables.Content[i].Value; !notOurs.MatchString(name) {
			found = append(found, name)
		}
	}
	return found
}

// documented returns the names with which the comments of the struct's fields begin, sorted.
func (c config) documented(t *testing.T) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), c.file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != c.name {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			name, _, _ := strings.Cut(field.Doc.Text(), ":")
			ofProvider, perProvider := strings.CutPrefix(name, "<PROVIDER>")
			if !perProvider {
				found = append(found, name)
				continue
			}
			for _, p := range provider.All() {
				found = append(found, strings.ToUpper(p.Info().Name)+ofProvider)
			}
		}
		return false
	})
	slices.Sort(found)
	return found
}
