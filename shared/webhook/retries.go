package webhook

import "time"

// Retries is how a vendor retries a request that was not acknowledged.
type Retries struct {
	Pauses []time.Duration // before each retry; after the last one the vendor gives up
	// InOrder reports that later requests wait while one is retried. If the vendor gives it up, they are lost too.
	InOrder bool
	// MaxFailures in a row, of any requests, make the vendor stop for good. Zero means that there is no such limit.
	MaxFailures int
}

// Retrier is a [Provider] that knows how its vendor retries.
type Retrier interface {
	Retries() Retries
	// Acknowledges reports whether the vendor takes the answer for an acknowledgement, and so stops sending the request.
	Acknowledges(*Request, *Response) bool
}

// Successful reports whether the status is one of success, from 200 to 299.
func (r *Response) Successful() bool { return r.Status/100 == 2 }
