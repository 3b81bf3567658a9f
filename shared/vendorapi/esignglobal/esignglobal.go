// Package esignglobal asks the API of eSignGlobal, version 1. There is no API for subscriptions, and none that lists envelopes.
//
// SPEC: https://www.esignglobal.com/developer-center/document/pu5by7nny465eng8uuhqfau6, read 2026-11-23: the host is that of the
// workspace's data centre; HTTPS with TLS 1.2.
package esignglobal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
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

// New makes a client. Its credentials are those of an app (Settings → Integrations → Apps) that nobody else gets tokens
// for, and the host of the workspace's data centre (Settings → Profile → Data Center):
//
//	{"appId": "…", "appSecret": "…", "host": "openapi-eu1.esignglobal.com"}
func New(credentials []byte, o vendorapi.Options) (vendorapi.Client, error) {
	var given struct {
		AppID     string `json:"appId"`
		AppSecret string `json:"appSecret"`
		Host      string `json:"host"`
	}
	if err := vendorapi.ReadCredentials(credentials, &given); err != nil {
		return nil, err
	}
	err := vendorapi.Missing("appId", given.AppID, "appSecret", given.AppSecret, "host", given.Host)
	base, hostErr := "", error(nil)
	if given.Host != "" {
		base, hostErr = vendorapi.BaseURL("host", given.Host)
	}
	if err := errors.Join(err, hostErr); err != nil {
		return nil, err
	}
	c := &client{
		base:  base,
		links: vendorapi.HTTP{Client: o.HTTP, Explain: explainLink, Now: o.Now},
	}
	id, secret := given.AppID, webhook.NewSecret(given.AppSecret)
	c.tokens = &vendorapi.Tokens{
		Provider: "esignglobal", Secret: secret, Notes: o.Notes, Now: o.Now,
		Fetch: func(ctx context.Context) (string, time.Time, error) { return c.fetch(ctx, id, secret, o) },
	}
	c.http = vendorapi.HTTP{Client: o.HTTP, Authorize: c.tokens.Bearer, Rejected: c.tokens.Rejected, Now: o.Now}
	return c, nil
}

// Pause implements [vendorapi.Client]. No page tells a limit: a minute is what the others want.
func (c *client) Pause() time.Duration { return time.Minute }

// fetch gets an access token. Every new one shortens the life of the one before to 5 minutes.
//
// SPEC: https://www.esignglobal.com/developer-center/api/mmcjntoocjtwl1frc6khk3k4, read 2026-11-23: 24 hours; "ensure all
// parameters are sent as form fields using the multipart/form-data content type", which golang.org/x/oauth2 cannot.
func (c *client) fetch(ctx context.Context, id string, secret webhook.Secret, o vendorapi.Options) (string, time.Time, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("client_id", id)
	form.WriteField("client_secret", secret.Reveal())
	form.WriteField("grant_type", "client_credentials")
	form.Close()
	var answer struct {
		outcome
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"` // seconds
	}
	start := o.Now()
	h := vendorapi.HTTP{Client: o.HTTP, Explain: explainToken, Now: o.Now}
	header := http.Header{"Content-Type": {form.FormDataContentType()}}
	err := h.Call(ctx, http.MethodPost, c.base+"/esignglobal/v1/oauth2/accessToken", header, body.Bytes(), &answer)
	switch {
	case err != nil:
		return "", time.Time{}, fmt.Errorf("esignglobal: access token: %w", err)
	case answer.Token == "" || answer.Expires <= 0:
		return "", time.Time{}, fmt.Errorf("esignglobal: access token: %w: code %q", vendorapi.ErrDenied, answer.code())
	}
	return answer.Token, start.Add(time.Duration(answer.Expires) * time.Second), nil
}

// explainToken: how wrong credentials are answered is not documented, but nothing else in the request could be wrong.
func explainToken(r *vendorapi.Refusal) error {
	if r.Status == http.StatusBadRequest {
		return vendorapi.ErrDenied
	}
	return nil
}

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
			return err
		}
		var answer struct {
			outcome
			Data json.RawMessage `json:"data"`
		}
		err = c.http.Call(ctx, http.MethodGet, c.base+"/esignglobal/v1/"+path+"?"+query.Encode(), nil, nil, &answer)
		switch {
		case err != nil:
			return fmt.Errorf("esignglobal: %w", err)
		case answer.Code == "0":
			if json.Unmarshal(answer.Data, data) != nil {
				return errors.New("esignglobal: the answer is not as it should be")
			}
			return nil
		case again && answer.deniesToken() && c.tokens.Rejected(ctx, http.Header{"Authorization": {"Bearer " + token}}):
			continue
		}
		return answer.refusal()
	}
}

// The codes are not documented. These words are a guess: where it is wrong the refusal is taken for a failure that may pass,
// and a token for good until it expires.
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

// Changed implements [vendorapi.Client]: not at this vendor.
func (c *client) Changed(context.Context, time.Time, time.Time, string) ([]vendorapi.Agreement, string, error) {
	return nil, "", unsupported("no API lists envelopes; those that we know of can be asked for one by one")
}

// Subscriptions implements [vendorapi.Client]: not at this vendor.
func (c *client) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return nil, unsupported("no API tells of callback addresses; look under Settings → Integrations → Apps, and Webhook")
}

// Register implements [vendorapi.Client]: not at this vendor.
func (c *client) Register(context.Context, string) ([]vendorapi.Step, error) {
	return nil, unsupported("no API sets the callback address; set it under Settings → Integrations → Apps or Webhook, " +
		"or as callBackUrl in each request that creates an envelope")
}

// Repair implements [vendorapi.Client]: not at this vendor.
func (c *client) Repair(context.Context, string) ([]vendorapi.Step, error) {
	return nil, unsupported("no API sends an event again; ask for the envelopes one by one")
}

func unsupported(instead string) error {
	return fmt.Errorf("esignglobal: %s: %w", instead, errors.ErrUnsupported)
}
