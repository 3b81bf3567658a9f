package apigw_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
)

var quiet = slog.New(slog.DiscardHandler)

// handler is a Lambda function from bytes to bytes.
type handler func(context.Context, []byte) ([]byte, error)

func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }

// run runs a function behind HTTP, and returns the response to r.
func run(function lambda.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	apigw.HTTP(function, "/webhooks/acmesign", quiet).ServeHTTP(w, r)
	return w
}

// post makes a POST, and returns the event and the request that the function receives.
func post(t *testing.T, contentType string, body []byte) (event events.APIGatewayProxyRequest,
	request *webhook.Request) {
	t.Helper()
	r := httptest.NewRequest("POST", "/webhooks/acmesign", bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	receive := apigw.Function(func(_ context.Context, r *webhook.Request) *webhook.Response {
		request = r
		return &webhook.Response{Status: 200, Body: []byte("ok")}
	})
	w := run(handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		if err := json.Unmarshal(payload, &event); err != nil {
			t.Error(err)
		}
		return receive.Invoke(ctx, payload)
	}), r)
	if w.Code != 200 || request == nil {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	return event, request
}

func TestBodiesAreUnchanged(t *testing.T) {
	for name, tt := range map[string]struct {
		contentType, body string
		base64            bool
	}{
		"JSON":                                {"application/json", `{"a":"é🦀<&>\u2028"}`, false},
		"JSON with a charset":                 {"application/json; charset=utf-8", `{}`, false},
		"a form":                              {"application/x-www-form-urlencoded", "json=%7B%7D", false},
		"no content type":                     {"", `{}`, false},
		"an empty body":                       {"application/json", "", false},
		"line ends":                           {"text/plain", "a\r\nb\nc\r", false},
		"control characters":                  {"text/plain", "\x00\x01\x0b\x1f\x7f", false},
		"characters that JSON escapes":        {"text/plain", "\u2028\u2029<>&\"\\/", false},
		"replacement characters":              {"text/plain", "\ufffd\ufeff\ufffe", false},
		"a byte order mark":                   {"application/json", "\xef\xbb\xbf{}", false},
		"multipart":                           {"multipart/form-data; boundary=x", "--x\r\n\r\n{}\r\n--x--", true},
		"multipart in capitals":               {"Multipart/Form-Data; boundary=x", "--x--", true},
		"multipart with a boundary in quotes": {`multipart/form-data; boundary="a b"`, "--a b--", true},
		"XML":                                 {"application/xml", "<a/>", true},
		"XML as text":                         {"text/xml; charset=utf-8", "<a/>", true},
		"binary":                              {"application/octet-stream", "\xff\x00", true},
		"an empty multipart":                  {"multipart/form-data; boundary=x", "", true},
		"another multipart is text":           {"multipart/mixed; boundary=x", "--x--", false},
		"JSON that is not UTF-8":              {"application/json", "{\"a\":\"\xff\"}", true},
		"a half of a surrogate":               {"application/json", "\xed\xa0\x80", true},
		"an overlong character":               {"text/plain", "\xc0\x80", true},
		"a malformed content type":            {"nonsense;;;", "{}", false},
		"a similar content type is text":      {"application/xml-dtd", "<a/>", false},
	} {
		t.Run(name, func(t *testing.T) {
			event, request := post(t, tt.contentType, []byte(tt.body))
			if event.IsBase64Encoded != tt.base64 {
				t.Errorf("base64: %v", event.IsBase64Encoded)
			}
			if !tt.base64 && event.Body != tt.body {
				t.Errorf("the event's body is %q", event.Body)
			}
			if string(request.Body) != tt.body {
				t.Errorf("arrived as %q", request.Body)
			}
			if got := request.Header.Get("Content-Type"); got != tt.contentType {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func FuzzAnyBodyIsUnchanged(f *testing.F) {
	contentTypes := []string{
		"", "application/json", "application/json; charset=iso-8859-1", "multipart/form-data; boundary=x",
		"Multipart/Form-Data", "multipart/form-data; boundary", "application/xml", "text/xml; charset=utf-16",
		"application/octet-stream", "text/plain", "nonsense;;;", "application/x-www-form-urlencoded",
	}
	for i := range contentTypes {
		f.Add([]byte(`{"a":"é🦀<&>"}`), uint8(i))
		f.Add([]byte("\xff\xfe\x00\xed\xa0\x80"), uint8(i))
		f.Add([]byte("\ufffd\u2028\r\n"), uint8(i))
		f.Add([]byte{}, uint8(i))
	}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		contentType := contentTypes[int(which)%len(contentTypes)]
		event, request := post(t, contentType, body)
		if !bytes.Equal(request.Body, body) {
			t.Fatalf("%q as %s arrived as %q", body, contentType, request.Body)
		}
		mediaType, _, err := mime.ParseMediaType(contentType)
		binary := err == nil && slices.Contains(apigw.BinaryMediaTypes, mediaType) || !utf8.Valid(body)
		if event.IsBase64Encoded != binary {
			t.Fatalf("%q as %s in base64: %v", body, contentType, event.IsBase64Encoded)
		}
	})
}

func TestTheEventIsAPIGateways(t *testing.T) {
	const url = "http://hooks.example:8080/webhooks/acmesign/t%C3%B6ken?a=1&a=2&b=%C3%A9+x&c=&d"
	r := httptest.NewRequest("POST", url, strings.NewReader("{}"))
	r.Header = http.Header{"X-A": {"1", "2"}, "User-Agent": {"AcmeSign"}, "Content-Type": {"application/json"}}
	r.RemoteAddr = "192.0.2.10:4321"
	r.SetPathValue("token", "töken")
	var got events.APIGatewayProxyRequest
	run(lambda.NewHandler(func(e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		got = e
		return events.APIGatewayProxyResponse{StatusCode: 200}, nil
	}), r)
	want := events.APIGatewayProxyRequest{
		Resource: "/webhooks/acmesign/{token}", Path: "/webhooks/acmesign/töken", HTTPMethod: "POST", Body: "{}",
		Headers: map[string]string{
			"X-A": "2", "User-Agent": "AcmeSign", "Content-Type": "application/json", "Host": "hooks.example:8080",
		},
		MultiValueHeaders: map[string][]string{
			"X-A": {"1", "2"}, "User-Agent": {"AcmeSign"}, "Content-Type": {"application/json"},
			"Host": {"hooks.example:8080"},
		},
		QueryStringParameters:           map[string]string{"a": "2", "b": "é x", "c": "", "d": ""},
		MultiValueQueryStringParameters: map[string][]string{"a": {"1", "2"}, "b": {"é x"}, "c": {""}, "d": {""}},
		PathParameters:                  map[string]string{"token": "töken"},
	}
	c := &want.RequestContext
	c.ResourcePath, c.HTTPMethod, c.Stage = want.Resource, "POST", "local"
	c.Identity.SourceIP, c.Identity.UserAgent = "192.0.2.10", "AcmeSign"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequestSurvivesTheGateway(t *testing.T) {
	r := httptest.NewRequest("GET", "http://hooks.example/webhooks/acmesign?a=1&a=2&b=%C3%A9", nil)
	r.Header = http.Header{"X-A": {"1", "2"}}
	var got *webhook.Request
	w := run(recorder(&got), r)
	want := &webhook.Request{
		Method: "GET", Header: http.Header{"X-A": {"1", "2"}, "Host": {"hooks.example"}},
		Query: url.Values{"a": {"1", "2"}, "b": {"é"}}, Body: []byte{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
}

func TestResponseSurvivesTheGateway(t *testing.T) {
	for name, tt := range map[string]struct {
		response webhook.Response
		want     http.Header
	}{
		"an unusual header": {
			webhook.Response{Status: 200, Header: http.Header{"X-AcmeSign-ClientId": {"id"}}, Body: []byte(`{"id":"id"}`)},
			http.Header{"X-AcmeSign-ClientId": {"id"}, "Content-Length": {"11"}},
		},
		"an empty response": {webhook.Response{Status: 401}, http.Header{"Content-Length": {"0"}}},
		"several values": {
			webhook.Response{Status: 200, Header: http.Header{"X-Many": {"1", "2"}}},
			http.Header{"X-Many": {"1", "2"}, "Content-Length": {"0"}},
		},
		"text beyond ASCII": {
			webhook.Response{Status: 405, Header: http.Header{"Allow": {"GET, POST"}}, Body: []byte("é<&>\n")},
			http.Header{"Allow": {"GET, POST"}, "Content-Length": {"6"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := run(answering(&tt.response), httptest.NewRequest("POST", "/webhooks/acmesign", strings.NewReader("{}")))
			if w.Code != tt.response.Status || w.Body.String() != string(tt.response.Body) {
				t.Errorf("answered %d %q", w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.want, w.Header()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Some vendors' headers have capitals that net/http would change.
func TestTheSpellingOfHeadersIsKeptOnTheWire(t *testing.T) {
	server := httptest.NewServer(apigw.HTTP(answering(&webhook.Response{
		Status: 200, Header: http.Header{"X-AcmeSign-ClientId": {"id"}}, Body: []byte("ok"),
	}), "/webhooks/acmesign", quiet))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(answer), "\r\nX-AcmeSign-ClientId: id\r\n") ||
		!strings.HasSuffix(string(answer), "\r\n\r\nok") {
		t.Errorf("%s", answer)
	}
}

func TestSizeOfABody(t *testing.T) {
	for name, tt := range map[string]struct{ size, status int }{
		"the largest body": {webhook.MaxBody, 200},
		"one byte more":    {webhook.MaxBody + 1, 413},
	} {
		t.Run(name, func(t *testing.T) {
			var got *webhook.Request
			body := bytes.NewReader(bytes.Repeat([]byte("x"), tt.size))
			w := run(recorder(&got), httptest.NewRequest("POST", "/webhooks/acmesign", body))
			if w.Code != tt.status || (got != nil) != (tt.status == 200) || got != nil && len(got.Body) != tt.size {
				t.Errorf("answered %d", w.Code)
			}
		})
	}
}

func TestAnIncompleteBodyIsNotReceived(t *testing.T) {
	var got *webhook.Request
	body := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errors.New("canary")))
	w := run(recorder(&got), httptest.NewRequest("POST", "/webhooks/acmesign", body))
	if w.Code != 400 || got != nil || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("answered %d %s, received %+v", w.Code, w.Body, got)
	}
}

func TestAFailedFunctionIs502WithoutDetail(t *testing.T) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	function := lambda.NewHandler(func() (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{
			StatusCode: 200, Body: "canary", Headers: map[string]string{"X-Canary": "canary"},
		}, errors.New("canary of the error")
	})
	r := httptest.NewRequest("POST", "/", strings.NewReader("canary of the body"))
	apigw.HTTP(function, "/webhooks/acmesign", slog.New(slog.NewJSONHandler(&log, nil))).ServeHTTP(w, r)
	if w.Code != 502 || strings.Contains(w.Body.String(), "canary") || w.Header().Get("X-Canary") != "" {
		t.Errorf("answered %d %v %s", w.Code, w.Header(), w.Body)
	}
	if !strings.Contains(log.String(), "canary of the error") || strings.Contains(log.String(), "canary of the body") {
		t.Errorf("logged %s", &log)
	}
}

// API Gateway answers 502 too. On localhost such a response must not become a success, nor break the connection.
func TestAnInvalidResponseIs502(t *testing.T) {
	for name, function := range map[string]apigw.Function{
		"a panic":          func(context.Context, *webhook.Request) *webhook.Response { panic("canary") },
		"without a status": answering(&webhook.Response{}),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("the handler panics: %v", p)
				}
			}()
			w := run(function, httptest.NewRequest("POST", "/", nil))
			if w.Code != 502 || strings.Contains(w.Body.String(), "canary") {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestCancellationReachesTheFunction(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the vendor has disconnected")
	cancel(gone)
	run(apigw.Function(func(ctx context.Context, _ *webhook.Request) *webhook.Response {
		if !errors.Is(context.Cause(ctx), gone) {
			t.Errorf("the function's context: %v", context.Cause(ctx))
		}
		return &webhook.Response{Status: 503}
	}), httptest.NewRequest("POST", "/", nil).WithContext(ctx))
}
