package adobesign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	Conditions conditions `json:"webhookConditionalParams"` // not in a list

	etag string // not in a list
}

const (
	active  = "ACTIVE"
	account = "ACCOUNT"
	group   = "GROUP"
)

// conditions are what the notifications of each kind of resource include.
type conditions map[string]map[string]any

// The conditions of agreements that concern us.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events, "Webhook conditional parameters",
// read 2026-11-30: without them, a notification has the ID, the name and the status of the agreement.
const (
	ofAgreements    = "webhookAgreementEvents"
	details         = "includeDetailedInfo"
	participants    = "includeParticipantsInfo"
	signedDocuments = "includeSignedDocuments"
)

func (c conditions) include(condition string) bool { return c[ofAgreements][condition] == true }

// disclosed are the conditions that we need, with what each discloses.
var disclosed = []struct{ condition, what string }{
	{details, "externalId, the message and the e-mail addresses of the sender and of those who get a copy"},
	{participants, "everybody's names, companies, e-mail addresses, user IDs, roles and turns, and the private messages " +
		"to them"},
}

// add includes what other includes.
func (c conditions) add(other conditions) {
	for kind, chosen := range other {
		for condition, value := range chosen {
			if c[kind] == nil {
				c[kind] = map[string]any{}
			}
			if c[kind][condition] != true {
				c[kind][condition] = value
			}
		}
	}
}

// corrected returns c with what we need, without signed documents, and otherwise as the operator has chosen.
func (c conditions) corrected() conditions {
	all := conditions{}
	for kind, chosen := range c {
		all[kind] = maps.Clone(chosen)
	}
	if all[ofAgreements] == nil {
		all[ofAgreements] = map[string]any{}
	}
	for _, needed := range disclosed {
		all[ofAgreements][needed.condition] = true
	}
	all[ofAgreements][signedDocuments] = false
	return all
}

func (h *hook) url() string { return string(h.URL.URL) }

// shared reports whether a webhook covers all agreements of the account or a group. We leave those of one user or one
// agreement alone.
func (h *hook) shared() bool { return h.Scope == account || h.Scope == group }

// allAgreements is the subscription to all agreement events. An operator may prefer it: the event of an undelivered
// text message has no documented name.
const allAgreements = "AGREEMENT_ALL"

// missing returns the agreement events that a status may depend on and that it does not send. The vendor's web
// application does not offer those of templates.
func (h *hook) missing() (missing []string) {
	if slices.Contains(h.Events, allAgreements) {
		return nil
	}
	for _, event := range provider.StatusEvents() {
		if strings.HasPrefix(event, "AGREEMENT_") && !slices.Contains(h.Events, webhook.Text(event)) {
			missing = append(missing, event)
		}
	}
	return missing
}

// with returns the events that it sends and these, unless it sends them already.
func (h *hook) with(events []string) []string {
	var all []string
	for _, event := range h.Events {
		all = append(all, string(event))
	}
	for _, event := range events {
		if !slices.Contains(all, event) && !(strings.HasPrefix(event, "AGREEMENT_") && slices.Contains(all, allAgreements)) {
			all = append(all, event)
		}
	}
	slices.Sort(all)
	return all
}

// changes describes what it should send besides, and what it should leave out. It is empty if nothing has to change.
// Whatever else the operator has chosen stays.
func (h *hook) changes() (changes []string) {
	if more := len(h.with(provider.Events())) - len(h.Events); more > 0 {
		changes = append(changes, fmt.Sprintf("send %d more of the %d events that are understood", more,
			len(provider.Events())))
	}
	for _, needed := range disclosed {
		if !h.Conditions.include(needed.condition) {
			changes = append(changes, fmt.Sprintf("include %s, which sends to the stack's queue %s",
				needed.condition, needed.what))
		}
	}
	if h.Conditions.include(signedDocuments) {
		changes = append(changes, "leave out the signed documents, which can make a notification too large to deliver")
	}
	return changes
}

func (h *hook) problems() (problems []string) {
	if h.Status != active {
		problems = append(problems, "it is not active: Adobe turns it off after three days of failures, and events are "+
			"lost until it is active again")
	}
	if h.Conditions.include(signedDocuments) {
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
		steps = append(steps, c.create(webhookURL, old))
	case ours.Status != active:
		steps = append(steps, c.activate(ours))
	}
	if ours != nil && len(ours.changes()) > 0 {
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

// subscribed sends settings with all events. If the account does not know one of them, it sends only those that it must
// know.
//
// SPEC: as for hooks, read 2026-11-30: 400 INVALID_WEBHOOK_SUBSCRIPTION_EVENTS. Accounts get new events with a release.
func subscribed(h *hook, in settings, send func(settings) error) error {
	in.Events = h.with(provider.Events())
	err := send(in)
	if errors.Is(err, errEvents) {
		in.Events = h.with(provider.StatusEvents())
		err = send(in)
	}
	return err
}

// create makes a webhook, which also sends and includes what those before it do.
func (c *client) create(webhookURL string, before []*hook) vendorapi.Step {
	h := &hook{Conditions: conditions{ofAgreements: {"includeDocumentsInfo": false}}}
	for _, old := range before {
		h.Events = append(h.Events, old.Events...)
		h.Conditions.add(old.Conditions)
	}
	slices.Sort(h.Events)
	h.Events = slices.Compact(h.Events)
	in := settings{
		Name: "esignhooks", Scope: account, State: active, URL: urlInfo{webhookURL}, Conditions: h.Conditions.corrected(),
	}
	says := fmt.Sprintf("create the webhook %q of the account for %s with %d events, without documents",
		in.Name, vendorapi.Masked(webhookURL), len(h.with(provider.Events())))
	for _, needed := range disclosed {
		says += fmt.Sprintf("; include %s, which sends to the stack's queue %s", needed.condition, needed.what)
	}
	says += "; Adobe verifies the URL with the client ID of these credentials' application, which must be one of the " +
		"keys, like " + provider.WebApplicationID + " for webhooks created in Adobe's web application"
	return vendorapi.Step{Description: says, Do: func(ctx context.Context) error {
		err := subscribed(h, in, func(in settings) error {
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
	says := fmt.Sprintf("change the webhook %q: %s", h.Name, strings.Join(h.changes(), "; "))
	return vendorapi.Step{Description: says,
		Do: func(ctx context.Context) error {
			in := settings{string(h.Name), string(h.Scope), active, nil, urlInfo{h.url()}, h.Conditions.corrected()}
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
