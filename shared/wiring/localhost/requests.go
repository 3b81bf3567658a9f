package localhost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"esignhooks/shared/esign"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// Limits of the requests that are kept.
const (
	maxRequests    = 500
	maxKeptBody    = 64 << 10
	maxKeptHeader  = 64 << 10 // with the query
	maxKeptAnswer  = 4 << 10
	maxKeptEvents  = 100
	maxSmallHeader = 4 << 10  // a request that loses its body for others keeps such a header
	maxKept        = 32 << 20 // of all requests
)

// Request is what became of a vendor's request, without secrets, as the read API lists it.
type Request struct {
	ID          string            `json:"id"`
	ReceivedAt  time.Time         `json:"receivedAt"`
	Provider    string            `json:"provider"`
	Method      string            `json:"method"`
	Status      int               `json:"status"`
	Outcome     receive.Outcome   `json:"outcome"`
	Causes      []webhook.Refusal `json:"causes"` // null if they were not looked for, because of the rate limit
	EventIDs    []string          `json:"eventIds"`
	Type        esign.Type        `json:"type"`  // of the first event, once it is processed
	State       ledger.State      `json:"state"` // of the first event, at present
	VendorType  string            `json:"vendorType"`
	AgreementID string            `json:"agreementId"`
	Proof       esign.Proof       `json:"proof"`
	DurationMS  float64           `json:"durationMs"`
	BodyBytes   int64             `json:"bodyBytes"`
	BodyCut     bool              `json:"bodyCut"` // the body is not kept, or not all of it
	// RedeliveryOf is the ID of the request that the developer has sent again.
	RedeliveryOf string `json:"redeliveryOf,omitempty"`
}

// requests keeps what became of the last requests, in memory.
type requests struct {
	mask    *masker
	process string // begins the IDs of this process
	// seen are called with each request once it is answered. They must not block.
	seen []func(Request)

	mu     sync.Mutex
	kept   []*exchange // the oldest first
	number uint64      // of the last one
	size   int         // of all
}

// exchange is a request and its answer, as they were, with secrets.
type exchange struct {
	number       uint64
	id           string
	redeliveryOf string
	receivedAt   time.Time
	took         time.Duration

	provider, method, host string
	url                    url.URL // path and query
	header                 http.Header
	headerCut              bool // not all of the header and the query is kept
	body                   []byte
	bodyBytes              int64
	bodyCut                bool

	status       int
	answerHeader http.Header
	answer       []byte

	outcome receive.Outcome
	proof   esign.Proof
	causes  []webhook.Refusal
	failure string
	events  []receive.ObservedEvent
}

func newRequests(keys map[string]Keys, now time.Time) *requests {
	return &requests{mask: newMasker(keys), process: strconv.FormatInt(now.UnixMilli(), 36)}
}

// exchangeKey is the context's key of the exchange that a request belongs to.
type exchangeKey struct{}

// observe implements Observe of [receive.Receiver].
func (q *requests) observe(ctx context.Context, _ *webhook.Request, _ *webhook.Response, o receive.Observation) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return
	}
	x.outcome, x.proof, x.causes = o.Outcome, o.Proof, o.Causes
	if o.Err != nil {
		x.failure = strings.Clone(o.Err.Error())
	}
	// strings are cloned, since they may be parts of the body
	for _, e := range o.Events[:min(len(o.Events), maxKeptEvents)] {
		e.EventID, e.Subject, e.AgreementID = strings.Clone(e.EventID), strings.Clone(e.Subject), strings.Clone(e.AgreementID)
		e.VendorType, e.Via, e.FormerIDs = strings.Clone(e.VendorType), strings.Clone(e.Via), nil
		x.events = append(x.events, e)
	}
}

// serve serves a request of a provider and records it, also if the handler does not reach the receiver.
func (q *requests) serve(w http.ResponseWriter, r *http.Request, provider string, handler http.Handler) {
	start := time.Now()
	x := &exchange{
		receivedAt: start.UTC(), provider: provider, method: r.Method, host: r.Host, header: r.Header,
		url: url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}, causes: []webhook.Refusal{},
	}
	if again, ok := r.Context().Value(resentKey{}).(*resent); ok {
		x.redeliveryOf, *again.as = again.of, x
	}
	body := &keptBody{ReadCloser: r.Body, limit: maxKeptBody + q.mask.reach}
	if n := min(r.ContentLength, int64(body.limit)); n > 0 {
		body.kept = make([]byte, 0, n)
	}
	answer := &keptAnswer{ResponseWriter: w}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	r.Body = body
	handler.ServeHTTP(answer, r)
	io.CopyN(io.Discard, body, int64(body.limit)+1) // what the handler has not read
	x.took = time.Since(start)
	x.status, x.answer = cmp.Or(answer.status, http.StatusOK), answer.kept
	x.answerHeader = answer.Header().Clone()
	x.body, x.bodyBytes = body.kept, max(body.read, r.ContentLength)
	if x.bodyCut = x.bodyBytes > int64(len(x.body)) || len(x.body) > maxKeptBody; x.bodyCut {
		x.body = x.body[:q.mask.cut(x.body, maxKeptBody)]
	}
	if cap(x.body) > len(x.body) {
		x.body = bytes.Clone(x.body)
	}
	if x.outcome == "" { // the receiver has not seen it, or it panicked
		x.outcome = receive.Refused
		if x.status >= http.StatusInternalServerError {
			x.outcome = receive.Unavailable
		}
	}
	q.add(x)
}

// resent is in the context of a request that the gateway has made itself.
type resent struct {
	of string     // the ID of the request that it repeats
	as **exchange // its own
}

type resentKey struct{}

// keptBody keeps the beginning of a body.
type keptBody struct {
	io.ReadCloser
	kept  []byte
	limit int
	read  int64
}

func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.kept = append(b.kept, p[:min(n, b.limit-len(b.kept))]...)
	b.read += int64(n)
	return n, err
}

// keptAnswer keeps the beginning of an answer.
type keptAnswer struct {
	http.ResponseWriter
	status int
	kept   []byte
}

func (a *keptAnswer) WriteHeader(status int) {
	a.status = cmp.Or(a.status, status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *keptAnswer) Write(p []byte) (int, error) {
	a.kept = append(a.kept, p[:min(len(p), maxKeptAnswer-len(a.kept))]...)
	return a.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (a *keptAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (q *requests) add(x *exchange) {
	x.limitHeader()
	q.mu.Lock()
	q.number++
	x.number = q.number
	x.id = fmt.Sprintf("%s-%d", q.process, x.number)
	q.kept = append(q.kept, x)
	q.size += x.size()
	if len(q.kept) > maxRequests {
		q.size -= q.kept[0].size()
		q.kept = slices.Delete(q.kept, 0, 1)
	}
	q.drop()
	q.mu.Unlock()
	if len(q.seen) == 0 {
		return
	}
	shown := q.list(x)
	for _, seen := range q.seen {
		seen(shown)
	}
}

// drop drops the bodies and the large headers of the oldest requests, until all have at most maxKept bytes. The newest
// request loses nothing.
func (q *requests) drop() {
	for i := 0; q.size > maxKept && i < len(q.kept)-1; i++ {
		smaller := *q.kept[i] // who reads the old one still does
		smaller.bodyCut, smaller.body = smaller.bodyCut || len(smaller.body) > 0, nil
		if headerSize(smaller.header)+len(smaller.url.RawQuery) > maxSmallHeader {
			smaller.headerCut, smaller.header, smaller.url = true, nil, url.URL{}
		}
		q.size += smaller.size() - q.kept[i].size()
		q.kept[i] = &smaller
	}
}

// limitHeader keeps at most maxKeptHeader bytes of header and URL. It cuts no value, which could end within a secret.
func (x *exchange) limitHeader() {
	left := maxKeptHeader - len(x.url.RawQuery) - len(x.url.Path) - len(x.host) - len(x.method)
	if left < 0 {
		x.headerCut, x.url, x.host, left = true, url.URL{}, "", maxKeptHeader
		if len(x.method) > 20 {
			x.method = "?"
		}
	}
	if headerSize(x.header) <= left {
		return
	}
	kept := http.Header{}
	for name, values := range x.header {
		if n := headerSize(http.Header{name: values}); n <= left {
			left -= n
			for _, value := range values { // cloned: they are parts of one text
				kept[name] = append(kept[name], strings.Clone(value))
			}
		}
	}
	x.headerCut, x.header = true, kept
}

func headerSize(h http.Header) (n int) {
	for name, values := range h {
		n += len(name)
		for _, value := range values {
			n += len(value) + 16
		}
	}
	return n
}

// size is how much memory an exchange takes.
func (x *exchange) size() int {
	const fixed, event = 1 << 10, 1 << 10
	return fixed + len(x.body) + headerSize(x.header) + len(x.url.RawQuery) + 2*len(x.url.Path) +
		len(x.answer) + headerSize(x.answerHeader) + event*len(x.events)
}

// newest returns the kept requests before a number, or all if it is 0, the newest first.
func (q *requests) newest(before uint64) (found []*exchange) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, x := range slices.Backward(q.kept) {
		if before == 0 || x.number < before {
			found = append(found, x)
		}
	}
	return found
}

// numberOf returns the number of a request of this process.
func (q *requests) numberOf(id string) (uint64, error) {
	number, ok := strings.CutPrefix(id, q.process+"-")
	if !ok {
		return 0, errAfter
	}
	return strconv.ParseUint(number, 10, 64)
}

// find returns a kept request.
func (q *requests) find(id string) (*exchange, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.kept, func(x *exchange) bool { return x.id == id })
	if i < 0 {
		return nil, false
	}
	return q.kept[i], true
}

// forget counts the kept requests about a subject. If remove is set, it removes them.
func (q *requests) forget(subject string, remove bool) (found int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	about := func(x *exchange) bool {
		return slices.ContainsFunc(x.events, func(e receive.ObservedEvent) bool { return e.Subject == subject })
	}
	for _, x := range q.kept {
		if about(x) {
			found++
			if remove {
				q.size -= x.size()
			}
		}
	}
	if remove {
		q.kept = slices.DeleteFunc(q.kept, about)
	}
	return found
}

// list returns the request as it is listed.
func (q *requests) list(x *exchange) Request {
	r := Request{
		ID: x.id, ReceivedAt: x.receivedAt, Provider: x.provider, Method: webhook.Label(q.mask.mask(x.method)),
		Status: x.status, Outcome: x.outcome, Causes: q.mask.refusals(x.causes), EventIDs: []string{}, Proof: x.proof,
		DurationMS: float64(x.took.Microseconds()) / 1000, BodyBytes: x.bodyBytes, BodyCut: x.bodyCut,
		RedeliveryOf: x.redeliveryOf,
	}
	for i, e := range x.events {
		r.EventIDs = append(r.EventIDs, e.EventID)
		if i == 0 {
			r.VendorType, r.AgreementID = q.mask.mask(e.VendorType), q.mask.mask(e.AgreementID)
		}
	}
	return r
}

// text returns a body without secrets. One that is not text is in base64.
func (q *requests) text(body []byte, cut bool) (text string, binary bool) {
	if cut { // it may end within a character
		for i := 1; i < utf8.UTFMax && i <= len(body) && !utf8.Valid(body); i++ {
			if utf8.Valid(body[:len(body)-i]) {
				body = body[:len(body)-i]
			}
		}
	}
	text = q.mask.mask(string(body))
	if utf8.Valid(body) {
		return text, false
	}
	return base64.StdEncoding.EncodeToString([]byte(text)), true
}
