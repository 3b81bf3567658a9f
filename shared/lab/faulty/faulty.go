// Package faulty is a proxy in front of a local engine that fails on purpose. It refuses, cuts, delays and hangs, and
// answers errors, before or after the engine has done the request.
package faulty

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind is what happens to a request.
type Kind string

// The engine does not receive these requests.
const (
	Refuse   Kind = "refuse"   // the connection is closed
	Fail     Kind = "fail"     // 500
	Throttle Kind = "throttle" // the service's own throttling error
	Hang     Kind = "hang"     // no answer until the client gives up
)

// The engine does these requests.
const (
	Pass       Kind = "pass"
	Slow       Kind = "slow"        // the answer is up to 50 ms late
	Cut        Kind = "cut"         // the connection is closed instead of an answer
	CutAnswer  Kind = "cut answer"  // the connection is closed in the middle of the answer
	FailDone   Kind = "fail done"   // 500 nevertheless
	HangDone   Kind = "hang done"   // no answer until the client gives up
	HangAnswer Kind = "hang answer" // half of the answer, then nothing until the client gives up
)

// Kinds lists all kinds except Pass.
var Kinds = []Kind{Refuse, Fail, Throttle, Hang, Slow, Cut, CutAnswer, FailDone, HangDone, HangAnswer}

// Rates holds the probability of each kind. All other requests pass.
type Rates map[Kind]float64

// Evenly returns rates that add up to the probability. All kinds have the same rate, except that hanging has a tenth of
// it.
func Evenly(total float64) Rates {
	rates, sum := Rates{}, 0.0
	for _, kind := range Kinds {
		if rates[kind] = 1; strings.HasPrefix(string(kind), string(Hang)) {
			rates[kind] = 0.1
		}
		sum += rates[kind]
	}
	for kind := range rates {
		rates[kind] *= total / sum
	}
	return rates
}

// NotDone returns the rates of the kinds that do not reach the engine.
func (r Rates) NotDone() Rates {
	left := maps.Clone(r)
	maps.DeleteFunc(left, func(k Kind, _ float64) bool { return k.Done() })
	return left
}

// Done reports whether the engine does the request.
func (k Kind) Done() bool {
	switch k {
	case Refuse, Fail, Throttle, Hang:
		return false
	}
	return true
}

// Proxy is a proxy of one engine. It passes everything until [Proxy.Set] or [Proxy.Always] is called.
type Proxy struct {
	URL string

	engine *url.URL
	seed   uint64
	closed chan struct{}

	mu       sync.Mutex
	rates    func(operation string) Rates
	requests uint64
	counts   map[Kind]int
}

// New starts a proxy on 127.0.0.1. The fault of its nth request depends only on the seed, on n and on the rates. The
// proxy stops with the test.
func New(t testing.TB, engine string, seed uint64) *Proxy {
	t.Helper()
	to, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{engine: to, seed: seed, closed: make(chan struct{}), rates: Always(nil), counts: map[Kind]int{}}
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	p.URL = server.URL
	t.Cleanup(func() {
		close(p.closed)
		server.CloseClientConnections()
		server.Close()
	})
	return p
}

// Always sets the rates of all operations.
func Always(r Rates) func(string) Rates { return func(string) Rates { return r } }

// Set sets the rates of an operation, such as PutItem. The operation of S3 is the HTTP method.
func (p *Proxy) Set(rates func(operation string) Rates) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rates = rates
}

// Counts returns the number of requests by kind.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

func (p *Proxy) choose(operation string) (Kind, *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	random := rand.New(rand.NewPCG(p.seed, p.requests))
	p.requests++
	rates, point, chosen := p.rates(operation), random.Float64(), Pass
	for _, kind := range Kinds {
		if point -= rates[kind]; point < 0 {
			chosen = kind
			break
		}
	}
	p.counts[chosen]++
	return chosen, random
}

// target returns the service and operation of a request. S3 does not name them.
func target(r *http.Request) (service, operation string) {
	service, operation, named := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !named {
		return "S3", r.Method
	}
	return service, operation
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // read all, so that the server notices when the client gives up
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	service, operation := target(r)
	kind, random := p.choose(operation)
	var a answer
	if kind.Done() {
		if a, err = p.forward(r, body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	switch kind {
	case Slow:
		time.Sleep(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
		a.write(w, len(a.body))
	case Refuse, Cut:
		panic(http.ErrAbortHandler)
	case CutAnswer:
		a.write(w, len(a.body)/2)
		panic(http.ErrAbortHandler)
	case Fail, FailDone:
		fail(service).write(w, len(fail(service).body))
	case Throttle:
		throttle(service, operation).write(w, len(throttle(service, operation).body))
	case Hang, HangDone:
		p.hang(r)
	case HangAnswer:
		a.write(w, len(a.body)/2)
		p.hang(r)
	default:
		a.write(w, len(a.body))
	}
}

// hang waits until the client has gone.
func (p *Proxy) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.closed:
	}
	panic(http.ErrAbortHandler)
}

var transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}

// forward sends the request to the engine, even if the client gives up meanwhile.
func (p *Proxy) forward(r *http.Request, body []byte) (answer, error) {
	to := r.Clone(context.WithoutCancel(r.Context()))
	to.URL.Scheme, to.URL.Host, to.RequestURI = p.engine.Scheme, p.engine.Host, ""
	to.Body, to.ContentLength, to.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	to.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	to.Header.Del("Expect") // the body is here
	response, err := transport.RoundTrip(to)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, got}, err
}

// answer is the answer to the client.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// write sends the length of the whole answer, but only its first n bytes.
func (a answer) write(w http.ResponseWriter, n int) {
	maps.Copy(w.Header(), a.header)
	w.Header().Del("Transfer-Encoding")
	if w.Header().Get("Content-Length") == "" { // the answer to HEAD has a length and no body
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	w.WriteHeader(a.status)
	w.Write(a.body[:n]) // an error is a client that has gone
	if n < len(a.body) {
		w.(http.Flusher).Flush()
	}
}

func fail(service string) answer {
	if service == "S3" {
		return xml(500, "InternalError")
	}
	return json(500, "InternalServerError", "")
}

// throttle returns the service's throttling error.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and, of transactions,
// API_TransactWriteItems.html: the reasons are in the order of the writes;
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html;
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
func throttle(service, operation string) answer {
	switch {
	case service == "S3":
		return xml(503, "SlowDown")
	case service == "AmazonSQS":
		return json(403, "RequestThrottled", "")
	case operation == "TransactWriteItems":
		return json(400, "TransactionCanceledException",
			`,"CancellationReasons":[{"Code":"None"},{"Code":"ThrottlingError"}]`)
	case strings.HasPrefix(service, "DynamoDB"):
		return json(400, "ProvisionedThroughputExceededException", "")
	}
	return json(400, "ThrottlingException", "")
}

func json(status int, code, more string) answer {
	body := fmt.Appendf(nil, `{"__type":"com.amazonaws#%s","message":"on purpose"%s}`, code, more)
	return answer{status, http.Header{
		// DynamoDB's clients check it
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Crc32": {fmt.Sprint(crc32.ChecksumIEEE(body))},
	}, body}
}

func xml(status int, code string) answer {
	header := http.Header{"Content-Type": {"application/xml"}}
	return answer{status, header, fmt.Appendf(nil, "<Error><Code>%s</Code><Message>on purpose</Message></Error>", code)}
}
