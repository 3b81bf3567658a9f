package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// stack is what CloudFormation makes of the template with some parameters: what the conditions leave, with all
// functions evaluated. What only AWS knows is in angle brackets: <Queue> is the result of !Ref Queue, and <Queue.Arn>
// that of !GetAtt Queue.Arn.
type stack struct {
	parameters map[string]string
	resources  map[string]object // the whole resource; of functions and the API with Globals
	outputs    map[string]object
	rules      map[string]object
	problems   []string
}

type object = map[string]any // of strings, objects and lists

// evaluation evaluates nodes of the template.
type evaluation struct {
	*stack
	template   map[string]*yaml.Node // the sections
	types      map[string]string     // of the resources that exist
	conditions map[string]bool
	where      string
}

// evaluate returns the stack of these parameters. The others have their defaults.
func evaluate(root *yaml.Node, given map[string]string) *stack {
	e := evaluation{
		stack:    &stack{parameters: map[string]string{}, resources: map[string]object{}, outputs: map[string]object{}},
		template: members(root.Content[0]), types: map[string]string{}, conditions: map[string]bool{},
	}
	section := func(name string) map[string]*yaml.Node { return members(e.template[name]) }
	for name, n := range section("Parameters") {
		if d := members(n)["Default"]; d != nil {
			e.parameters[name] = d.Value
		}
	}
	maps.Copy(e.parameters, given)
	for _, name := range slices.Sorted(maps.Keys(section("Conditions"))) {
		e.condition(name)
	}
	exists := func(name string, n *yaml.Node) bool {
		e.where = name
		c := members(n)["Condition"]
		return c == nil || e.condition(c.Value)
	}
	for name, n := range section("Resources") {
		if exists(name, n) {
			e.types[name] = textOf(members(n)["Type"])
		}
	}
	globals := section("Globals")
	for _, s := range []struct {
		name string
		made map[string]object
	}{{"Resources", e.resources}, {"Outputs", e.outputs}} {
		for name, n := range section(s.name) {
			if !exists(name, n) {
				continue
			}
			made, _ := e.value(n).(object)
			if global, ok := strings.CutPrefix(e.types[name], "AWS::Serverless::"); ok && s.name == "Resources" {
				if g := globals[global]; g != nil {
					made["Properties"] = merged(e.value(g), made["Properties"])
				}
			}
			delete(made, "Condition")
			s.made[name] = made
		}
	}
	if rules, ok := e.value(e.template["Rules"]).(object); ok {
		e.rules = map[string]object{"Rules": rules}
	}
	return e.stack
}

// merged adds what SAM's Globals say: it merges mappings, and otherwise the resource's own value counts.
func merged(global, own any) any {
	g, isObject := global.(object)
	o, ok := own.(object)
	if !isObject || !ok {
		if own != nil {
			return own
		}
		return global
	}
	all := maps.Clone(g)
	for name, value := range o {
		all[name] = merged(g[name], value)
	}
	return all
}

func textOf(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

func members(n *yaml.Node) map[string]*yaml.Node {
	found := map[string]*yaml.Node{}
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			found[n.Content[i].Value] = n.Content[i+1]
		}
	}
	return found
}

func (e *evaluation) problem(format string, arguments ...any) {
	e.problems = append(e.problems, e.where+": "+fmt.Sprintf(format, arguments...))
}

func (e *evaluation) condition(name string) bool {
	if met, known := e.conditions[name]; known {
		return met
	}
	e.where = name
	n := members(e.template["Conditions"])[name]
	if n == nil {
		e.problem("there is no condition %s", name)
		return false
	}
	met := e.truth(n)
	e.conditions[name] = met
	return met
}

func (e *evaluation) truth(n *yaml.Node) bool {
	switch n.Tag {
	case "!Condition":
		return e.condition(n.Value)
	case "!Equals":
		if len(n.Content) == 2 {
			return e.value(n.Content[0]) == e.value(n.Content[1])
		}
	case "!Not":
		if len(n.Content) == 1 {
			return !e.truth(n.Content[0])
		}
	case "!Or":
		return slices.ContainsFunc(n.Content, e.truth)
	case "!And":
		return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !e.truth(c) })
	}
	e.problem("%s is no condition", n.Tag)
	return false
}

// value evaluates a node to a string, an object or a list. It returns nil for AWS::NoValue.
func (e *evaluation) value(n *yaml.Node) any {
	if n == nil {
		return nil
	}
	switch n.Tag {
	case "!Ref":
		return e.ref(n.Value)
	case "!GetAtt":
		return e.attribute(n.Value)
	case "!Sub":
		return e.sub(n)
	case "!If":
		if len(n.Content) != 3 {
			e.problem("!If has %d parts", len(n.Content))
			return nil
		}
		branches := []any{e.value(n.Content[1]), e.value(n.Content[2])}
		if e.condition(n.Content[0].Value) {
			return branches[0]
		}
		return branches[1]
	case "!Select", "!Split":
		if len(n.Content) != 2 {
			e.problem("%s has %d parts", n.Tag, len(n.Content))
			return nil
		}
		if n.Tag == "!Split" {
			text, _ := e.value(n.Content[1]).(string)
			var parts []any
			for _, part := range strings.Split(text, n.Content[0].Value) {
				parts = append(parts, part)
			}
			return parts
		}
		i, err := strconv.Atoi(n.Content[0].Value)
		if of, _ := e.value(n.Content[1]).([]any); err == nil && i < len(of) {
			return of[i]
		}
		e.problem("!Select %s selects nothing", n.Content[0].Value)
		return nil
	case "!Condition":
		return strconv.FormatBool(e.condition(n.Value))
	case "!Equals", "!Not": // of Rules
		return strconv.FormatBool(e.truth(n))
	}
	if !strings.HasPrefix(n.Tag, "!!") {
		e.problem("unknown function %s", n.Tag)
	}
	switch n.Kind {
	case yaml.MappingNode:
		made := object{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, twice := made[key.Value]; twice {
				e.problem("%s is there twice", key.Value)
			}
			if key.Tag != "!!str" {
				e.problem("the key %s is no text", key.Value)
			}
			if v := e.value(n.Content[i+1]); v != nil {
				made[key.Value] = v
			}
		}
		return made
	case yaml.SequenceNode:
		made := []any{}
		for _, child := range n.Content {
			if v := e.value(child); v != nil {
				made = append(made, v)
			}
		}
		return made
	}
	return n.Value
}

// pseudo are the parameters that AWS sets.
var pseudo = []string{"AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::StackName", "AWS::URLSuffix"}

func (e *evaluation) ref(name string) any {
	parameter, isParameter := e.parameters[name]
	kind, exists := e.types[name]
	switch {
	case name == "AWS::NoValue":
		return nil
	case isParameter:
		return parameter
	case kind == "AWS::SecretsManager::Secret": // its ARN
		return secretARN(name)
	case !exists && !slices.Contains(pseudo, name):
		// In a branch of !If that is not taken, a reference may lead nowhere. CloudFormation refuses it elsewhere.
		return "<nothing: " + name + ">"
	}
	return "<" + name + ">"
}

func secretARN(name string) string {
	return "arn:aws:secretsmanager:eu-central-1:123456789012:secret:" + name + "-AbCdEf"
}

// attributes are those of each type that we use.
//
// SPEC: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/introduction.html, the return values of
// each type.
var attributes = map[string][]string{
	"AWS::ApiGateway::DomainName": {"RegionalDomainName"},
	"AWS::DynamoDB::Table":        {"Arn", "StreamArn"},
	"AWS::Events::EventBus":       {"Arn"},
	"AWS::Events::Rule":           {"Arn"},
	"AWS::IAM::Role":              {"Arn"},
	"AWS::Logs::LogGroup":         {"Arn"}, // of its streams: it ends in :*
	"AWS::S3::Bucket":             {"Arn"},
	"AWS::SQS::Queue":             {"Arn", "QueueName"},
	"AWS::Serverless::Api":        {"Stage"}, // by SAM: https://docs.aws.amazon.com/serverless-application-model/
}

func (e *evaluation) attribute(text string) any {
	name, attribute, _ := strings.Cut(text, ".")
	if !slices.Contains(attributes[e.types[name]], attribute) {
		return "<nothing: " + text + ">"
	}
	return "<" + text + ">"
}

var variable = regexp.MustCompile(`\$\{([\w:.]+)\}`)

func (e *evaluation) sub(n *yaml.Node) any {
	text, given := n.Value, map[string]*yaml.Node{}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
		text, given = n.Content[0].Value, members(n.Content[1])
	}
	found := 0
	text = variable.ReplaceAllStringFunc(text, func(v string) string {
		name := v[2 : len(v)-1]
		var value any
		switch {
		case given[name] != nil:
			found++
			value = e.value(given[name])
		case strings.Contains(name, ".") && !strings.Contains(name, "::"):
			value = e.attribute(name)
		default:
			value = e.ref(name)
		}
		return fmt.Sprint(value)
	})
	if found < len(given) {
		e.problem("!Sub does not use all its variables")
	}
	return text
}
