// Package webhook defines what all providers and all steps of the pipeline share: the request, the answer, the keys,
// the delivery that a verified request becomes, and the contract of a [Provider]. It does no I/O.
package webhook

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
)

// The errors of a [Provider]. Each one says what the caller does next. Wrap them with details, which are logged: no
// secret, no header value and no part of the body.
var (
	// ErrNotGenuine means that nothing proves that the vendor sent the request. Answer 401 and store nothing.
	ErrNotGenuine = errors.New("not genuine")
	// ErrNoKey means that no key is configured. Answer as for ErrNotGenuine: never fail open.
	ErrNoKey = errors.New("no key configured")
	// ErrUnreadable means that the request is genuine, but cannot be parsed. Store it, acknowledge it, set it aside.
	ErrUnreadable = errors.New("unreadable")
	// ErrNoChallenge means that the request is not a challenge. Verify a POST, and answer a GET with 405.
	ErrNoChallenge = errors.New("no challenge")
)

// MaxBody is the largest accepted body, in bytes. A larger one is answered with 413. Lambda has a lower limit.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html: API Gateway takes 10 MB.
const MaxBody = 10 << 20

// Request is an HTTP request of a vendor. Nothing in it is verified yet.
type Request struct {
	Method string
	Header http.Header // canonical names, all values
	Query  url.Values  // decoded, all values
	Body   []byte      // the bytes that the vendor sent, never re-encoded
	// URLToken is the last segment of /webhooks/<provider>/{token}; empty if there was none.
	URLToken string
	// TokenMatched reports that URLToken is one of the configured tokens. The receiver sets it before Verify.
	TokenMatched bool
	// Domain is the host name by which the request came, and ClientSubject the subject of the client certificate that was
	// verified there; empty if there was none. API Gateway sets them. See [ClientCertificates].
	Domain, ClientSubject string
	// Trace is the AWS X-Ray trace header of the invocation; empty outside Lambda.
	Trace string
}

// LimitContentType drops a Content-Type that the queue cannot carry. It must be called before the request is verified:
// the worker parses the body without that header, so the receiver must do the same.
func (r *Request) LimitContentType() {
	if !CarriesContentType(r.Header.Get("Content-Type")) {
		r.Header.Del("Content-Type")
	}
}

// CarriesContentType reports whether the queue can carry this Content-Type: at most 256 bytes of printable ASCII.
func CarriesContentType(s string) bool {
	return len(s) <= 256 && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c > 0x7e })
}

// Response is the answer to a Request.
type Response struct {
	Status int
	Header http.Header // may be nil
	Body   []byte
}

// Identity identifies one event of a request. It is all that the receiver knows about the event.
type Identity struct {
	EventID     string // see [EventID]
	Subject     string // see [AgreementSubject] and [Subject]
	AgreementID string // see [AgreementID]; empty if the subject is not an agreement
	VendorType  string // see [Label]
	OccurredAt  time.Time
	Approximate bool `json:",omitempty"` // OccurredAt is not the time of the event itself
	// Via names the vendor's subscription that delivered this copy, see [Label]. It shows an operator why an event is
	// delivered more than once. It does not identify the event, and may be empty.
	Via string
	// FormerIDs are what earlier releases called the same event. Only the worker looks them up: an event that is already
	// processed under one of them must not have an effect again. Normalize must also accept a former ID, since messages
	// and dead letters of an earlier release are processed under the ID that they carry.
	FormerIDs []FormerID `json:",omitempty"`
}

// ExactTime returns the time of the event; zero if the request does not state it.
func (i Identity) ExactTime() time.Time {
	if i.Approximate {
		return time.Time{}
	}
	return i.OccurredAt
}

// FormerID is the event ID that an earlier release gave an event. That release must have given the event the same
// subject: the worker looks up former IDs within the event's subject only.
type FormerID struct {
	ID string // as EventID
	// OccurredAt is set if the earlier release gave several events this ID: it then belongs to the event of that time.
	// It must be the time that the earlier release's Normalize returned.
	OccurredAt time.Time `json:",omitzero"`
}

// Fits reports whether this may be the former ID of an event of the given time.
func (f FormerID) Fits(occurredAt time.Time) bool {
	return f.OccurredAt.IsZero() || f.OccurredAt.Equal(occurredAt)
}

// Delivery is one event of a verified request on its way through the queue, with the unchanged payload.
type Delivery struct {
	Provider    string
	EventID     string
	Subject     string
	Via         string
	FormerIDs   []FormerID
	ReceivedAt  time.Time
	Proof       esign.Proof
	ContentType string // of the payload, as sent; some formats cannot be parsed without it
	Payload     []byte
	Trace       string
}

// Request returns the part of the original request that Identify reads, so that a delivery can be identified again.
func (d *Delivery) Request() *Request {
	header := http.Header{}
	if d.ContentType != "" {
		header.Set("Content-Type", d.ContentType)
	}
	return &Request{Method: http.MethodPost, Header: header, Body: d.Payload}
}

// Complete returns the delivery's event with the fields that only the delivery knows, and limits what it states of
// people.
func (d *Delivery) Complete(e esign.Event) esign.Event {
	e.ID, e.Provider, e.Subject, e.ReceivedAt, e.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
	if e.OccurredAt.IsZero() {
		e.OccurredAt, e.Approximate = d.ReceivedAt, true
	}
	return e.Limited()
}

// Info describes a provider.
type Info struct {
	// Name is one lower-case word: the package, the folders of examples and of the function, the URL segment, the prefix
	// of subjects, and the log field.
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
	// SignsAll reports that the vendor's signature always covers the whole body. Otherwise the URL should end in a token.
	SignsAll bool
	// PersonReference is the vendor's name for the sender's own ID of a participant, under which the operator allows it;
	// empty if the vendor has none.
	PersonReference string
	// AnswerWithin is how long the vendor waits for the answer.
	AnswerWithin time.Duration
	// Allow lists the methods that the vendor uses, as the Allow header does.
	Allow string
	// Registration describes, in short lines and in the vendor's words, where to register the URL and what to set there.
	Registration []string
}

// TokensVariable returns the name of the environment variable with the comma-separated URL tokens on localhost.
func (i Info) TokensVariable() string { return strings.ToUpper(i.Name) + "_URL_TOKENS" }

// APIVariable returns the name of the environment variable with the credentials of the vendor's API on localhost.
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

// Names returns the names of the providers, for a message.
func Names(providers []Provider) string {
	var names []string
	for _, p := range providers {
		names = append(names, p.Info().Name)
	}
	return strings.Join(names, ", ")
}

// Provider is the protocol of one e-signature vendor, and nothing else: no I/O, no clock, no environment. Its methods
// may be called concurrently, and must not change the request or the delivery.
type Provider interface {
	Info() Info

	// Challenge answers the vendor's verification of the URL, and returns ErrNoChallenge for any other request. It is
	// called first, with every GET and POST, even if no key is configured: some vendors verify the URL before they show
	// the key. The answer must reveal nothing. A challenge that must be refused returns ErrNotGenuine or ErrNoKey.
	// Check the cheap conditions first: every event passes through it.
	Challenge(*Request, Keys) (*Response, error)

	// Verify returns how well a POST is proved to come from the vendor, under any of the keys. It compares in constant
	// time. Without a proof it returns ErrNotGenuine or ErrNoKey.
	Verify(*Request, Keys) (esign.Proof, error)

	// Identify returns the identities of the events in a genuine POST, at least one. It returns ErrUnreadable if it cannot
	// parse the body. It reads only what a [Delivery] keeps: body, method and Content-Type. Via may come from other
	// headers.
	Identify(*Request) ([]Identity, error)

	// Normalize returns the meaning of a delivery. It sets Type, VendorType, AgreementID, AccountID, OccurredAt (zero if
	// the vendor sends no time), Approximate, Cause, Reason, References, SharedReference, Participant, Participants,
	// Present and Attributes. The caller sets the rest, and drops what the operator does not want: see [esign.Policy]. In
	// a payload with several events, the delivery's EventID selects one. It returns ErrUnreadable if it cannot parse the
	// payload.
	Normalize(*Delivery) (esign.Event, error)

	// Acknowledge returns the answer to a genuine POST that makes the vendor stop sending it.
	Acknowledge(*Request) *Response

	// Explain returns why the provider refuses a POST or a challenge under these keys, the most likely cause first: a code
	// of package refusal, and what to do. It is for the operator, and its work does not depend on what matches.
	Explain(*Request, Keys) []Refusal

	// Resembles reports whether a request looks like one of this vendor, by a header or a word in its body. It proves
	// nothing: it shows an operator that a vendor calls another vendor's URL.
	Resembles(*Request) bool

	// Sign makes an example genuine under the key, as the vendor would at the given time. It is for tests and for samples.
	// The header of r is not nil.
	Sign(r *Request, key Secret, at time.Time) error
}

// Refusal is a possible cause of a refusal, for the operator.
type Refusal struct {
	Code string `json:"code"` // see package refusal
	Hint string `json:"hint"` // a sentence that says what to do; it shows no secret and nothing of the body
}

// Challenger is a [Provider] whose vendor verifies a URL before it sends events there.
type Challenger interface {
	// ChallengeRequest returns such a verification, as the vendor sends it to the owner of the key.
	ChallengeRequest(key Secret) *Request
}

// Mentions reports whether the beginning of a body has one of the words.
func Mentions(body []byte, words ...string) bool {
	const beginning = 64 << 10
	body = body[:min(len(body), beginning)]
	return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(body, []byte(word)) })
}

// RefusesAll reports whether these keys make the provider refuse every request. An operator must know of it.
func RefusesAll(p Provider, keys Keys) bool {
	_, err := p.Verify(&Request{Method: http.MethodPost, TokenMatched: len(keys.URLTokens) > 0}, keys)
	return errors.Is(err, ErrNoKey)
}
