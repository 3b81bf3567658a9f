// Package adobesign is the client for the REST API of Adobe Acrobat Sign, version 6.
//
// SPEC: https://github.com/adobe/acrobat-sign sdks/AcrobatSign_OpenAPI_SDK/json, read 2026-11-23: paths, answers and
// the codes of errors. Later additions are in https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide.
package adobesign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

type client struct {
	http vendorapi.HTTP
	host string // serves tokens and the access point
	now  func() time.Time

	mu     sync.Mutex
	access string // the access point of the account; empty until it is known
	people people
	listed listed
}

// credentials hold either an integration key or the rest.
type credentials struct {
	IntegrationKey string `json:"integrationKey"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
	RefreshToken   string `json:"refreshToken"`
	Host           string `json:"host"`
}

// New returns a client. Its credentials are one of
//
//	{"integrationKey": "…", "host": "api.na1.adobesign.com"}
//	{"clientId": "…", "clientSecret": "…", "refreshToken": "…", "host": "api.na1.adobesign.com"}
//
// host is the account's API access point. With an integration key it is optional: without it, every process asks for
// the access point. With a refresh token it is required: the token came with its api_access_point.
//
// The scopes agreement_read, webhook_read and webhook_write are required. Replacing a webhook whose URL has an old
// token takes webhook_retention. Reading what other users of the account have sent takes agreement_read:account and
// user_read:account.
func New(text []byte, o vendorapi.Options) (vendorapi.Client, error) {
	var given credentials
	if err := vendorapi.ReadCredentials(text, &given); err != nil {
		return nil, err
	}
	host, err := vendorapi.BaseURL("host", cmp.Or(given.Host, "api.adobesign.com"))
	if err := errors.Join(given.check(), err); err != nil {
		return nil, err
	}
	c := &client{host: host, now: o.Now}
	if given.Host != "" {
		c.access = host
	}
	c.http = vendorapi.HTTP{Client: o.HTTP, Explain: explain, Now: o.Now}
	if given.IntegrationKey != "" {
		key := webhook.NewSecret(given.IntegrationKey)
		c.http.Authorize = func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+key.Reveal())
			return nil
		}
		return c, nil
	}
	tokens := &vendorapi.Tokens{
		Provider: "adobesign", Secret: webhook.NewSecret(given.ClientSecret + "\x00" + given.RefreshToken),
		Fetch: given.fetcher(host, o), Notes: o.Notes, Now: o.Now,
	}
	c.http.Authorize = tokens.Bearer
	c.http.Rejected = func(ctx context.Context, h http.Header) bool {
		return h.Get(userHeader) == "" && tokens.Rejected(ctx, h) // with a user, the user may be what is rejected
	}
	return c, nil
}

func (k credentials) check() error {
	switch oauth := k.ClientID + k.ClientSecret + k.RefreshToken; {
	case oauth != "" && k.IntegrationKey != "":
		return errors.New("api has integrationKey as well as clientId, clientSecret or refreshToken: only one kind is allowed")
	case oauth != "":
		return vendorapi.Missing("clientId", k.ClientID, "clientSecret", k.ClientSecret, "refreshToken", k.RefreshToken,
			"host", k.Host)
	case k.IntegrationKey == "":
		return errors.New("api.integrationKey is missing, or instead clientId, clientSecret, refreshToken and host")
	}
	return nil
}

// Pause implements [vendorapi.Client]. ETags do not help: the content that they identify is lost with the process, and
// a 304 may mean "too early" as well as "unchanged".
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/apiusage, API polling threshold, read
// 2026-11-23: one identical GET in 10 minutes, of global and enterprise accounts three in a minute.
func (*client) Pause() time.Duration { return 10 * time.Minute }

var (
	// errElsewhere means that the account is not at this access point. The request was not carried out.
	errElsewhere = errors.New("the account has another access point")
	// errUser means that the object is another user's, or that we cannot act for this user.
	errUser = errors.New("not for this user")
	// errDuplicate means that this webhook exists already.
	errDuplicate = errors.New("the webhook exists already")
	// errEvents means that the account does not know one of a webhook's events.
	errEvents = errors.New("unknown events")
)

// meanings lists the error codes that say more than the status.
//
// SPEC: as for the package. PERMISSION_DENIED comes with 403 or 404, the other three about users with 401, which
// otherwise concerns the token.
var meanings = map[string]error{
	"INVALID_API_ACCESS_POINT": errElsewhere,

	"DOCUMENT_NOT_AVAILABLE":     vendorapi.ErrNotReady,
	"DOCUMENT_NOT_YET_AVAILABLE": vendorapi.ErrNotReady,
	"AGREEMENT_NOT_AVAILABLE":    vendorapi.ErrNotReady,
	"AGREEMENT_IN_DRAFT_STATE":   vendorapi.ErrNotReady,

	"PERMISSION_DENIED": fmt.Errorf("%w: %w", vendorapi.ErrDenied, errUser),
	"INVALID_USER":      fmt.Errorf("%w: %w", vendorapi.ErrDenied, errUser),
	"UNVERIFIED_USER":   fmt.Errorf("%w: %w", vendorapi.ErrDenied, errUser),
	"UNAUTHORIZED":      fmt.Errorf("%w: %w", vendorapi.ErrDenied, errUser),

	"DUPLICATE_WEBHOOK_CONFIGURATION":     fmt.Errorf("%w: %w", vendorapi.ErrInvalid, errDuplicate),
	"INVALID_WEBHOOK_SUBSCRIPTION_EVENTS": fmt.Errorf("%w: %w", vendorapi.ErrInvalid, errEvents),

	"NO_FORM_DATA": errNoForm,

	"RESOURCE_MODIFIED": errors.New("changed concurrently: retry"),
	"MISC_ERROR":        errors.New("internal failure"), // status 400, but not the fault of the request
}

// explain interprets the code of an error, and reads the time to wait from the body where Retry-After is missing.
func explain(r *vendorapi.Refusal) error {
	var answer struct {
		Code       webhook.Text `json:"code"`
		RetryAfter float64      `json:"retryAfter"` // seconds
	}
	r.JSON(&answer)
	meaning := meanings[string(answer.Code)]
	switch {
	case r.Status == http.StatusTooManyRequests && r.Header.Get("Retry-After") == "" && answer.RetryAfter >= 1:
		return &vendorapi.LaterError{After: time.Duration(min(answer.RetryAfter, 24*60*60)) * time.Second}
	case r.Status == http.StatusTooManyRequests || r.Status >= 500 || answer.Code == "":
		return nil
	case meaning != nil:
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		meaning = vendorapi.ErrDenied
	case r.Status == http.StatusNotFound:
		meaning = vendorapi.ErrUnknown
	default:
		meaning = vendorapi.ErrInvalid
	}
	return fmt.Errorf("%w: answered %d (%s)", meaning, r.Status, webhook.Label(string(answer.Code)))
}

// call sends a request, whose URL is a path, for a user. The empty user is the token's.
func (c *client) call(ctx context.Context, user string, r vendorapi.Request, out any) (header http.Header, err error) {
	path := r.URL
	r.Header = asUser(r.Header, user)
	err = c.at(ctx, func(base string) error {
		r.URL = base + path
		header, err = c.http.Do(ctx, r, out)
		return err
	})
	return header, err
}

func (c *client) get(ctx context.Context, user, path string, out any) error {
	_, err := c.call(ctx, user, vendorapi.Request{Method: http.MethodGet, URL: path}, out)
	return err
}

// at calls do with the base URL of the API, and repeats it once if the account has moved to another access point.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/bestpractices, read 2026-11-23: keep the
// access point, and ask for it again after INVALID_API_ACCESS_POINT.
func (c *client) at(ctx context.Context, do func(base string) error) error {
	wrong := ""
	for range 2 {
		access, err := c.accessPoint(ctx, wrong)
		if err != nil {
			return err
		}
		if err = do(access + "/api/rest/v6"); !errors.Is(err, errElsewhere) {
			if err != nil {
				return fmt.Errorf("adobesign: %w", err)
			}
			return nil
		}
		wrong = access
	}
	return fmt.Errorf("adobesign: %w than the one it reports", errElsewhere)
}

// accessPoint returns the access point of the account. It asks the vendor if the known one is wrong or empty.
func (c *client) accessPoint(ctx context.Context, wrong string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.access != wrong {
		return c.access, nil
	}
	var answer struct {
		APIAccessPoint string `json:"apiAccessPoint"`
	}
	if err := c.http.Get(ctx, c.host+"/api/rest/v6/baseUris", &answer); err != nil {
		return "", fmt.Errorf("adobesign: access point: %w", err)
	}
	u, err := url.Parse(answer.APIAccessPoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && !strings.HasPrefix(answer.APIAccessPoint, c.host+"/") {
		return "", errors.New("adobesign: access point: not a URL")
	}
	c.access = strings.TrimSuffix(answer.APIAccessPoint, "/")
	return c.access, nil
}

// next is the cursor of the following page; empty after the last.
type next struct {
	Cursor webhook.Text `json:"nextCursor"`
}

// pages reads all pages of a list.
func pages(read func(cursor string) (next string, err error)) error {
	const limit = 100 // pages
	cursor := ""
	for range limit {
		next, err := read(cursor)
		if err != nil || next == "" || next == cursor {
			return err
		}
		cursor = next
	}
	return errors.New("adobesign: the list has too many pages")
}

// query returns the query of a URL, without empty values.
func query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}
