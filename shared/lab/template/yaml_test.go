package template

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// file is the template.
const file = "../../../template.yaml"

// document is the parsed template.yaml.
type document struct {
	Parameters map[string]yaml.Node `yaml:"Parameters"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Globals    yaml.Node            `yaml:"Globals"`
	Resources  map[string]resource  `yaml:"Resources"`
	Outputs    map[string]yaml.Node `yaml:"Outputs"`
}

type resource struct {
	Type                string    `yaml:"Type"`
	Condition           string    `yaml:"Condition"`
	DependsOn           string    `yaml:"DependsOn"`
	DeletionPolicy      string    `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string    `yaml:"UpdateReplacePolicy"`
	Properties          yaml.Node `yaml:"Properties"`
}

func readTemplate(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

func parse(t *testing.T, text []byte) document {
	t.Helper()
	var all document
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// of returns the resources of a type. It fails the test without such a resource, since the rule would then prove
// nothing.
func (all document) of(t *testing.T, kind string) map[string]yaml.Node {
	t.Helper()
	found := map[string]yaml.Node{}
	for name, r := range all.Resources {
		if r.Type == kind {
			found[name] = r.Properties
		}
	}
	if len(found) == 0 {
		t.Fatalf("there is no %s", kind)
	}
	return found
}

// at returns the node at a path of keys, or an empty node.
func at(n yaml.Node, path ...string) yaml.Node {
	if len(path) == 0 {
		return n
	}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			return at(*n.Content[i+1], path[1:]...)
		}
	}
	return yaml.Node{}
}

// written returns a node on one line: !If [Condition, a, !Ref B].
func written(n yaml.Node) string {
	text := n.Value
	if n.Kind != yaml.ScalarNode && n.Kind != 0 {
		var parts []string
		for _, child := range n.Content {
			parts = append(parts, written(*child))
		}
		text = "[" + strings.Join(parts, ", ") + "]"
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return n.Tag + " " + text
	}
	return text
}

// every returns all mappings in a node that have a key.
func every(n yaml.Node, key string) []yaml.Node {
	var found []yaml.Node
	if at(n, key).Kind != 0 {
		found = append(found, n)
	}
	for _, child := range n.Content {
		found = append(found, every(*child, key)...)
	}
	return found
}

// list returns the elements of a list, or the single value that is written instead of a list.
func list(n yaml.Node) []string {
	if n.Kind != yaml.SequenceNode || n.Tag != "!!seq" {
		return []string{written(n)}
	}
	var all []string
	for _, child := range n.Content {
		all = append(all, written(*child))
	}
	return all
}

// expect compares properties of a resource, by their paths.
func (all document) expect(t *testing.T, name string, want map[string]string) {
	t.Helper()
	r, ok := all.Resources[name]
	if !ok {
		t.Errorf("there is no resource %s", name)
	}
	for path, value := range want {
		if got := written(at(r.Properties, strings.Split(path, ".")...)); got != value {
			t.Errorf("%s.%s is %q, not %q", name, path, got, value)
		}
	}
}

// referred returns the logical ID that !Ref ID or !GetAtt ID.Attribute names.
func referred(n yaml.Node) string {
	if n.Tag != "!Ref" && n.Tag != "!GetAtt" {
		return ""
	}
	id, _, _ := strings.Cut(n.Value, ".")
	return id
}
