package shared

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// template is template.yaml as it is written.
type template struct {
	Parameters map[string]yaml.Node `yaml:"Parameters"`
	Globals    yaml.Node            `yaml:"Globals"`
	Resources  map[string]resource  `yaml:"Resources"`
}

type resource struct {
	Type                string    `yaml:"Type"`
	DeletionPolicy      string    `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string    `yaml:"UpdateReplacePolicy"`
	Properties          yaml.Node `yaml:"Properties"`
}

func readTemplate(t *testing.T) template {
	t.Helper()
	b, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all template
	if err := yaml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// of returns the resources of a type. A rule about none is not kept, but forgotten.
func (all template) of(t *testing.T, kind string) map[string]yaml.Node {
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

// at returns what stands at a path of keys, or an empty node.
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

// list returns the elements of a list, or the one that stands for it.
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

// TestAccessLogsHoldNoSecret: the path holds the URL token, and headers hold signatures.
func TestAccessLogsHoldNoSecret(t *testing.T) {
	harmless := []string{
		"$context.error.responseType", "$context.httpMethod", "$context.identity.sourceIp", "$context.integrationLatency",
		"$context.requestId", "$context.requestTime", "$context.resourcePath", "$context.responseLatency",
		"$context.responseLength", "$context.status", "$context.tlsVersion",
	}
	for name, api := range readTemplate(t).of(t, "AWS::Serverless::Api") {
		formats := every(at(api, "AccessLogSetting"), "Format")
		if len(formats) == 0 {
			t.Errorf("%s has no access log", name)
		}
		for _, setting := range formats {
			for _, variable := range regexp.MustCompile(`\$[\w.]*`).FindAllString(at(setting, "Format").Value, -1) {
				if !slices.Contains(harmless, variable) {
					t.Errorf("the access log of %s holds %s", name, variable)
				}
			}
		}
	}
}

func TestTheStageRecordsNoPath(t *testing.T) {
	all := readTemplate(t)
	for name, api := range all.of(t, "AWS::Serverless::Api") {
		for _, tracing := range []yaml.Node{at(api, "TracingEnabled"), at(all.Globals, "Api", "TracingEnabled")} {
			if got := written(tracing); got != "" && got != "false" {
				t.Errorf("the stage of %s is traced: %s", name, got)
			}
		}
		settings := at(api, "MethodSettings").Content
		if len(settings) == 0 {
			t.Errorf("%s has no settings", name)
		}
		for _, s := range settings {
			if trace, level := written(at(*s, "DataTraceEnabled")), written(at(*s, "LoggingLevel")); trace != "false" || level != "OFF" {
				t.Errorf("%s writes an execution log: %s, %s", name, trace, level)
			}
		}
	}
}

func TestEveryFunctionHasALogOfItsOwnThatEnds(t *testing.T) {
	all := readTemplate(t)
	logs, owner := all.of(t, "AWS::Logs::LogGroup"), map[string]string{}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		log := written(at(function, "LoggingConfig", "LogGroup"))
		if _, ok := logs[strings.TrimPrefix(log, "!Ref ")]; !ok {
			t.Errorf("%s writes to %q, which is no log of the template", name, log)
		}
		if owner[log] != "" {
			t.Errorf("%s and %s write to the same log", name, owner[log])
		}
		owner[log] = name
	}
	for name, log := range logs {
		if written(at(log, "RetentionInDays")) != "!Ref LogRetentionDays" {
			t.Errorf("%s is kept for ever", name)
		}
	}
}

func TestAlarmsNotifyAndSayWhatToDo(t *testing.T) {
	for name, alarm := range readTemplate(t).of(t, "AWS::CloudWatch::Alarm") {
		if sentences := strings.Count(at(alarm, "AlarmDescription").Value, "."); sentences < 2 {
			t.Errorf("%s does not say what happened, and what to do", name)
		}
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			want := "!If [Notified, [!Ref AlarmTopicArn], !Ref AWS::NoValue]"
			if name == "UnpublishedAlarm" && actions == "OKActions" {
				want = "" // it counts what happens, not what lies there: its end is no all-clear
			}
			if got := written(at(alarm, actions)); got != want {
				t.Errorf("%s of %s are %q", actions, name, got)
			}
		}
		want := "notBreaching"
		if strings.HasSuffix(name, "SilentAlarm") {
			want = "breaching"
		}
		if got := at(alarm, "TreatMissingData").Value; got != want {
			t.Errorf("%s takes missing data for %q, not %s", name, got, want)
		}
	}
}

// TestAlarmsKnowTheMetrics: an alarm on a metric that nobody writes is silent for ever.
func TestAlarmsKnowTheMetrics(t *testing.T) {
	all := readTemplate(t)
	dimensions := map[string]int{"Received": 1, "Refused": 1, "TooLarge": 0, "Unpublished": 0} // the provider, or none
	namespace := written(at(all.Globals, "Function", "Environment", "Variables", "METRICS_NAMESPACE"))
	writers := sources(t)
	for name, filter := range all.of(t, "AWS::Logs::MetricFilter") {
		for _, m := range at(filter, "MetricTransformations").Content {
			writers += `Count("` + at(*m, "MetricName").Value + `"`
			if got := written(at(*m, "MetricNamespace")); got != namespace {
				t.Errorf("%s writes to %s, the functions to %s", name, got, namespace)
			}
		}
	}
	watched := map[string]bool{}
	for name, alarm := range all.of(t, "AWS::CloudWatch::Alarm") {
		for _, m := range every(alarm, "MetricName") {
			if strings.HasPrefix(at(m, "Namespace").Value, "AWS/") {
				continue
			}
			metric, by := at(m, "MetricName").Value, at(m, "Dimensions").Content
			watched[metric] = true
			if got := written(at(m, "Namespace")); got != namespace {
				t.Errorf("%s looks for %s in %s, the functions write to %s", name, metric, got, namespace)
			}
			if n, ok := dimensions[metric]; !ok || n != len(by) || !strings.Contains(writers, `Count("`+metric+`"`) {
				t.Errorf("%s looks for %s in %d dimensions, which nobody writes", name, metric, len(by))
			}
			for _, d := range by {
				provider := written(at(*d, "Value"))
				if at(*d, "Name").Value != "Provider" || !strings.HasPrefix(strings.ToLower(name), provider) {
					t.Errorf("%s is about %s %s", name, at(*d, "Name").Value, provider)
				}
			}
		}
	}
	for metric := range dimensions {
		if !watched[metric] {
			t.Errorf("no alarm looks at %s", metric)
		}
	}
}

// TestAlarmsKnowTheAPI, whose metrics bear its name and not its ID.
func TestAlarmsKnowTheAPI(t *testing.T) {
	all := readTemplate(t)
	api := all.Resources["Api"].Properties
	want := "[[Name, ApiName, Value, " + written(at(api, "Name")) + "], [Name, Stage, Value, " + written(at(api, "StageName")) + "]]"
	for _, name := range []string{"GatewayClientErrorsAlarm", "GatewayServerErrorsAlarm"} {
		for _, m := range every(all.Resources[name].Properties, "MetricName") {
			if got := written(at(m, "Dimensions")); got != want {
				t.Errorf("%s looks at %s, not %s", name, got, want)
			}
		}
	}
}

// sources is the code of all packages, without tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestAlarmsWatchEveryFunction(t *testing.T) {
	all := readTemplate(t)
	for _, name := range []string{"ErrorsAlarm", "ThrottlesAlarm"} {
		watched := every(all.Resources[name].Properties, "MetricName")
		if len(watched) > 10 {
			t.Errorf("%s looks at %d metrics: CloudWatch allows 10", name, len(watched))
		}
		for function := range all.of(t, "AWS::Serverless::Function") {
			if !slices.ContainsFunc(watched, func(m yaml.Node) bool { return strings.HasSuffix(written(at(m, "Dimensions")), "!Ref "+function+"]]") }) {
				t.Errorf("%s does not look at %s", name, function)
			}
		}
	}
}

// TestPoliciesNameWhatTheyAllow: neither all actions of a service, nor all resources of a kind. What API Gateway does for
// every API in the region is AWS's own policy, and it only is.
func TestPoliciesNameWhatTheyAllow(t *testing.T) {
	all := readTemplate(t)
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		for _, policy := range at(function, "Policies").Content {
			if at(*policy, "Statement").Kind == 0 {
				t.Errorf("a policy of %s is not spelt out: %s", name, written(*policy))
			}
		}
		for _, event := range every(at(function, "Events"), "Type") {
			if kind := at(event, "Type").Value; kind != "Api" {
				t.Errorf("SAM widens the policy of %s for its event of type %s", name, kind)
			}
		}
	}
	for name, r := range all.Resources {
		for _, arn := range list(at(r.Properties, "ManagedPolicyArns")) {
			if arn != "" && (name != "ApiLogsRole" || !strings.HasSuffix(arn, "/AmazonAPIGatewayPushToCloudWatchLogs")) {
				t.Errorf("%s has a policy that is not spelt out: %s", name, arn)
			}
		}
		for _, statement := range every(r.Properties, "Effect") {
			if at(statement, "Effect").Value != "Allow" {
				continue
			}
			for _, action := range list(at(statement, "Action")) {
				if !regexp.MustCompile(`^[a-z0-9]+:[A-Za-z]+$`).MatchString(action) {
					t.Errorf("%s may do %q", name, action)
				}
			}
			for _, on := range list(at(statement, "Resource")) {
				if !regexp.MustCompile(`^(!GetAtt \w+\.\w+|!Ref \w+|!Sub \$\{\w+\.Arn\}/[\w/*?]+)$`).MatchString(on) && at(statement, "Principal").Kind == 0 {
					t.Errorf("%s may do it to %q", name, on)
				}
			}
		}
	}
}

// TestAReceiverWritesOfItsOwnProviderOnly: what stands in the table is published.
func TestAReceiverWritesOfItsOwnProviderOnly(t *testing.T) {
	receivers := 0
	for name, function := range readTemplate(t).of(t, "AWS::Serverless::Function") {
		if at(function, "Environment", "Variables", "QUEUE_URL").Kind == 0 {
			continue
		}
		receivers++
		provider := strings.ToLower(strings.TrimSuffix(name, "Function"))
		want := map[string]string{
			"dynamodb:PutItem": "!GetAtt Table.Arn [ForAllValues:StringLike, [dynamodb:LeadingKeys, [" + provider + "#*]]]",
			"s3:PutObject":     "!Sub ${PayloadBucket.Arn}/????/??/??/" + provider + "/* ",
		}
		for _, statement := range every(function, "Effect") {
			action := list(at(statement, "Action"))[0]
			if got := written(at(statement, "Resource")) + " " + written(at(statement, "Condition")); want[action] != "" && got != want[action] {
				t.Errorf("%s may %s to %s", name, action, got)
			}
			delete(want, action)
		}
		if len(want) > 0 {
			t.Errorf("%s may not: %v", name, want)
		}
	}
	if receivers < 4 {
		t.Errorf("%d receivers", receivers)
	}
}

// TestThePublisherReadsWhatWasCommitted, and both images of it: the new one is published, the old one tells whether it was
// before. Nothing that it cannot publish is lost.
func TestThePublisherReadsWhatWasCommitted(t *testing.T) {
	all := readTemplate(t)
	source := all.Resources["PublisherSource"].Properties
	for _, want := range []struct {
		in   yaml.Node
		path []string
		is   string
	}{
		{all.Resources["Table"].Properties, []string{"StreamSpecification", "StreamViewType"}, "NEW_AND_OLD_IMAGES"},
		{source, []string{"EventSourceArn"}, "!GetAtt Table.StreamArn"},
		{source, []string{"FilterCriteria", "Filters"}, `[[Pattern, {"dynamodb":{"NewImage":{"state":{"S":["processed"]}}}}]]`},
		{source, []string{"StartingPosition"}, "TRIM_HORIZON"},
		{source, []string{"FunctionResponseTypes"}, "[ReportBatchItemFailures]"},
		{source, []string{"MaximumRecordAgeInSeconds"}, "43200"},
		{source, []string{"MaximumRetryAttempts"}, "-1"},
		{source, []string{"DestinationConfig", "OnFailure", "Destination"}, "!GetAtt PayloadBucket.Arn"},
		{source, []string{"MetricsConfig", "Metrics"}, "[EventCount]"},
	} {
		if got := written(at(want.in, want.path...)); got != want.is {
			t.Errorf("%s is %q, not %s", strings.Join(want.path, "."), got, want.is)
		}
	}
}

// TestWhatIsKeptOutlivesTheStack, and nothing else does.
func TestWhatIsKeptOutlivesTheStack(t *testing.T) {
	kept := []string{
		"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SecretsManager::Secret",
		"AWS::ApiGateway::Account", "AWS::IAM::Role", // the account's
	}
	for name, r := range readTemplate(t).Resources {
		want := ""
		if slices.Contains(kept, r.Type) {
			want = "Retain"
		}
		if r.DeletionPolicy != want || r.UpdateReplacePolicy != want {
			t.Errorf("%s has the policies %q and %q, not %q", name, r.DeletionPolicy, r.UpdateReplacePolicy, want)
		}
	}
}

func TestTheREADMEKnowsAllParameters(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range readTemplate(t).Parameters {
		if !regexp.MustCompile("(?m)^\\|.*`" + name + "`.*\\|").Match(b) {
			t.Errorf("README.md's tables do not mention %s", name)
		}
	}
}
