package apigw_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func TestRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		event string
		want  webhook.Request // nil headers and query mean empty ones
	}{
		"a complete event": {
			`{"httpMethod":"POST","headers":{"X-A":"2"},"multiValueHeaders":{"X-A":["1","2"]},
			  "queryStringParameters":{"q":"y"},"multiValueQueryStringParameters":{"q":["x","y"]},
			  "pathParameters":{"token":"t"},"body":"{}","isBase64Encoded":false}`,
			webhook.Request{Method: "POST", Header: http.Header{"X-A": {"1", "2"}}, Query: url.Values{"q": {"x", "y"}},
				Body: []byte("{}"), URLToken: "t"},
		},
		"without the multi-value maps, the single values count": {
			`{"httpMethod":"GET","headers":{"X-A":"1","x-b":"2"},"queryStringParameters":{"q":"y"}}`,
			webhook.Request{Method: "GET", Header: http.Header{"X-A": {"1"}, "X-B": {"2"}}, Query: url.Values{"q": {"y"}}},
		},
		"null for the multi-value maps": {
			`{"headers":{"X-A":"1"},"multiValueHeaders":null,"queryStringParameters":{"q":"y"},
			  "multiValueQueryStringParameters":null,"pathParameters":null,"body":null}`,
			webhook.Request{Header: http.Header{"X-A": {"1"}}, Query: url.Values{"q": {"y"}}},
		},
		"null for all maps": {
			`{"headers":null,"multiValueHeaders":null,"queryStringParameters":null,
			  "multiValueQueryStringParameters":null,"pathParameters":null}`,
			webhook.Request{},
		},
		"an empty event": {`{}`, webhook.Request{}},
		"the domain, and the certificate that was verified there": {
			`{"requestContext":{"domainName":"mtls.example.com","identity":{"clientCert":{"subjectDN":"CN=a,O=b",
			  "clientCertPem":"x","issuerDN":"CN=ca","serialNumber":"a1","validity":{"notBefore":"x","notAfter":"y"}}}}}`,
			webhook.Request{Domain: "mtls.example.com", ClientSubject: "CN=a,O=b"},
		},
		"headers name no domain and no certificate": {
			`{"multiValueHeaders":{"Host":["mtls.example.com"]},"requestContext":{"identity":{"clientCert":null}},
			  "domainName":"mtls.example.com","clientCert":{"subjectDN":"CN=a"}}`,
			webhook.Request{Header: http.Header{"Host": {"mtls.example.com"}}},
		},
		"null for the values of one header": {
			`{"multiValueHeaders":{"X-A":null,"X-B":["1"]}}`,
			webhook.Request{Header: http.Header{"X-B": {"1"}}},
		},
		"the spelling of a header does not matter": {
			`{"multiValueHeaders":{"x-acme-signature-1":["a"],"CONTENT-TYPE":["b"],"X-AcmeSign-ClientId":["c"]}}`,
			webhook.Request{Header: http.Header{"X-Acme-Signature-1": {"a"}, "Content-Type": {"b"},
				"X-Acmesign-Clientid": {"c"}}},
		},
		"repeated headers keep their order": {
			`{"multiValueHeaders":{"X-A":["3","1","2","1"]}}`,
			webhook.Request{Header: http.Header{"X-A": {"3", "1", "2", "1"}}},
		},
		"white space around a header's value is trimmed": {
			`{"multiValueHeaders":{"X-A":[" a b\t","","  "]}}`,
			webhook.Request{Header: http.Header{"X-A": {"a b", "", ""}}},
		},
		"a comma does not split a value": {
			`{"multiValueHeaders":{"X-A":["a,b"]}}`,
			webhook.Request{Header: http.Header{"X-A": {"a,b"}}},
		},
		"the query is already decoded": {
			`{"multiValueQueryStringParameters":{"a b":["é","100%","x+y","%41",""]}}`,
			webhook.Request{Query: url.Values{"a b": {"é", "100%", "x+y", "%41", ""}}},
		},
		"names in a query keep their case": {
			`{"multiValueQueryStringParameters":{"Q":["1"],"q":["2"]}}`,
			webhook.Request{Query: url.Values{"Q": {"1"}, "q": {"2"}}},
		},
		"text is unchanged": {
			`{"body":"\u0000\r\n\"é🦀\u2028 ","isBase64Encoded":false}`,
			webhook.Request{Body: []byte("\x00\r\n\"é🦀\u2028 ")},
		},
		"text that looks like base64 is text": {
			`{"body":"e30="}`, webhook.Request{Body: []byte("e30=")},
		},
		"base64 is decoded": {
			`{"body":"/wD+Cg==","isBase64Encoded":true}`,
			webhook.Request{Body: []byte{0xff, 0, 0xfe, '\n'}},
		},
		"an empty body in base64": {
			`{"body":"","isBase64Encoded":true}`, webhook.Request{Body: []byte{}},
		},
		"other path parameters are not the token": {
			`{"pathParameters":{"proxy":"x"}}`, webhook.Request{},
		},
		"unknown fields are ignored": {
			`{"version":"2.0","new":{"a":1},"httpMethod":"POST"}`,
			webhook.Request{Method: "POST"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := received(t.Context(), tt.event)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Header == nil {
				tt.want.Header = http.Header{}
			}
			if tt.want.Query == nil {
				tt.want.Query = url.Values{}
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
			for header := range got.Header {
				if header != http.CanonicalHeaderKey(header) {
					t.Errorf("%s is not canonical", header)
				}
			}
		})
	}
}

// recorder returns a function that stores its request in got, and answers 200.
func recorder(got **webhook.Request) apigw.Function {
	return func(_ context.Context, r *webhook.Request) *webhook.Response {
		*got = r
		return &webhook.Response{Status: 200}
	}
}

// answering returns a function that always answers with this response.
func answering(response *webhook.Response) apigw.Function {
	return func(context.Context, *webhook.Request) *webhook.Response { return response }
}

// ask invokes function with an event in JSON, and decodes its response.
func ask(ctx context.Context, function apigw.Function, event string) (p events.APIGatewayProxyResponse, err error) {
	answer, err := function.Invoke(ctx, []byte(event))
	if err == nil {
		err = json.Unmarshal(answer, &p)
	}
	return p, err
}

// received returns the request that a function receives for an event. It is nil if the function is not called.
func received(ctx context.Context, event string) (got *webhook.Request, err error) {
	p, err := ask(ctx, recorder(&got), event)
	if err == nil && (p.StatusCode != 200 || p.Body != "" || len(p.Headers)+len(p.MultiValueHeaders) > 0) {
		err = fmt.Errorf("answered %+v", p)
	}
	return got, err
}

func TestRequestAndInvokeReadAnEventAlike(t *testing.T) {
	for _, event := range []string{
		`{"httpMethod":"POST","headers":{"X-A":" b "},"pathParameters":{"token":"t"},"body":"é\u0000"}`,
		`{"body":"/wD+Cg==","isBase64Encoded":true}`, `{"body":""}`,
	} {
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal([]byte(event), &e); err != nil {
			t.Fatal(err)
		}
		want, err := apigw.Request(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := received(t.Context(), event)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
	}
}

// aws-lambda-go reuses the buffer of the event.
func TestTheRequestDoesNotShareTheEventsBuffer(t *testing.T) {
	for body, want := range map[string]string{`"{\"a\":\"b\"}"`: `{"a":"b"}`, `"plain"`: "plain"} {
		event := []byte(`{"httpMethod":"POST","headers":{"X-A":"1"},"body":` + body + `}`)
		var got *webhook.Request
		if _, err := recorder(&got).Invoke(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		for i := range event {
			event[i] = '#'
		}
		if string(got.Body) != want || got.Method != "POST" || got.Header.Get("X-A") != "1" {
			t.Errorf("%+v, body %s", got, got.Body)
		}
	}
}

func TestAMalformedEventIsAnErrorThatQuotesNothing(t *testing.T) {
	for _, event := range []string{
		"", "canary", `{"body":"canary"`, `{"body":{"canary":1}}`, `{"body":1}`, `{"isBase64Encoded":"canary"}`,
		`["canary"]`, `{"body":"canary!","isBase64Encoded":true}`,
	} {
		got, err := received(t.Context(), event)
		if err == nil || got != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %+v, %v", event, got, err)
		}
	}
}

func TestTwoSpellingsOfAHeaderAreOne(t *testing.T) {
	r, err := apigw.Request(events.APIGatewayProxyRequest{
		MultiValueHeaders: map[string][]string{"X-A": {"1"}, "x-a": {"2"}, "X-a": {"3"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	values := r.Header.Values("x-A")
	slices.Sort(values)
	if !slices.Equal(values, []string{"1", "2", "3"}) || len(r.Header) != 1 {
		t.Error(r.Header)
	}
}

func TestInvalidBase64IsAnErrorThatQuotesNothing(t *testing.T) {
	for _, body := range []string{"canary!", "canary", "Y2FuYXJ5==", "{\"canary\":1}", "Y2Fu YXJ5"} {
		r, err := apigw.Request(events.APIGatewayProxyRequest{Body: body, IsBase64Encoded: true})
		if err == nil {
			t.Errorf("%q was read as %q", body, r.Body)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes the body: %v", err)
		}
	}
}

func TestFunction(t *testing.T) {
	var got *webhook.Request
	function := apigw.Function(func(_ context.Context, r *webhook.Request) *webhook.Response {
		got = r
		return &webhook.Response{
			Status: 418, Body: []byte(`{"é":"<&>"}`),
			Header: http.Header{"X-AcmeSign-ClientId": {"id"}, "Content-Type": {"application/json"}, "X-Many": {"1", "2"}},
		}
	})
	const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	//lint:ignore SA1029 aws-lambda-go does so
	ctx := context.WithValue(t.Context(), "x-amzn-trace-id", trace)
	p, err := ask(ctx, function, `{"httpMethod":"POST","body":"e30=","isBase64Encoded":true}`)
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || string(got.Body) != "{}" || got.Trace != trace || got.TokenMatched {
		t.Errorf("%+v", got)
	}
	want := events.APIGatewayProxyResponse{
		StatusCode: 418, Body: `{"é":"<&>"}`,
		Headers:           map[string]string{"X-AcmeSign-ClientId": "id", "Content-Type": "application/json"},
		MultiValueHeaders: map[string][]string{"X-Many": {"1", "2"}},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
}

// API Gateway forbids a header in both maps.
func TestNoHeaderIsInBothMaps(t *testing.T) {
	for name, header := range map[string]http.Header{
		"nil":               nil,
		"none":              {},
		"single values":     {"A": {"1"}, "B": {"2"}},
		"several values":    {"A": {"1", "2"}, "B": {"2", "3"}},
		"both":              {"A": {"1"}, "B": {"2", "3"}},
		"no value":          {"A": {}, "B": nil, "C": {"1"}},
		"an empty value":    {"A": {""}},
		"repeated values":   {"A": {"1", "1"}},
		"unusual spellings": {"X-AcmeSign-ClientId": {"1"}, "x-lower": {"1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ask(t.Context(), answering(&webhook.Response{Status: 200, Header: header}), `{}`)
			if err != nil {
				t.Fatal(err)
			}
			got := http.Header{}
			for name, value := range p.Headers {
				got[name] = append(got[name], value)
			}
			for name, values := range p.MultiValueHeaders {
				if _, both := p.Headers[name]; both {
					t.Errorf("%s is in both maps", name)
				}
				got[name] = append(got[name], values...)
			}
			for name, values := range header {
				if !slices.Equal(got[name], values) {
					t.Errorf("%s: %q, want %q", name, got[name], values)
				}
			}
			if len(got) > len(header) {
				t.Errorf("%v, want %v", got, header)
			}
		})
	}
}

func FuzzBase64IsDecoded(f *testing.F) {
	f.Add([]byte("{}"))
	f.Add([]byte{0xff, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := apigw.Request(events.APIGatewayProxyRequest{
			Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
		})
		if err != nil || string(r.Body) != string(body) {
			t.Fatalf("%q, %v", r.Body, err)
		}
	})
}

// The code and template.yaml must list the same types. SAM writes ~1 for a slash.
func TestTemplateHasTheBinaryMediaTypes(t *testing.T) {
	file, err := os.Open(filepath.Join(webhooktest.Root(t), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want := slices.Sorted(slices.Values(apigw.BinaryMediaTypes))
	lists, line := [][]string{}, bufio.NewScanner(file)
	indent := -1 // of BinaryMediaTypes while its list lasts
	for line.Scan() {
		text := strings.TrimRight(line.Text(), " ")
		if i := strings.Index(text, " #"); i >= 0 {
			text = strings.TrimRight(text[:i], " ")
		}
		word := strings.TrimLeft(text, " ")
		if word == "" || word[0] == '#' {
			continue
		}
		if indent >= 0 {
			if item, ok := strings.CutPrefix(word, "- "); ok && len(text)-len(word) >= indent {
				lists[len(lists)-1] = append(lists[len(lists)-1], mediaType(item))
				continue
			}
			indent = -1
		}
		rest, ok := strings.CutPrefix(word, "BinaryMediaTypes:")
		if !ok {
			continue
		}
		lists = append(lists, nil)
		if rest = strings.TrimSpace(rest); rest == "" {
			indent = len(text) - len(word)
			continue
		}
		for item := range strings.SplitSeq(strings.Trim(rest, "[]"), ",") {
			lists[len(lists)-1] = append(lists[len(lists)-1], mediaType(item))
		}
	}
	if err := line.Err(); err != nil {
		t.Fatal(err)
	}
	if len(lists) == 0 {
		t.Fatal("template.yaml has no BinaryMediaTypes")
	}
	for _, got := range lists {
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func mediaType(item string) string {
	return strings.ReplaceAll(strings.Trim(strings.TrimSpace(item), `'"`), "~1", "/")
}

func TestBinaryMediaTypesAreExact(t *testing.T) {
	for _, name := range apigw.BinaryMediaTypes {
		if strings.Contains(name, "*") || name != strings.ToLower(name) || strings.Count(name, "/") != 1 {
			t.Errorf("%q: a pattern would turn text into base64, and other spellings are never found", name)
		}
	}
}

func BenchmarkInvoke(b *testing.B) {
	function := answering(&webhook.Response{Status: 200})
	for name, size := range map[string]int{"2 KB": 2 << 10, "1 MB": 1e6} {
		e := events.APIGatewayProxyRequest{
			HTTPMethod: "POST", Headers: map[string]string{}, MultiValueHeaders: map[string][]string{},
		}
		for _, header := range []string{
			"Accept", "Content-Type", "Host", "User-Agent", "X-Amzn-Trace-Id", "X-Acme-Signature", "X-Forwarded-For",
			"X-Forwarded-Port",
		} {
			e.Headers[header], e.MultiValueHeaders[header] = strings.Repeat("x", 30), []string{strings.Repeat("x", 30)}
		}
		e.Body = `{"filler":"` + strings.Repeat("x", size) + `"}`
		event, err := json.Marshal(e)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(event)))
			for b.Loop() {
				if _, err := function.Invoke(b.Context(), event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
