// Package vendorapi is the contract of the clients for the vendors' APIs. There is one package per vendor below it. It
// also holds what they share: requests with timeouts, bounded retries and rate limits, and access tokens that all
// processes share.
package vendorapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/webhook"
)

// The errors of a [Client] say what the caller must do. Their text holds no token, no query of a URL, and of a body
// only the vendor's own error code. [errors.ErrUnsupported] means that the vendor's API cannot do it. Any other error
// is temporary: retry.
var (
	// ErrNotReady means that the vendor is still preparing it, or was asked for it too often. Retry after the [Client]'s
	// Pause.
	ErrNotReady = errors.New("vendorapi: not ready yet")
	// ErrUnknown means that the vendor has no such agreement, or no longer has it.
	ErrUnknown = errors.New("vendorapi: unknown to the vendor")
	// ErrDenied means that the vendor does not accept our credentials, or they lack a permission. An operator must act.
	ErrDenied = errors.New("vendorapi: denied: the credentials are wrong or lack a permission")
	// ErrInvalid means that the vendor refuses the request for good. Do not retry.
	ErrInvalid = errors.New("vendorapi: refused by the vendor")
)

// LaterError reports that the vendor's rate limit is exhausted. Make no call before After has passed.
type LaterError struct{ After time.Duration }

func (e *LaterError) Error() string {
	return fmt.Sprintf("vendorapi: the vendor's rate limit is exhausted for %s", e.After.Round(time.Second))
}

// Client calls one vendor's API with one set of credentials. It is safe for concurrent use. The IDs of agreements are
// those in the vendor's events.
type Client interface {
	// Pause returns the least time between two calls about the same agreement.
	Pause() time.Duration

	// Agreement returns the status of an agreement, or ErrUnknown.
	Agreement(ctx context.Context, id string) (Agreement, error)

	// Documents lists the signed documents and the audit trail of a completed agreement. It may return ErrNotReady or
	// ErrUnknown, and so may opening a document.
	Documents(ctx context.Context, id string) ([]Document, error)

	// FormData returns what the participants of a completed agreement have filled in, and no fields if it has no form. It
	// returns ErrDenied, ErrInvalid or [errors.ErrUnsupported] if the vendor gives none, and ErrUnreadable.
	FormData(ctx context.Context, id string) ([]Field, error)

	// Changed lists the agreements that changed at or after from and before to, one page at a time. The cursor is empty
	// for the first page; next is the cursor of the following page, or empty after the last. The list may contain further
	// agreements, and may repeat one. Changed returns ErrInvalid or ErrUnknown for an unknown cursor: start again without.
	Changed(ctx context.Context, from, to time.Time, cursor string) (changed []Agreement, next string, err error)

	// Subscriptions lists the subscriptions at the vendor that the credentials may see.
	Subscriptions(ctx context.Context) ([]Subscription, error)

	// Register returns the steps after which the vendor sends the events that we understand to this URL, with references
	// and people, without documents. It returns none if that is already so. The steps change a subscription to the same
	// endpoint (see [SameEndpoint]) or create one, and say what that discloses.
	Register(ctx context.Context, webhookURL string) ([]Step, error)

	// Repair returns the steps after which the subscription to this URL works again and its undelivered events are
	// delivered. It returns none if nothing is wrong. It creates no subscription.
	Repair(ctx context.Context, webhookURL string) ([]Step, error)
}

// Agreement is the state of an agreement at the vendor.
type Agreement struct {
	ID           string
	Status       esign.Status // empty if we cannot interpret the vendor's word
	VendorStatus string       // the vendor's word
	ChangedAt    time.Time    // when it reached the status; zero if unknown
	// References, SharedReference and Participants are as in [esign.Event], before the operator's [esign.Policy]. What an
	// answer leaves out is absent: it says nothing about it.
	References      map[string]string
	SharedReference string
	Participants    []esign.Participant
}

// Said returns what the answer states apart from the status.
func (a Agreement) Said() finding.Said {
	return finding.Said{
		References: a.References, SharedReference: a.SharedReference, Participants: a.Participants,
	}
}

// Document is a file that belongs to an agreement.
type Document struct {
	Kind esign.DocumentKind
	Name string // chosen by the client: stable, without a path, and safe for file systems and S3
	PDF  bool   // whether it must be a PDF
	// Open starts the download. The caller must close the content.
	Open func(context.Context) (Content, error)
}

// Content is a document being downloaded. Reading it fails when the context ends.
type Content struct {
	io.ReadCloser
	Size int64  // in bytes; -1 if unknown
	Type string // the vendor's Content-Type
}

// Subscription is a webhook, callback or other subscription at a vendor.
type Subscription struct {
	Name     string   // the vendor's ID or name for it
	URL      string   // the endpoint, with the secret token
	Active   bool     // whether the vendor sends anything at all
	Problems []string // what is wrong, in words for an operator; without secrets
	Failures int      // events that the vendor could not deliver, and can resend
}

// Healthy reports whether nothing is wrong with a subscription.
func (s Subscription) Healthy() bool { return s.Active && len(s.Problems) == 0 && s.Failures == 0 }

// Checked returns s with one more problem if its URL has a token that is not configured, which the vendor cannot know.
func (s Subscription) Checked(keys webhook.Keys) Subscription {
	u, err := url.Parse(s.URL)
	if len(keys.URLTokens) > 0 && (err != nil || !webhook.Any(keys.URLTokens, path.Base(u.Path))) {
		s.Problems = append(slices.Clone(s.Problems),
			"the URL's token is not one of the configured tokens: every request is refused")
	}
	return s
}

// Step is a change at a vendor.
type Step struct {
	Description string // in words for an operator; without secrets
	Do          func(context.Context) error
	// Optional means that the subscription works without the step. Its failure is shown, and nothing else.
	Optional bool
}

// SameEndpoint reports whether two URLs lead to the same function: whether they differ only in the secret token at the
// end.
func SameEndpoint(a, b string) bool {
	u, _, isOurs := webhookURL(a)
	v, _, areOurs := webhookURL(b)
	if !isOurs || !areOurs {
		return a == b
	}
	return strings.EqualFold(u.Scheme, v.Scheme) && strings.EqualFold(u.Host, v.Host) &&
		u.Path == v.Path && u.RawQuery == v.RawQuery
}

// Masked returns a URL for an operator to read, without its secret token and anything else that may be secret.
func Masked(s string) string {
	u, token, _ := webhookURL(s)
	if s == "" {
		return "(none)"
	}
	if u == nil || u.Scheme == "" || u.Host == "" {
		return "(not a URL)"
	}
	shown := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if token != "" {
		return shown.String() + "/…"
	}
	return shown.String()
}

// webhookURL splits the token off a URL of the form …/webhooks/<provider>/{token}, and reports whether it has that
// form. u is nil if s is not a URL.
func webhookURL(s string) (u *url.URL, token string, ok bool) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, "", false
	}
	before, after, found := strings.Cut(u.Path, "/webhooks/")
	if !found {
		return u, "", false
	}
	provider, token, _ := strings.Cut(after, "/")
	u.Path, u.RawPath = before+"/webhooks/"+provider, ""
	return u, token, !strings.Contains(token, "/")
}
