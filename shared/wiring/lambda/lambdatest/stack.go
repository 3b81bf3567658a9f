package lambdatest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/webhook/webhooktest"
)

// Stack is template.yaml with values for its parameters, as CloudFormation evaluates it. Every resource has its own
// name.
type Stack struct {
	Parameters map[string]string
	t          testing.TB
	template   template
}

type template struct {
	Parameters map[string]parameter `yaml:"Parameters"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Globals    struct {
		Function yaml.Node `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]resource `yaml:"Resources"`
	Outputs   map[string]struct {
		Condition string    `yaml:"Condition"`
		Value     yaml.Node `yaml:"Value"`
	} `yaml:"Outputs"`
}

type parameter struct {
	Type           string   `yaml:"Type"`
	Default        string   `yaml:"Default"`
	AllowedValues  []string `yaml:"AllowedValues"`
	AllowedPattern string   `yaml:"AllowedPattern"`
	MinValue       int      `yaml:"MinValue"`
}

type resource struct {
	Type       string    `yaml:"Type"`
	Condition  string    `yaml:"Condition"`
	Metadata   yaml.Node `yaml:"Metadata"`
	Properties yaml.Node `yaml:"Properties"`
}

// Deploy returns the stack with these parameters. The others have their defaults.
func Deploy(t testing.TB, parameters map[string]string) *Stack {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(webhooktest.Root(t), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Stack{t: t, Parameters: map[string]string{}}
	if err := yaml.Unmarshal(text, &s.template); err != nil {
		t.Fatal(err)
	}
	for name, p := range s.template.Parameters {
		s.Parameters[name] = p.Default
	}
	for name, value := range parameters {
		if _, ok := s.Parameters[name]; !ok {
			t.Fatalf("there is no parameter %s", name)
		}
		s.Parameters[name] = value
	}
	return s
}

// patterned are values of the parameters that are text.
var patterned = map[string]string{
	"AdobeSignAllowedIps": "192.0.2.1", "ESignGlobalAllowedIps": "192.0.2.2",
	"AlarmTopicArn":           "arn:aws:sns:eu-central-1:123456789012:alarms",
	"ExpireAfterDays":         "37",
	"MutualTlsCertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1a2b3c4d",
	"MutualTlsDomain":         "mtls.example.com", "MutualTlsTruststore": "s3://bucket/truststore.pem",
	"OutletUrl":      "https://app.example.com/events",
	"PublicUrl":      "https://hooks.example.com",
	"References":     "deal_id",
	"KmsKeyArn":      "arn:aws:kms:eu-central-1:123456789012:key/1a2b3c4d",
	"TableStreamArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/restored/stream/2026-11-30T09:30:00.000",
	"WebAclArn":      "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/acl/1a2b3c4d",
}

// Changed returns a value for each parameter that differs from its default. Numbers differ from each other.
func (s *Stack) Changed() map[string]string {
	s.t.Helper()
	changed := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(s.template.Parameters)) {
		p := s.template.Parameters[name]
		switch {
		case len(p.AllowedValues) > 0:
			other := slices.IndexFunc(p.AllowedValues, func(value string) bool { return value != p.Default })
			changed[name] = p.AllowedValues[other]
		case p.Type == "Number":
			changed[name] = strconv.Itoa(p.MinValue + 41 + i)
		default:
			if changed[name] = patterned[name]; strings.HasSuffix(name, "ClientSubjects") {
				changed[name] = "CN=" + name
			}
			if !regexp.MustCompile(p.AllowedPattern).MatchString(changed[name]) {
				s.t.Errorf("the parameter %s may not be %q", name, patterned[name])
			}
		}
		if changed[name] == p.Default {
			s.t.Errorf("the parameter %s is not changed: %q", name, p.Default)
		}
	}
	return changed
}

// Functions returns the names of the stack's functions, sorted.
func (s *Stack) Functions() (names []string) {
	for name, r := range s.template.Resources {
		if r.Type == "AWS::Serverless::Function" && s.holds(r.Condition) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Variables returns the environment variables of a function.
func (s *Stack) Variables(function string) map[string]string {
	variables := map[string]string{}
	for _, of := range []yaml.Node{s.template.Globals.Function, s.template.Resources[function].Properties} {
		properties, _ := s.value(&of).(map[string]any)
		environment, _ := properties["Environment"].(map[string]any)
		all, _ := environment["Variables"].(map[string]any)
		for name, value := range all {
			variables[name] = value.(string)
		}
	}
	return variables
}

// Outputs returns the outputs of the stack.
func (s *Stack) Outputs() map[string]string {
	outputs := map[string]string{}
	for name, output := range s.template.Outputs {
		if s.holds(output.Condition) {
			outputs[name] = s.value(&output.Value).(string)
		}
	}
	return outputs
}

// Values returns all values of the stack by their paths, such as Queue.MessageRetentionPeriod.
func (s *Stack) Values() map[string]string {
	values := map[string]string{}
	for name, value := range s.Outputs() {
		values["Outputs."+name] = value
	}
	flatten("Globals.Function", s.value(&s.template.Globals.Function), values)
	for name, r := range s.template.Resources {
		if s.holds(r.Condition) {
			flatten(name, map[string]any{"Type": r.Type}, values)
			flatten(name+".Metadata", s.value(&r.Metadata), values)
			flatten(name, s.value(&r.Properties), values)
		}
	}
	return values
}

func flatten(path string, value any, into map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for name, child := range v {
			flatten(path+"."+name, child, into)
		}
	case []any:
		for i, child := range v {
			flatten(fmt.Sprint(path, ".", i), child, into)
		}
	case string:
		into[path] = v
	}
}

// Resource returns the logical ID of the resource that has this name, URL or ARN, or whose ARN ends in it and a suffix.
func (s *Stack) Resource(name string) string {
	for id, r := range s.template.Resources {
		if !s.holds(r.Condition) {
			continue
		}
		if own := s.Name(id); own == name || r.Type == "AWS::SecretsManager::Secret" && own == secretARN+name+secretSuffix {
			return id
		}
	}
	return "unknown: " + name
}

// The ARN of a secret has its name in the middle.
const (
	secretARN    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
	secretSuffix = "-x1Y2z3"
)

// absent is AWS::NoValue.
type absent struct{}

// value evaluates a part of the template to a string, a list, a map or absent.
func (s *Stack) value(n *yaml.Node) any {
	s.t.Helper()
	if n.Kind == 0 {
		return absent{}
	}
	switch n.Tag {
	case "!Ref":
		return s.ref(n.Value)
	case "!GetAtt":
		return s.attribute(n.Value)
	case "!Sub":
		return s.substitute(n)
	case "!If":
		if s.holds(n.Content[0].Value) {
			return s.value(n.Content[1])
		}
		return s.value(n.Content[2])
	case "!Split":
		var parts []any
		for part := range strings.SplitSeq(s.value(n.Content[1]).(string), n.Content[0].Value) {
			parts = append(parts, part)
		}
		return parts
	case "!Select":
		index, _ := strconv.Atoi(n.Content[0].Value)
		return s.value(n.Content[1]).([]any)[index]
	}
	switch {
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		s.t.Fatalf("template.yaml:%d: unknown: %s", n.Line, n.Tag)
	case n.Kind == yaml.MappingNode:
		all := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if v := s.value(n.Content[i+1]); v != (absent{}) {
				all[n.Content[i].Value] = v
			}
		}
		return all
	case n.Kind == yaml.SequenceNode:
		all := []any{}
		for _, child := range n.Content {
			if v := s.value(child); v != (absent{}) {
				all = append(all, v)
			}
		}
		return all
	}
	return n.Value
}

var variable = regexp.MustCompile(`\$\{([\w:.]+)\}`)

func (s *Stack) substitute(n *yaml.Node) string {
	text, own := n, map[string]any{}
	if n.Kind == yaml.SequenceNode {
		text, own = n.Content[0], s.value(n.Content[1]).(map[string]any)
	}
	return variable.ReplaceAllStringFunc(text.Value, func(match string) string {
		name := variable.FindStringSubmatch(match)[1]
		if value, ok := own[name]; ok {
			return value.(string)
		}
		if strings.Contains(name, ".") {
			return s.attribute(name)
		}
		return s.ref(name).(string)
	})
}

func (s *Stack) ref(name string) any {
	pseudo := map[string]any{
		"AWS::AccountId": "123456789012", "AWS::NoValue": absent{}, "AWS::Partition": "aws",
		"AWS::Region": "eu-central-1", "AWS::StackName": "hooks", "AWS::URLSuffix": "amazonaws.com",
	}
	if value, ok := pseudo[name]; ok {
		return value
	}
	if value, ok := s.Parameters[name]; ok {
		return value
	}
	return s.Name(name)
}

// Name returns what !Ref returns for a resource: its name, URL or ARN.
func (s *Stack) Name(id string) string {
	s.t.Helper()
	r, ok := s.template.Resources[id]
	if !ok || !s.holds(r.Condition) {
		s.t.Fatalf("template.yaml refers to %s, which the stack does not have", id)
	}
	switch r.Type {
	case "AWS::SQS::Queue":
		return "https://sqs.eu-central-1.amazonaws.com/123456789012/" + s.attribute(id+".QueueName")
	case "AWS::SecretsManager::Secret":
		return secretARN + id + "-AbCdEf123456" + secretSuffix
	case "AWS::S3::Bucket":
		return "hooks-" + strings.ToLower(id) + "-1a2b3c4d"
	case "AWS::Events::EventBus":
		return s.attribute(id + ".Name")
	}
	return "hooks-" + id + "-1A2B3C4D"
}

// attribute returns an attribute of a resource. Names are also properties.
func (s *Stack) attribute(path string) string {
	id, name, _ := strings.Cut(path, ".")
	if properties := s.template.Resources[id].Properties; strings.HasSuffix(name, "Name") {
		for i := 0; i < len(properties.Content); i += 2 {
			if properties.Content[i].Value == name {
				return s.value(properties.Content[i+1]).(string)
			}
		}
	}
	return "arn:" + s.Name(id) + "." + name
}

// holds reports whether a condition is true. An empty one is.
func (s *Stack) holds(condition string) bool {
	if condition == "" {
		return true
	}
	n, ok := s.template.Conditions[condition]
	if !ok {
		s.t.Fatalf("template.yaml has no condition %s", condition)
	}
	return s.isTrue(&n)
}

func (s *Stack) isTrue(n *yaml.Node) bool {
	switch n.Tag {
	case "!Condition":
		return s.holds(n.Value)
	case "!Equals":
		return s.value(n.Content[0]) == s.value(n.Content[1])
	case "!Not":
		return !s.isTrue(n.Content[0])
	case "!And":
		return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !s.isTrue(c) })
	case "!Or":
		return slices.ContainsFunc(n.Content, s.isTrue)
	}
	s.t.Fatalf("template.yaml:%d: unknown: %s", n.Line, n.Tag)
	return false
}
