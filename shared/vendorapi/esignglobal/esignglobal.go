// Package esignglobal is the client for the API of eSignGlobal, version 1. The API has no subscriptions, and cannot
// list envelopes.
//
// SPEC: https://www.esignglobal.com/developer-center/document/pu5by7nny465eng8uuhqfau6, read 2026-11-23: the host is
// that of the workspace's data centre; HTTPS with TLS 1.2.
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
	links  vendorapi.HTTP // without: a link carries its own authorization, and may lead to another host
	tokens *vendorapi.Tokens
}

type credentials struct {
	AppID     string `json:"appId"`
	AppSecret string `json:"appSecret"`
	Host      string `json:"host"`
}

// New returns a client. Its credentials are those of an app (Settings → Integrations → Apps) that no other program
// requests tokens for, and the host of the workspace's data centre (Settings → Profile → Data Center):
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
		err = nil // missing reports it
	}
	if err := errors.Join(missing, err); err != nil {
		return nil, err
	}
	c := &client{base: base}
	c.tokens = &vendorapi.Tokens{
		Provider: "esignglobal", Secret: webhook.NewSecret(given.AppSecret), Fetch: given.fetcher(base, o), Notes: o.Notes,
		Now: o.Now,
	}
	c.http = vendorapi.HTTP{Client: o.HTTP, Authorize: c.tokens.Bearer, Rejected: c.tokens.Rejected, Now: o.Now}
	c.links = vendorapi.HTTP{Client: o.HTTP, Explain: explainLink, Now: o.Now}
	return c, nil
}

// Pause implements [vendorapi.Client]. No limit is documented; a minute is what other vendors want.
func (c *client) Pause() time.Duration { return time.Minute }

// outcome is part of every response. Success is code 0 or "0".
type outcome struct {
	Code    webhook.Text `json:"code"`
	Message webhook.Text `json:"message"`
}

func (o outcome) code() string { return webhook.Label(string(o.Code)) }

// get requests a path and decodes the response's data.
func (c *client) get(ctx context.Context, path string, query url.Values, data any) error {
	for retry := true; ; retry = false {
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
				return errors.New("esignglobal: unexpected response")
			}
			return nil
		}
		// The message may quote the ID, which a forged event may have set.
		answer.Message = webhook.Text(strings.ReplaceAll(strings.ToLower(string(answer.Message)),
			strings.ToLower(query.Get("envelopeId")), ""))
		if retry && answer.deniesToken() && c.tokens.Rejected(ctx, http.Header{"Authorization": {"Bearer " + token}}) {
			continue
		}
		return answer.refusal()
	}
}

// deniesToken reports whether the token was rejected. The codes are not documented, so this is a guess. If it is wrong,
// the refusal counts as temporary and the token is used until it expires.
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
