package adobesign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	provider "esignhooks/shared/provider/adobesign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// hook is one of the vendor's webhooks.
type hook struct {
	ID           webhook.Text               `json:"id"`
	Name         webhook.Text               `json:"name"`
	Scope        webhook.Text               `json:"scope"`
	Status       webhook.Text               `json:"status"`
	LastModified webhook.Text               `json:"lastModified"`
	Events       webhook.List[webhook.Text] `json:"webhookSubscriptionEvents"`
	URL          struct {
		URL webhook.Text `json:"url"`
	} `json:"webhookUrlInfo"`
	Conditions struct {
		Agreement map[string]bool `json:"webhookAgreementEvents"`
	} `json:"webhookConditionalParams"` // not in a list

	etag string // not in a list
}

const (
	active          = "ACTIVE"
	account         = "ACCOUNT"
	group           = "GROUP"
	signedDocuments = "includeSignedDocuments"
)

func (h *hook) url() string { return string(h.URL.URL) }

// shared reports whether a webhook covers all agreements of the account or a group. We leave those of one user or one
// agreement alone.
func (h *hook) shared() bool { return h.Scope == account || h.Scope == group }

// all is the subscription to all agreement events. An operator may prefer it: the event of an undelivered text message
// has no documented name.
const all = "AGREEMENT_ALL"

// missing returns the agreement events that a status may depend on and that it does not send. The vendor's web
// application does not offer those of templates.
func (h *hook) missing() (missing []string) {
	if slices.Contains(h.Events, all) {
		return nil
	}
	for _, event := range provider.StatusEvents() {
		if strings.HasPrefix(event, "AGREEMENT_") && !slices.Contains(h.Events, webhook.Text(event)) {
			missing = append(missing, event)
		}
	}
	return missing
}

// wanted returns the events that it should send, out of these.
func (h *hook) wanted(events []string) []string {
	if !slices.Contains(h.Events, all) {
		return events
	}
	return append([]string{all}, slices.DeleteFunc(slices.Clone(events), func(event string) bool {
		return strings.HasPrefix(event, "AGREEMENT_")
	})...)
}

// exact reports whether it sends exactly the events that it should, without documents.
func (h *hook) exact() bool {
	var events []string
	for _, event := range h.Events {
		events = append(events, string(event))
	}
	slices.Sort(events)
	return slices.Equal(events, h.wanted(provider.Events())) && !h.Conditions.Agreement[signedDocuments]
}

func (h *hook) problems() (problems []string) {
	if h.Status != active {
		problems = append(problems, "it is not active: Adobe turns it off after three days of failures, and events are "+
			"lost until it is active again")
	}
	if h.Conditions.Agreement[signedDocuments] {
		problems = append(problems, "signed documents are included: a notification may become too large to deliver, and "+
			"then it blocks all others")
	}
	if missing := h.missing(); len(missing) > 0 {
		problems = append(problems, "it does not send "+strings.Join(missing, ", "))
	}
	return problems
}

// hooks lists the shared webhooks in detail. The vendor does not report whether a webhook fails.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/webhookapis, read 2026-11-23. It spells
// showInactiveWebhooks; the API description spells it with a capital A.
func (c *client) hooks(ctx context.Context) (found []*hook, err error) {
	var listed webhook.List[hook]
	err = pages(func(cursor string) (string, error) {
		var answer struct {
			Hooks webhook.List[hook] `json:"userWebhookList"`
			Page  next               `json:"page"`
		}
		path := "/webhooks" + query("showInactiveWebhooks", "true", "showInActiveWebhooks", "true", "cursor", cursor)
		err := c.get(ctx, "", path, &answer)
		listed = append(listed, answer.Hooks...)
		return string(answer.Page.Cursor), err
	})
	if err != nil {
		return nil, err
	}
	for _, h := range listed {
		if h.shared() {
			if err := c.read(ctx, &h); err != nil {
				return nil, err
			}
			found = append(found, &h)
		}
	}
	return found, nil
}

// read reads a webhook, and the ETag that a change requires.
func (c *client) read(ctx context.Context, h *hook) error {
	header, err := c.call(ctx, "", vendorapi.Request{Method: http.MethodGet, URL: h.path()}, h)
	if err == nil {
		h.etag = header.Get("ETag")
	}
	return err
}

func (h *hook) path() string { return "/webhooks/" + url.PathEscape(string(h.ID)) }

// change sends a request that requires the ETag, and keeps the new ETag.
func (c *client) change(ctx context.Context, h *hook, method, path string, in any) error {
	if h.etag == "" {
		if err := c.read(ctx, h); err != nil {
			return err
		}
	}
	header, err := c.call(ctx, "", vendorapi.Request{
		Method: method, URL: path, Header: http.Header{"If-Match": {h.etag}}, JSON: in,
	}, nil)
	h.etag = header.Get("ETag")
	return err
}

// Subscriptions implements [vendorapi.Client]: the webhooks of the account and of groups that the credentials' user may
// see. Additional events are not a problem.
func (c *client) Subscriptions(ctx context.Context) ([]vendorapi.Subscription, error) {
	hooks, err := c.hooks(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.listed = listed{hooks, c.now()}
	c.mu.Unlock()
	var all []vendorapi.Subscription
	for _, h := range hooks {
		all = append(all, vendorapi.Subscription{
			Name: fmt.Sprintf("%s (%s)", h.Name, strings.ToLower(string(h.Scope))),
			URL:  h.url(), Active: h.Status == active, Problems: h.problems(),
		})
	}
	return all, nil
}

// Register implements [vendorapi.Client]. The webhook is the account's; those of groups are left alone. A webhook's URL
// cannot be changed. A webhook with an old token is therefore deleted, after its successor is created. Its undelivered
// events are lost.
//
// SPEC: as for hooks: Adobe verifies the URL by a GET before it makes or activates a webhook. Deleting takes the scope
// webhook_retention according to https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events, and
// webhook_delete according to the page above.
func (c *client) Register(ctx context.Context, webhookURL string) ([]vendorapi.Step, error) {
	hooks, err := c.hooks(ctx)
	if err != nil {
		return nil, err
	}
	var ours *hook
	var old []*hook
	for _, h := range hooks {
		switch {
		case h.Scope != account:
		case h.url() == webhookURL:
			if ours == nil || ours.Status != active && h.Status == active {
				ours = h
			}
		case vendorapi.SameEndpoint(h.url(), webhookURL):
			old = append(old, h)
		}
	}
	var steps []vendorapi.Step
	switch {
	case ours == nil:
		steps = append(steps, c.create(webhookURL))
	case ours.Status != active:
		steps = append(steps, c.activate(ours))
	}
	if ours != nil && !ours.exact() {
		steps = append(steps, c.correct(ours))
	}
	for _, h := range old {
		steps = append(steps, vendorapi.Step{
			Description: fmt.Sprintf("delete the webhook %q, which has another token, with its undelivered events", h.Name),
			Do:          func(ctx context.Context) error { return c.change(ctx, h, http.MethodDelete, h.path(), nil) },
		})
	}
	return steps, nil
}

// settings are sent to create or change a webhook.
type settings struct {
	Name       string     `json:"name"`
	Scope      string     `json:"scope"`
	State      string     `json:"state"`
	Events     []string   `json:"webhookSubscriptionEvents"`
	URL        urlInfo    `json:"webhookUrlInfo"`
	Conditions conditions `json:"webhookConditionalParams"`
}

type urlInfo struct {
	URL string `json:"url"`
}

type conditions struct {
	Agreement map[string]bool `json:"webhookAgreementEvents"`
}

// subscribed sends settings with all events. If the account does not know one of them, it sends only those that it must
// know.
//
// SPEC: as for hooks, read 2026-11-30: 400 INVALID_WEBHOOK_SUBSCRIPTION_EVENTS. Accounts get new events with a release.
func subscribed(h *hook, in settings, send func(settings) error) error {
	in.Events = h.wanted(provider.Events())
	err := send(in)
	if errors.Is(err, errEvents) {
		in.Events = h.wanted(provider.StatusEvents())
		err = send(in)
	}
	return err
}

func (c *client) create(webhookURL string) vendorapi.Step {
	in := settings{
		Name: "esignhooks", Scope: account, State: active, URL: urlInfo{webhookURL},
		Conditions: conditions{map[string]bool{
			"includeDetailedInfo": false, "includeDocumentsInfo": false, "includeParticipantsInfo": false,
			signedDocuments: false,
		}},
	}
	says := fmt.Sprintf("create the webhook %q of the account for %s with %d events, without documents; Adobe "+
		"verifies the URL with the client ID of these credentials' application, which must be one of the keys, like %s "+
		"for webhooks created in Adobe's web application",
		in.Name, vendorapi.Masked(webhookURL), len(provider.Events()), provider.WebApplicationID)
	return vendorapi.Step{Description: says, Do: func(ctx context.Context) error {
		err := subscribed(&hook{}, in, func(in settings) error {
			_, err := c.call(ctx, "", vendorapi.Request{Method: http.MethodPost, URL: "/webhooks", JSON: in}, nil)
			return err
		})
		if errors.Is(err, errDuplicate) {
			return fmt.Errorf("%w: another user of the account created this webhook; use their credentials", err)
		}
		return err
	}}
}

// correct keeps the other settings that an operator may have chosen.
func (c *client) correct(h *hook) vendorapi.Step {
	says := "change the webhook %q to send the %d events that are understood, without documents"
	return vendorapi.Step{Description: fmt.Sprintf(says, h.Name, len(provider.Events())),
		Do: func(ctx context.Context) error {
			with := map[string]bool{}
			for condition, on := range h.Conditions.Agreement {
				with[condition] = on && condition != signedDocuments
			}
			in := settings{string(h.Name), string(h.Scope), active, nil, urlInfo{h.url()}, conditions{with}}
			return subscribed(h, in, func(in settings) error {
				return c.change(ctx, h, http.MethodPut, h.path(), in)
			})
		}}
}

func (c *client) activate(h *hook) vendorapi.Step {
	return vendorapi.Step{
		Description: fmt.Sprintf("activate the webhook %q: Adobe verifies its URL first", h.Name),
		Do: func(ctx context.Context) error {
			return c.change(ctx, h, http.MethodPut, h.path()+"/state", map[string]string{"state": active})
		},
	}
}

// listed keeps the webhooks of the last Subscriptions for the Repair that follows: a developer's account may not ask
// twice in ten minutes.
type listed struct {
	hooks []*hook
	at    time.Time
}

func (c *client) recentHooks(ctx context.Context) ([]*hook, error) {
	c.mu.Lock()
	recent := c.listed
	c.listed = listed{}
	c.mu.Unlock()
	if c.now().Sub(recent.at) < time.Minute {
		return recent.hooks, nil
	}
	return c.hooks(ctx)
}

// Repair implements [vendorapi.Client]. Events from the time when a webhook was not active are lost.
func (c *client) Repair(ctx context.Context, webhookURL string) ([]vendorapi.Step, error) {
	hooks, err := c.recentHooks(ctx)
	if err != nil {
		return nil, err
	}
	var latest *hook
	for _, h := range hooks {
		switch {
		case !vendorapi.SameEndpoint(h.url(), webhookURL):
		case h.Status == active && h.url() == webhookURL:
			return nil, nil
		case latest == nil || h.preferred(latest, webhookURL):
			latest = h
		}
	}
	if latest == nil || latest.Status == active {
		return nil, nil
	}
	return []vendorapi.Step{c.activate(latest)}, nil
}

// preferred reports whether h, and not other, is our webhook. The exact URL decides first, then the later change.
func (h *hook) preferred(other *hook, webhookURL string) bool {
	if is, was := h.url() == webhookURL, other.url() == webhookURL; is != was {
		return is
	}
	return cmp.Compare(webhook.Time(string(h.LastModified)).Unix(), webhook.Time(string(other.LastModified)).Unix()) > 0
}
