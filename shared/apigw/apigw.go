// Package apigw translates between API Gateway's proxy events and [webhook.Request], and runs a Lambda handler behind
// net/http, so that localhost and AWS execute the same function value.
package apigw

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/textproto"
	"net/url"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/webhook"
)

// Function is a Lambda function behind a REST API with proxy integration.
type Function func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// Serve makes a Lambda function of a receiver.
func Serve(receive func(context.Context, *webhook.Request) *webhook.Response) Function {
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		request, err := Request(e)
		if err != nil {
			return events.APIGatewayProxyResponse{}, err
		}
		request.Trace, _ = ctx.Value("x-amzn-trace-id").(string) // set by aws-lambda-go
		response := receive(ctx, request)
		return proxyResponse(response), nil
	}
}

// proxyResponse puts each header in one of the two maps: API Gateway forbids the same name in both.
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

// Request reads a proxy event. Hand-made events often lack the multi-value maps, or are empty: then the single-value ones
// count.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
func Request(e events.APIGatewayProxyRequest) (*webhook.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, errors.New("apigw: body says it is base64 and is not") // the detail would quote the body
		}
	}
	header := http.Header{}
	for name, values := range values(e.MultiValueHeaders, e.Headers) {
		for _, value := range values {
			header.Add(name, textproto.TrimString(value))
		}
	}
	return &webhook.Request{
		Method:   e.HTTPMethod,
		Header:   header,
		Query:    url.Values(values(e.MultiValueQueryStringParameters, e.QueryStringParameters)),
		Body:     body,
		URLToken: e.PathParameters["token"],
	}, nil
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
