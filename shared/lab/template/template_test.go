package template

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	b, err := os.ReadFile("../../../template.yaml")
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

// happenings are the alarms on what happens, and not on how things are: their end is no all-clear.
var happenings = []string{
	"AdobeSignWrongKeyAlarm", "ContradictedAlarm", "DocuSignWrongKeyAlarm", "DropboxSignWrongKeyAlarm", "ESignGlobalWrongKeyAlarm",
	"ForgedAlarm", "StaleClaimsAlarm", "UnpublishedAlarm",
}

func TestAlarmsNotifyAndSayWhatToDo(t *testing.T) {
	for name, alarm := range readTemplate(t).of(t, "AWS::CloudWatch::Alarm") {
		if sentences := strings.Count(at(alarm, "AlarmDescription").Value, "."); sentences < 2 {
			t.Errorf("%s does not say what happened, and what to do", name)
		}
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			want := "!If [Notified, [!Ref AlarmTopicArn], !Ref AWS::NoValue]"
			if slices.Contains(happenings, name) && actions == "OKActions" {
				want = ""
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

// TestAlarmsKnowTheMetrics: an alarm on a metric that is never written would never ring. A metric has the dimension
// Provider if and only if the alarm of one provider reads it: CloudWatch bills such a metric once for each provider.
func TestAlarmsKnowTheMetrics(t *testing.T) {
	all := readTemplate(t)
	namespace := written(at(all.Globals, "Function", "Environment", "Variables", "METRICS_NAMESPACE"))
	dimensions := map[string]string{} // by metric, as the code or a filter writes it
	calls := regexp.MustCompile(`\b(?:metric\.)?(Provider)?Count\("(\w+)"`)
	for _, call := range calls.FindAllStringSubmatch(sources(t), -1) {
		dimensions[call[2]] = call[1]
	}
	for name, filter := range all.of(t, "AWS::Logs::MetricFilter") {
		for _, m := range at(filter, "MetricTransformations").Content {
			dimensions[at(*m, "MetricName").Value] = ""
			if got := written(at(*m, "MetricNamespace")); got != namespace {
				t.Errorf("%s writes to %s, the functions to %s", name, got, namespace)
			}
		}
	}
	receivers := all.receivers(t)
	readers := map[string]int{} // of a metric with the dimension
	for name, alarm := range all.of(t, "AWS::CloudWatch::Alarm") {
		for _, m := range every(alarm, "MetricName") {
			metric := at(m, "MetricName").Value
			if strings.HasPrefix(at(m, "Namespace").Value, "AWS/") {
				continue
			}
			if got := written(at(m, "Namespace")); got != namespace {
				t.Errorf("%s reads %s in %s, the functions write to %s", name, metric, got, namespace)
			}
			dimension, ok := dimensions[metric]
			want := ""
			if dimension != "" {
				readers[metric]++
				for provider := range receivers {
					if strings.HasPrefix(strings.ToLower(name), provider) {
						want = "[[Name, " + dimension + ", Value, " + provider + "]]"
					}
				}
			}
			if got := written(at(m, "Dimensions")); !ok || got != want {
				t.Errorf("%s reads %s with the dimensions %q; it is written with %q", name, metric, got, want)
			}
		}
	}
	for metric, dimension := range dimensions {
		if dimension != "" && readers[metric] != len(receivers) {
			t.Errorf("%s has the dimension %s, and %d alarms read it", metric, dimension, readers[metric])
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
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
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

// TestAlarmsWatchEveryFunction: the receivers by the API's 5xx, all others by their errors and throttles.
func TestAlarmsWatchEveryFunction(t *testing.T) {
	all := readTemplate(t)
	var background []string
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		if at(function, "Environment", "Variables", "SECRET_ARN").Kind == 0 {
			background = append(background, "[[Name, FunctionName, Value, !Ref "+name+"]]")
		}
	}
	slices.Sort(background)
	for _, name := range []string{"ErrorsAlarm", "ThrottlesAlarm"} {
		var watched []string
		for _, m := range every(all.Resources[name].Properties, "MetricName") {
			watched = append(watched, written(at(m, "Dimensions")))
			if got, want := at(m, "MetricName").Value, strings.TrimSuffix(name, "Alarm"); got != want {
				t.Errorf("%s reads %s", name, got)
			}
		}
		slices.Sort(watched)
		if !slices.Equal(watched, background) {
			t.Errorf("%s reads %q, not %q", name, watched, background)
		}
	}
	server := all.Resources["GatewayServerErrorsAlarm"].Properties
	for path, want := range map[string]string{
		"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": "1", "DatapointsToAlarm": "", "MetricName": "5XXError",
		"Period": "300", "Statistic": "Sum", "Threshold": "0",
	} {
		if got := written(at(server, path)); got != want {
			t.Errorf("%s of GatewayServerErrorsAlarm is %q, not %q: one failure must raise it", path, got, want)
		}
	}
}

// TestAlarmsDoNotGrowWithTheVendors: CloudWatch allows 10 metrics in an alarm, so none may list the vendors.
func TestAlarmsDoNotGrowWithTheVendors(t *testing.T) {
	all := readTemplate(t)
	receivers := all.receivers(t)
	for name, alarm := range all.of(t, "AWS::CloudWatch::Alarm") {
		metrics := every(alarm, "MetricName")
		if len(metrics) > 10 {
			t.Errorf("%s has %d metrics", name, len(metrics))
		}
		vendors := 0
		for provider := range receivers {
			if strings.Contains(strings.ToLower(written(alarm)), provider) {
				vendors++
			}
		}
		if vendors > 1 {
			t.Errorf("%s names %d vendors", name, vendors)
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
			if kind := at(event, "Type").Value; kind != "Api" && kind != "Schedule" {
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

// receivers are the functions with the keys of one provider, by its name.
func (all template) receivers(t *testing.T) map[string]yaml.Node {
	t.Helper()
	found := map[string]yaml.Node{}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		if at(function, "Environment", "Variables", "SECRET_ARN").Kind != 0 {
			found[strings.ToLower(strings.TrimSuffix(name, "Function"))] = function
		}
	}
	if len(found) < 4 {
		t.Fatalf("%d receivers", len(found))
	}
	return found
}

// allowed returns what a function may do to what, under which condition: by the action, each line a resource.
func allowed(function yaml.Node) map[string][]string {
	found := map[string][]string{}
	for _, statement := range every(function, "Effect") {
		for _, action := range list(at(statement, "Action")) {
			for _, on := range list(at(statement, "Resource")) {
				found[action] = append(found[action], strings.TrimSpace(on+" "+written(at(statement, "Condition"))))
			}
		}
	}
	for _, lines := range found {
		slices.Sort(lines)
	}
	return found
}

// TestAReceiverWritesOfItsOwnProviderOnly: what stands in the table is published.
func TestAReceiverWritesOfItsOwnProviderOnly(t *testing.T) {
	for provider, function := range readTemplate(t).receivers(t) {
		may := allowed(function)
		for action, want := range map[string]string{
			"dynamodb:PutItem":    "!GetAtt Table.Arn [ForAllValues:StringLike, [dynamodb:LeadingKeys, [" + provider + "#*]]]",
			"dynamodb:UpdateItem": "!GetAtt Table.Arn [ForAllValues:StringLike, [dynamodb:LeadingKeys, [" + provider + "#*]]]",
			"s3:PutObject":        "!Sub ${PayloadBucket.Arn}/????/??/??/" + provider + "/*",
		} {
			if !slices.Equal(may[action], []string{want}) {
				t.Errorf("the receiver of %s may %s to %q", provider, action, may[action])
			}
		}
	}
}

// TestASecretIsReadByFewFunctions: by its provider's receiver, and by those who ask the vendors' APIs.
func TestASecretIsReadByFewFunctions(t *testing.T) {
	all := readTemplate(t)
	var secrets []string
	for name := range all.of(t, "AWS::SecretsManager::Secret") {
		secrets = append(secrets, "!Ref "+name)
	}
	slices.Sort(secrets)
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		var want []string
		if own := at(function, "Environment", "Variables", "SECRET_ARN"); own.Kind != 0 {
			want = []string{"!Ref " + strings.TrimSuffix(name, "Function") + "Secret"}
			if written(own) != want[0] {
				t.Errorf("%s is told to read %s", name, written(own))
			}
		} else if name == "ArchiverFunction" || name == "ReconcilerFunction" {
			want = secrets
		}
		if got := allowed(function)["secretsmanager:GetSecretValue"]; !slices.Equal(got, want) {
			t.Errorf("%s may read %q, not %q", name, got, want)
		}
	}
}

// TestWhoAsksTheVendorsWritesNotesOnly: what they find takes the way of every delivery. See ledger.Notes.
func TestWhoAsksTheVendorsWritesNotesOnly(t *testing.T) {
	all := readTemplate(t)
	const table = "!GetAtt Table.Arn"
	const notes = table + " [ForAllValues:StringLike, [dynamodb:LeadingKeys, [@*]]]"
	for name, want := range map[string]map[string]string{
		"ArchiverFunction":   {"dynamodb:GetItem": notes, "dynamodb:PutItem": notes},
		"ReconcilerFunction": {"dynamodb:GetItem": table, "dynamodb:Scan": table, "dynamodb:PutItem": notes},
	} {
		got := map[string]string{}
		for action, on := range allowed(all.Resources[name].Properties) {
			if strings.HasPrefix(action, "dynamodb:") {
				got[action] = strings.Join(on, ", ")
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s may %q, not %q", name, got, want)
		}
	}
}

// TestBucketsAreClosedAndForgetNothingAtOnce: what a function writes it cannot destroy.
func TestBucketsAreClosedAndForgetNothingAtOnce(t *testing.T) {
	all := readTemplate(t)
	policies := map[string]string{}
	for _, policy := range all.of(t, "AWS::S3::BucketPolicy") {
		policies[written(at(policy, "Bucket"))] = written(at(policy, "PolicyDocument", "Statement"))
	}
	for name, bucket := range all.of(t, "AWS::S3::Bucket") {
		for _, want := range []struct {
			path []string
			is   string
		}{
			{[]string{"BucketEncryption", "ServerSideEncryptionConfiguration"}, "[[ServerSideEncryptionByDefault, [SSEAlgorithm, AES256]]]"},
			{[]string{"OwnershipControls", "Rules"}, "[[ObjectOwnership, BucketOwnerEnforced]]"},
			{[]string{"PublicAccessBlockConfiguration"}, "[BlockPublicAcls, true, BlockPublicPolicy, true, IgnorePublicAcls, true, RestrictPublicBuckets, true]"},
			{[]string{"VersioningConfiguration", "Status"}, "Enabled"},
		} {
			if got := written(at(bucket, want.path...)); got != want.is {
				t.Errorf("%s of %s is %s", want.path[0], name, got)
			}
		}
		want := "[[Effect, Deny, Principal, *, Action, s3:*, Resource, [!GetAtt " + name + ".Arn, !Sub ${" + name +
			".Arn}/*], Condition, [Bool, [aws:SecureTransport, false]]]]"
		if got := policies["!Ref "+name]; got != want {
			t.Errorf("%s may be reached without TLS: %s", name, got)
		}
	}
	if at(all.Resources["DocumentBucket"].Properties, "LifecycleConfiguration").Kind != 0 {
		t.Error("documents expire")
	}
	writers := map[string][]string{}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		for action, on := range allowed(function) {
			if strings.HasPrefix(action, "s3:Delete") {
				t.Errorf("%s may %s", name, action)
			}
			for _, one := range on {
				if action == "s3:PutObject" && !strings.HasPrefix(one, "!Sub ${PayloadBucket.") {
					writers[name] = append(writers[name], one)
				}
			}
		}
	}
	const adds = "/* [Null, [s3:if-none-match, false]]" // and overwrites nothing
	if want := map[string][]string{
		"ArchiverFunction": {"!Sub ${DocumentBucket.Arn}" + adds}, "WorkerFunction": {"!Sub ${ArchiveBucket.Arn}" + adds},
	}; !maps.EqualFunc(writers, want, slices.Equal) {
		t.Errorf("they may write %q", writers)
	}
}

// TestTheArchiverIsToldOfEveryCompletion, and what cannot be told is kept.
func TestTheArchiverIsToldOfEveryCompletion(t *testing.T) {
	all := readTemplate(t)
	rule, source, policy := all.Resources["DocumentRule"].Properties, all.Resources["ArchiverSource"].Properties, all.Resources["DocumentQueuePolicy"].Properties
	for _, want := range []struct {
		in   yaml.Node
		path []string
		is   string
	}{
		{rule, []string{"EventBusName"}, "!Ref EventBus"},
		{rule, []string{"EventPattern"}, "[source, [[prefix, esign.]], detail-type, [agreement.completed]]"},
		{rule, []string{"Targets"}, "[[Id, documents, Arn, !GetAtt DocumentQueue.Arn, DeadLetterConfig, [Arn, !GetAtt DocumentDeadLetterQueue.Arn]]]"},
		{policy, []string{"Queues"}, "[!Ref DocumentQueue, !Ref DocumentDeadLetterQueue]"},
		{policy, []string{"PolicyDocument", "Statement"}, "[[Effect, Allow, Principal, [Service, events.amazonaws.com], Action, sqs:SendMessage, " +
			"Resource, [!GetAtt DocumentQueue.Arn, !GetAtt DocumentDeadLetterQueue.Arn], Condition, [ArnEquals, [aws:SourceArn, !GetAtt DocumentRule.Arn]]]]"},
		{source, []string{"BatchSize"}, "1"},
		{source, []string{"EventSourceArn"}, "!GetAtt DocumentQueue.Arn"},
		{source, []string{"FunctionName"}, "!Ref ArchiverFunction"},
		{source, []string{"FunctionResponseTypes"}, "[ReportBatchItemFailures]"},
	} {
		if got := written(at(want.in, want.path...)); got != want.is {
			t.Errorf("%s is %q, not %s", strings.Join(want.path, "."), got, want.is)
		}
	}
}

// TestQueuesLoseNothing: a message is not handed out again while a function may still be at it, and what is tried too often
// is kept where an alarm sees it.
func TestQueuesLoseNothing(t *testing.T) {
	all := readTemplate(t)
	queues := all.of(t, "AWS::SQS::Queue")
	number := func(n yaml.Node) int {
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	served := map[string]bool{}
	for name, source := range all.of(t, "AWS::Lambda::EventSourceMapping") {
		queue, ok := strings.CutSuffix(strings.TrimPrefix(written(at(source, "EventSourceArn")), "!GetAtt "), ".Arn")
		if !ok {
			continue // the table's stream
		}
		served[queue] = true
		function := all.Resources[strings.TrimPrefix(written(at(source, "FunctionName")), "!Ref ")].Properties
		if visible, timeout := number(at(queues[queue], "VisibilityTimeout")), number(at(function, "Timeout")); visible < 6*timeout {
			t.Errorf("%s: %d s are less than six times the %d s of the function of %s", queue, visible, timeout, name)
		}
	}
	alarms := written(all.Resources["DeadLettersAlarm"].Properties) + written(all.Resources["DocumentDeadLettersAlarm"].Properties)
	for name, queue := range queues {
		if got := written(at(queue, "SqsManagedSseEnabled")); got != "true" {
			t.Errorf("%s is not encrypted", name)
		}
		letters := strings.TrimSuffix(strings.TrimPrefix(written(at(queue, "RedrivePolicy", "deadLetterTargetArn")), "!GetAtt "), ".Arn")
		if !served[name] {
			continue
		}
		own, _ := strings.CutPrefix(written(at(queue, "QueueName")), "!Sub ")
		want := "[!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + own + "]"
		if got := written(at(queues[letters], "RedriveAllowPolicy", "sourceQueueArns")); got != want {
			t.Errorf("%q takes the dead letters of %s, not %s", letters, got, want)
		}
		if got := number(at(queues[letters], "MessageRetentionPeriod")); got != 14*24*60*60 {
			t.Errorf("%s keeps for %d s", letters, got)
		}
		if !strings.Contains(alarms, "!GetAtt "+letters+".QueueName") {
			t.Errorf("no alarm looks at %s", letters)
		}
	}
	if len(served) < 2 {
		t.Errorf("%d queues are served", len(served))
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

// TestFunctionsStartWithTheirVariables: each function takes what the template gives it, and asks for work.
func TestFunctionsStartWithTheirVariables(t *testing.T) {
	all := readTemplate(t)
	folder := t.TempDir()
	of := func(name string) string { return strings.ToLower(strings.TrimSuffix(name, "Function")) }
	build := []string{"build", "-o", folder}
	for name := range all.of(t, "AWS::Serverless::Function") {
		build = append(build, "../../../functions/"+of(name))
	}
	if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		t.Run(name, func(t *testing.T) {
			asked := make(chan bool, 1)
			lambda := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/invocation/next") {
					asked <- true
				}
				<-r.Context().Done()
			}))
			defer lambda.Close()
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			command := exec.CommandContext(ctx, filepath.Join(folder, of(name)))
			command.Env = []string{
				"AWS_LAMBDA_RUNTIME_API=" + lambda.Listener.Addr().String(), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=us-east-1",
				"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none",
			}
			for _, variables := range []yaml.Node{at(all.Globals, "Function", "Environment", "Variables"), at(function, "Environment", "Variables")} {
				for i := 0; i < len(variables.Content); i += 2 {
					command.Env = append(command.Env, variables.Content[i].Value+"="+all.value(*variables.Content[i+1]))
				}
			}
			var log bytes.Buffer
			command.Stdout, command.Stderr = &log, &log
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- command.Wait() }()
			select {
			case <-asked:
				stop()
				<-ended
			case err := <-ended:
				stop()
				t.Errorf("%v\n%s", err, &log)
			}
		})
	}
}

// value is what a variable may be: what is written there, or its parameter's default.
func (all template) value(n yaml.Node) string {
	parameter, ok := all.Parameters[n.Value]
	switch {
	case ok && n.Tag == "!Ref":
		return at(parameter, "Default").Value
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		return n.Value
	case n.Tag == "!If":
		return all.value(*n.Content[2])
	}
	return "made-with-the-stack"
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

func TestConfigurationPageListsEveryParameter(t *testing.T) {
	b, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range readTemplate(t).Parameters {
		if !regexp.MustCompile("(?m)^\\|.*`" + name + "`.*\\|").Match(b) {
			t.Errorf("configuration.md has no row for the parameter %s", name)
		}
	}
}

// TestADomainOfYourOwnIsSaidEverywhere: what is registered is what the reconciler looks for.
func TestADomainOfYourOwnIsSaidEverywhere(t *testing.T) {
	b, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := "execute-api.${AWS::Region}"
	if n, either := strings.Count(string(b), own), strings.Count(string(b), "!If [PublicUrlGiven, !Ref PublicUrl, !Sub 'https://${Api}."+own); n < 6 || n != either {
		t.Errorf("the API's own URL stands in %d places, and in %d of them PublicUrl would", n, either)
	}
}
