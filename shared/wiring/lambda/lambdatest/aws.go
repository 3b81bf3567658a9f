package lambdatest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Enter makes the environment that of a function with these variables in AWS, and of nothing else.
func Enter(t testing.TB, variables map[string]string) {
	t.Helper()
	ours := Variables()
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, ok := ours[name]; ok || strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // restores it when the test ends
			os.Unsetenv(name)
		}
	}
	lambda := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/02/[$LATEST]58419525dade4d17a495dceeeed44708",
		"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token",
	}
	for _, all := range []map[string]string{lambda, variables} {
		for name, value := range all {
			t.Setenv(name, value)
		}
	}
}

// AWS answers the calls of a function's clients, and records them. It is an [http.RoundTripper]: see Connect.
type AWS struct {
	Secret string // the text of every secret
	Status int    // of every answer; 0 is 200

	mu    sync.Mutex
	calls []Call
}

// Call is a call of an AWS service, or of a vendor's API.
type Call struct {
	Service   string // as in the signature, such as sqs; empty for a vendor's API
	Operation string // or the HTTP method
	On        []string
	Host      string
	Signed    string // the access key, date, region and service of the signature
	Body      string
	Checked   bool // by a checksum of S3, in the request or wanted in the response
}

var (
	credential = regexp.MustCompile(`Credential=([^,]*)/aws4_request`)
	resources  = regexp.MustCompile(`"(?:TableName|QueueUrl|SecretId|EventBusName)":"([^"]*)"`)
)

// RoundTrip implements [http.RoundTripper].
func (a *AWS) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	c := Call{Operation: r.Method, Host: r.URL.Host, Body: string(body)}
	if scope := credential.FindStringSubmatch(r.Header.Get("Authorization")); scope != nil {
		c.Signed, c.Service = scope[1], scope[1][strings.LastIndex(scope[1], "/")+1:]
	}
	if _, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		c.Operation = operation
	}
	for _, match := range resources.FindAllSubmatch(body, -1) {
		c.On = append(c.On, string(match[1]))
	}
	if c.Service == "s3" {
		bucket, _, byName := strings.Cut(r.URL.Host, ".s3.")
		if !byName {
			bucket, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		}
		c.On = []string{bucket}
		for name := range r.Header {
			c.Checked = c.Checked || strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Trailer"
		}
	}
	a.mu.Lock()
	a.calls = append(a.calls, c)
	a.mu.Unlock()
	status, answer := a.answer(c)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Proto: "HTTP/1.1",
		Body: io.NopCloser(bytes.NewReader([]byte(answer))), ContentLength: int64(len(answer)),
	}, nil
}

// ServeHTTP implements [http.Handler], for clients whose endpoint is a local server.
func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Host = r.Host
	response, err := a.RoundTrip(r)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	w.WriteHeader(response.StatusCode)
	io.Copy(w, response.Body)
}

func (a *AWS) answer(c Call) (int, string) {
	switch {
	case a.Status != 0:
		return a.Status, `{}`
	case c.Operation == "GetSecretValue":
		return http.StatusOK, `{"SecretString":` + quoted(a.Secret) + `}`
	case c.Operation == "PutEvents":
		return http.StatusOK, `{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`
	case c.Service == "": // the access token of a vendor that issues one
		return http.StatusOK, `{"access_token":"token","token_type":"Bearer","expires_in":3600}`
	}
	return http.StatusOK, `{}`
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// Calls returns the calls since the last one of Calls.
func (a *AWS) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := a.calls
	a.calls = nil
	return calls
}

// Connect makes all HTTP clients that v holds send their requests to a.
func (a *AWS) Connect(v any) {
	for _, client := range HTTPClients(v) {
		client.Transport = a
	}
}

// HTTPClients returns the HTTP clients that v holds, in any depth. It does not find what only functions hold.
func HTTPClients(v any) (found []*http.Client) {
	type pointer struct {
		of reflect.Type
		to uintptr
	}
	seen := map[pointer]bool{}
	var search func(reflect.Value)
	search = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			p := pointer{v.Type(), v.Pointer()}
			if v.IsNil() || seen[p] {
				return
			}
			seen[p] = true
			if v.Type() == reflect.TypeFor[*http.Client]() {
				found = append(found, (*http.Client)(v.UnsafePointer()))
				return
			}
			search(v.Elem())
		case reflect.Interface:
			search(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				search(v.Field(i))
			}
		case reflect.Slice, reflect.Array:
			if kind := v.Type().Elem().Kind(); kind >= reflect.Array && kind != reflect.String { // no numbers, no text
				for i := range v.Len() {
					search(v.Index(i))
				}
			}
		case reflect.Map:
			for entries := v.MapRange(); entries.Next(); {
				search(entries.Value())
			}
		}
	}
	search(reflect.ValueOf(v))
	return found
}
