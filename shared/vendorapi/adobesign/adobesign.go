// Package adobesign asks the REST API of Adobe Acrobat Sign, version 6.
//
// SPEC: https://github.com/adobe/acrobat-sign sdks/AcrobatSign_OpenAPI_SDK/json, read 2026-11-23: paths, answers and the
// codes of errors. What came later is in https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide.
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
	host string // where a token is refreshed, and the access point is asked for
	now  func() time.Time

	mu     sync.Mutex
	access string // the access point of the account; empty before it is known
	people people
	listed listed
}

// credentials are one set or the other.
type credentials struct {
	IntegrationKey string `json:"integrationKey"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
	RefreshToken   string `json:"refreshToken"`
	Host           string `json:"host"`
}

// New makes a client. Its credentials are either of
//
//	{"integrationKey": "…", "host": "api.na1.adobesign.com"}
//	{"clientId": "…", "clientSecret": "…", "refreshToken": "…", "host": "api.na1.adobesign.com"}
//
// host is the account's API access point. An integration key can do without: it is asked for then, by every process. A
// refresh token cannot: it came with its api_access_point.
//
// They need the scopes agreement_read, webhook_read and webhook_write; webhook_retention to replace a webhook whose URL has
// an old token; and agreement_read:account with user_read:account to read what other users of the account have sent.
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
		return h.Get(userHeader) == "" && tokens.Rejected(ctx, h) // else it may be the user who is rejected
	}
	return c, nil
}

func (k credentials) check() error {
	switch oauth := k.ClientID + k.ClientSecret + k.RefreshToken; {
	case oauth != "" && k.IntegrationKey != "":
		return errors.New("api has integrationKey as well as clientId, clientSecret or refreshToken: it must be one or the other")
	case oauth != "":
		return vendorapi.Missing("clientId", k.ClientID, "clientSecret", k.ClientSecret, "refreshToken", k.RefreshToken, "host", k.Host)
	case k.IntegrationKey == "":
		return errors.New("api.integrationKey is missing, or else clientId, clientSecret, refreshToken and host")
	}
	return nil
}

// Pause implements [vendorapi.Client]. ETags do not help: what they stand for is gone with the process, and a 304 does not
// tell "too early" from "as before".
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/apiusage, API polling threshold, read
// 2026-11-23: one identical GET in 10 minutes, of global and enterprise accounts three in a minute.
func (*client) Pause() time.Duration { return 10 * time.Minute }

var (
	// errElsewhere: the account is not at this access point. The request was not carried out.
	errElsewhere = errors.New("the account has another access point")
	// errUser: it is another user's, or the user cannot be acted for.
	errUser = errors.New("not for this user")
	// errDuplicate: there is such a webhook.
	errDuplicate = errors.New("there is such a webhook")
)

// meanings are the codes that say more than the status does.
//
// SPEC: as for the package. PERMISSION_DENIED comes with 403 or 404, the other three about users with 401, which else is
// about the token.
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

	"DUPLICATE_WEBHOOK_CONFIGURATION": fmt.Errorf("%w: %w", vendorapi.ErrInvalid, errDuplicate),

	"RESOURCE_MODIFIED": errors.New("it was changed meanwhile: try again"),
	"MISC_ERROR":        errors.New("it failed"), // status 400, and no fault of the request
}

// explain reads the code of an error, and how long to wait where Retry-After is missing.
func explain(r *vendorapi.Refusal) error {
	var said struct {
		Code       webhook.Text `json:"code"`
		RetryAfter float64      `json:"retryAfter"` // seconds
	}
	r.JSON(&said)
	meaning := meanings[string(said.Code)]
	switch {
	case r.Status == http.StatusTooManyRequests && r.Header.Get("Retry-After") == "" && said.RetryAfter >= 1:
		return &vendorapi.LaterError{After: time.Duration(min(said.RetryAfter, 24*60*60)) * time.Second}
	case r.Status == http.StatusTooManyRequests || r.Status >= 500 || said.Code == "":
		return nil
	case meaning != nil:
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		meaning = vendorapi.ErrDenied
	case r.Status == http.StatusNotFound:
		meaning = vendorapi.ErrUnknown
	default:
		meaning = vendorapi.ErrInvalid
	}
	return fmt.Errorf("%w: answered %d (%s)", meaning, r.Status, webhook.Label(string(said.Code)))
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

// at does something with the address that paths are added to; again, if the account turns out to be elsewhere.
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
	return fmt.Errorf("adobesign: %w than the one that it says", errElsewhere)
}

// accessPoint is where the account is, and not the one that was wrong.
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
		return "", errors.New("adobesign: access point: not an address")
	}
	c.access = strings.TrimSuffix(answer.APIAccessPoint, "/")
	return c.access, nil
}

// next is how the vendor names the page after one; empty after the last.
type next struct {
	Cursor webhook.Text `json:"nextCursor"`
}

// pages reads a list to its end.
func pages(read func(cursor string) (next string, err error)) error {
	const limit = 100 // the answers that we take for a list
	cursor := ""
	for range limit {
		next, err := read(cursor)
		if err != nil || next == "" || next == cursor {
			return err
		}
		cursor = next
	}
	return errors.New("adobesign: the list has no end")
}

// query is that of a URL, without what is empty.
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
