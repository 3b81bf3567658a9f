package vendorapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/vendorapi"
)

// secret is part of everything that errors must not quote: queries, headers and bodies.
const secret = "TOPSECRET"

// network carries HTTP in memory, so that it works in a synctest bubble.
type network struct {
	dialled chan net.Conn
	closed  chan struct{}
	refuse  int // the number of next connections to refuse
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.dialled:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error   { close(n.closed); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	if n.refuse > 0 {
		n.refuse--
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	ours, theirs := net.Pipe()
	n.dialled <- theirs
	return ours, nil
}

// serve starts a vendor in the bubble of t, under any http address.
func serve(t *testing.T, handler http.HandlerFunc) (*http.Client, *network) {
	n := &network{dialled: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go server.Serve(n)
	client := vendorapi.NewHTTPClient()
	transport := client.Transport.(*http.Transport)
	transport.Proxy, transport.DialContext = nil, n.dial
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return client, n
}

// answer is an answer of the vendor.
type answer struct {
	status int // 0 means 200
	header http.Header
	body   string
	hang   bool // hangs after the body, or before the header if there is no body
	cut    bool // closes the connection after the body
	raw    string
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	if a.hang && a.body == "" {
		<-r.Context().Done()
		return
	}
	if a.raw != "" {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			io.WriteString(connection, a.raw)
			connection.Close()
		}
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.cut || a.hang {
		w.Header().Set("Content-Length", "1000")
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	io.WriteString(w, a.body)
	if a.hang {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	if a.cut {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func limited(status int, after string) answer {
	return answer{status: status, header: http.Header{"Retry-After": {after}}}
}

func elsewhere(status int, where string) answer {
	return answer{status: status, header: http.Header{"Location": {where + secret}}}
}

var (
	ok    = answer{body: `{"name":"value"}`}
	fault = answer{status: 500, body: secret}
	limit = answer{status: 429}
)

// vendor gives its answers in turn, and repeats the last one.
type vendor struct {
	answers []answer

	mu    sync.Mutex
	heard []heard
}

type heard struct {
	*http.Request
	body string
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v.mu.Lock()
	v.heard = append(v.heard, heard{r, string(body)})
	next := v.answers[min(len(v.heard), len(v.answers))-1]
	v.mu.Unlock()
	next.write(w, r)
}

func (v *vendor) requests() []heard {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.heard
}

var errSaid = errors.New("what the vendor's documents say")

// explain gives one status and one code of a vendor a meaning of its own.
func explain(r *vendorapi.Refusal) error {
	var body struct{ Code string }
	r.JSON(&body)
	switch {
	case body.Code == "LIMIT":
		return &vendorapi.LaterError{After: time.Second}
	case r.Status == http.StatusConflict:
		return errSaid
	}
	return nil
}

// send sends a request and decodes the answer into out.
func send(ctx context.Context, h *vendorapi.HTTP, method string, out any) error {
	_, err := h.Do(ctx, vendorapi.Request{Method: method, URL: "http://vendor.example"}, out)
	return err
}

func TestDo(t *testing.T) {
	const get, post = http.MethodGet, http.MethodPost
	later := func(d time.Duration) error { return &vendorapi.LaterError{After: d} }
	for name, tt := range map[string]struct {
		method   string
		answers  []answer
		refuse   int // connections refused at first
		want     error
		requests int
		waits    time.Duration // the minimum; backoff is added
	}{
		"an answer":                              {get, []answer{ok}, 0, nil, 1, 0},
		"a temporary fault":                      {get, []answer{fault, {status: 503}, ok}, 0, nil, 3, 0},
		"a permanent fault":                      {get, []answer{fault}, 0, errAny, 4, 0},
		"a PUT is retried":                       {http.MethodPut, []answer{fault, ok}, 0, nil, 2, 0},
		"a DELETE is retried":                    {http.MethodDelete, []answer{fault, ok}, 0, nil, 2, 0},
		"a POST is not retried":                  {post, []answer{fault, ok}, 0, errAny, 1, 0},
		"the vendor timed out":                   {get, []answer{{status: 408}, ok}, 0, nil, 2, 0},
		"the vendor timed out on a POST":         {post, []answer{{status: 408}, ok}, 0, errAny, 1, 0},
		"no connection":                          {get, []answer{ok}, 3, nil, 1, 0},
		"a POST without a connection is retried": {post, []answer{ok}, 3, nil, 1, 0},
		"no connection after all retries":        {post, []answer{ok}, 4, errAny, 0, 0},
		"a truncated answer":                     {get, []answer{{cut: true, body: `{"name":`}, ok}, 0, nil, 2, 0},
		"an answer that is always truncated": {get, []answer{{cut: true, body: secret}}, 0, io.ErrUnexpectedEOF,
			4, 0},
		"a truncated answer to a POST": {post, []answer{{cut: true, body: secret}, ok}, 0,
			io.ErrUnexpectedEOF, 1, 0},
		"no answer": {get, []answer{{hang: true}, ok}, 0, nil, 2, 30 * time.Second},
		"an answer that stops in the middle": {get, []answer{{body: `{"name":`, hang: true}, ok}, 0, nil, 2,
			30 * time.Second},
		"no answer to a POST": {post, []answer{{hang: true}, ok}, 0, context.DeadlineExceeded, 1,
			30 * time.Second},
		"not HTTP": {get, []answer{{raw: secret + "\r\n\r\n"}}, 0, errAny, 4, 0},
		"an invalid header": {get, []answer{{raw: "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n"}},
			0, errAny, 4, 0},
		"not JSON": {get, []answer{{body: secret}}, 0, errAny, 1, 0},
		"other JSON": {get, []answer{{body: `{"name":["` + secret + `"]}`}}, 0, errAny,
			1, 0},
		"an endless answer": {get,
			[]answer{{body: `{"name":"` + strings.Repeat("x", 8<<20) + `"}`}}, 0, errAny, 1, 0},
		"a short rate limit": {get, []answer{limited(429, "3"), ok}, 0, nil, 2, 3 * time.Second},
		"a rate-limited POST is retried": {post, []answer{limited(429, "10"), ok}, 0, nil, 2,
			10 * time.Second},
		"a long rate limit": {get, []answer{limited(429, "11")}, 0, later(11 * time.Second), 1,
			0},
		"a rate limit until a date": {get, []answer{limited(429, "Sat, 01 Jan 2000 00:00:08 GMT"), ok},
			0, nil, 2, 7 * time.Second},
		"a rate limit until a late date": {get, []answer{limited(429, "Sat, 01 Jan 2000 01:00:00 GMT")}, 0,
			later(time.Hour), 1, 0},
		"a rate limit until a date that is past by our clock": {get, []answer{limited(429, "Fri, 31 Dec 1999 23:00:00 GMT")},
			0,
			later(time.Minute), 1, 0},
		"a rate limit without Retry-After":         {get, []answer{limit}, 0, later(time.Minute), 1, 0},
		"a rate limit with an invalid Retry-After": {get, []answer{limited(429, "-5")}, 0, later(time.Minute), 1, 0},
		"a rate limit of many years": {get, []answer{limited(429, "4000000000")}, 0,
			later(24 * time.Hour), 1, 0},
		"a rate limit that does not end": {get, []answer{limited(429, "1")}, 0, later(time.Second), 4,
			3 * time.Second},
		"busy for a short time": {get, []answer{limited(503, "3"), ok}, 0, nil, 2, 3 * time.Second},
		"busy for a long time":  {get, []answer{limited(503, "60")}, 0, later(time.Minute), 1, 0},
		"busy after a POST": {post, []answer{limited(503, "3"), ok}, 0, later(3 * time.Second),
			1, 0},
		"unknown": {get, []answer{{status: 404, body: secret}}, 0,
			vendorapi.ErrUnknown, 1, 0},
		"gone": {get, []answer{{status: 410}}, 0, vendorapi.ErrUnknown, 1, 0},
		"denied": {get, []answer{{status: 401, body: secret}}, 0,
			vendorapi.ErrDenied, 1, 0},
		"forbidden": {get, []answer{{status: 403}}, 0, vendorapi.ErrDenied, 1, 0},
		"invalid": {post, []answer{{status: 400, body: secret}}, 0,
			vendorapi.ErrInvalid, 1, 0},
		"unprocessable":                 {get, []answer{{status: 422}}, 0, vendorapi.ErrInvalid, 1, 0},
		"an unexpected status":          {get, []answer{{status: 304}}, 0, errAny, 1, 0},
		"a meaning of the vendor's own": {get, []answer{{status: 409, body: secret}}, 0, errSaid, 1, 0},
		"a rate limit in the vendor's own code": {post, []answer{{status: 400, body: `{"code":"LIMIT"}`}, ok}, 0,
			nil, 2, time.Second},
		"a redirect": {get, []answer{elsewhere(302, "/elsewhere?"), ok}, 0, nil, 2, 0},
		"a redirect with the body": {post, []answer{elsewhere(307, "/elsewhere?"), ok}, 0, errAny, 1,
			0},
		"a redirect that makes a POST a GET": {post, []answer{elsewhere(302, "/elsewhere?"), ok}, 0, errAny, 1,
			0},
		"a redirect to another scheme": {get, []answer{elsewhere(302, "https://vendor.example/?")}, 0,
			errAny, 1, 0},
		"a redirect loop": {get, []answer{elsewhere(302, "/?")}, 0, errAny, 5, 0},
		"nowhere":         {get, []answer{elsewhere(302, "http://[")}, 0, errAny, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{answers: tt.answers}
				client, network := serve(t, v.ServeHTTP)
				network.refuse = tt.refuse
				h := vendorapi.HTTP{Client: client, Explain: explain, Now: time.Now}
				var out struct{ Name string }
				start := time.Now()
				r := vendorapi.Request{
					Method: tt.method, URL: "http://vendor.example/path?key=" + secret, Header: http.Header{"X-Key": {secret}},
				}
				_, err := h.Do(t.Context(), r, &out)
				waited := time.Since(start)

				var late, wantLate *vendorapi.LaterError
				switch {
				case tt.want == nil:
					if err != nil || out.Name != "value" {
						t.Errorf("%q, %v", out.Name, err)
					}
				case errors.As(tt.want, &wantLate):
					if !errors.As(err, &late) || late.After != wantLate.After {
						t.Errorf("%v, want %v", err, tt.want)
					}
				case err == nil || tt.want != errAny && !errors.Is(err, tt.want):
					t.Errorf("%v, want %v", err, tt.want)
				}
				if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "/path")) {
					t.Errorf("the error quotes: %v", err)
				}
				if len(v.requests()) != tt.requests {
					t.Errorf("%d requests, want %d", len(v.requests()), tt.requests)
				}
				if waited < tt.waits || waited > tt.waits+7*time.Second {
					t.Errorf("waited for %v, want %v plus backoff", waited, tt.waits)
				}
			})
		})
	}
}

// errAny stands for any error without a sentinel.
var errAny = errors.New("any")

func TestATemporaryErrorIsNoSentinel(t *testing.T) {
	for _, a := range []answer{fault, {status: 408}, {status: 304}, {cut: true, body: "{"}, {hang: true},
		{body: "no JSON"}} {
		synctest.Test(t, func(t *testing.T) {
			client, _ := serve(t, a.write)
			err := send(t.Context(), &vendorapi.HTTP{Client: client, Now: time.Now}, http.MethodPost, new(any))
			if err == nil {
				t.Fatal("no error")
			}
			for _, final := range []error{vendorapi.ErrNotReady, vendorapi.ErrUnknown, vendorapi.ErrDenied, vendorapi.ErrInvalid,
				errors.ErrUnsupported} {
				if errors.Is(err, final) || errors.As(err, new(*vendorapi.LaterError)) {
					t.Errorf("%+v: %v", a, err)
				}
			}
		})
	}
}

func TestRetriesSendTheSameRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		request            vendorapi.Request
		wantType, wantBody string
	}{
		"JSON": {vendorapi.Request{JSON: map[string]string{"a": "b"}}, "application/json", `{"a":"b"}`},
		"JSON with another media type": {vendorapi.Request{Header: http.Header{"Content-Type": {"application/a+json"}},
			JSON: []string{"a"}}, "application/a+json", `["a"]`},
		"a body of the caller": {vendorapi.Request{Header: http.Header{"Content-Type": {"text/plain"}},
			Body: []byte("a b")}, "text/plain", "a b"},
		"nothing": {vendorapi.Request{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{answers: []answer{fault, ok}}
				client, _ := serve(t, v.ServeHTTP)
				authorized := 0
				h := vendorapi.HTTP{Client: client, Now: time.Now, Authorize: func(_ context.Context, r *http.Request) error {
					authorized++
					r.Header.Add("Authorization", fmt.Sprint("Bearer ", authorized))
					return nil
				}}
				header := http.Header{"if-match": {`"1"`}}
				maps.Copy(header, tt.request.Header)
				given := header.Clone()
				r := tt.request
				r.Method, r.URL, r.Header = http.MethodPut, "http://vendor.example/a/b?c=d", header
				if _, err := h.Do(t.Context(), r, nil); err != nil {
					t.Fatal(err)
				}
				for i, r := range v.requests() {
					got := []string{r.Method, r.RequestURI, r.body}
					for _, name := range []string{"Content-Type", "Accept", "If-Match", "User-Agent", "Authorization"} {
						got = append(got, r.Header.Get(name))
					}
					bearer := fmt.Sprint("Bearer ", i+1)
					want := []string{"PUT", "/a/b?c=d", tt.wantBody, tt.wantType, "application/json", `"1"`, "esignhooks", bearer}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Error(diff)
					}
				}
				if diff := cmp.Diff(given, header); diff != "" || len(v.requests()) != 2 {
					t.Errorf("%d requests; the caller's header: %s", len(v.requests()), diff)
				}
			})
		})
	}
}

func TestDoReturnsTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := serve(t, answer{body: ok.body, header: http.Header{"Etag": {`"1"`}}}.write)
		h := vendorapi.HTTP{Client: client, Now: time.Now}
		var out struct{ Name string }
		for _, into := range []any{&out, nil} {
			got, err := h.Do(t.Context(), vendorapi.Request{Method: http.MethodGet, URL: "http://vendor.example"}, into)
			if err != nil || got.Get("ETag") != `"1"` || out.Name != "value" {
				t.Errorf("%+v, %+v, %v", got, out, err)
			}
		}
	})
}

// TestAnEndlessResponseIsNotRead checks that a response is read only up to the limit.
func TestAnEndlessResponseIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan int, 1)
		client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			total, chunk := 0, make([]byte, 64<<10)
			for total < 64<<20 {
				n, err := w.Write(chunk)
				if total += n; err != nil {
					break
				}
			}
			written <- total
		})
		err := send(t.Context(), &vendorapi.HTTP{Client: client, Now: time.Now}, http.MethodPost, new(any))
		if n := <-written; err == nil || n > 9<<20 {
			t.Errorf("%v, after %d bytes", err, n)
		}
	})
}

func TestTheCallersHeaderReplacesTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answers: []answer{ok}}
		client, _ := serve(t, v.ServeHTTP)
		h := vendorapi.HTTP{Client: client, Now: time.Now}
		_, err := h.Do(t.Context(), vendorapi.Request{
			Method: http.MethodGet, URL: "http://vendor.example", Header: http.Header{"Accept": {"text/plain"}},
		}, nil)
		if got := v.requests()[0].Header.Get("Accept"); err != nil || got != "text/plain" {
			t.Errorf("Accept: %s, %v", got, err)
		}
	})
}

func TestRejectedCredentials(t *testing.T) {
	denied := answer{status: 401}
	for name, tt := range map[string]struct {
		method  string
		answers []answer
		others  bool // a second set of credentials exists
		want    error
		used    string // credentials, one after the other
	}{
		"other credentials are accepted":   {http.MethodGet, []answer{denied, ok}, true, nil, "1 2"},
		"a POST that was denied":           {http.MethodPost, []answer{denied, ok}, true, nil, "1 2"},
		"other credentials are denied too": {http.MethodGet, []answer{denied, denied, ok}, true, vendorapi.ErrDenied, "1 2"},
		"there are no other credentials":   {http.MethodGet, []answer{denied, ok}, false, vendorapi.ErrDenied, "1"},
		"after a fault":                    {http.MethodGet, []answer{fault, denied, fault, ok}, true, nil, "1 2 3 4"},
		"403 does not reject credentials":  {http.MethodGet, []answer{{status: 403}, ok}, true, vendorapi.ErrDenied, "1"},
		"denied with the vendor's own code": {http.MethodGet, []answer{{status: 401, body: `{"code":"LIMIT"}`}, ok}, true,
			nil,
			"1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{answers: tt.answers}
				client, _ := serve(t, v.ServeHTTP)
				n := 0
				h := vendorapi.HTTP{
					Client: client, Now: time.Now, Explain: explain,
					Authorize: func(_ context.Context, r *http.Request) error {
						n++
						r.Header.Set("Authorization", fmt.Sprint(n))
						return nil
					},
					Rejected: func(_ context.Context, header http.Header) bool {
						if got := header.Get("Authorization"); got != fmt.Sprint(n) {
							t.Errorf("%q is rejected, not %d", got, n)
						}
						return tt.others
					},
				}
				if err := send(t.Context(), &h, tt.method, nil); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				var used []string
				for _, r := range v.requests() {
					used = append(used, r.Header.Get("Authorization"))
				}
				if got := strings.Join(used, " "); got != tt.used {
					t.Errorf("used %s, want %s", got, tt.used)
				}
			})
		})
	}
}

func TestNoRequestIsSentWithoutCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answers: []answer{ok}}
		client, _ := serve(t, v.ServeHTTP)
		calls := 0
		h := vendorapi.HTTP{Client: client, Now: time.Now, Authorize: func(context.Context, *http.Request) error {
			calls++
			return errSaid
		}}
		if err := send(t.Context(), &h, http.MethodGet, nil); !errors.Is(err, errSaid) {
			t.Error(err)
		}
		if calls != 1 || len(v.requests()) > 0 {
			t.Errorf("authorized %d times, %d requests", calls, len(v.requests()))
		}
	})
}

// TestWaitingForCredentialsDoesNotCountAsAttempt lets Authorize wait. Credentials may come from another process after a
// while.
func TestWaitingForCredentialsDoesNotCountAsAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := serve(t, ok.write)
		h := vendorapi.HTTP{Client: client, Now: time.Now, Authorize: func(ctx context.Context, _ *http.Request) error {
			time.Sleep(time.Minute)
			return ctx.Err()
		}}
		if err := send(t.Context(), &h, http.MethodPost, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestTheCallerCanCancel(t *testing.T) {
	for name, a := range map[string]answer{"in a pause": limited(429, "9"), "in an attempt": {hang: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{answers: []answer{a}}
				client, _ := serve(t, v.ServeHTTP)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				err := send(ctx, &vendorapi.HTTP{Client: client, Now: time.Now}, http.MethodGet, nil)
				if err == nil || time.Since(start) != 5*time.Second || len(v.requests()) != 1 {
					t.Errorf("%v after %v and %d requests", err, time.Since(start), len(v.requests()))
				}
			})
		})
	}
}

func TestAnInvalidURLIsNotQuoted(t *testing.T) {
	h := vendorapi.HTTP{Client: vendorapi.NewHTTPClient(), Now: time.Now}
	for _, address := range []string{"http://vendor.example/%zz?" + secret, "http://[" + secret, secret + "\x7f",
		"vendor:" + secret} {
		_, err := h.Do(t.Context(), vendorapi.Request{Method: http.MethodPost, URL: address}, nil)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := h.Do(t.Context(), vendorapi.Request{URL: "http://vendor.example", JSON: func() {}}, nil); err == nil {
		t.Error("a value that has no JSON was sent")
	}
}

// TestCredentialsStayWithTheirHost redirects a download to another host, where a vendor may store its files.
func TestCredentialsStayWithTheirHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.Host+" "+r.Header.Get("Authorization"))
			if r.Host == "vendor.example" {
				http.Redirect(w, r, "http://files.test/document?"+secret, http.StatusFound)
			}
		})
		h := vendorapi.HTTP{Client: client, Now: time.Now, Authorize: func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer t")
			return nil
		}}
		content, err := h.Open(t.Context(), "http://vendor.example/document", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		if diff := cmp.Diff([]string{"vendor.example Bearer t", "files.test "}, seen); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOpen(t *testing.T) {
	pdf := http.Header{"Content-Type": {"application/pdf"}}
	for name, tt := range map[string]struct {
		answers  []answer
		want     error // of Open
		requests int
		read     string
		wantRead error
	}{
		"a document":           {[]answer{{body: "%PDF", header: pdf}}, nil, 1, "%PDF", nil},
		"a truncated document": {[]answer{{body: "%P", header: pdf, cut: true}}, nil, 1, "%P", io.ErrUnexpectedEOF},
		"a large document": {[]answer{{body: strings.Repeat("x", 9<<20), header: pdf}}, nil, 1,
			strings.Repeat("x", 9<<20), nil},
		"after a fault":                          {[]answer{fault, {body: "%PDF", header: pdf}}, nil, 2, "%PDF", nil},
		"a document that hangs at first":         {[]answer{{hang: true}, {body: "%PDF", header: pdf}}, nil, 2, "%PDF", nil},
		"an unknown document":                    {[]answer{{status: 404}}, vendorapi.ErrUnknown, 1, "", nil},
		"an error with the vendor's own meaning": {[]answer{{status: 409}}, errSaid, 1, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{answers: tt.answers}
				client, _ := serve(t, v.ServeHTTP)
				h := vendorapi.HTTP{Client: client, Explain: explain, Now: time.Now}
				start := time.Now()
				content, err := h.Open(t.Context(), "http://vendor.example/document?"+secret, http.Header{"X-A": {"b"}})
				if waited := time.Since(start); waited > 32*time.Second {
					t.Errorf("waited for %v", waited)
				}
				if !errors.Is(err, tt.want) || len(v.requests()) != tt.requests {
					t.Fatalf("%v, want %v, after %d requests", err, tt.want, len(v.requests()))
				}
				if r := v.requests()[0]; r.Header.Get("Accept") != "" || r.Header.Get("X-A") != "b" {
					t.Errorf("asked with %v", r.Header)
				}
				if err != nil {
					return
				}
				defer content.Close()
				got, err := io.ReadAll(content)
				if string(got) != tt.read || !errors.Is(err, tt.wantRead) || err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if tt.wantRead == nil && content.Size != int64(len(tt.read)) && content.Size != -1 ||
					content.Type != "application/pdf" {
					t.Errorf("size %d, type %s", content.Size, content.Type)
				}
			})
		})
	}
}

func TestADownloadMayTakeFourMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for range 10 {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Minute - time.Millisecond):
				}
			}
		})
		content, err := (&vendorapi.HTTP{Client: client, Now: time.Now}).Open(t.Context(), "http://vendor.example/"+secret,
			nil)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		if content.Size != -1 {
			t.Errorf("size %d", content.Size)
		}
		got, err := io.ReadAll(content)
		if string(got) != "xxxxx" || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// transport answers with an empty document, and remembers the request.
type transport struct{ request *http.Request }

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.request = r
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestClosingADownloadEndsItsTimeout(t *testing.T) {
	tr := &transport{}
	content, err := (&vendorapi.HTTP{Client: &http.Client{Transport: tr}, Now: time.Now}).Open(t.Context(),
		"http://vendor.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.request.Context().Err(); err != nil {
		t.Errorf("before: %v", err)
	}
	if err := content.Close(); err != nil || tr.request.Context().Err() == nil {
		t.Errorf("%v, and its deadline still runs", err)
	}
}
