package vendorapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is a response other than 2xx.
type Refusal struct {
	Status int
	Header http.Header
	Body   []byte // bounded
}

// JSON decodes the body into v as far as possible.
func (r *Refusal) JSON(v any) { json.Unmarshal(r.Body, v) }

// refusal turns a response other than 2xx into an error: the vendor's own meaning if Explain knows it, else that of the
// status.
func (h *HTTP) refusal(response *http.Response) error {
	body, _ := io.ReadAll(response.Body) // from memory
	r := &Refusal{response.StatusCode, response.Header, body}
	if h.Explain != nil {
		if err := h.Explain(r); err != nil {
			return err
		}
	}
	return h.meaning(r)
}

// meaning returns the error for an HTTP status, unless the vendor documents another meaning.
func (h *HTTP) meaning(r *Refusal) error {
	after, kind := h.retryAfterHeader(r.Header), error(nil)
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

// retryAfterHeader returns the value of Retry-After, at most a day. It returns 0 without the header.
//
// SPEC: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after: seconds, or a date.
func (h *HTTP) retryAfterHeader(header http.Header) time.Duration {
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
