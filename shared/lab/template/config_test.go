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
		"OutletFunction": {
			func(l lookup) { background.ReadOutletConfig(l) }, backgroundFile, "OutletConfig",
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

// configRules expects that a function has exactly the variables that it reads and its config struct documents. A
// variable of all functions need not be read by each.
func configRules(c *checker) {
	global := members(nodeAt(c.root.Content[0], "Globals", "Function", "Environment", "Variables"))
	readByAny := map[string]bool{}
	for _, function := range c.of("AWS::Serverless::Function") {
		config, ok := backgroundConfigs[function]
		if !ok {
			config = receiverConfig
		}
		read := map[string]bool{}
		config.read(func(name string) (string, bool) {
			read[name], readByAny[name] = true, true
			return "", false
		})
		has := c.environment(function)
		for name := range has {
			c.holds(read[name] || notOurs.MatchString(name) || global[name] != nil, "%s has %s, and does not read it", function,
				name)
		}
		for name := range read {
			_, ok := has[name]
			c.holds(ok, "%s reads %s, and does not have it", function, name)
		}
	}
	for name := range global {
		c.holds(readByAny[name] || notOurs.MatchString(name), "all functions have %s, and none reads it", name)
	}
}

func TestConfigsDocumentTheirVariables(t *testing.T) {
	configs := maps.Clone(backgroundConfigs)
	configs["a receiver"] = receiverConfig
	for function, c := range configs {
		read := map[string]bool{}
		c.read(func(name string) (string, bool) {
			read[name] = true
			return "", false
		})
		if got, documented := slices.Sorted(maps.Keys(read)), c.documented(t); !slices.Equal(got, documented) {
			t.Errorf("%s reads %q, and %s documents %q", function, got, c.name, documented)
		}
	}
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
