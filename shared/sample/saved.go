package sample

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/webhook"
)

// Saved reads a file: a proxy event, such as a recorded one, or the raw body of a POST. name is the provider; it may be
// empty for a proxy event, whose path names it.
func Saved(providers []webhook.Provider, file []byte, name string) (webhook.Provider, lambda.APIGatewayProxyRequest,
	error) {
	var e lambda.APIGatewayProxyRequest
	if err := json.Unmarshal(file, &e); err != nil || e.HTTPMethod == "" {
		e = lambda.APIGatewayProxyRequest{HTTPMethod: http.MethodPost, Body: string(file),
			MultiValueHeaders: map[string][]string{"Content-Type": {contentType(file)}}}
	}
	if name == "" {
		_, after, _ := strings.Cut(e.Path, "/webhooks/")
		name, _, _ = strings.Cut(after, "/")
	}
	p, ok := webhook.Find(providers, name)
	switch {
	case name == "":
		return nil, e, errors.New("the file is a body and not a proxy event: name its vendor, as in PROVIDER=docusign")
	case !ok:
		return nil, e, errors.New("the file is not of a provider that is known: name it, as in PROVIDER=docusign")
	}
	return p, e, nil
}

// contentType returns the Content-Type that a body looks like.
func contentType(body []byte) string {
	switch start := bytes.TrimLeft(webhook.TrimBOM(body), " \t\r\n"); {
	case json.Valid(body), bytes.HasPrefix(start, []byte("{")):
		return "application/json"
	case bytes.HasPrefix(start, []byte("<")):
		return "text/xml"
	case bytes.HasPrefix(start, []byte("--")):
		line, _, _ := bytes.Cut(start, []byte("\n"))
		return "multipart/form-data; boundary=" + strings.TrimPrefix(strings.TrimSpace(string(line)), "--")
	}
	return "application/x-www-form-urlencoded"
}
