package template

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestAccessLogsHoldNoSecret checks that access logs hold neither the path, which has the URL token, nor headers, which
// have signatures.
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

// TestTheStageRecordsNoPath checks that traces and execution logs are off, since they would hold the URL token.
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
			trace, level := written(at(*s, "DataTraceEnabled")), written(at(*s, "LoggingLevel"))
			if trace != "false" || level != "OFF" {
				t.Errorf("%s writes an execution log: %s, %s", name, trace, level)
			}
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

// TestPublicURLReplacesTheAPIsURL checks that PublicUrl replaces the API's URL everywhere. The reconciler must look for
// the URL that is registered.
func TestPublicURLReplacesTheAPIsURL(t *testing.T) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	const own = "!Sub https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"
	all := strings.Count(written(root), "execute-api")
	replaced := strings.Count(written(root), "!If [PublicUrlGiven, !Ref PublicUrl, "+own+"]")
	if all < 6 || replaced != all {
		t.Errorf("the API's URL is written %d times, and PublicUrl replaces it %d times", all, replaced)
	}
}
