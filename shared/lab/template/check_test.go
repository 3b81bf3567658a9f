package template

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// file is the template.
const file = "../../../template.yaml"

// checker compares the values of a stack with what the rules expect. Every value must be expected by a rule, so a new
// property without a rule fails.
type checker struct {
	*stack
	root    *yaml.Node
	values  map[string]string // by path, such as Queue.VisibilityTimeout, Queue/Type or Outputs/ApiUrl.Value
	checked map[string]bool   // by path
}

// absent is the expected value of a property that must not be there.
const absent = "(absent)"

func newChecker(root *yaml.Node, parameters map[string]string) *checker {
	c := &checker{stack: evaluate(root, parameters), root: root, values: map[string]string{}, checked: map[string]bool{}}
	for name, resource := range c.resources {
		for attribute, value := range resource {
			if attribute == "Properties" {
				c.flatten(name, value)
			} else {
				c.flatten(name+"/"+attribute, value)
			}
		}
	}
	for section, objects := range map[string]map[string]object{"Outputs/": c.outputs, "": c.rules} {
		for name, value := range objects {
			c.flatten(section+name, value)
		}
	}
	for name, n := range members(members(root.Content[0])["Parameters"]) {
		c.flatten("Parameters/"+name, plain(n))
	}
	return c
}

// plain returns a node without functions.
func plain(n *yaml.Node) any {
	var v any
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	made := object{}
	for name, member := range members(n) {
		if v = member.Value; member.Kind == yaml.SequenceNode {
			all := []any{}
			for _, child := range member.Content {
				all = append(all, child.Value)
			}
			v = all
		}
		made[name] = v
	}
	return made
}

// flatten adds a value and all in it. A list of texts is one value.
func (c *checker) flatten(path string, value any) {
	switch v := value.(type) {
	case object:
		for name, member := range v {
			c.flatten(path+"."+name, member)
		}
		if len(v) == 0 {
			c.values[path] = "{}"
		}
	case []any:
		if text, ok := texts(v); ok {
			c.values[path] = "[" + text + "]"
			return
		}
		for i, member := range v {
			c.flatten(path+"."+strconv.Itoa(i), member)
		}
	default:
		c.values[path] = fmt.Sprint(v)
	}
}

func texts(all []any) (string, bool) {
	var parts []string
	for _, one := range all {
		text, ok := one.(string)
		if !ok {
			return "", false
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", "), true
}

func (c *checker) errorf(format string, arguments ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, arguments...))
}

// get returns a value for a rule that compares it itself.
func (c *checker) get(path string) string {
	c.checked[path] = true
	value, ok := c.values[path]
	if !ok {
		return absent
	}
	return value
}

// want expects values, by their paths under a prefix.
func (c *checker) want(prefix string, want map[string]string) {
	for path, value := range want {
		if got := c.get(prefix + path); got != value {
			c.errorf("%s is %q, not %q", prefix+path, got, value)
		}
	}
}

// number returns a value that must be a number.
func (c *checker) number(path string) int {
	n, err := strconv.Atoi(c.get(path))
	if err != nil {
		c.errorf("%s is %q, not a number", path, c.get(path))
	}
	return n
}

func (c *checker) seconds(path string) time.Duration {
	return time.Duration(c.number(path)) * time.Second
}

// holds expects a relation.
func (c *checker) holds(relation bool, format string, arguments ...any) {
	if !relation {
		c.errorf(format, arguments...)
	}
}

// text expects a text for readers.
func (c *checker) text(path string) {
	if got := c.get(path); len(got) < 3 || got == absent {
		c.errorf("%s says nothing", path)
	}
}

// of returns the names of the resources of a type, and expects that type.
func (c *checker) of(kind string) (names []string) {
	for name, r := range c.resources {
		if r["Type"] == kind {
			c.checked[name+"/Type"] = true
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// under marks everything under a path as checked, and returns it.
func (c *checker) under(resource, property string) any {
	p := resource + "." + property
	for path := range c.values {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '.') {
			c.checked[path] = true
		}
	}
	properties, _ := c.resources[resource]["Properties"].(object)
	return properties[property]
}

// vendors are the enabled ones.
func (c *checker) vendors() (enabled []webhook.Info) {
	for _, p := range provider.All() {
		if info := p.Info(); c.parameters[info.Resource] == "enabled" {
			enabled = append(enabled, info)
		}
	}
	return enabled
}

// shapeRules expects the sections of a SAM template.
func shapeRules(c *checker) {
	sections := members(c.root.Content[0])
	got := slices.Sorted(maps.Keys(sections))
	want := []string{"AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Outputs", "Parameters",
		"Resources", "Rules", "Transform"}
	c.holds(slices.Equal(got, want), "the template has the sections %q", got)
	c.holds(textOf(sections["AWSTemplateFormatVersion"]) == "2010-09-09" &&
		textOf(sections["Transform"]) == "AWS::Serverless-2016-10-31", "the template is no SAM template")
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		c.holds(n.Kind != yaml.ScalarNode || n.Style != 0 || !yaml11.MatchString(n.Value), "%s needs quotes", n.Value)
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(c.root)
}

// yaml11 are scalars that CloudFormation reads as YAML 1.1: on and off are booleans, and a date is no text.
var yaml11 = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|\d{4}-\d\d-\d\d|0\d+)$`)

// rules are all rules of the template.
var rules = []func(*checker){
	existenceRules, alarmRules, dashboardRules, functionRules, outputRules, queueRules, apiRules, mappingRules, bucketRules, tableRules,
	busRules, secretRules, logRules, configRules, permissionRules, shapeRules, parameterRules,
}

// problemsOf returns what is wrong with the template, with some parameters. If only the first problem matters, the rules
// that follow are not asked.
func problemsOf(root *yaml.Node, parameters map[string]string, first bool) []string {
	c := newChecker(root, parameters)
	for _, rule := range rules {
		if rule(c); first && len(c.problems) > 0 {
			return c.problems
		}
	}
	for path, value := range c.values {
		if !c.checked[path] {
			c.errorf("no rule expects %s: %s", path, value)
		}
		if strings.Contains(value, "<nothing: ") {
			c.errorf("%s refers to nothing: %s", path, value)
		}
	}
	slices.Sort(c.problems)
	return slices.Compact(c.problems)
}

func readRoot(t *testing.T) *yaml.Node {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// stacks are the parameters with which the rules are checked: the defaults, each parameter changed, and many at once.
func stacks() []map[string]string {
	changed := map[string]string{
		"AccessLogs": "use-role", "AdobeSignAllowedIps": "192.0.2.1,198.51.100.0/24",
		"ESignGlobalAllowedIps": "192.0.2.2,192.0.2.3", "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms", "Arch": "x86_64",
		"ArchiveDays": "7", "ArchiveFormData": "true", "AskVendors": "false", "BurstLimit": "300",
		"DeletionProtection": "true", "ExpireAfterDays": "365", "IncludeReasons": "true",
		"KeepExecuteApi": "true", "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1a2b", "LogRetentionDays": "14", "References": "deal_id,crm",
		"MutualTlsCertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1a2b",
		"MutualTlsDomain":         "mtls.example.com", "MutualTlsTruststore": "s3://trust/ca.pem",
		"MaxConcurrency": "9", "OutletUrl": "https://app.example.com/events",
		"PublicUrl": "https://hooks.example.com", "RateLimit": "50", "RefusedThreshold": "5",
		"RepairSubscriptions": "true", "RequireUrlToken": "false", "SilentAgreementHours": "48", "Tracing": "PassThrough",
		"TableStreamArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/restored-1.2_x/stream/2026-11-30T09:30:00.000",
		"WebAclArn":      "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/acl/1a2b3c4d",
	}
	received := maps.Clone(changed) // with all vendors
	for _, p := range provider.All() {
		info := p.Info()
		changed[info.Resource], changed[info.Resource+"SilentAfterHours"] = "disabled", "12"
		changed[info.Resource+"ClientSubjects"] = "CN=" + info.Name
		if info.Disabled {
			changed[info.Resource] = "enabled"
		}
		received["AskVendors"] = "true"
		received[info.Resource], received[info.Resource+"SilentAfterHours"] = "enabled", "12"
	}
	mutual := maps.Clone(received) // some show a certificate, and some do not
	for _, p := range provider.All()[:2] {
		mutual[p.Info().Resource+"ClientSubjects"] = "CN=" + p.Info().Name
	}
	all := []map[string]string{{}, received, changed, mutual, {"AccessLogs": "off"},
		{"PublicUrl": "https://hooks.example.com", "KeepExecuteApi": "true"},
		{"AccessLogs": "off", "AdobeSignAllowedIps": "192.0.2.1"}}
	for _, hours := range []string{"1", "24", "168"} { // the least, a day, and the most
		all = append(all, map[string]string{"DocuSignSilentAfterHours": hours})
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		all = append(all, map[string]string{name: changed[name]})
	}
	return all
}

func TestTheTemplateFollowsItsRules(t *testing.T) {
	root := readRoot(t)
	for _, parameters := range stacks() {
		problems := problemsOf(root, parameters, false)
		if len(problems) > 0 {
			t.Fatalf("with %v:\n%s", parameters, strings.Join(problems, "\n"))
		}
	}
}

// free are the texts for readers. Only their absence is a mistake.
var free = regexp.MustCompile(`^(Description|AlarmDescription|AssertDescription|ConstraintDescription|comment)$`)

var sweep = flag.Bool("sweep", false, "change every value of the template")

// TestEveryValueMatters changes and removes each value of the template in turn: some rule must notice. Texts for
// readers may change.
//
// The vendors' parts are generated from the same text, so those of two vendors suffice: one that signs the whole body,
// and one that does not.
func TestEveryValueMatters(t *testing.T) {
	if !*sweep {
		t.Skip("slow: make mutants runs it")
	}
	root, all := readRoot(t), stacks()
	if problems := problemsOf(root, nil, true); len(problems) > 0 {
		t.Fatal("the template does not follow its rules")
	}
	noticed := func() bool {
		return slices.ContainsFunc(all, func(p map[string]string) bool { return len(problemsOf(root, p, true)) > 0 })
	}
	other := othersThan("AdobeSign", "DocuSign")
	changes := 0
	try := func(n *yaml.Node, path, what string, changed yaml.Node) {
		before := *n
		*n = changed
		if changes++; !noticed() {
			t.Errorf("line %d: no rule notices that %s is %s", before.Line, path, what)
		}
		*n = before
	}
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		if n.Tag == "!If" {
			swapped := *n
			swapped.Content = []*yaml.Node{n.Content[0], n.Content[2], n.Content[1]}
			try(n, path, "the other way round", swapped)
		}
		if n.Tag == "!Not" {
			try(n, path, "not negated", *n.Content[0])
		}
		for i, child := range n.Content {
			name, step := strconv.Itoa(i), 1
			if n.Kind == yaml.MappingNode {
				if i%2 == 0 {
					continue
				}
				name, step = n.Content[i-1].Value, 2
			}
			if name == "Id" && members(n)["Expression"] != nil {
				continue // nothing refers to it
			}
			without := *n
			without.Content = slices.Delete(slices.Clone(n.Content), i+1-step, i+1)
			if n.Tag == "!!map" || n.Tag == "!!seq" {
				try(n, path+"."+name, "gone", without)
			}
			if !free.MatchString(name) && !other.MatchString(name) {
				walk(child, path+"."+name)
			}
		}
		if n.Kind != yaml.ScalarNode {
			return
		}
		for _, other := range others(root, n) {
			changed := *n
			if changed.Value = other; other != n.Value {
				try(n, path, other, changed)
			}
		}
	}
	for name, section := range members(root.Content[0]) {
		if name != "Description" {
			walk(section, name)
		}
	}
	t.Log(changes, "changes")
}

// othersThan matches the names of the other vendors' resources.
func othersThan(vendors ...string) *regexp.Regexp {
	var names []string
	for _, p := range provider.All() {
		if name := p.Info().Resource; !slices.Contains(vendors, name) {
			names = append(names, name)
		}
	}
	return regexp.MustCompile("^(" + strings.Join(names, "|") + ")")
}

// others returns other values for a scalar.
func others(root *yaml.Node, n *yaml.Node) []string {
	resources := members(members(root.Content[0])["Resources"])
	id, attribute, _ := strings.Cut(n.Value, ".")
	if n.Tag == "!Ref" || n.Tag == "!GetAtt" {
		sections := resources
		if resources[id] == nil {
			sections = members(members(root.Content[0])["Parameters"])
		}
		var found []string
		for _, name := range slices.Sorted(maps.Keys(sections)) {
			same := resources[id] == nil || textOf(members(resources[name])["Type"]) == textOf(members(resources[id])["Type"])
			if name != id && same && len(found) < 2 {
				found = append(found, strings.TrimSuffix(name+"."+attribute, "."))
			}
		}
		return append(found, "AWS::Region")
	}
	if number, err := strconv.Atoi(n.Value); err == nil {
		return []string{strconv.Itoa(number*2 + 1), strconv.Itoa(number / 2), strconv.Itoa(number + 1)}
	}
	switch n.Value {
	case "true":
		return []string{"false"}
	case "false":
		return []string{"true"}
	}
	return []string{n.Value + "x"}
}
