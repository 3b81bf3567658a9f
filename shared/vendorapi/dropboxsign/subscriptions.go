package dropboxsign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// callback is an account or an API app, each of which has one callback URL for all its events. Events cannot be
// selected, and never contain documents.
type callback struct {
	ClientID webhook.Text `json:"client_id"` // empty for the account
	URL      webhook.Text `json:"callback_url"`
}

// ours returns the name and the path of the callback that Register sets.
func (c *client) ours() (name, path string) {
	if c.clientID == "" {
		return "account", "/account"
	}
	return "app " + c.clientID, "/api_app/" + url.PathEscape(c.clientID)
}

// Subscriptions implements [vendorapi.Client]: the account and the apps that have a callback URL, and always ours.
//
// SPEC: https://developers.hellosign.com/docs/events/walkthrough, read 2026-11-23: after ten failures in a row the URL
// is cleared, and undelivered events are not resent.
func (c *client) Subscriptions(ctx context.Context) ([]vendorapi.Subscription, error) {
	var answer struct {
		Account callback `json:"account"`
	}
	if err := c.get(ctx, "/account", nil, &answer); err != nil {
		return nil, err
	}
	ours, _ := c.ours()
	var found []vendorapi.Subscription
	add := func(name string, at callback) {
		s := vendorapi.Subscription{Name: name, URL: string(at.URL), Active: at.URL != ""}
		if !s.Active && name != ours {
			return
		}
		if !s.Active {
			s.Problems = []string{"there is no callback URL: it was never set, or the vendor cleared it after ten " +
				"failures in a row"}
		}
		found = append(found, s)
	}
	add("account", answer.Account)
	for page, pages := 1, 1; page <= pages; page++ {
		var answer struct {
			Apps webhook.List[callback] `json:"api_apps"`
			Info listInfo               `json:"list_info"`
		}
		if err := c.get(ctx, "/api_app/list", url.Values{"page": {strconv.Itoa(page)}, "page_size": {"100"}},
			&answer); err != nil {
			return nil, err
		}
		for _, app := range answer.Apps {
			add("app "+string(app.ClientID), app)
		}
		pages = answer.Info.Pages
	}
	if !slices.ContainsFunc(found, func(s vendorapi.Subscription) bool { return s.Name == ours }) {
		found = append(found, vendorapi.Subscription{Name: ours, Problems: []string{"the API key cannot see this app"}})
	}
	return found, nil
}

// discloses is what callbacks contain, for an operator.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (EventCallbackRequest), read 2026-11-30: a callback
// has the whole signature request. No setting leaves anything out.
const discloses = "Every callback discloses to this stack's queue the names and e-mail addresses of all people, what " +
	"they have filled in, and the metadata; the vendor has no choice of contents"

// Register implements [vendorapi.Client]. There is only one URL, so a URL of another application is replaced; the step
// says so. The API cannot send a test event.
func (c *client) Register(ctx context.Context, webhookURL string) ([]vendorapi.Step, error) {
	name, path := c.ours()
	now, err := c.callbackURL(ctx)
	if err != nil || now == webhookURL {
		return nil, err
	}
	says := fmt.Sprintf("set the callback URL of the %s to %s", name, vendorapi.Masked(webhookURL))
	switch {
	case now == "":
	case vendorapi.SameEndpoint(now, webhookURL):
		says += ", which is set with another token"
	default:
		says += fmt.Sprintf(" in place of %s, which gets no events from then on", vendorapi.Masked(now))
	}
	says += "; press Test in the settings afterwards: the API cannot. " + discloses
	return []vendorapi.Step{{Description: says, Do: func(ctx context.Context) error {
		var answer callbacks
		in := map[string]string{"callback_url": webhookURL}
		r := vendorapi.Request{Method: http.MethodPut, URL: c.base + path, JSON: in}
		if _, err := c.http.Do(ctx, r, &answer); err != nil {
			return fmt.Errorf("dropboxsign: %w", err)
		}
		if answer.url() != webhookURL {
			return errors.New("dropboxsign: the vendor did not set the callback URL")
		}
		return nil
	}}}, nil
}

// Repair implements [vendorapi.Client]: it restores the callback URL if the vendor has cleared it. Another URL is left
// alone, since somebody set it. Events cannot be resent.
func (c *client) Repair(ctx context.Context, webhookURL string) ([]vendorapi.Step, error) {
	now, err := c.callbackURL(ctx)
	if err != nil || now != "" {
		return nil, err
	}
	return c.Register(ctx, webhookURL)
}

// callbacks is the response for an account or for an app.
type callbacks struct {
	Account callback `json:"account"`
	App     callback `json:"api_app"`
}

func (a callbacks) url() string { return string(cmp.Or(a.Account.URL, a.App.URL)) }

// callbackURL reads our callback URL.
func (c *client) callbackURL(ctx context.Context) (string, error) {
	_, path := c.ours()
	var answer callbacks
	if err := c.get(ctx, path, nil, &answer); err != nil {
		return "", err
	}
	return answer.url(), nil
}
