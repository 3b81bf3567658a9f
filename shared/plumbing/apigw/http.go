package apigw

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/webhook"
)

// BinaryMediaTypes are the media types that API Gateway passes to the function in base64, unchanged. template.yaml
// lists the same types. API Gateway treats all others as text, and replaces bytes that are not UTF-8.
var BinaryMediaTypes = []string{"multipart/form-data", "application/octet-stream", "application/xml", "text/xml"}

// HTTP runs a Lambda function behind net/http, as API Gateway does: events and responses are converted to JSON and
// back. resource is the path in template.yaml. If the URL has a token, it must be the request's path value "token".
func HTTP(function lambda.Handler, resource string, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, webhook.MaxBody+1))
		if err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		if len(body) > webhook.MaxBody {
			io.CopyN(io.Discard, r.Body, 4*webhook.MaxBody) // a sender reads the response only after it has sent the body
			http.Error(w, "the body is larger than 10 MiB: do not include documents", http.StatusRequestEntityTooLarge)
			return
		}
		response, err := invoke(r.Context(), function, ProxyEvent(r, resource, body))
		if err != nil { // the same response as API Gateway's
			log.Error("function failed", "error", err)
			http.Error(w, `{"message": "Internal server error"}`, http.StatusBadGateway)
			return
		}
		for name, value := range response.Headers { // keep the function's spelling
			w.Header()[name] = []string{value}
		}
		for name, values := range response.MultiValueHeaders {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(response.Body)))
		w.WriteHeader(response.StatusCode)
		io.WriteString(w, response.Body)
	})
}

// invoke runs the function. A panic or a response without a status is an error, as it is for API Gateway.
func invoke(
	ctx context.Context, function lambda.Handler, e events.APIGatewayProxyRequest,
) (response events.APIGatewayProxyResponse, err error) {
	defer func() {
		if recover() != nil { // the value may quote the body
			err = errors.New("apigw: panic")
		}
	}()
	event, err := json.Marshal(e)
	if err != nil {
		return response, err
	}
	answer, err := function.Invoke(ctx, event)
	if err != nil {
		return response, err
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return response, err
	}
	if response.StatusCode < 200 || response.StatusCode > 599 {
		return response, fmt.Errorf("apigw: response with status %d", response.StatusCode)
	}
	return response, nil
}

// ProxyEvent returns the event that API Gateway would make of a request.
func ProxyEvent(r *http.Request, resource string, body []byte) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		Resource:                        resource,
		Path:                            r.URL.Path,
		HTTPMethod:                      r.Method,
		Headers:                         map[string]string{},
		MultiValueHeaders:               map[string][]string{},
		QueryStringParameters:           map[string]string{},
		MultiValueQueryStringParameters: r.URL.Query(),
		Body:                            string(body),
	}
	for name, values := range r.Header {
		e.MultiValueHeaders[name] = values
		e.Headers[name] = values[len(values)-1]
	}
	e.MultiValueHeaders["Host"], e.Headers["Host"] = []string{r.Host}, r.Host
	for name, values := range e.MultiValueQueryStringParameters {
		e.QueryStringParameters[name] = values[len(values)-1]
	}
	if token := r.PathValue("token"); token != "" {
		e.Resource, e.PathParameters = resource+"/{token}", map[string]string{"token": token}
	}
	if IsBinary(r.Header.Get("Content-Type")) || !utf8.Valid(body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	e.RequestContext.ResourcePath, e.RequestContext.HTTPMethod, e.RequestContext.Stage = e.Resource, r.Method, "local"
	e.RequestContext.Identity.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	e.RequestContext.Identity.UserAgent = r.UserAgent()
	return e
}

// IsBinary reports whether API Gateway passes a body with this Content-Type in base64.
func IsBinary(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(BinaryMediaTypes, mediaType)
}
