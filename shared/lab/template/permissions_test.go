package template

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// calls are the AWS calls of each function, as TestTheFunctionsMakeTheirCalls records them: function, action, resource,
// and what of the resource.
//
//go:embed testdata/calls.txt
var calls string

// permissionRules expects that each function may do what its code and its event source mapping do, and nothing else.
func permissionRules(c *checker) {
	want := map[string][]string{}
	for line := range strings.Lines(calls) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 4 {
			c.errorf("testdata/calls.txt: %q", line)
			continue
		}
		if words[0] != "<Vendor>Function" {
			want[words[0]] = append(want[words[0]], c.ofTable(statement(words[1], words[2], words[3])))
			continue
		}
		for _, info := range c.vendors() {
			what := strings.ReplaceAll(words[3], "<vendor>", info.Name)
			want[info.Resource+"Function"] = append(want[info.Resource+"Function"],
				c.ofTable(statement(words[1], words[2], what)))
		}
	}
	for _, mapping := range c.of("AWS::Lambda::EventSourceMapping") {
		function, source := logical(c.get(mapping+".FunctionName")), c.get(mapping+".EventSourceArn")
		want[function] = append(want[function], ofMapping(source)...)
		if failed := c.get(mapping + ".DestinationConfig.OnFailure.Destination"); failed != absent {
			// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html: both, on the whole bucket.
			want[function] = append(want[function], "s3:PutObject "+failed+"/*", "s3:ListBucket "+failed)
		}
	}
	const outlet = "OutletFunction"
	want[outlet] = append(want[outlet], "secretsmanager:GetSecretValue "+secretARN("OutletSecret"))
	for _, info := range c.vendors() {
		own := info.Resource + "Function"
		for _, function := range []string{own, "ArchiverFunction", "ReconcilerFunction"} {
			want[function] = append(want[function], "secretsmanager:GetSecretValue "+secretARN(info.Resource+"Secret"))
		}
	}
	for _, function := range c.of("AWS::Serverless::Function") {
		logs := " <" + strings.TrimSuffix(function, "Function") + "Logs.Arn>"
		// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html, read 2026-12-01: what tracing needs.
		want[function] = append(want[function], "logs:CreateLogStream"+logs, "logs:PutLogEvents"+logs,
			"xray:PutTelemetryRecords *", "xray:PutTraceSegments *")
		got := c.policyOf(function)
		needed := narrowed(want[function])
		if c.parameters["OutletUrl"] == "" {
			needed = slices.DeleteFunc(needed, func(s string) bool { return strings.Contains(s, "<OutletQueue.") })
		}
		if c.parameters["ArchiveDays"] == "0" {
			needed = slices.DeleteFunc(needed, func(s string) bool { return strings.Contains(s, "<ArchiveBucket.") })
		}
		needed = append(needed, c.ofKey(needed)...)
		for _, s := range needed {
			c.holds(slices.Contains(got, s), "%s does %s, and may not", function, s)
		}
		for _, s := range got {
			c.holds(slices.Contains(needed, s), "%s may %s, and does not", function, s)
			c.holds(!beyond(function, s), "%s may %s: no function of its kind may, whatever its code does", function, s)
		}
	}
}

// ofKey returns what a function with these permissions needs of the key: a service uses it with the caller's rights.
//
// SPEC: read 2026-12-01:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html: a producer needs
// kms:GenerateDataKey and kms:Decrypt, a consumer kms:Decrypt.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html: PutObject needs kms:GenerateDataKey,
// GetObject kms:Decrypt.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html: reads need kms:Decrypt.
func (c *checker) ofKey(permissions []string) []string {
	if c.parameters["KmsKeyArn"] == "" {
		return nil
	}
	var services []string
	for _, permission := range permissions {
		service, _, _ := strings.Cut(permission, ":")
		if slices.Contains([]string{"dynamodb", "s3", "secretsmanager", "sqs"}, service) {
			services = append(services, service+".<AWS::Region>.<AWS::URLSuffix>")
		}
	}
	slices.Sort(services)
	on := fmt.Sprint(" ", c.parameters["KmsKeyArn"], " StringEquals kms:ViaService ", slices.Compact(services))
	return []string{"kms:Decrypt" + on, "kms:GenerateDataKey" + on} // each function sends messages or stores objects
}

// keyOr returns the key of the stack, or what is there without one.
func (c *checker) keyOr(without string) string {
	if key := c.parameters["KmsKeyArn"]; key != "" {
		return key
	}
	return without
}

// beyond reports whether a permission breaks a promise of the guarantees. A compromised function must not destroy
// anything. A receiver writes items of its own vendor only, since the publisher publishes every event in the table. The
// archiver and the reconciler write notes only: their findings go through the queue. Only the worker reads payloads.
func beyond(function, permission string) bool {
	action, _, _ := strings.Cut(permission, " ")
	writes := action == "dynamodb:PutItem" || action == "dynamodb:UpdateItem"
	if strings.Contains(action, ":Delete") && action != "sqs:DeleteMessage" {
		return true
	}
	limited := strings.Contains(permission, " dynamodb:LeadingKeys [")
	switch function {
	case "WorkerFunction":
		return false
	case "PublisherFunction":
		return writes || action == "s3:GetObject"
	case "ArchiverFunction", "ReconcilerFunction":
		return writes && !strings.HasSuffix(permission, " dynamodb:LeadingKeys [@*]") ||
			strings.HasPrefix(permission, "s3:GetObject <PayloadBucket.")
	}
	return strings.HasPrefix(action, "dynamodb:") && !(writes && limited && !strings.Contains(permission, "[@")) ||
		action == "s3:GetObject"
}

// statement returns the permission that a recorded call needs.
func statement(action, resource, what string) string {
	service, _, _ := strings.Cut(action, ":")
	on := action + " <" + resource + ".Arn>"
	switch {
	case service == "dynamodb" && what != "*":
		return on + " ForAllValues:StringLike dynamodb:LeadingKeys [" + what + "]"
	case action == "s3:ListBucket":
		return on
	case service == "s3":
		if on += "/" + what; action == "s3:PutObject" && resource != "PayloadBucket" {
			// What is kept for purposes outside of the stack may be added to, and not overwritten.
			// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
			on += " Null s3:if-none-match false"
		}
	}
	return on
}

// narrowed leaves out what another permission includes.
func narrowed(all []string) (kept []string) {
	for _, s := range all {
		wider := s
		if i := strings.Index(s, ">/"); i >= 0 && !strings.Contains(s[i:], " ") {
			wider = s[:i] + ">/*"
		}
		unconditional, _, _ := strings.Cut(s, " ForAllValues:")
		if wider != s && slices.Contains(all, wider) || unconditional != s && slices.Contains(all, unconditional) {
			continue
		}
		kept = append(kept, s)
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}

// ofMapping returns what Lambda needs of the function's role to read a source.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html and
// https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html, read 2026-11-30
func ofMapping(source string) (all []string) {
	actions := []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
	if strings.HasSuffix(source, ".StreamArn>") || strings.Contains(source, "/stream/") {
		actions = []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
			"dynamodb:ListStreams"}
	}
	for _, action := range actions {
		all = append(all, action+" "+source)
	}
	return all
}

// policyOf returns the permissions of a function's role, as statement writes them. SAM's own role may write to all log
// groups of the account.
func (c *checker) policyOf(function string) (all []string) {
	role := function + "Role"
	c.holds(slices.Contains(c.of("AWS::IAM::Role"), role), "%s has no role of its own", function)
	c.want(function+".", map[string]string{"Role": "<" + role + ".Arn>", "Policies": absent})
	const trust = "AssumeRolePolicyDocument."
	c.want(role+".", map[string]string{
		trust + "Version": "2012-10-17", trust + "Statement.0.Effect": "Allow",
		trust + "Statement.0.Principal.Service": "lambda.amazonaws.com", trust + "Statement.0.Action": "sts:AssumeRole",
		"ManagedPolicyArns": absent,
		// SAM's name: another one would take the permissions away while the role is updated.
		"Policies.0.PolicyName": role + "Policy0",
	})
	policies, _ := c.under(role, "Policies").([]any)
	for _, policy := range policies {
		p, _ := policy.(object)["PolicyDocument"].(object)
		c.holds(p["Version"] == "2012-10-17" && len(p) == 2, "%s has another kind of policy: %v", function, policy)
		statements, _ := p["Statement"].([]any)
		for _, one := range statements {
			s, _ := one.(object)
			c.holds(s["Effect"] == "Allow", "%s has a statement with the effect %v", function, s["Effect"])
			condition := ""
			if conditions, ok := s["Condition"].(object); ok {
				for operator, of := range conditions {
					for key, value := range of.(object) {
						condition += " " + operator + " " + key + " " + fmt.Sprint(value)
					}
				}
			}
			known := 3
			if condition != "" {
				known++
			}
			c.holds(len(s) == known, "%s has a statement with other members: %v", function, s)
			for _, action := range either(s["Action"]) {
				c.holds(!strings.Contains(action, "*"), "%s may do %s", function, action)
				for _, on := range either(s["Resource"]) {
					all = append(all, action+" "+on+condition)
				}
			}
		}
	}
	slices.Sort(all)
	c.holds(len(slices.Compact(slices.Clone(all))) == len(all), "%s has a permission twice", function)
	return all
}

// either returns the texts of a list, or the single text.
func either(v any) (all []string) {
	if text, ok := v.(string); ok {
		return []string{text}
	}
	list, _ := v.([]any)
	for _, one := range list {
		all = append(all, fmt.Sprint(one))
	}
	return all
}

// TestTheKeyPolicyInTheDocumentation checks that AWS accepts the policy, and that it lets every service use the key that
// uses it without one of our roles.
//
// SPEC: read 2026-12-01:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html,
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html (EventBridge),
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (alarms)
func TestTheKeyPolicyInTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "## Encrypt with your own key")
	_, text, _ = strings.Cut(text, "```json")
	text, _, _ = strings.Cut(text, "```")
	type statement struct {
		Sid, Effect, Resource string
		Principal             map[string]string
		Action                any
		Condition             map[string]map[string]string
	}
	var policy struct {
		Version   string
		Statement []statement
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil || policy.Version != "2012-10-17" {
		t.Fatalf("%v, %s", err, policy.Version)
	}
	const region, account = "eu-central-1", "123456789012"
	want := map[string]statement{
		"arn:aws:iam::" + account + ":root": {Action: "[kms:*]"},
		"logs." + region + ".amazonaws.com": {
			Action: "[kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey* kms:ReEncrypt*]",
			// CloudFormation begins the names of log groups with that of the stack.
			Condition: map[string]map[string]string{"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:" +
				region + ":" + account + ":log-group:esignhooks-*"}},
		},
		"events.amazonaws.com":     {Action: "[kms:Decrypt kms:GenerateDataKey]"},
		"cloudwatch.amazonaws.com": {Action: "[kms:Decrypt kms:GenerateDataKey*]"},
	}
	for _, s := range policy.Statement {
		expected := want[s.Principal["AWS"]+s.Principal["Service"]]
		if len(s.Principal) != 1 || s.Effect != "Allow" || s.Resource != "*" || s.Sid == "" ||
			fmt.Sprint(either(s.Action)) != expected.Action || fmt.Sprint(s.Condition) != fmt.Sprint(expected.Condition) {
			t.Errorf("%+v", s)
		}
		delete(want, s.Principal["AWS"]+s.Principal["Service"])
	}
	if len(want) > 0 {
		t.Errorf("there is no statement for %v", slices.Collect(maps.Keys(want)))
	}
}
