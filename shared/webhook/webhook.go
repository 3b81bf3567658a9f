// Package webhook holds what every provider and every step of the pipeline share: the request, the answer, the keys,
// the delivery that a verified request becomes, and the contract of a [Provider]. It does no I/O.
package webhook

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"esignhooks/shared/esign"
)

// The errors of a [Provider]. They say what the caller does; wrap them with detail, but with no secret, no header value
// and no part of the body, since the detail is logged.
var (
	// ErrNotGenuine: the request is not proved to come from the vendor. Answer 401 and keep nothing.
	ErrNotGenuine = errors.New("not genuine")
	// ErrNoKey: nothing is configured to prove the request with. Answer as for ErrNotGenuine: never fail open.
	ErrNoKey = errors.New("no key configured")
	// ErrUnreadable: the request is genuine, but cannot be understood. Keep it, acknowledge it, set it aside.
	ErrUnreadable = errors.New("unreadable")
	// ErrNoChallenge: the request is not a challenge. Go on with Verify for a POST, and answer a GET with 405.
	ErrNoChallenge = errors.New("no challenge")
)

// MaxBody is the size of a body, in bytes, above which a request is answered 413. Lambda sets a lower limit.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html: API Gateway takes 10 MB.
const MaxBody = 10 << 20

// Request is what came over HTTP. Nothing in it is verified yet.
type Request struct {
	Method string
	Header http.Header // canonical names, all values
	Query  url.Values  // decoded, all values
	Body   []byte      // the bytes that the vendor sent, never re-encoded
	// URLToken is the last segment of /webhooks/<provider>/{token}; empty if there was none.
	URLToken string
	// TokenMatched says that URLToken is one of the configured tokens. Set by the receiver before Verify.
	TokenMatched bool
	// Trace is the AWS X-Ray trace header of the invocation; empty outside Lambda.
	Trace string
}

// KeepContentType removes a Content-Type that a [Delivery] does not carry through the queue. What it would make of the
// body must not be verified, since the worker reads without it.
func (r *Request) KeepContentType() {
	if !CarriesContentType(r.Header.Get("Content-Type")) {
		r.Header.Del("Content-Type")
	}
}

// CarriesContentType says whether a message of the queue carries this Content-Type: printable ASCII of up to 256 bytes.
func CarriesContentType(s string) bool {
	return len(s) <= 256 && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c > 0x7e })
}

// Response is the answer to a Request.
type Response struct {
	Status int
	Header http.Header // may be nil
	Body   []byte
}

// Identity is one happening that a request tells of, as far as the receiver must know it.
type Identity struct {
	EventID     string // see [EventID]
	Subject     string // see [AgreementSubject] and [Subject]
	AgreementID string // see [AgreementID]; empty if the subject is not an agreement
	VendorType  string // see [Label]
	OccurredAt  time.Time
	// Via names the vendor's subscription that this copy came through, so that an operator sees why an event comes more
	// than once. See [Label]. It is no part of the identity and may be empty.
	Via string
}

// Delivery is one verified request on its way through the queue: the raw payload, untouched, and one identity.
type Delivery struct {
	Provider    string
	EventID     string
	Subject     string
	Via         string
	ReceivedAt  time.Time
	Proof       esign.Proof
	ContentType string // of the payload, as sent; some formats cannot be read without
	Payload     []byte
	Trace       string
}

// Request returns the part of the original request that Identify reads, to identify a delivery anew.
func (d *Delivery) Request() *Request {
	header := http.Header{}
	if d.ContentType != "" {
		header.Set("Content-Type", d.ContentType)
	}
	return &Request{Method: http.MethodPost, Header: header, Body: d.Payload}
}

// Info is what the pipeline needs to know about a provider beside its methods.
type Info struct {
	// Name is the one word for the provider: package, folder of events, URL segment, key prefix, log field.
	Name string
	// Resource is Name in CamelCase. It is the parameter of template.yaml that enables the vendor, and the prefix of the
	// vendor's resources there. It must never change: CloudFormation would replace the resources.
	Resource string
	// Disabled reports that a stack without that parameter has no resources of this vendor.
	Disabled bool
	// Title is the product's name.
	Title string
	// KeysVariable names the environment variable with the comma-separated keys on localhost.
	KeysVariable string
	// DevelopmentKey is the well-known key of localhost and of `sam local`. It proves nothing.
	DevelopmentKey string
	// SignsAll says that the vendor's signature covers the whole body, always. Otherwise the URL should hold a secret token.
	SignsAll bool
	// Allow lists the methods that the vendor uses, as the Allow header does.
	Allow string
	// Registration says where the URL is registered at the vendor and what to set there, in the vendor's own words and in
	// short lines.
	Registration []string
}

// TokensVariable names the environment variable with the comma-separated URL tokens on localhost.
func (i Info) TokensVariable() string { return strings.ToUpper(i.Name) + "_URL_TOKENS" }

// APIVariable names the environment variable with the credentials of the vendor's API on localhost.
func (i Info) APIVariable() string { return strings.ToUpper(i.Name) + "_API" }

// Find returns the provider with this name.
func Find(providers []Provider, name string) (Provider, bool) {
	for _, p := range providers {
		if p.Info().Name == name {
			return p, true
		}
	}
	return nil, false
}

// Provider is one e-signature vendor's protocol, and nothing else: no I/O, no clock, no environment. Its methods may be
// called at the same time, and must not change the request or the delivery.
type Provider interface {
	Info() Info

	// Challenge answers the vendor's verification of the URL. It is called first, with every GET and POST, also while no
	// key is configured: some vendors verify the URL before they show the key. The answer must give nothing away.
	// It returns ErrNoChallenge for any other request, ErrNotGenuine or ErrNoKey for a challenge that must be refused.
	Challenge(*Request, Keys) (*Response, error)

	// Verify says how much of a POST is proved to come from the vendor under any of the keys, comparing in constant time.
	// It returns ErrNotGenuine or ErrNoKey otherwise.
	Verify(*Request, Keys) (esign.Proof, error)

	// Identify tells the events that a genuine POST holds, one or several. It returns ErrUnreadable for a body that it
	// cannot read. It may read the body, the method and the Content-Type, all that a [Delivery] keeps; other headers
	// only for Via.
	Identify(*Request) ([]Identity, error)

	// Normalize says what a delivery means. It sets Type, VendorType, AgreementID, AccountID, OccurredAt (zero if the vendor
	// tells no time), Approximate, Participant, Participants and Attributes; the rest is the delivery's and set by the
	// caller. A request with several events is told apart by the delivery's EventID. It returns ErrUnreadable for a
	// payload that it cannot read.
	Normalize(*Delivery) (esign.Event, error)

	// Acknowledge makes the answer that the vendor takes for "received, do not send again", to a genuine POST.
	Acknowledge(*Request) *Response

	// Sign makes r, an example, genuine under the key, as the vendor would at the given time. The Header of r is not nil.
	// It is for tests and for sending requests to oneself.
	Sign(r *Request, key Secret, at time.Time) error
}

// RefusesAll says whether the provider can find no request genuine with these keys: then somebody has to be told.
func RefusesAll(p Provider, keys Keys) bool {
	_, err := p.Verify(&Request{Method: http.MethodPost, TokenMatched: len(keys.URLTokens) > 0}, keys)
	return errors.Is(err, ErrNoKey)
}
