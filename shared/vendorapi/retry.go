package vendorapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// The limits of one call.
const (
	maxAttempts  = 4
	maxWait      = 10 * time.Second // a vendor that asks for more ends the call with a [LaterError]
	firstBackoff = time.Second      // backoff is random, up to this, and the bound doubles with each attempt
)

// do sends a request until it succeeds, is refused for good, or has used up its attempts.
func (h *HTTP) do(ctx context.Context, c call) (*http.Response, error) {
	renewed := false
	for attempt := 1; ; attempt++ {
		request, err := h.authorized(ctx, c)
		if err != nil {
			return nil, err
		}
		response, err := h.send(request, c)
		if err == nil && succeeded(response) {
			return response, nil
		}
		backoff, retry := rand.N(firstBackoff<<(attempt-1)), false
		if err != nil {
			retry, err = retryable(c.Method, err), withoutSecrets(err)
		} else if err = h.refusal(response); !renewed && h.renews(ctx, request, response) {
			retry, renewed, backoff = true, true, 0
		} else {
			after := time.Duration(0)
			after, retry = retryAfter(c.Method, response.StatusCode, err)
			backoff += after
		}
		if !retry || attempt == maxAttempts || sleep(ctx, backoff) != nil {
			return nil, err
		}
	}
}

// renews reports whether the vendor rejected the credentials of a request, and the next attempt will have others.
func (h *HTTP) renews(ctx context.Context, request *http.Request, response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized && h.Rejected != nil && h.Rejected(ctx, request.Header)
}

// retryable reports whether a request without a response may be sent again. A POST may be only if no connection was
// made.
func retryable(method string, err error) bool {
	var failed *net.OpError
	return method != http.MethodPost && !errors.Is(err, errRedirect) || errors.As(err, &failed) && failed.Op == "dial"
}

// retryAfter reports whether a refused request may be sent again, and the least time to wait before that.
func retryAfter(method string, status int, refusal error) (after time.Duration, ok bool) {
	var later *LaterError
	if errors.As(refusal, &later) {
		return later.After, later.After <= maxWait && (method != http.MethodPost || status < 500)
	}
	return 0, method != http.MethodPost && (status >= 500 || status == http.StatusRequestTimeout)
}

// sleep waits for d, or returns the error of a context that ends earlier.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return ctx.Err()
	}
}
