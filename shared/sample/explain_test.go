package sample_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

func TestExplain(t *testing.T) {
	const file = "../../events/docusign/envelope-completed.json"
	example, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e lambda.APIGatewayProxyRequest
	if err := json.Unmarshal(example, &e); err != nil {
		t.Fatal(err)
	}
	asText := "POST /webhooks/docusign/t HTTP/1.1\r\n"
	for name, value := range e.Headers {
		asText += name + ": " + value + "\r\n"
	}
	asText += "\r\n" + e.Body
	development := webhook.Keys{Keys: webhook.Secrets("development-docusign-hmac-key")}
	tokens := webhook.Keys{Keys: development.Keys, URLTokens: webhook.Secrets("t")}
	for name, tt := range map[string]struct {
		file, provider string
		keys           webhook.Keys
		want           string
	}{
		"a genuine request":          {string(example), "", development, "docusign: accepted: "},
		"an HTTP request":            {asText, "", development, "docusign: accepted: "},
		"its token":                  {asText, "", tokens, "docusign: accepted: "},
		"no token":                   {string(example), "", tokens, "docusign: refused with 404\n1. url-token-missing: "},
		"a masked token":             {strings.Replace(asText, "/t ", "/REDACTED ", 1), "", tokens, "the token of the URL is not in"},
		"another key":                {asText, "", webhook.Keys{Keys: webhook.Secrets("a")}, "1. development-key: "},
		"another vendor":             {asText, "boldsign", development, "1. other-vendor: "},
		"a body alone":               {e.Body, "docusign", development, "docusign: refused with 401\n1. signature-missing: "},
		"a changed body":             {asText + "\n", "", development, "1. body-changed: "},
		"HTTP/2, as curl prints it":  {strings.Replace(asText, "HTTP/1.1", "HTTP/2", 1), "", development, "docusign: accepted: "},
		"an event of a function URL": {`{"requestContext":{"http":{"method":"POST"}},"rawPath":"/webhooks/docusign","headers":{},"body":"{}"}`, "", development, "1. signature-missing: "},
		"a GET with a wrong token":   {"GET /webhooks/docusign/x HTTP/1.1\n\n", "", tokens, "docusign: refused with 404\n1. url-token-wrong: "},
		"another vendor's GET":       {"GET /webhooks/docusign HTTP/1.1\nX-AdobeSign-ClientId: B\n\n", "", development, "1. other-vendor: "},
		"a masked body":              {`{"method":"POST","path":"/webhooks/docusign","headers":{},"body":"REDACTED"}`, "", development, "the file is not what came"},
		"a cut body":                 {`{"method":"POST","path":"/webhooks/docusign","headers":{},"bodyCut":true}`, "", development, "the file is not what came"},
		"a GET":                      {"GET /webhooks/docusign HTTP/1.1\n\n", "", development, "docusign: refused with 405"},
		"Adobe's verification":       {"GET /webhooks/adobesign HTTP/1.1\nX-AdobeSign-ClientId: A\n\n", "", webhook.Keys{Keys: webhook.Secrets("A")}, "adobesign: accepted: "},
		"an unknown client ID":       {"GET /webhooks/adobesign HTTP/1.1\nX-AdobeSign-ClientId: B\n\n", "", webhook.Keys{Keys: webhook.Secrets("A")}, "adobesign: refused with 401\n1. client-id-unknown: "},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := sample.Explain(&out, provider.All(), []byte(tt.file), tt.provider,
				func(webhook.Provider) (webhook.Keys, error) { return tt.keys, nil })
			if err != nil {
				out.WriteString(err.Error())
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("%v: %s", err, &out)
			}
		})
	}
}
