// Package dropboxsign is the client for the API of Dropbox Sign (formerly HelloSign), version 3.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-23: paths and answers.
// SPEC: https://developers.hellosign.com/api/reference/warnings-and-errors, read 2026-11-23: the names of errors.
package dropboxsign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

type client struct {
	base     string
	clientID string // of the API app that has our callback URL; empty if the account has it
	http     vendorapi.HTTP
	files    vendorapi.HTTP
	now      func() time.Time
	account  atomic.Pointer[string] // the ID of the key's account, once it is known
}

type credentials struct {
	APIKey   string `json:"apiKey"`
	ClientID string `json:"clientId"`
	Host     string `json:"host"`
}

// New returns a client. Its credentials are
//
//	{"apiKey": "…", "clientId": "…", "host": "api.hellosign.com"}
//
// host is optional. clientId names an API app if the events come through that app's callback URL instead of the
// account's. Such an app receives events of its own requests only, but the API lists all requests of the account and
// does not say which app each belongs to. If the account is used for other requests too, set the account's callback
// URL.
func New(text []byte, o vendorapi.Options) (vendorapi.Client, error) {
	var given credentials
	if err := vendorapi.ReadCredentials(text, &given); err != nil {
		return nil, err
	}
	base, err := vendorapi.BaseURL("host", cmp.Or(given.Host, "api.hellosign.com"))
	if err := errors.Join(vendorapi.Missing("apiKey", given.APIKey), err); err != nil {
		return nil, err
	}
	c := &client{base: base + "/v3", clientID: given.ClientID, now: o.Now}
	key := webhook.NewSecret(given.APIKey)
	c.http = vendorapi.HTTP{
		Client: o.HTTP,
		Authorize: func(_ context.Context, r *http.Request) error {
			r.SetBasicAuth(key.Reveal(), "")
			return nil
		},
		Explain: c.explain,
		Now:     o.Now,
	}
	c.files = c.http
	c.files.Explain = c.explainFiles
	return c, nil
}

// Pause implements [vendorapi.Client].
//
// SPEC: https://help.dropbox.com/integrations/api-requests-that-count-against-limit, read 2026-11-23: all limits are
// per minute and account: 100 requests, 25 for files, 10 in test mode.
func (c *client) Pause() time.Duration { return time.Minute }

// explain interprets the name of an error.
//
// SPEC: as for the package: an exhausted limit is 429, formerly 403 (the page on errors still says so). Instead of
// Retry-After there is X-Ratelimit-Reset, in Unix seconds.
func (c *client) explain(r *vendorapi.Refusal) error {
	var answer struct {
		Error struct {
			Name webhook.Text `json:"error_name"`
		} `json:"error"`
	}
	r.JSON(&answer)
	switch {
	case r.Status == http.StatusTooManyRequests || answer.Error.Name == "exceeded_rate":
		after := time.Minute
		if reset := webhook.UnixTime(r.Header.Get("X-Ratelimit-Reset")); !reset.IsZero() {
			after = min(max(reset.Sub(c.now()), time.Second), time.Hour)
		}
		return &vendorapi.LaterError{After: after}
	case answer.Error.Name == "payment_required":
		return fmt.Errorf("dropboxsign: %w: the account has no credit for this", vendorapi.ErrDenied)
	}
	return nil
}

// get requests a path and decodes the response into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	address := c.base + path
	if query != nil {
		address += "?" + query.Encode()
	}
	if err := c.http.Get(ctx, address, out); err != nil {
		return fmt.Errorf("dropboxsign: %w", err)
	}
	return nil
}

// listInfo is the paging information of a list.
type listInfo struct {
	Pages int `json:"num_pages"`
}
