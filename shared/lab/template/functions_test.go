package template

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/provider"
)

// paths returns the paths of the API at which a function answers.
func paths(function yaml.Node) []string {
	var found []string
	for _, event := range every(at(function, "Events"), "Path") {
		found = append(found, at(event, "Path").Value)
	}
	return found
}

// variables returns the environment variables of a function, by name.
func (all document) variables(function yaml.Node) map[string]yaml.Node {
	found := map[string]yaml.Node{}
	for _, n := range []yaml.Node{all.Globals, function} {
		if f := at(n, "Function"); f.Kind != 0 {
			n = f
		}
		v := at(n, "Environment", "Variables")
		for i := 0; i < len(v.Content); i += 2 {
			found[v.Content[i].Value] = *v.Content[i+1]
		}
	}
	return found
}

func TestEveryVendorHasItsPaths(t *testing.T) {
	all := readTemplate(t)
	for _, p := range provider.All() {
		path := "/webhooks/" + p.Info().Name
		got := paths(all.Resources[p.Info().Resource+"Function"].Properties)
		if !slices.Equal(got, []string{path, path + "/{token}"}) {
			t.Errorf("%s answers at %q", p.Info().Name, got)
		}
	}
}

// A worker of an earlier release ignores the former IDs that a later receiver sends, and would process a retry once
// more.
//
// SPEC: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-dependson.html, read 2026-11-30:
// of two resources, the one that the other depends on is updated first.
func TestTheWorkerIsUpdatedBeforeTheReceivers(t *testing.T) {
	all := readTemplate(t)
	for _, p := range provider.All() {
		if name := p.Info().Resource + "Function"; all.Resources[name].DependsOn != "WorkerFunction" {
			t.Errorf("%s does not depend on the worker", name)
		}
	}
}

func TestEveryFunctionHasItsOwnLogWithARetention(t *testing.T) {
	all := readTemplate(t)
	logs, owner := all.of(t, "AWS::Logs::LogGroup"), map[string]string{}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		log := referred(at(function, "LoggingConfig", "LogGroup"))
		if _, ok := logs[log]; !ok || owner[log] != "" {
			t.Errorf("%s writes to %q, as %q does", name, log, owner[log])
		}
		owner[log] = name
	}
	for name, log := range logs {
		if written(at(log, "RetentionInDays")) != "!Ref LogRetentionDays" {
			t.Errorf("%s never expires", name)
		}
	}
}

// TestPoliciesNameWhatTheyAllow checks that no policy allows all actions of a service, or all resources of a type. The
// only exception is the role that API Gateway needs once per region. It has AWS's own policy.
func TestPoliciesNameWhatTheyAllow(t *testing.T) {
	all := readTemplate(t)
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		for _, policy := range at(function, "Policies").Content {
			if at(*policy, "Statement").Kind == 0 {
				t.Errorf("a policy of %s has no statement: %s", name, written(*policy))
			}
		}
		for _, event := range every(at(function, "Events"), "Type") {
			if kind := at(event, "Type").Value; kind != "Api" && kind != "Schedule" {
				t.Errorf("SAM widens the policy of %s for its event of type %s", name, kind)
			}
		}
	}
	action := regexp.MustCompile(`^[a-z0-9]+:[A-Za-z]+$`)
	on := regexp.MustCompile(`^(!GetAtt \w+\.\w+|!Ref \w+|!Sub \$\{\w+\.Arn\}/[\w/*?]+|` +
		`!If \[\w+, !Ref \w+, !Ref AWS::NoValue\])$`)
	for name, r := range all.Resources {
		for _, arn := range list(at(r.Properties, "ManagedPolicyArns")) {
			if arn != "" && (name != "ApiLogsRole" || !strings.HasSuffix(arn, "/AmazonAPIGatewayPushToCloudWatchLogs")) {
				t.Errorf("%s has a managed policy: %s", name, arn)
			}
		}
		for _, statement := range every(r.Properties, "Effect") {
			if at(statement, "Effect").Value != "Allow" {
				continue
			}
			for _, a := range list(at(statement, "Action")) {
				if !action.MatchString(a) {
					t.Errorf("%s may do %q", name, a)
				}
			}
			for _, o := range list(at(statement, "Resource")) {
				if !on.MatchString(o) && at(statement, "Principal").Kind == 0 {
					t.Errorf("%s may do it to %q", name, o)
				}
			}
		}
	}
}

// allowed returns the resources and conditions of a function's permissions, by action.
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

// TestAReceiverWritesOfItsOwnProviderOnly checks that a receiver may write only items of its provider, because the
// publisher publishes every event in the table.
func TestAReceiverWritesOfItsOwnProviderOnly(t *testing.T) {
	all := readTemplate(t)
	for _, p := range provider.All() {
		name := p.Info().Name
		own := []string{"!GetAtt Table.Arn [ForAllValues:StringLike, [dynamodb:LeadingKeys, [" + name + "#*]]]"}
		want := map[string][]string{
			"dynamodb:PutItem": own, "dynamodb:UpdateItem": own,
			"s3:PutObject":                  {"!Sub ${PayloadBucket.Arn}/????/??/??/" + name + "/*"},
			"secretsmanager:GetSecretValue": {"!Ref " + p.Info().Resource + "Secret"},
			"sqs:SendMessage":               {"!GetAtt Queue.Arn"},
		}
		if got := allowed(all.Resources[p.Info().Resource+"Function"].Properties); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the receiver of %s may %q, not %q", name, got, want)
		}
	}
}

// TestASecretIsReadByFewFunctions checks that only the vendor's receiver, the archiver and the reconciler may read a
// secret. Their variables name the secrets of enabled vendors only.
func TestASecretIsReadByFewFunctions(t *testing.T) {
	all := readTemplate(t)
	var secrets []string
	variables := map[string]string{}
	receivers := map[string]string{}
	for _, p := range provider.All() {
		info := p.Info()
		secret := "!Ref " + info.Resource + "Secret"
		receivers[info.Resource+"Function"] = secret
		secrets = append(secrets, "!If ["+info.Resource+"Enabled, "+secret+", !Ref AWS::NoValue]")
		variables[strings.ToUpper(info.Name)+"_SECRET_ARN"] = "" +
			"!Select [6, !Split [:, !If [" + info.Resource + "Enabled, " + secret + ", ::::::]]]"
	}
	slices.Sort(secrets)
	if n := len(all.of(t, "AWS::SecretsManager::Secret")); n != len(secrets) {
		t.Errorf("%d secrets of %d vendors", n, len(secrets))
	}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		var may []string
		named := map[string]string{}
		if secret := receivers[name]; secret != "" {
			may, named = []string{secret}, map[string]string{"SECRET_ARN": secret}
		} else if name == "ArchiverFunction" || name == "ReconcilerFunction" {
			may, named = secrets, variables
		}
		if got := allowed(function)["secretsmanager:GetSecretValue"]; !slices.Equal(got, may) {
			t.Errorf("%s may read %q, not %q", name, got, may)
		}
		got := map[string]string{}
		for variable, value := range all.variables(function) {
			if strings.HasSuffix(variable, "SECRET_ARN") {
				got[variable] = written(value)
			}
		}
		if !maps.Equal(got, named) {
			t.Errorf("the variables of %s name %q, not %q", name, got, named)
		}
	}
}

// TestWhoAsksTheVendorsWritesNotesOnly checks that the archiver and the reconciler may write only notes to the table.
// Their findings go through the queue, like every delivery. See ledger.Notes.
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

// TestFunctionsStartWithTheirVariables starts each function with the template's variables until it asks for work: once
// with the defaults, and once with all vendors disabled.
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
		for _, enabled := range []bool{true, false} {
			if !enabled && len(paths(function)) > 0 {
				continue // a receiver of a disabled vendor does not exist
			}
			environment := []string{
				"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=us-east-1",
				"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none",
			}
			for variable, value := range all.variables(function) {
				if text, ok := all.value(value, enabled); ok {
					environment = append(environment, variable+"="+text)
				}
			}
			title := name
			if !enabled {
				title += " without vendors"
			}
			t.Run(title, func(t *testing.T) { asksForWork(t, filepath.Join(folder, of(name)), environment) })
		}
	}
}

// asksForWork starts a function, and waits until it asks Lambda for an invocation.
func asksForWork(t *testing.T, binary string, environment []string) {
	asked := make(chan bool, 1)
	lambda := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/invocation/next") {
			asked <- true
		}
		<-r.Context().Done()
	}))
	defer lambda.Close()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	command := exec.CommandContext(ctx, binary)
	command.Env = append(environment, "AWS_LAMBDA_RUNTIME_API="+lambda.Listener.Addr().String())
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
		t.Errorf("%v\n%s", err, &log)
	}
}

// value returns a possible value of a variable: the text, the parameter's default, or a placeholder for a value that
// only AWS knows. It reports false for !Ref AWS::NoValue. Of the template's conditions, only those of vendors are true.
func (all document) value(n yaml.Node, enabled bool) (string, bool) {
	parameter, ok := all.Parameters[n.Value]
	switch {
	case ok && n.Tag == "!Ref":
		return at(parameter, "Default").Value, true
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		return n.Value, true
	case n.Tag == "!If" && enabled && strings.HasSuffix(n.Content[0].Value, "Enabled"):
		return all.value(*n.Content[1], enabled)
	case n.Tag == "!If":
		return all.value(*n.Content[2], enabled)
	case n.Tag == "!Select" && !enabled:
		return "", true
	}
	return "made-with-the-stack", n.Value != "AWS::NoValue"
}
