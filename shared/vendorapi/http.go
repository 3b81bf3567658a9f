package vendorapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// The limits of one attempt.
const (
	callTimeout     = 30 * time.Second  // including the whole response
	DownloadTimeout = 240 * time.Second // of a download, including its content
	maxResponse     = 8 << 20           // bytes of a response that is not a download
)

// ErrResponse means that a response cannot be read. Asking for less may help.
var ErrResponse = errors.New("vendorapi: the response is too large, or not the expected JSON")

// HTTP sends the requests of one vendor client. It authorizes them, retries them within limits and decodes the
// responses.
type HTTP struct {
	Client *http.Client
	// Authorize adds the credentials. It is called before every attempt, and its error ends the call. Nil adds none.
	Authorize func(context.Context, *http.Request) error
	// Rejected is called after the vendor answered 401 to a request with these headers, at most once per call. It reports
	// whether Authorize will now add other credentials, so that another attempt is worthwhile. Nil means no.
	Rejected func(context.Context, http.Header) bool
	// Explain interprets a response other than 2xx. If it is nil or returns nil, the HTTP status decides.
	Explain func(*Refusal) error
	Now     func() time.Time
}

// Request is a request to a vendor's API.
type Request struct {
	Method string
	URL    string
	Header http.Header // may be nil; its values replace the defaults
	JSON   any         // the body, if it is not nil
	Body   []byte      // the body otherwise; Header must name its type
}

// Get requests a URL and decodes the JSON response into out.
func (h *HTTP) Get(ctx context.Context, url string, out any) error {
	_, err := h.Do(ctx, Request{Method: http.MethodGet, URL: url}, out)
	return err
}

// Do sends a request, decodes the JSON response into out unless that is nil, and returns the response's header.
//
// It retries what failed and is safe to retry: every method but POST, and a POST that was certainly not carried out.
func (h *HTTP) Do(ctx context.Context, r Request, out any) (http.Header, error) {
	c, err := r.call()
	if err != nil {
		return nil, err
	}
	response, err := h.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if out == nil {
		return response.Header, nil
	}
	body, _ := io.ReadAll(response.Body) // from memory
	if err := json.Unmarshal(body, out); err != nil {
		return nil, ErrResponse // err may quote it
	}
	return response.Header, nil
}

// Open starts a download. It is retried like a call until the response begins.
func (h *HTTP) Open(ctx context.Context, url string, header http.Header) (Content, error) {
	r := Request{Method: http.MethodGet, URL: url, Header: header}
	response, err := h.do(ctx, call{Request: r, header: r.headers(http.Header{}), timeout: DownloadTimeout, download: true})
	if err != nil {
		return Content{}, err
	}
	kind := response.Header.Get("Content-Type")
	return Content{ReadCloser: response.Body, Size: response.ContentLength, Type: kind}, nil
}

// call is a request that is ready to be sent, once or several times.
type call struct {
	Request
	header   http.Header // complete, except for the credentials
	body     []byte
	timeout  time.Duration // of one attempt
	download bool          // the caller reads the body of the response
}

// call encodes the body and adds the default headers.
func (r Request) call() (call, error) {
	defaults, body := http.Header{"Accept": {"application/json"}}, r.Body
	if r.JSON != nil {
		encoded, err := json.Marshal(r.JSON)
		if err != nil {
			return call{}, fmt.Errorf("vendorapi: request: %w", err)
		}
		defaults.Set("Content-Type", "application/json")
		body = encoded
	}
	return call{Request: r, header: r.headers(defaults), body: body, timeout: callTimeout}, nil
}

// headers adds the request's own headers to the defaults.
func (r Request) headers(defaults http.Header) http.Header {
	for name, values := range r.Header {
		defaults[http.CanonicalHeaderKey(name)] = values
	}
	defaults.Set("User-Agent", "esignhooks")
	return defaults
}

// authorized builds a request with the credentials.
func (h *HTTP) authorized(ctx context.Context, c call) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.Method, c.URL, bytes.NewReader(c.body))
	if err != nil {
		return nil, errors.New("vendorapi: not a URL") // err quotes it
	}
	request.Header = c.header.Clone()
	if h.Authorize != nil {
		err = h.Authorize(ctx, request)
	}
	return request, err
}

// send makes one attempt. It reads the whole response into memory, except a download, whose body ends the timeout when
// it is closed.
func (h *HTTP) send(request *http.Request, c call) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), c.timeout)
	response, err := h.Client.Do(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	if c.download && succeeded(response) {
		response.Body = &download{response.Body, cancel}
		return response, nil
	}
	defer cancel()
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil && succeeded(response) {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func succeeded(response *http.Response) bool { return response.StatusCode/100 == 2 }

// download ends its timeout when it is closed.
type download struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (d *download) Close() error {
	defer d.cancel()
	return d.ReadCloser.Close()
}
