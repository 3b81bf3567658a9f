// Package apigw converts API Gateway's proxy events to [webhook.Request], and responses back. It also runs a Lambda
// handler behind net/http, so that localhost and AWS execute the same function value.
package apigw

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/webhook"
)

// Function is a receiver as a Lambda function behind a REST API with proxy integration.
type Function func(context.Context, *webhook.Request) *webhook.Response

var _ lambda.Handler = Function(nil)

// Invoke implements [lambda.Handler]. It decodes the JSON of an event, and returns the JSON of the response.
// aws-lambda-go does the same for a func of structs, but copies the event and the body more often.
func (f Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("apigw: event: %w", err)
	}
	request, err := request(&e.APIGatewayProxyRequest, e.Body)
	if err != nil {
		return nil, err
	}
	request.Trace, _ = ctx.Value("x-amzn-trace-id").(string) // set by aws-lambda-go
	return json.Marshal(proxyResponse(f(ctx, request)))
}

// event is a proxy event whose body is decoded into bytes, without a string in between.
type event struct {
	events.APIGatewayProxyRequest
	Body bodyBytes `json:"body"`
}

type bodyBytes []byte

// UnmarshalText implements [encoding.TextUnmarshaler].
func (body *bodyBytes) UnmarshalText(b []byte) error {
	*body = bytes.Clone(b)
	return nil
}

// proxyResponse puts each header in only one of the two maps. API Gateway forbids the same name in both.
func proxyResponse(r *webhook.Response) events.APIGatewayProxyResponse {
	p := events.APIGatewayProxyResponse{StatusCode: r.Status, Body: string(r.Body), Headers: map[string]string{}}
	for name, values := range r.Header {
		if len(values) == 1 {
			p.Headers[name] = values[0]
			continue
		}
		if p.MultiValueHeaders == nil {
			p.MultiValueHeaders = map[string][]string{}
		}
		p.MultiValueHeaders[name] = values
	}
	return p
}

// Request converts a proxy event. The multi-value maps are often missing or empty in events written by hand. Then
// Request uses the single-value maps.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
func Request(e events.APIGatewayProxyRequest) (*webhook.Request, error) {
	return request(&e, []byte(e.Body))
}

// request converts an event. It uses body instead of the event's own.
func request(e *events.APIGatewayProxyRequest, body []byte) (*webhook.Request, error) {
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.AppendDecode([]byte{}, body); err != nil {
			return nil, errors.New("apigw: the body is not valid base64") // err itself would quote the body
		}
	}
	headers := values(e.MultiValueHeaders, e.Headers)
	header := make(http.Header, len(headers))
	for name, values := range headers {
		for _, value := range values {
			header.Add(name, textproto.TrimString(value))
		}
	}
	r := &webhook.Request{
		Method:   e.HTTPMethod,
		Header:   header,
		Query:    url.Values(values(e.MultiValueQueryStringParameters, e.QueryStringParameters)),
		Body:     body,
		URLToken: e.PathParameters["token"],
		Domain:   e.RequestContext.DomainName,
	}
	// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html, read
	// 2026-12-01: "Present when a client accesses an API by using a custom domain name that has mutual TLS enabled".
	if certificate := e.RequestContext.Identity.ClientCert; certificate != nil {
		r.ClientSubject = certificate.SubjectDN
	}
	return r, nil
}

func values(multi map[string][]string, single map[string]string) map[string][]string {
	if len(multi) > 0 {
		return multi
	}
	multi = make(map[string][]string, len(single))
	for name, value := range single {
		multi[name] = []string{value}
	}
	return multi
}
