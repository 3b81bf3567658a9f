package vendorapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The limits of one call. A vendor that wants us to wait for longer than maxWait gets a [LaterError] for an answer.
const (
	attempts     = 4
	maxWait      = 10 * time.Second
	callDeadline = 30 * time.Second  // of an attempt, with its answer
	openDeadline = 240 * time.Second // of a download
	maxAnswer    = 8 << 20           // bytes of an answer that is not a document
	firstPause   = time.Second       // pauses are random, up to this and twice as long each time
)

// errRedirect: the answer leads to where we do not go.
var errRedirect = errors.New("vendorapi: redirected too often, to another scheme, or with what is not a GET")

// NewHTTPClient makes the client that all of a process's vendor clients share.
func NewHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = 5 * time.Second
	transport.ResponseHeaderTimeout = callDeadline
	return &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= 5 || r.URL.Scheme != via[0].URL.Scheme || via[0].Method != http.MethodGet {
			return errRedirect
		}
		r.Header.Del("Referer") // a link may be all that it takes
		return nil              // net/http keeps Authorization from other hosts
	}}
}

// HTTP makes the requests of one client.
type HTTP struct {
	Client *http.Client
	// Authorize adds the credentials. It is called before every attempt, and its error ends the call; nil adds none.
	Authorize func(context.Context, *http.Request) error
	// Rejected is told that the vendor has answered 401 to a request with these headers, once in a call. It says whether it is
	// worth another attempt, since Authorize will add other credentials; nil says no.
	Rejected func(context.Context, http.Header) bool
	// Explain says what an answer other than 2xx means; nil, or a nil error, leaves it to the status.
	Explain func(*Refusal) error
	Now     func() time.Time
}

// Answer is where [HTTP.Call] puts the answer for who needs its header too. JSON is what the body is decoded into; nil for
// nothing.
type Answer struct {
	Header http.Header
	JSON   any
}

// Refusal is an answer other than 2xx.
type Refusal struct {
	Status int
	Header http.Header
	Body   []byte // bounded
}

// JSON decodes the body into v, as far as it can be.
func (r *Refusal) JSON(v any) { json.Unmarshal(r.Body, v) }

// call is one request, however often it is made.
type call struct {
	method, address string
	header          http.Header
	body            []byte
	deadline        time.Duration // of an attempt
	download        bool          // the answer is left to the caller to read
}

// Call makes a request and decodes the answer's JSON into out, unless that is nil. in is sent as JSON; as a form if it is
// [url.Values]; as it is if it is bytes, of which header says what they are; nothing if it is nil. Call repeats what
// failed and may be repeated: all but POST, and a POST that was certainly not carried out. header may be nil. out may be
// an [Answer].
func (h *HTTP) Call(ctx context.Context, method, address string, header http.Header, in, out any) error {
	c := call{method: method, address: address, header: http.Header{"Accept": {"application/json"}}, deadline: callDeadline}
	switch in := in.(type) {
	case nil:
	case url.Values:
		c.body = []byte(in.Encode())
		c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	case []byte:
		c.body = in
	default:
		var err error
		if c.body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("vendorapi: request: %w", err)
		}
		c.header.Set("Content-Type", "application/json")
	}
	response, err := h.do(ctx, c.with(header))
	if err != nil {
		return err
	}
	if both, ok := out.(*Answer); ok {
		both.Header, out = response.Header, both.JSON
	}
	if out == nil {
		return nil
	}
	answer, _ := io.ReadAll(response.Body) // from memory
	if err := json.Unmarshal(answer, out); err != nil {
		return errors.New("vendorapi: the answer is too large, or not the JSON that it should be") // err may quote it
	}
	return nil
}

// Open begins a download.
func (h *HTTP) Open(ctx context.Context, address string, header http.Header) (Content, error) {
	c := call{method: http.MethodGet, address: address, header: http.Header{}, deadline: openDeadline, download: true}
	response, err := h.do(ctx, c.with(header))
	if err != nil {
		return Content{}, err
	}
	return Content{ReadCloser: response.Body, Size: response.ContentLength, Type: response.Header.Get("Content-Type")}, nil
}

func (c call) with(header http.Header) call {
	for name, values := range header {
		c.header[http.CanonicalHeaderKey(name)] = values
	}
	c.header.Set("User-Agent", "esignhooks")
	return c
}

// do makes a request until it is answered 2xx, the answer is final, or it was made often enough.
func (h *HTTP) do(ctx context.Context, c call) (*http.Response, error) {
	renewed := false
	for attempt := 1; ; attempt++ {
		request, err := h.request(ctx, c)
		if err != nil {
			return nil, err
		}
		response, err := h.send(request, c)
		if err == nil && response.StatusCode/100 == 2 {
			return response, nil
		}
		pause, again := rand.N(firstPause<<(attempt-1)), false
		if err != nil {
			again = repeatable(c.method, err)
			err = plain(err)
		} else {
			err = h.refused(response)
			var later *LaterError
			switch status := response.StatusCode; {
			case status == http.StatusUnauthorized && !renewed && h.Rejected != nil && h.Rejected(ctx, request.Header):
				again, renewed, pause = true, true, 0
			case errors.As(err, &later):
				again = later.After <= maxWait && (c.method != http.MethodPost || status < 500)
				pause += later.After
			default:
				again = c.method != http.MethodPost && (status >= 500 || status == http.StatusRequestTimeout)
			}
		}
		if !again || attempt == attempts || sleep(ctx, pause) != nil {
			return nil, err
		}
	}
}

func (h *HTTP) request(ctx context.Context, c call) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, c.address, bytes.NewReader(c.body))
	if err != nil {
		return nil, errors.New("vendorapi: not a URL") // err quotes it
	}
	request.Header = c.header.Clone()
	if h.Authorize != nil {
		err = h.Authorize(ctx, request)
	}
	return request, err
}

// send makes one attempt. It reads the whole answer, but not a download, whose body holds the deadline.
func (h *HTTP) send(request *http.Request, c call) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), c.deadline)
	response, err := h.Client.Do(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	whole := response.StatusCode/100 == 2
	if whole && c.download {
		response.Body = &download{response.Body, cancel}
		return response, nil
	}
	defer cancel()
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil && whole {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// download ends its deadline when it is closed.
type download struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (d *download) Close() error {
	defer d.cancel()
	return d.ReadCloser.Close()
}

// repeatable says whether a request may be made again that was not answered: not a POST, unless no connection came about.
func repeatable(method string, err error) bool {
	var failed *net.OpError
	return method != http.MethodPost && !errors.Is(err, errRedirect) || errors.As(err, &failed) && failed.Op == "dial"
}

// refused says what an answer other than 2xx means.
func (h *HTTP) refused(response *http.Response) error {
	body, _ := io.ReadAll(response.Body) // from memory
	r := &Refusal{response.StatusCode, response.Header, body}
	if h.Explain != nil {
		if err := h.Explain(r); err != nil {
			return err
		}
	}
	return h.meaning(r)
}

// meaning is what a status means where the vendor's documents say nothing else.
func (h *HTTP) meaning(r *Refusal) error {
	after, kind := h.after(r.Header), error(nil)
	switch {
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		kind = ErrDenied
	case r.Status == http.StatusNotFound || r.Status == http.StatusGone:
		kind = ErrUnknown
	case r.Status == http.StatusTooManyRequests:
		return &LaterError{cmp.Or(after, time.Minute)}
	case r.Status == http.StatusServiceUnavailable && after > 0:
		return &LaterError{after}
	case r.Status/100 == 4 && r.Status != http.StatusRequestTimeout:
		kind = ErrInvalid
	default:
		return fmt.Errorf("vendorapi: answered %d", r.Status)
	}
	return fmt.Errorf("%w: answered %d", kind, r.Status)
}

// after reads Retry-After, and takes a day at most.
//
// SPEC: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after: seconds, or a date.
func (h *HTTP) after(header http.Header) time.Duration {
	const day = 24 * time.Hour
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, day)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(h.Now()), 0), day)
	}
	return 0
}

// sleep waits, and returns an error if the context ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return ctx.Err()
	}
}

// plain leaves of an error of net/http what quotes neither the URL nor the answer: either may hold a secret.
func plain(err error) error {
	var network net.Error // *url.Error is one too
	var certificate *tls.CertificateVerificationError
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	switch {
	case errors.As(err, &network):
		err = network
	case errors.As(err, &certificate):
		err = certificate
	case errors.Is(err, errRedirect):
		return errRedirect
	case errors.Is(err, context.Canceled):
		err = context.Canceled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = io.ErrUnexpectedEOF
	default:
		return errors.New("vendorapi: the connection failed")
	}
	return fmt.Errorf("vendorapi: no answer, or not all of it: %w", err)
}
