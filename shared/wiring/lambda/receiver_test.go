package lambda

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// service is a stub of an AWS service with a fixed answer. It records its requests and counts connections.
type service struct {
	*httptest.Server
	mu          sync.Mutex
	connections int
	asked       []string
}

func newService(t *testing.T, status int, answer string) *service {
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		s.mu.Lock()
		s.asked = append(s.asked, operation+" "+string(body))
		s.mu.Unlock()
		w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(answer))))
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if state == http.StateNew {
			s.connections++
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func TestTheFirstRequestFindsKeysAndOpenConnections(t *testing.T) {
	lambdatest.Clean(t)
	lambdatest.Set(t, lambdatest.Variables())
	refused := `{"__type":"com.amazonaws#ConditionalCheckFailedException","message":"The conditional request failed"}`
	table, messages := newService(t, http.StatusBadRequest, refused), newService(t, http.StatusBadRequest,
		`{"__type":"com.amazonaws.sqs#MissingParameter"}`)
	secrets := newService(t, http.StatusOK, `{"SecretString":"{\"keys\":[\"k\"]}"}`)
	lambdatest.Set(t, map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": table.URL, "AWS_ENDPOINT_URL_SQS": messages.URL,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.URL,
		"AWS_ACCESS_KEY_ID":                "test", "AWS_SECRET_ACCESS_KEY": "test",
	})
	var log bytes.Buffer
	r, err := NewReceiver(acmesign.Provider{}, slog.New(slog.NewJSONHandler(&log, nil)), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	Prepare(r, r.Log)
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
	if len(table.asked) != 1 || !strings.HasPrefix(table.asked[0], "UpdateItem ") ||
		!strings.Contains(table.asked[0], `"ConditionExpression":"attribute_exists(#pk)`) {
		t.Errorf("the table was asked %q", table.asked)
	}
	if len(messages.asked) != 1 || !strings.Contains(messages.asked[0], `"MessageBody":""`) ||
		!strings.Contains(messages.asked[0], `"MessageGroupId":""`) {
		t.Errorf("the queue was asked %q", messages.asked)
	}
	if keys, err := r.Keys(t.Context()); err != nil || len(keys.Keys) != 1 || len(secrets.asked) != 1 {
		t.Errorf("%d keys, %v; asked %q", len(keys.Keys), err, secrets.asked)
	}
	r.Claims.Claim(t.Context(), ledger.Claim{Key: ledger.Key{Subject: "acmesign#a", ID: "a"}, ReceivedAt: time.Now()})
	r.Queue.Send(t.Context(), queue.Message{Group: "a", DeduplicationID: "a", Body: "a"})
	if table.connections != 1 || messages.connections != 1 || len(table.asked) != 2 || len(messages.asked) != 2 {
		t.Errorf("%d and %d connections for %d and %d calls", table.connections, messages.connections, len(table.asked),
			len(messages.asked))
	}
}

// hanging is a service that answers at once, or only after the caller has given up.
type hanging bool

func (h hanging) wait(ctx context.Context) error {
	if h {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (h hanging) Claim(ctx context.Context, _ ledger.Claim) (ledger.Found, error) {
	return ledger.Found{}, h.wait(ctx)
}
func (h hanging) Repeated(ctx context.Context, _ ledger.Key, _ string) error { return h.wait(ctx) }
func (h hanging) Send(ctx context.Context, _ queue.Message) error            { return h.wait(ctx) }
func (h hanging) Keys(ctx context.Context) (webhook.Keys, error)             { return webhook.Keys{}, h.wait(ctx) }

func TestAStartWaitsASecondForServicesThatHang(t *testing.T) {
	for name, hang := range map[string][3]hanging{
		"the table": {true, false, false}, "the queue": {false, true, false}, "the secrets": {false, false, true},
		"all": {true, true, true}, "none": {},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			r := &receive.Receiver{Provider: acmesign.Provider{}, Claims: hang[0], Queue: hang[1], Keys: hang[2].Keys}
			began := time.Now()
			Prepare(r, slog.New(slog.NewJSONHandler(&log, nil)))
			if took := time.Since(began); (took == time.Second) != (name != "none") {
				t.Errorf("%s: %v", name, took)
			}
			if logged := strings.Contains(log.String(), "keys unavailable at start"); logged != bool(hang[2]) {
				t.Errorf("%s: logged %q", name, &log)
			}
		})
	}
}

func TestClientsTakeTheirConfigurationFromTheEnvironment(t *testing.T) {
	lambdatest.Clean(t)
	if _, err := AWS(ResponseTimeout).Credentials.Retrieve(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
	lambdatest.Set(t, map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
		"AWS_SESSION_TOKEN": "token", "AWS_REGION": "eu-west-1"})
	a := AWS(ResponseTimeout)
	c, err := a.Credentials.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != "id" || c.SecretAccessKey != "key" || c.SessionToken != "token" || c.CanExpire ||
		a.Region != "eu-west-1" {
		t.Errorf("region %s, %v", a.Region, err)
	}
}

func TestEndpoints(t *testing.T) {
	for name, tt := range map[string]struct {
		env     map[string]string
		service string // as the SDK names it
		want    string
	}{
		"none":            {nil, "SQS", ""},
		"of all services": {map[string]string{"AWS_ENDPOINT_URL": "http://all"}, "SQS", "http://all"},
		"of one before that of all": {map[string]string{"AWS_ENDPOINT_URL": "http://all",
			"AWS_ENDPOINT_URL_SQS": "http://one"}, "SQS", "http://one"},
		"of a service of two words": {map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://one"},
			"Secrets Manager", "http://one"},
		"of a service in small letters": {map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://one"}, "DynamoDB",
			"http://one"},
		"an empty one hides not that of all": {map[string]string{"AWS_ENDPOINT_URL": "http://all",
			"AWS_ENDPOINT_URL_SQS": ""}, "SQS", "http://all"},
		"of another service": {map[string]string{"AWS_ENDPOINT_URL_S3": "http://one"}, "SQS", ""},
	} {
		t.Run(name, func(t *testing.T) {
			lambdatest.Clean(t)
			lambdatest.Set(t, tt.env)
			got, found, err := endpoints{}.GetServiceBaseEndpoint(t.Context(), tt.service)
			if got != tt.want || found != (tt.want != "") || err != nil {
				t.Errorf("%q, %v, %v", got, found, err)
			}
			for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"} {
				if _, set := tt.env[name]; !set {
					os.Unsetenv(name) // for the SDK, an empty one is another case
				}
			}
			if client := sqs.NewFromConfig(AWS(ResponseTimeout)); tt.service == "SQS" &&
				aws.ToString(client.Options().BaseEndpoint) != tt.want {
				t.Errorf("the client calls %q", aws.ToString(client.Options().BaseEndpoint))
			}
		})
	}
}

// closedEarly is the SDK's body as net/http finds it if the SDK has closed it in the meantime.
type closedEarly struct{ io.Reader }

func (closedEarly) Close() error                     { return nil }
func (closedEarly) WriteTo(io.Writer) (int64, error) { return 0, io.EOF }

// post sends length bytes.
func post(t *testing.T, client aws.HTTPClient, to net.Addr, length int64, body string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+to.String(),
		closedEarly{strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	answer, err := client.Do(r)
	if err == nil {
		answer.Body.Close()
	}
	return err
}

// received is a request that a server has: by which connection, and with how many bytes.
type received struct {
	connection int
	header     http.Header
	body       int64
}

// serve answers each connection's first n requests, and closes it without an answer to the next.
func serve(t *testing.T, n int) (net.Addr, <-chan received) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests := make(chan received, 100)
	go func() {
		for connection := 1; ; connection++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				b := bufio.NewReader(conn)
				for i := range n + 1 {
					r, err := http.ReadRequest(b)
					if err != nil || i == n {
						return
					}
					body, _ := io.Copy(io.Discard, r.Body)
					requests <- received{connection, r.Header, body}
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	return l.Addr(), requests
}

func TestARequestIsOneWriteAndLeavesItsConnectionOpen(t *testing.T) {
	server, requests := serve(t, 100)
	client := HTTPClient(5*time.Second, ResponseTimeout).(httpClient)
	writes := 0
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return counted{conn, &writes}, err
	}
	for _, length := range []int64{8 << 10, maxCopied, maxCopied + 1, 8 << 10} {
		writes = 0
		if err := post(t, client, server, length, strings.Repeat("a", int(length))); err != nil {
			t.Fatalf("%d bytes: %v", length, err)
		}
		r := <-requests
		if r.connection != 1 || r.body != length || len(r.header) != 3 { // Accept-Encoding, Content-Length, User-Agent
			t.Errorf("%d bytes: %+v", length, r)
		}
		if length < maxCopied && writes != 1 {
			t.Errorf("%d bytes were %d writes", length, writes)
		}
	}
	if err := post(t, client, server, 2, "a"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that is too short: %v", err)
	}
}

func TestAClosedIdleConnectionCostsNoAttempt(t *testing.T) {
	server, requests := serve(t, 1)
	client := HTTPClient(5*time.Second, ResponseTimeout)
	for want := 1; want <= 3; want++ {
		if err := post(t, client, server, 3, "abc"); err != nil {
			t.Fatalf("request %d: %v", want, err)
		}
		if r := <-requests; r.connection != want || r.body != 3 {
			t.Errorf("request %d: %+v", want, r)
		}
	}
	server, _ = serve(t, 0)
	if err := post(t, client, server, 3, "abc"); err == nil {
		t.Error("requests to a service that never answers are retried without end")
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirecting := httptest.NewServer(http.RedirectHandler(other.URL, status))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, redirecting.URL,
			io.NopCloser(strings.NewReader("abc")))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 3
		answer, err := HTTPClient(5*time.Second, ResponseTimeout).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		redirecting.Close()
		if n := elsewhere.Load(); answer.StatusCode != status || n > 0 {
			t.Errorf("%d: answered %d, %d requests elsewhere", status, answer.StatusCode, n)
		}
	}
}

// counted is a connection that counts what is written.
type counted struct {
	net.Conn
	writes *int
}

func (c counted) Write(p []byte) (int, error) {
	*c.writes++
	return c.Conn.Write(p)
}
