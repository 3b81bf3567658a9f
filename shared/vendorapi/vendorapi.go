// Package vendorapi is the contract of the vendors' APIs: what we ask them after an event, and beside the events. There is
// one package per vendor below it. It also holds what they share: requests with deadlines, bounded retries and the
// vendors' limits, and access tokens that all processes share.
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
	"esignhooks/shared/webhook"
)

// The errors of a [Client]. They say what the caller does. Their text holds no token, no query of a URL and nothing of a
// body but the vendor's own error code. [errors.ErrUnsupported] is returned for what a vendor's API cannot tell; any other
// error is a failure that may pass: try again.
var (
	// ErrNotReady: the vendor is still preparing it, or was asked for it too often. Come again, not before the [Client]'s
	// Pause.
	ErrNotReady = errors.New("vendorapi: not ready yet")
	// ErrUnknown: the vendor has no such agreement, or has it no longer.
	ErrUnknown = errors.New("vendorapi: unknown to the vendor")
	// ErrDenied: the vendor does not accept our credentials, or they lack a right. Somebody has to look after them.
	ErrDenied = errors.New("vendorapi: denied, since the credentials are wrong or lack a right")
	// ErrInvalid: the vendor refuses the request, and will refuse it every time.
	ErrInvalid = errors.New("vendorapi: refused by the vendor")
)

// LaterError is that the vendor's limits are used up. Ask nothing of this vendor before so much time is over.
type LaterError struct{ After time.Duration }

func (e *LaterError) Error() string {
	return fmt.Sprintf("vendorapi: the vendor's limit is used up for %s", e.After.Round(time.Second))
}

// Client asks one vendor's API, with one set of credentials. Its methods may be called at the same time. IDs of agreements
// are as the vendor's events have them.
type Client interface {
	// Pause is how long the vendor wants us to wait before we ask again for the same agreement.
	Pause() time.Duration

	// Agreement reads an agreement's status, or returns ErrUnknown.
	Agreement(ctx context.Context, id string) (Agreement, error)

	// Documents lists the signed documents and the audit trail of a completed agreement. It returns ErrNotReady or
	// ErrUnknown; so may the opening of a document.
	Documents(ctx context.Context, id string) ([]Document, error)

	// Changed lists agreements that changed from the one time on and before the other, by pages: page is empty for the
	// first, and next is the one after it; empty after the last. It may list more, and an agreement may stand in two pages.
	// It returns ErrInvalid or ErrUnknown for a page that the vendor or the client does not know: begin again.
	Changed(ctx context.Context, from, to time.Time, page string) (changed []Agreement, next string, err error)

	// Subscriptions lists how the vendor tells of events: all that the credentials may see.
	Subscriptions(ctx context.Context) ([]Subscription, error)

	// Register says what is to be done so that the vendor tells this URL of exactly the events that we understand, without
	// documents; nothing if it is so. It changes a subscription that leads to the same place (see [SamePlace]), or makes one.
	Register(ctx context.Context, webhookURL string) ([]Step, error)

	// Repair says what is to be done so that the subscription that leads to this URL works again, and what it could not
	// deliver is delivered; nothing if that is so. It makes no new subscription.
	Repair(ctx context.Context, webhookURL string) ([]Step, error)
}

// Agreement is what a vendor says of an agreement.
type Agreement struct {
	ID           string
	Status       esign.Status // empty if the vendor's word for it says nothing to us
	VendorStatus string       // the vendor's word
	ChangedAt    time.Time    // when it took on the status; zero if the vendor does not tell
}

// Document is a file that belongs to an agreement.
type Document struct {
	Name string // of the file, made by us: no path, no character that a file system or S3 minds, and the same each time
	PDF  bool   // whether it must be a PDF
	// Open begins to download it. The caller closes the content.
	Open func(context.Context) (Content, error)
}

// Content is a document on its way. Reading it fails with the context's end.
type Content struct {
	io.ReadCloser
	Size int64  // in bytes; -1 if the vendor does not tell
	Type string // Content-Type, as the vendor says
}

// Subscription is a way in which a vendor tells of events.
type Subscription struct {
	Name     string   // the vendor's ID or name of it
	URL      string   // where it leads, with the secret token
	Active   bool     // whether the vendor sends anything at all
	Problems []string // what is not as it should be, in words for an operator; without secrets
	Failures int      // events that the vendor could not deliver, and can send again
}

// Healthy says whether nothing about a subscription is wrong.
func (s Subscription) Healthy() bool { return s.Active && len(s.Problems) == 0 && s.Failures == 0 }

// Checked adds to the problems of s what the vendor cannot know: that it calls with a token that does not count.
func (s Subscription) Checked(keys webhook.Keys) Subscription {
	u, err := url.Parse(s.URL)
	if len(keys.URLTokens) > 0 && (err != nil || !webhook.Any(keys.URLTokens, path.Base(u.Path))) {
		s.Problems = append(slices.Clone(s.Problems), "the URL's token is none of those that count: every request is refused")
	}
	return s
}

// Step is something to be done at a vendor.
type Step struct {
	Says string // in words for an operator; without secrets
	Do   func(context.Context) error
}

// SamePlace says whether two URLs lead to the same function: whether they differ in nothing but the last segment where
// that is the secret token.
func SamePlace(a, b string) bool {
	u, _, isOurs := webhookURL(a)
	v, _, areOurs := webhookURL(b)
	if !isOurs || !areOurs {
		return a == b
	}
	return strings.EqualFold(u.Scheme, v.Scheme) && strings.EqualFold(u.Host, v.Host) && u.Path == v.Path && u.RawQuery == v.RawQuery
}

// Masked is a URL for an operator's eyes: its secret token is hidden, and so is what else may be secret.
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

// webhookURL takes the token off a URL that is like …/webhooks/<provider>/{token}, and says whether it is. u is nil if
// there is no URL.
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
