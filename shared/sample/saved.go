package sample

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/webhook"
)

// Saved reads a file: a proxy event, such as a recorded one, a request of GET /api/requests/{id}, an HTTP request as text,
// or the raw body of a POST. name is the provider; it may be empty if the file has a path, which names it.
func Saved(providers []webhook.Provider, file []byte, name string) (webhook.Provider, lambda.APIGatewayProxyRequest,
	error) {
	e := saved(file)
	_, after, _ := strings.Cut(e.Path, "/webhooks/")
	named, token, _ := strings.Cut(after, "/")
	if name = cmp.Or(name, named); token != "" && e.PathParameters["token"] == "" {
		e.PathParameters = map[string]string{"token": token}
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

func saved(file []byte) lambda.APIGatewayProxyRequest {
	var e lambda.APIGatewayProxyRequest
	if json.Unmarshal(file, &e) == nil && e.HTTPMethod != "" {
		return e
	}
	var function lambda.LambdaFunctionURLRequest // as of an HTTP API, too
	if json.Unmarshal(file, &function) == nil && function.RequestContext.HTTP.Method != "" {
		return lambda.APIGatewayProxyRequest{HTTPMethod: function.RequestContext.HTTP.Method, Path: function.RawPath,
			Headers: function.Headers, QueryStringParameters: function.QueryStringParameters, Body: function.Body,
			IsBase64Encoded: function.IsBase64Encoded}
	}
	var shown struct { // by the read API
		Method     string
		Path       string
		Headers    map[string][]string
		Query      map[string][]string
		Body       string
		Base64     bool `json:"isBase64Encoded"`
		BodyCut    bool
		HeadersCut bool
	}
	if json.Unmarshal(file, &shown) == nil && shown.Method != "" {
		e = lambda.APIGatewayProxyRequest{HTTPMethod: shown.Method, Path: shown.Path, MultiValueHeaders: shown.Headers,
			MultiValueQueryStringParameters: shown.Query, Body: shown.Body, IsBase64Encoded: shown.Base64}
		if shown.BodyCut || shown.HeadersCut {
			e.Body += redacted
		}
		return e
	}
	if e, ok := text(file); ok {
		return e
	}
	e = lambda.APIGatewayProxyRequest{HTTPMethod: http.MethodPost,
		MultiValueHeaders: map[string][]string{"Content-Type": {contentType(file)}}}
	return withBody(e, file)
}

// masked reports whether a part of the request that counts is not in the file.
func masked(e lambda.APIGatewayProxyRequest) bool {
	var header strings.Builder
	for _, values := range e.MultiValueHeaders {
		header.WriteString(strings.Join(values, " "))
	}
	return strings.Contains(e.Body, redacted) || strings.Contains(header.String(), redacted)
}

// text reads an HTTP request as text, such as "POST /webhooks/docusign HTTP/1.1". The body is all that follows the empty
// line, whatever its header says.
func text(file []byte) (e lambda.APIGatewayProxyRequest, ok bool) {
	head, body, ok := bytes.Cut(file, []byte("\r\n\r\n"))
	if unix, rest, found := bytes.Cut(file, []byte("\n\n")); found && (!ok || len(unix) < len(head)) {
		head, body, ok = unix, rest, true
	}
	line, rest, _ := bytes.Cut(head, []byte("\n"))
	if start, ok := bytes.CutSuffix(bytes.TrimSpace(line), []byte("HTTP/2")); ok { // as curl -v prints it
		head = slices.Concat(start, []byte("HTTP/1.1\r\n"), rest)
	}
	head = append(bytes.Clone(head), "\r\n\r\n"...)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if !ok || err != nil {
		return e, false
	}
	e = lambda.APIGatewayProxyRequest{HTTPMethod: r.Method, Path: r.URL.Path, MultiValueHeaders: r.Header,
		MultiValueQueryStringParameters: r.URL.Query()}
	return withBody(e, body), true
}

// withBody returns the event with a body, which may be anything.
func withBody(e lambda.APIGatewayProxyRequest, body []byte) lambda.APIGatewayProxyRequest {
	if e.Body = string(body); !utf8.Valid(body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return e
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
