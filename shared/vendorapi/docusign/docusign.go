// Package docusign is the client for the eSignature API of DocuSign, version 2.1. It acts as one user of one account,
// who has consented once.
//
// SPEC: https://developers.docusign.com/platform/auth/jwt-get-token, read 2026-11-23: the JWT grant;
// https://developers.docusign.com/docs/esign-rest-api/reference/connect/, read 2026-11-23: Connect is for an account's
// administrators only. What the user may not see does not exist: "either does not exist or you have no rights to it".
package docusign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

type client struct {
	auth    string // address of the auth host
	account string
	http    vendorapi.HTTP
	now     func() time.Time

	located atomic.Pointer[location]
	numbers sync.Map // of accounts: number → mapping
}

// location is the base URL of the account's API.
type location struct {
	url     string
	expires time.Time
}

// credentials are shown on the page "Apps and Keys".
type credentials struct {
	IntegrationKey string `json:"integrationKey"`
	UserID         string `json:"userId"`
	AccountID      string `json:"accountId"`
	PrivateKey     string `json:"privateKey"`
	AuthHost       string `json:"authHost"`
}

// New returns a client. Its credentials are
//
//	{"integrationKey": "…", "userId": "…", "accountId": "…", "privateKey": "…", "authHost": "account.docusign.com"}
//
// accountId is the API account ID, and privateKey an RSA key in PEM. authHost is optional; the demo environment's is
// account-d.docusign.com.
func New(text []byte, o vendorapi.Options) (vendorapi.Client, error) {
	var given credentials
	if err := vendorapi.ReadCredentials(text, &given); err != nil {
		return nil, err
	}
	auth, err := vendorapi.BaseURL("authHost", cmp.Or(given.AuthHost, "account.docusign.com"))
	if err := errors.Join(err, given.check()); err != nil {
		return nil, err
	}
	tokens := &vendorapi.Tokens{
		Provider: "docusign", Secret: webhook.NewSecret(string(text)), Fetch: given.fetcher(auth, o), Notes: o.Notes,
		Now: o.Now,
	}
	c := &client{auth: auth, account: given.AccountID, now: o.Now}
	c.http = vendorapi.HTTP{Client: o.HTTP, Authorize: tokens.Bearer, Rejected: tokens.Rejected, Explain: c.explain,
		Now: o.Now}
	return c, nil
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func (k credentials) check() error {
	problems := []error{vendorapi.Missing(
		"integrationKey", k.IntegrationKey, "userId", k.UserID, "accountId", k.AccountID, "privateKey", k.PrivateKey,
	)}
	for _, m := range []struct{ name, value string }{
		{"integrationKey", k.IntegrationKey}, {"userId", k.UserID}, {"accountId", k.AccountID},
	} {
		if m.value != "" && !guid.MatchString(m.value) {
			problems = append(problems, fmt.Errorf("api.%s is not a GUID", m.name))
		}
	}
	if k.PrivateKey != "" && !isKey(k.PrivateKey) {
		problems = append(problems, errors.New("api.privateKey is not an RSA key in PEM"))
	}
	return errors.Join(problems...)
}

// Pause implements [vendorapi.Client].
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/esign101/rules-and-limits/, read 2026-11-23: the status of
// one envelope may be requested every 15 minutes.
func (c *client) Pause() time.Duration { return 15 * time.Minute }

// call sends a request to the account's API. path is relative to the account.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	base, err := c.base(ctx)
	if err == nil {
		_, err = c.http.Do(ctx, vendorapi.Request{Method: method, URL: base + path, JSON: in}, out)
	}
	if err != nil {
		return fmt.Errorf("docusign: %w", err)
	}
	return nil
}

// base returns the base URL of the account, which it remembers for a day.
//
// SPEC: https://developers.docusign.com/platform/auth/reference/user-info, read 2026-11-23: base_uri changes very
// rarely and should be kept, since this call has an hourly limit of its own. The paths below it begin with /restapi.
func (c *client) base(ctx context.Context) (string, error) {
	if p := c.located.Load(); p != nil && c.now().Before(p.expires) {
		return p.url, nil
	}
	var user struct {
		Accounts webhook.List[struct {
			ID      string `json:"account_id"`
			BaseURI string `json:"base_uri"`
		}] `json:"accounts"`
	}
	if err := c.http.Get(ctx, c.auth+"/oauth/userinfo", &user); err != nil {
		return "", err
	}
	for _, account := range user.Accounts {
		if !strings.EqualFold(account.ID, c.account) {
			continue
		}
		base, err := vendorapi.BaseURL("accountId", strings.TrimPrefix(account.BaseURI, "https://"))
		if err != nil || strings.HasPrefix(c.auth, "https://") && !strings.HasPrefix(base, "https://") {
			return "", errors.New("the account's base_uri is not the address of a host")
		}
		p := &location{base + "/restapi/v2.1/accounts/" + c.account, c.now().Add(24 * time.Hour)}
		c.located.Store(p)
		return p.url, nil
	}
	return "", fmt.Errorf("%w: api.accountId is not one of the user's accounts", vendorapi.ErrDenied)
}

var errorCode = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)

// explain interprets the error codes that say more than the status.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/esign101/rules-and-limits/ and
// https://www.docusign.com/blog/developers/service-protection-new-api-errors-excessive-polling-and-envelope-updates,
// read 2026-11-23: a call beyond a limit is answered 400; other clients have seen 429, with the same codes. All calls
// are limited per clock hour and per 30 seconds, and calls about one envelope separately. The status for missing
// permissions and for unknown envelopes is not documented.
func (c *client) explain(r *vendorapi.Refusal) error {
	var answer struct {
		Code  string `json:"errorCode"`
		OAuth string `json:"error"` // of the auth host
	}
	r.JSON(&answer)
	code := errorCode.FindString(cmp.Or(answer.Code, answer.OAuth))
	kind := error(nil)
	switch word := strings.ToUpper(code); {
	case strings.Contains(word, "_ENVELOPE_") && strings.HasSuffix(word, "_LIMIT_EXCEEDED"):
		kind = vendorapi.ErrNotReady // other envelopes are not affected
	case r.Status == http.StatusTooManyRequests && r.Header.Get("Retry-After") != "":
		return nil // the header decides
	case strings.HasPrefix(word, "BURST_") && strings.HasSuffix(word, "_LIMIT_EXCEEDED"):
		return &vendorapi.LaterError{After: 30 * time.Second}
	case word == "HOURLY_APIINVOCATION_LIMIT_EXCEEDED":
		return &vendorapi.LaterError{After: c.untilReset(r.Header)}
	case strings.HasPrefix(word, "HOURLY_") && strings.HasSuffix(word, "_LIMIT_EXCEEDED"):
		return &vendorapi.LaterError{After: c.Pause()}
	case code == "" || r.Status >= 500 || r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout:
		return nil // the status decides
	case word == "ENVELOPE_DOES_NOT_EXIST":
		kind = vendorapi.ErrUnknown
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden,
		strings.Contains(word, "_LACKS_"), strings.HasSuffix(word, "_AUTHENTICATION_FAILED"), strings.HasSuffix(word,
			"_NOT_ALLOWED"):
		kind = vendorapi.ErrDenied
	default:
		kind = vendorapi.ErrInvalid
	}
	return fmt.Errorf("%w: %s", kind, code)
}

// untilReset returns the time until the hourly limit is reset. The header gives it as a timestamp of undocumented form;
// if it is not in Unix seconds, the limit is reset at the next full hour.
func (c *client) untilReset(header http.Header) time.Duration {
	now := c.now()
	if seconds, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		if after := time.Unix(seconds, 0).Sub(now); after > 0 && after <= time.Hour {
			return after
		}
	}
	return now.Truncate(time.Hour).Add(time.Hour).Sub(now)
}
