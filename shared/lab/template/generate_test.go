package template

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func generate(t *testing.T, providers []webhook.Provider) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err = Generate(text, providers)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestGeneratedSectionsAreCurrent fails if a vendor or vendors.tmpl has changed since make generate.
func TestGeneratedSectionsAreCurrent(t *testing.T) {
	webhooktest.Golden(t, file, generate(t, provider.All()))
}

// TestEveryDefinitionHasASection fails if a marker line is lost: make generate would then no longer write the section.
func TestEveryDefinitionHasASection(t *testing.T) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, parts := range section.FindAllSubmatch(text, -1) {
		got[string(parts[2])]++
	}
	want := map[string]int{}
	for _, definition := range sections.Templates() {
		if name := definition.Name(); name != "vendors" {
			want[name] = 1
		}
	}
	want["variables"], want["secrets"] = 2, 2 // the archiver and the reconciler
	if !maps.Equal(got, want) {
		t.Errorf("the sections are %v, not %v", got, want)
	}
}

func TestGenerateRefusesAResourceNameThatIsNotTheName(t *testing.T) {
	p := numbered{number: 1, resource: "Other"}
	if _, err := Generate(nil, []webhook.Provider{p}); err == nil || !strings.Contains(err.Error(), `"Other"`) {
		t.Error(err)
	}
}

func TestGenerateRefusesAnUnknownSection(t *testing.T) {
	const text = "  # BEGIN generated: nothing\n  # END generated\n"
	if _, err := Generate([]byte(text), nil); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Error(err)
	}
}

// TestManyVendorsFitTheLimits of CloudFormation, Lambda and IAM.
//
// SPEC: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html, read 2026-11-30: 500
// resources, 200 parameters and 200 outputs, whatever their conditions; 1 MB, of which the text that SAM makes needs
// about three times as much as this one. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 4 KB
// of variables. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10,240 characters of inline
// policies, without white space.
func TestManyVendorsFitTheLimits(t *testing.T) {
	var vendors []webhook.Provider
	for i := range 40 {
		vendors = append(vendors, numbered{number: i})
	}
	text := generate(t, vendors)
	all := parse(t, text)
	resources := 0
	for _, r := range all.Resources {
		resources++
		switch r.Type {
		case "AWS::Serverless::Api":
			resources += 2 // the deployment and the stage
		case "AWS::Serverless::Function":
			of := len(paths(r.Properties))
			resources += of                                                       // a permission for each path
			resources += 2 * (len(members(nodeAt(&r.Properties, "Events"))) - of) // a rule and its permission
			if nodeAt(&r.Properties, "EventInvokeConfig") != nil {
				resources++
			}
		}
	}
	for what, size := range map[string][2]int{
		"resources":  {resources, 500},
		"parameters": {len(all.Parameters), 200},
		"outputs":    {len(all.Outputs), 200},
		"bytes":      {len(text), 1 << 20 / 3 * 2},
	} {
		if size[0] > size[1] {
			t.Errorf("%d %s, more than %d", size[0], what, size[1])
		}
	}
	const name = len("Vendor01Secret-AbCdEf012345-x1Y2z3")
	const arn = len("arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:") + name
	for function, r := range all.Resources {
		if r.Type != "AWS::Serverless::Function" {
			continue
		}
		variables := 0
		for variable, value := range all.variables(r.Properties) {
			variables += len(variable) + size(*value, name)
		}
		policies := 0
		role := all.Resources[function+"Role"]
		for _, policy := range nodeAt(&role.Properties, "Policies").Content {
			policies += size(*policy, arn)
		}
		if variables > 4096 || policies > 10240 {
			t.Errorf("%s has %d bytes of variables and %d of policies", function, variables, policies)
		}
	}
}

// size estimates the length of a value: that of a secret's reference is given, and others have at most 130 characters.
func size(n yaml.Node, secret int) int {
	switch {
	case n.Tag == "!If":
		return max(size(*n.Content[1], secret), size(*n.Content[2], secret))
	case n.Tag == "!Ref" && strings.HasSuffix(n.Value, "Secret"), n.Tag == "!Select":
		return secret
	case n.Tag == "!Ref" && n.Value == "AWS::NoValue":
		return 0
	case n.Tag == "!Ref" && strings.HasSuffix(n.Value, "Queue"), n.Tag == "!Sub", n.Tag == "!GetAtt":
		return 130
	case n.Tag == "!Ref":
		return 64
	}
	total := len(n.Value)
	for _, child := range n.Content {
		total += size(*child, secret) + len(`"",`)
	}
	return total
}

// numbered is one of many vendors.
type numbered struct {
	acmesign.Provider
	number   int
	resource string
	disabled bool
}

func (p numbered) Info() webhook.Info {
	info := p.Provider.Info()
	info.Name, info.Resource = fmt.Sprintf("vendor%02d", p.number), fmt.Sprintf("Vendor%02d", p.number)
	info.Title, info.SignsAll, info.Disabled = info.Resource, false, p.disabled
	if p.resource != "" {
		info.Resource = p.resource
	}
	return info
}

// paths returns the paths of the API at which a function answers.
func paths(function yaml.Node) (found []string) {
	for _, event := range members(nodeAt(&function, "Events")) {
		if path := nodeAt(event, "Properties", "Path"); path != nil {
			found = append(found, path.Value)
		}
	}
	return found
}

// variables returns the environment variables of a function, by name.
func (all document) variables(function yaml.Node) map[string]*yaml.Node {
	found := members(nodeAt(&all.Globals, "Function", "Environment", "Variables"))
	maps.Copy(found, members(nodeAt(&function, "Environment", "Variables")))
	return found
}

// nodeAt returns the node at a path of keys, or nil.
func nodeAt(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		n = members(n)[key]
	}
	return n
}

// document is the parsed template.yaml.
type document struct {
	Parameters map[string]yaml.Node `yaml:"Parameters"`
	Globals    yaml.Node            `yaml:"Globals"`
	Resources  map[string]resource  `yaml:"Resources"`
	Outputs    map[string]yaml.Node `yaml:"Outputs"`
}

type resource struct {
	Type       string    `yaml:"Type"`
	Properties yaml.Node `yaml:"Properties"`
}

func parse(t *testing.T, text []byte) document {
	t.Helper()
	var all document
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
