package template

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"esignhooks/shared/webhook"
)

// apiURL is the base of the URLs that the vendors call. A reconciler that looked for another would register it.
func (c *checker) apiURL() string {
	if public := c.parameters["PublicUrl"]; public != "" {
		return public
	}
	return "https://<Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>/" + c.get("Api.StageName")
}

// outputRules expects that each output shows what its name says. The operator's commands read them by their names.
func outputRules(c *checker) {
	want := map[string]string{
		"ApiUrl":                     c.apiURL(),
		"DeadLetterQueueUrl":         "<DeadLetterQueue>",
		"DocumentBucketName":         "<DocumentBucket>",
		"DocumentDeadLetterQueueUrl": "<DocumentDeadLetterQueue>",
		"DocumentQueueUrl":           "<DocumentQueue>",
		"EventBusName":               "<EventBus>",
		"QueueUrl":                   "<Queue>",
		"TableName":                  c.tableName(),
	}
	if c.parameters["ArchiveDays"] != "0" {
		want["ArchiveBucketName"] = "<ArchiveBucket>"
	}
	if c.parameters["OutletUrl"] != "" {
		want["OutletDeadLetterQueueUrl"], want["OutletQueueUrl"] = "<OutletDeadLetterQueue>", "<OutletQueue>"
		want["OutletSecret"] = secretARN("OutletSecret")
	}
	if c.parameters["MutualTlsDomain"] != "" {
		want["MutualTlsTarget"] = "<MutualTlsDomainName.RegionalDomainName>"
	}
	for _, info := range c.vendors() {
		want[info.Resource+"Secret"] = secretARN(info.Resource + "Secret")
		want[info.Resource+"WebhookUrl"] = c.apiURL() + webhookPath(info)
		if c.parameters[info.Resource+"ClientSubjects"] != "" {
			want[info.Resource+"WebhookUrl"] = "https://" + c.parameters["MutualTlsDomain"] + webhookPath(info)
		}
		if !info.SignsAll && c.parameters["RequireUrlToken"] == "true" {
			want[info.Resource+"WebhookUrl"] += "/{token}" // the operator's commands put the token there
		}
	}
	for name, value := range want {
		c.want("Outputs/"+name+".", map[string]string{"Value": value})
		c.text("Outputs/" + name + ".Description")
	}
}

// TestOutputsAreThere checks that the stack has the outputs and resources that the operator's commands and the pages
// name.
func TestOutputsAreThere(t *testing.T) {
	c := newChecker(readRoot(t), map[string]string{"ArchiveDays": "7", "OutletUrl": "https://app.example.com",
		"MutualTlsDomain": "mtls.example.com"})
	found := 0
	for _, glob := range []string{"../../stack/*.go", "../../../README.md", "../../docs/*.md"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, match := range named.FindAllStringSubmatch(string(text), -1) {
				found++
				if name := match[1] + match[2]; c.outputs[name] == nil {
					t.Errorf("%s names the output %s, and there is none", file, name)
				}
			}
		}
	}
	if found < 10 || c.resources["PayloadBucket"] == nil {
		t.Errorf("%d outputs are named", found)
	}
}

var named = regexp.MustCompile("\"([A-Za-z]*(?:QueueUrl|BusName|TableName))\"|(?:output|bucket) `([A-Z]\\w+)`")

func webhookPath(info webhook.Info) string { return "/webhooks/" + info.Name }
