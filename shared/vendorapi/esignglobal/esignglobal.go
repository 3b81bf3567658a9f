// Package esignglobal asks the API of eSignGlobal, version 1. There is no API for subscriptions, and none that lists
// envelopes.
//
// SPEC: https://www.esignglobal.com/developer-center/document/pu5by7nny465eng8uuhqfau6, read 2026-11-23: the host is that
// of the workspace's data centre; HTTPS with TLS 1.2.
package esignglobal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

type client struct {
	base   string
	http   vendorapi.HTTP // with the access token
	links  vendorapi.HTTP // without: a link holds its own authority, and may lead to another host
	tokens *vendorapi.Tokens
}

type credentials struct {
	AppID     string `json:"appId"`
	AppSecret string `json:"appSecret"`
	Host      string `json:"host"`
}

// New makes a client. Its credentials are those of an app (Settings → Integrations → Apps) that nobody else gets tokens
// for, and the host of the workspace's data centre (Settings → Profile → Data Center):
//
//	{"appId": "…", "appSecret": "…", "host": "openapi-eu1.esignglobal.com"}
func New(text []byte, o vendorapi.Options) (vendorapi.Client, error) {
	var given credentials
	if err := vendorapi.ReadCredentials(text, &given); err != nil {
		return nil, err
	}
	base, err := vendorapi.BaseURL("host", given.Host)
	missing := vendorapi.Missing("appId", given.AppID, "appSecret", given.AppSecret, "host", given.Host)
	if given.Host == "" {
		err = nil // missing says it
	}
	if err := errors.Join(missing, err); err != nil {
		return nil, err
	}
	c := &client{base: base}
	c.tokens = &vendorapi.Tokens{
		Provider: "esignglobal", Secret: webhook.NewSecret(given.AppSecret), Fetch: given.fetcher(base, o), Notes: o.Notes, Now: o.Now,
	}
	c.http = vendorapi.HTTP{Client: o.HTTP, Authorize: c.tokens.Bearer, Rejected: c.tokens.Rejected, Now: o.Now}
	c.links = vendorapi.HTTP{Client: o.HTTP, Explain: explainLink, Now: o.Now}
	return c, nil
}

// Pause implements [vendorapi.Client]. No page tells a limit: a minute is what the others want.
func (c *client) Pause() time.Duration { return time.Minute }

// outcome stands in every answer. Success is code 0, or "0".
type outcome struct {
	Code    webhook.Text `json:"code"`
	Message webhook.Text `json:"message"`
}

func (o outcome) code() string { return webhook.Label(string(o.Code)) }

// get asks for path and reads what the answer's data hold into data.
func (c *client) get(ctx context.Context, path string, query url.Values, data any) error {
	for again := true; ; again = false {
		token, err := c.tokens.Token(ctx)
		if err != nil {
			return fmt.Errorf("esignglobal: %w", err)
		}
		var answer struct {
			outcome
			Data json.RawMessage `json:"data"`
		}
		err = c.http.Get(ctx, c.base+"/esignglobal/v1/"+path+"?"+query.Encode(), &answer)
		switch {
		case err != nil:
			return fmt.Errorf("esignglobal: %w", err)
		case answer.Code == "0":
			if json.Unmarshal(answer.Data, data) != nil {
				return errors.New("esignglobal: the answer is not as it should be")
			}
			return nil
		}
		// It may quote the ID, which anybody may have made up.
		answer.Message = webhook.Text(strings.ReplaceAll(strings.ToLower(string(answer.Message)), strings.ToLower(query.Get("envelopeId")), ""))
		if again && answer.deniesToken() && c.tokens.Rejected(ctx, http.Header{"Authorization": {"Bearer " + token}}) {
			continue
		}
		return answer.refusal()
	}
}

// The codes are not documented. These words are a guess: where it is wrong the refusal is taken for a failure that may
// pass, and a token for good until it expires.
func (o outcome) deniesToken() bool {
	return o.Code == "401" || strings.Contains(strings.ToLower(string(o.Message)), "token")
}

func (o outcome) refusal() error {
	message := strings.ToLower(string(o.Message))
	switch {
	case o.deniesToken():
		return fmt.Errorf("esignglobal: %w: code %q", vendorapi.ErrDenied, o.code())
	case strings.Contains(message, "not exist"), strings.Contains(message, "not found"):
		return fmt.Errorf("esignglobal: %w: code %q", vendorapi.ErrUnknown, o.code())
	}
	return fmt.Errorf("esignglobal: refused with code %q", o.code())
}

func unsupported(instead string) error {
	return fmt.Errorf("esignglobal: %s: %w", instead, errors.ErrUnsupported)
}
