// Package faulty is a network that fails on purpose: a proxy in front of a local engine that refuses, cuts, delays and
// hangs, and answers errors of its own, before the engine has done what it was asked or after.
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

// Of these the engine hears nothing.
const (
	Refuse   Kind = "refuse"   // the connection is closed
	Fail     Kind = "fail"     // 500
	Throttle Kind = "throttle" // the service's own way to say: too much
	Hang     Kind = "hang"     // no answer until the client gives up
)

// The engine does these.
const (
	Pass       Kind = "pass"
	Slow       Kind = "slow"        // the answer is up to 50 ms late
	Cut        Kind = "cut"         // the connection is closed instead of an answer
	CutAnswer  Kind = "cut answer"  // … in the middle of the answer
	FailDone   Kind = "fail done"   // 500 all the same
	HangDone   Kind = "hang done"   // no answer until the client gives up
	HangAnswer Kind = "hang answer" // … after half of the answer
)

// Kinds are all but Pass.
var Kinds = []Kind{Refuse, Fail, Throttle, Hang, Slow, Cut, CutAnswer, FailDone, HangDone, HangAnswer}

// Rates say how probable each kind is. What is left passes.
type Rates map[Kind]float64

// Evenly is every kind alike, with the given probability in all; those that hang are a tenth as probable as the others.
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

// NotDone leaves only the kinds of which the engine hears nothing.
func (r Rates) NotDone() Rates {
	left := maps.Clone(r)
	maps.DeleteFunc(left, func(k Kind, _ float64) bool { return k.Done() })
	return left
}

// Done says whether the engine does what it is asked.
func (k Kind) Done() bool {
	switch k {
	case Refuse, Fail, Throttle, Hang:
		return false
	}
	return true
}

// Proxy stands in front of one engine. It passes everything until it is told otherwise.
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

// New starts a proxy on 127.0.0.1. What happens to its nth request depends only on the seed, on n and on the rates. It
// stops with the test.
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

// Always are the same rates for every operation.
func Always(r Rates) func(string) Rates { return func(string) Rates { return r } }

// Set says what happens from now on to requests for an operation, such as PutItem; of S3 it is the HTTP method.
func (p *Proxy) Set(rates func(operation string) Rates) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rates = rates
}

// Counts tells how many requests there were, by what happened to them.
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

// service and operation of a request. All but S3 name them.
func target(r *http.Request) (service, operation string) {
	service, operation, named := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !named {
		return "S3", r.Method
	}
	return service, operation
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // the whole request, or a client that gives up is not noticed
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

// forward has the engine do the request, even if the client gives up meanwhile.
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

// answer is what goes back to the client.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// write announces the whole answer, and writes its beginning.
func (a answer) write(w http.ResponseWriter, n int) {
	maps.Copy(w.Header(), a.header)
	w.Header().Del("Transfer-Encoding")
	if w.Header().Get("Content-Length") == "" { // of a HEAD there is a length and no body
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

// throttle says "too much" as the service does.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and, of transactions,
// API_TransactWriteItems.html: the reason stands beside the write; https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html;
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
func throttle(service, operation string) answer {
	switch {
	case service == "S3":
		return xml(503, "SlowDown")
	case service == "AmazonSQS":
		return json(403, "RequestThrottled", "")
	case operation == "TransactWriteItems":
		return json(400, "TransactionCanceledException", `,"CancellationReasons":[{"Code":"None"},{"Code":"ThrottlingError"}]`)
	case strings.HasPrefix(service, "DynamoDB"):
		return json(400, "ProvisionedThroughputExceededException", "")
	}
	return json(400, "ThrottlingException", "")
}

func json(status int, code, more string) answer {
	body := fmt.Appendf(nil, `{"__type":"com.amazonaws#%s","message":"on purpose"%s}`, code, more)
	return answer{status, http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Crc32": {fmt.Sprint(crc32.ChecksumIEEE(body))}, // DynamoDB's clients check it
	}, body}
}

func xml(status int, code string) answer {
	header := http.Header{"Content-Type": {"application/xml"}}
	return answer{status, header, fmt.Appendf(nil, "<Error><Code>%s</Code><Message>on purpose</Message></Error>", code)}
}
