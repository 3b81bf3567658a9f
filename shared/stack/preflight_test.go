package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	apitypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

var errDenied error = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "canary"}

const someTopic = "arn:aws:sns:eu-central-1:123456789012:alarms"

// TestPreflightChecks judges facts.
func TestPreflightChecks(t *testing.T) {
	parameters := func(pairs ...string) map[string]string {
		all := map[string]string{"MaxConcurrency": "5", "RateLimit": "100", "BurstLimit": "500"}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		return all
	}
	account := func(limit, free int) fact[concurrency] { return fact[concurrency]{value: concurrency{limit, free}} }
	front := func(role string, rate, burst int) fact[gateway] {
		return fact[gateway]{value: gateway{role, rate, burst}}
	}
	attributes := func(pairs ...string) fact[map[string]string] {
		return fact[map[string]string]{value: parameters(pairs...)}
	}
	alarms := func(all ...alarm) fact[[]alarm] { return fact[[]alarm]{value: all} }
	source := func(name, state string) toggle {
		return toggle{name: name, state: fact[string]{value: state}, enable: "aws enable it"}
	}
	first, second := func(all []doctor.Finding) doctor.Finding { return all[0] },
		func(all []doctor.Finding) doctor.Finding { return all[1] }
	secret := func(text string) doctor.Finding {
		return append(written(text, "the-secret"), doctor.Finding{Level: doctor.OK})[0]
	}
	for name, tt := range map[string]struct {
		got  doctor.Finding
		want doctor.Level
		says string
	}{
		"concurrency": {concurrent(account(1000, 900), parameters(), 4), doctor.OK, "888 are left"},
		"a new account": {concurrent(account(10, 10), parameters(), 1),
			doctor.Failure, "--quota-code L-B99A9384"},
		"just enough": {concurrent(account(32, 32), parameters(), 2), doctor.OK, "20 are left"},
		"one too few": {concurrent(account(31, 31), parameters(), 2), doctor.Warning, "leaves 19"},
		"the outlet runs too": {concurrent(account(23, 23), parameters("OutletUrl", "https://a.example"), 2),
			doctor.Failure, "may take 22"},
		"reserved for others": {concurrent(account(1000, 15), parameters(), 4),
			doctor.Failure, "15 of the account's 1000"},
		"concurrency unread": {concurrent(fact[concurrency]{err: errDenied, action: "a:B"}, parameters(), 4),
			doctor.NotChecked, "needs a:B: let your role use it"},
		"AWS fails": {concurrent(fact[concurrency]{err: errors.New("canary"), action: "a:B"}, parameters(), 4),
			doctor.NotChecked, "needs a:B, which failed"},
		"requests": {throttled(front("", 10000, 5000), parameters()),
			doctor.OK, "10000 requests a second"},
		"a low rate": {throttled(front("", 50, 5000), parameters()),
			doctor.Failure, "less than RateLimit=100"},
		"a low burst": {throttled(front("", 100, 499), parameters()),
			doctor.Warning, "lower BurstLimit"},
		"requests of an older stack": {throttled(front("", 50, 40), nil), doctor.OK, ""},
		"requests unread": {throttled(fact[gateway]{err: errDenied, action: "a:B"}, nil),
			doctor.NotChecked, "a:B"},
		"access logs": {logged(front("arn:role", 1, 1), "use-role"), doctor.OK, "arn:role"},
		"no role to use": {logged(front("", 1, 1), "use-role"),
			doctor.Failure, "aws apigateway update-account"},
		"the role is gone": {logged(front("", 1, 1), "create-role"),
			doctor.Failure, "deploy the stack again"},
		"no access logs": {logged(fact[gateway]{err: errDenied}, "off"),
			doctor.Warning, "AccessLogs=off"},
		"role unread": {logged(fact[gateway]{err: errDenied, action: "a:B"}, "use-role"),
			doctor.NotChecked, "a:B"},
		"region": {inRegion("eu-central-1", parameters("AlarmTopicArn", someTopic)),
			doctor.OK, "eu-central-1"},
		"a topic elsewhere": {inRegion("eu-west-1", parameters("AlarmTopicArn", someTopic)),
			doctor.Failure, "AlarmTopicArn is in eu-central-1"},
		"no topic": {first(topic(attributes(), "")), doctor.Failure, "aws sns create-topic"},
		"the topic is gone": {first(topic(fact[map[string]string]{err: &smithy.GenericAPIError{Code: "NotFound"}},
			someTopic)),
			doctor.Failure, "does not exist"},
		"topic unread": {first(topic(fact[map[string]string]{err: &smithy.GenericAPIError{Code: "AuthorizationError"},
			action: "a:B"}, someTopic)),
			doctor.NotChecked, "needs a:B: let"},
		"subscribed": {first(topic(attributes("SubscriptionsConfirmed", "1"), someTopic)),
			doctor.OK, "1 confirmed"},
		"nobody subscribes": {first(topic(attributes("SubscriptionsConfirmed", "0", "SubscriptionsPending", "0"),
			someTopic)),
			doctor.Failure, "aws sns subscribe"},
		"not confirmed": {first(topic(attributes("SubscriptionsConfirmed", "0", "SubscriptionsPending", "1"), someTopic)),
			doctor.Failure, "open the link"},
		"not encrypted": {second(topic(attributes(), someTopic)), doctor.OK, ""},
		"the key of AWS": {second(topic(attributes("KmsMasterKeyId", "alias/aws/sns"), someTopic)),
			doctor.Failure, "aws sns set-topic-attributes"},
		"the ARN of it": {second(topic(attributes("KmsMasterKeyId", "arn:aws:kms:eu-central-1:1:alias/aws/sns"),
			someTopic)),
			doctor.Failure, "alias/aws/sns"},
		"an own key": {second(topic(attributes("KmsMasterKeyId", "1234"), someTopic)),
			doctor.NotChecked, "set-alarm-state"},
		"alarms": {alarmed(alarms(alarm{"a", true, []string{someTopic}}), []string{"a"}, someTopic),
			doctor.OK, "1 are there"},
		"muted alarms": {alarmed(alarms(alarm{"a", false, []string{someTopic}}), []string{"a"}, someTopic),
			doctor.Failure, "enable-alarm-actions --alarm-names a"},
		"alarms to nobody": {alarmed(alarms(alarm{"a", true, nil}), []string{"a"}, someTopic),
			doctor.Failure, "do not notify"},
		"a deleted alarm": {alarmed(alarms(), []string{"a"}, someTopic), doctor.Failure, "missing (a)"},
		"no alarms":       {alarmed(alarms(), nil, someTopic), doctor.Failure, "has none"},
		"alarms unread": {alarmed(fact[[]alarm]{err: errDenied, action: "a:B"}, nil, someTopic),
			doctor.NotChecked, "a:B"},
		"a mapping": {source("WorkerSource", "Enabled").on("true"),
			doctor.OK, "WorkerSource is enabled"},
		"a disabled mapping": {source("WorkerSource", "Disabled").on("false"),
			doctor.Failure, "aws enable it"},
		"a disabled schedule": {source("ReconcilerFunctionSchedule", "DISABLED").on(""),
			doctor.Failure, "aws enable it"},
		"off on purpose": {source("ArchiverSource", "Disabled").on("false"),
			doctor.OK, "AskVendors=false"},
		"a mapping that changes": {source("WorkerSource", "Enabling").on("true"), doctor.Warning, "in a minute"},
		"a mapping unread": {toggle{name: "A", state: fact[string]{err: errDenied, action: "a:B"}}.on("true"),
			doctor.NotChecked, "A needs a:B"},
		"recovery": {first(durability{recoverable: fact[bool]{value: true}}.check("T")),
			doctor.OK, ""},
		"no recovery": {first(durability{}.check("T")),
			doctor.Warning, "update-continuous-backups --table-name T"},
		"recovery unread": {first(durability{recoverable: fact[bool]{err: errDenied, action: "a:B"}}.check("T")),
			doctor.NotChecked, "a:B"},
		"protection": {second(durability{protected: fact[bool]{value: true}}.check("T")),
			doctor.OK, ""},
		"no protection": {second(durability{}.check("T")), doctor.Warning, "DeletionProtection=true"},
		"no protection, restored": {second(durability{}.check("T")), doctor.Warning,
			"update-table --table-name T --deletion-protection-enabled"},
		"protection unread": {second(durability{protected: fact[bool]{err: errDenied, action: "a:B"}}.check("T")),
			doctor.NotChecked, "a:B"},
		"a secret": {secret(`{"keys":["canary-4711"],"urlTokens":[],"urlToken":"canary","api":{"a":"b"}}`),
			doctor.OK, ""},
		"an unknown member": {secret(`{"keys":[],"key":"canary"}`),
			doctor.Failure, `the unknown member "key"`},
		"no JSON":             {secret(`canary`), doctor.Failure, "it is not like"},
		"a placeholder":       {secret(`{"keys":["changeme"]}`), doctor.Failure, "a placeholder"},
		"another placeholder": {secret(`{"keys":["<your key>"]}`), doctor.Failure, "a placeholder"},
		"the placeholder of a token": {secret(`{"keys":["canary-4711"],"urlToken":"{token}"}`),
			doctor.Failure, "a placeholder"},
		"old TLS":      {oldTLS(true, "a.example"), doctor.Warning, "--domain-name a.example"},
		"only new TLS": {oldTLS(false, "a.example"), doctor.OK, "refuses"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.got.Level != tt.want || !strings.Contains(tt.got.Text, tt.says) || strings.Contains(tt.got.Text,
				"canary") ||
				strings.Contains(tt.got.Text, "changeme") {
				t.Errorf("%s: %s; want %s, %q", tt.got.Level, tt.got.Text, tt.want, tt.says)
			}
		})
	}
}

// TestPreflightOfSubscriptions compares what vendors have with the URL of the stack.
func TestPreflightOfSubscriptions(t *testing.T) {
	const public = "https://hooks.example/webhooks/docusign"
	const own = "https://abc.execute-api.eu-central-1.amazonaws.com/live/webhooks/docusign"
	at := func(url string, problems ...string) vendorapi.Subscription {
		return vendorapi.Subscription{Name: "s\x1b", URL: url, Active: true, Problems: problems}
	}
	off, failing := at(own), at(public)
	off.Active, failing.Failures = false, 3
	for name, tt := range map[string]struct {
		address       string
		tokens, id    string
		public, kept  bool
		subscriptions []vendorapi.Subscription
		want          doctor.Level // of the first finding
		says          string
	}{
		"healthy": {public, "", "abc", true, false, []vendorapi.Subscription{at(public), off},
			doctor.OK, "requires acknowledgement"},
		"no custom URL": {own, "", "abc", false, false, []vendorapi.Subscription{at(own)}, doctor.OK, "is active"},
		"nothing": {public, "", "abc", true, false, nil,
			doctor.Failure, "make register PROVIDER=docusign APPLY=1"},
		"only the old": {public, "", "abc", true, false, []vendorapi.Subscription{at(own)},
			doctor.Failure, "which PublicUrl closes"},
		"the old too": {public, "", "abc", true, false, []vendorapi.Subscription{at(own), at(public)},
			doctor.Failure, "which PublicUrl closes"},
		"the old is kept": {public, "", "abc", true, true, []vendorapi.Subscription{at(own), at(public)},
			doctor.Warning, "only KeepExecuteApi=true"},
		"an unknown API": {public, "", "", true, false, []vendorapi.Subscription{at(own)},
			doctor.Failure, "which PublicUrl closes"},
		"another API": {public, "", "xyz", true, false, []vendorapi.Subscription{at(own), at(public)},
			doctor.Warning, "calls another URL"},
		"another URL": {public, "", "abc", true, false, []vendorapi.Subscription{at("https://b.example/webhooks/docusign/t0")},
			doctor.Warning, "calls another URL, https://b.example/webhooks/docusign/…"},
		"no acknowledgement": {public, "", "abc", true, false, []vendorapi.Subscription{at(public, "it requires no "+
			"acknowledgement")},
			doctor.Failure, "s? it requires no acknowledgement: make register"},
		"an old token": {public + "/t0", "t0", "abc", true, false, []vendorapi.Subscription{at(public + "/old")},
			doctor.Failure, "token is not one"},
		"undelivered": {public, "", "abc", true, false, []vendorapi.Subscription{failing},
			doctor.Warning, "3 events"},
		"a stranger": {public, "", "abc", true, false, []vendorapi.Subscription{at("https://crm.example/in"), at(public)},
			doctor.OK, "is active"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := webhook.Find(provider.All(), "docusign")
			got := registration{p.Info(), tt.address, webhook.Keys{URLTokens: webhook.Secrets(tt.tokens)}, tt.subscriptions,
				tt.id,
				tt.public, tt.kept}.check()
			if got[0].Level != tt.want || !strings.Contains(got[0].Text, tt.says) || strings.Contains(fmt.Sprint(got),
				"t0") {
				t.Errorf("%+v; want %s, %q", got, tt.want, tt.says)
			}
		})
	}
}

// TestPreflightOfSubscriptionsWithoutCertificate expects a failure for a URL at which every event is refused.
func TestPreflightOfSubscriptionsWithoutCertificate(t *testing.T) {
	p, _ := webhook.Find(provider.All(), "docusign")
	r := registration{provider: p.Info(), address: "https://mtls.example/webhooks/docusign", apiID: "abc"}
	var err error
	r.keys.Certificates, err = webhook.ParseClientCertificates("mtls.example", "CN=a")
	must(t, err)
	r.subscriptions = []vendorapi.Subscription{
		{Name: "old", URL: "https://abc.execute-api.eu-central-1.amazonaws.com/live/webhooks/docusign", Active: true},
		{Name: "new", URL: r.address, Active: true},
	}
	got := r.check()
	if len(got) != 2 || got[0].Level != doctor.Failure || !strings.Contains(got[0].Text, "certificate at mtls.example") ||
		got[1].Level != doctor.OK {
		t.Errorf("%+v", got)
	}
}

// cloud answers the SDK's calls by the type of their input, and notes the actions.
type cloud struct {
	answers map[string]any // by action; an error, too
	called  map[string]bool
}

var input = regexp.MustCompile(`^\*(\w+)\.(\w+)Input$`)

func (c *cloud) config() aws.Config {
	answer := middleware.InitializeMiddlewareFunc("cloud", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (out middleware.InitializeOutput, _ middleware.Metadata, err error) {
		action := input.ReplaceAllString(fmt.Sprintf("%T", in.Parameters), "$1:$2")
		action = strings.Replace(action, "eventbridge:", "events:", 1)
		if strings.HasPrefix(action, "apigateway:Get") {
			action = "apigateway:GET"
		}
		c.called[action] = true
		if err, failed := c.answers[action].(error); failed {
			return out, middleware.Metadata{}, err
		}
		if c.answers[action] == nil {
			return out, middleware.Metadata{}, errDenied
		}
		out.Result = c.answers[action]
		return out, middleware.Metadata{}, nil
	})
	return aws.Config{Region: "eu-central-1", APIOptions: []func(*middleware.Stack) error{
		func(s *middleware.Stack) error { return s.Initialize.Add(answer, middleware.Before) },
	}}
}

// healthy is an account in which nothing is wrong.
func healthy() *cloud {
	resources := []types.StackResourceSummary{}
	for _, r := range [][3]string{{"Api", "abc", "AWS::ApiGateway::RestApi"}, {"AAlarm", "a", "AWS::CloudWatch::Alarm"},
		{"WorkerSource", "uuid", "AWS::Lambda::EventSourceMapping"}, {"DocumentRule", "bus|rule", "AWS::Events::Rule"},
		{"ReconcilerFunctionSchedule", "schedule", "AWS::Events::Rule"}} {
		resources = append(resources, types.StackResourceSummary{LogicalResourceId: &r[0], PhysicalResourceId: &r[1],
			ResourceType: &r[2]})
	}
	return &cloud{called: map[string]bool{}, answers: map[string]any{
		"cloudformation:ListStackResources": &cloudformation.ListStackResourcesOutput{StackResourceSummaries: resources},
		"lambda:GetAccountSettings": &lambda.GetAccountSettingsOutput{AccountLimit: &lambdatypes.AccountLimit{
			ConcurrentExecutions: 1000, UnreservedConcurrentExecutions: aws.Int32(1000)}},
		"lambda:GetEventSourceMapping": &lambda.GetEventSourceMappingOutput{State: aws.String("Enabled")},
		"apigateway:GET": &apigateway.GetAccountOutput{CloudwatchRoleArn: aws.String("arn:role"),
			ThrottleSettings: &apitypes.ThrottleSettings{RateLimit: 10000, BurstLimit: 5000}},
		"sns:GetTopicAttributes": &sns.GetTopicAttributesOutput{
			Attributes: map[string]string{"SubscriptionsConfirmed": "1"}},
		"cloudwatch:DescribeAlarms": &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []cloudwatchtypes.MetricAlarm{
			{AlarmName: aws.String("a"), ActionsEnabled: aws.Bool(true), AlarmActions: []string{someTopic}}}},
		"events:DescribeRule": &awseventbridge.DescribeRuleOutput{State: eventbridgetypes.RuleStateEnabled},
		"dynamodb:DescribeTable": &awsdynamodb.DescribeTableOutput{Table: &dynamodbtypes.TableDescription{
			DeletionProtectionEnabled: aws.Bool(true)}},
		"dynamodb:DescribeContinuousBackups": &awsdynamodb.DescribeContinuousBackupsOutput{
			ContinuousBackupsDescription: &dynamodbtypes.ContinuousBackupsDescription{
				PointInTimeRecoveryDescription: &dynamodbtypes.PointInTimeRecoveryDescription{
					PointInTimeRecoveryStatus: dynamodbtypes.PointInTimeRecoveryStatusEnabled}}},
		"secretsmanager:GetSecretValue": &secretsmanager.GetSecretValueOutput{
			SecretString: aws.String(`{"keys":["canary-key-of-docusign"]}`)},
	}}
}

// examined is the report of a stack with DocuSign alone, whose URL nobody answers.
func examined(t *testing.T, c *cloud, parameters ...string) (report string, err error) {
	t.Helper()
	s := &Stack{name: "esignhooks", config: c.config(), outputs: map[string]string{"TableName": "T",
		"DocuSignSecret": "the-secret", "DocuSignWebhookUrl": "https://127.0.0.1:1/webhooks/docusign"},
		http: http.DefaultClient, parameters: map[string]string{"AccessLogs": "use-role", "AlarmTopicArn": someTopic,
			"MaxConcurrency": "5"}}
	for i := 0; i < len(parameters); i += 2 {
		s.parameters[parameters[i]] = parameters[i+1]
	}
	for _, p := range provider.All() {
		if s.parameters[p.Info().Resource] = "disabled"; p.Info().Name == "docusign" {
			s.parameters[p.Info().Resource] = "enabled"
		}
	}
	var b strings.Builder
	err = s.Preflight(t.Context(), &b)
	return b.String(), err
}

// TestPreflightReadsTheAccount takes one permission after the other away: nothing that was not read has passed.
func TestPreflightReadsTheAccount(t *testing.T) {
	report, err := examined(t, healthy())
	for _, want := range []string{"ok           concurrency", "ok           requests", "ok           access logs",
		"ok           region", "ok           alarm topic", "ok           encryption", "ok           alarms",
		"WorkerSource is enabled", "DocumentRule is enabled", "ReconcilerFunctionSchedule is enabled",
		"ok           recovery", "ok           protection"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q", want)
		}
	}
	if err == nil || !strings.HasPrefix(err.Error(), "preflight: 1 of ") || strings.Contains(report, "canary") ||
		strings.Count(report, "failure ") != 1 || !strings.Contains(report, "failure      reachability") {
		t.Errorf("%v\n%s", err, report)
	}
	for action := range healthy().answers {
		c := healthy()
		c.answers[action] = errDenied
		if report, _ := examined(t, c); !strings.Contains(report, "needs "+action+": let your role use it") ||
			strings.Contains(report, "canary") {
			t.Errorf("without %s:\n%s", action, report)
		}
	}
	for action, empty := range map[string]any{
		"lambda:GetAccountSettings": &lambda.GetAccountSettingsOutput{}, "apigateway:GET": &apigateway.GetAccountOutput{},
		"sns:GetTopicAttributes":             &sns.GetTopicAttributesOutput{},
		"dynamodb:DescribeTable":             &awsdynamodb.DescribeTableOutput{},
		"dynamodb:DescribeContinuousBackups": &awsdynamodb.DescribeContinuousBackupsOutput{},
	} {
		c := healthy()
		c.answers[action] = empty
		if report, _ := examined(t, c); !regexp.MustCompile(`not checked .* (needs|to) ` + action + "[ ,]").MatchString(report) {
			t.Errorf("an empty answer to %s:\n%s", action, report)
		}
	}
	c := healthy()
	c.answers["secretsmanager:GetSecretValue"] = &smithy.GenericAPIError{Code: "ResourceNotFoundException"}
	if report, _ := examined(t, c); !strings.Contains(report, "failure      secret") {
		t.Errorf("a deleted secret:\n%s", report)
	}
}

// TestPreflightListsSubscriptions asks DocuSign's API, as before an update of a stack of an earlier release.
func TestPreflightListsSubscriptions(t *testing.T) {
	vendor := vendorstub.New(t)
	own := "https://abc.execute-api.eu-central-1.amazonaws.com/live/webhooks/docusign"
	vendor.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: own})
	vendor.Subscribe("docusign", vendorstub.Subscription{ID: "8", URL: "https://127.0.0.1:1/webhooks/docusign",
		Settings: map[string]any{"requiresAcknowledgement": "false"}})
	c := healthy()
	c.answers["secretsmanager:GetSecretValue"] = &secretsmanager.GetSecretValueOutput{SecretString: aws.String(
		`{"keys":["canary-key-of-docusign"],"api":` + string(vendor.Credentials("docusign")) + `}`)}
	c.answers["dynamodb:GetItem"], c.answers["dynamodb:PutItem"] = &awsdynamodb.GetItemOutput{},
		&awsdynamodb.PutItemOutput{}
	for kept, want := range map[string]string{
		"": "failure      subscription ", "false": "failure      subscription ", "true": "warning      subscription ",
	} {
		report, err := examined(t, c, "PublicUrl", "https://127.0.0.1:1", "KeepExecuteApi", kept)
		if err == nil || !regexp.MustCompile(want+".* still calls "+regexp.QuoteMeta(own)+", which "+
			"").MatchString(report) ||
			!strings.Contains(report, "it requires no acknowledgement: a failed message is never resent: make register") ||
			strings.Contains(report, " vendor ") || strings.Contains(report, "canary") {
			t.Errorf("KeepExecuteApi=%s: %v\n%s", kept, err, report)
		}
	}
	c.answers["secretsmanager:GetSecretValue"] = &secretsmanager.GetSecretValueOutput{SecretString: aws.String(
		`{"keys":["canary-key-of-docusign"],"api":{"integrationKeys":"canary"}}`)}
	if report, _ := examined(t, c); !strings.Contains(report, "failure      secret ") ||
		!strings.Contains(report, `api has the unknown member "integrationKeys"`) || strings.Contains(report, "canary") {
		t.Error(report)
	}
}

// TestThePolicyOfPreflightIsTheSmallest compares the policy in the docs with the calls.
func TestThePolicyOfPreflightIsTheSmallest(t *testing.T) {
	page, err := os.ReadFile("../docs/deploy.md")
	must(t, err)
	_, section, _ := strings.Cut(string(page), "\n## Before production\n")
	_, block, _ := strings.Cut(section, "```json\n")
	block, _, _ = strings.Cut(block, "```")
	var policy struct {
		Statement []struct {
			Action   []string
			Resource []string
		}
	}
	must(t, json.Unmarshal([]byte(block), &policy))
	c := healthy()
	_, _ = examined(t, c)
	s := &Stack{config: c.config()}
	_, _, err = s.ledger().Note(t.Context(), "a token of a vendor's API")
	_ = errors.Join(err, s.ledger().PutNote(t.Context(), "a token of a vendor's API", "", 0))
	_, _ = cloudformation.NewFromConfig(s.config).DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	var named []string
	for _, statement := range policy.Statement {
		for _, action := range statement.Action {
			if !c.called[action] {
				t.Errorf("%s is not called", action)
			}
		}
		named = append(named, statement.Action...)
	}
	for action := range c.called {
		if !slices.Contains(named, action) {
			t.Errorf("%s is not allowed", action)
		}
	}
}
