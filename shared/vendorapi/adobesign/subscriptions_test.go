package adobesign_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/vendorstub"
	provider "esignhooks/shared/provider/adobesign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	endpoint = "https://hooks.example/live/webhooks/adobesign"
	here     = endpoint + "/canary-new"
	was      = endpoint + "/canary-old"
)

// receive answers Adobe's verification of the URL as our receiver does.
func (w *world) receive(keys ...string) {
	w.Receiver("hooks.example", http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		response, err := provider.Provider{}.Challenge(&webhook.Request{Method: r.Method, Header: r.Header},
			webhook.Keys{Keys: webhook.Secrets(keys...)})
		if err != nil {
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		for name, values := range response.Header {
			out.Header()[name] = values
		}
		out.WriteHeader(response.Status)
		out.Write(response.Body)
	}))
}

// subscribe adds a webhook. settings alternates names of changed settings and their values.
func (w *world) subscribe(id, url string, settings ...any) {
	s := vendorstub.Subscription{ID: id, URL: url, Settings: map[string]any{}}
	for i := 0; i < len(settings); i += 2 {
		if settings[i] == "inactive" {
			s.Disabled = settings[i+1].(bool)
			continue
		}
		s.Settings[settings[i].(string)] = settings[i+1]
	}
	w.Subscribe("adobesign", s)
}

// conditions returns the webhook's settings for agreements.
func conditions(on ...string) map[string]map[string]bool {
	all := map[string]bool{}
	for _, condition := range on {
		all[condition] = true
	}
	return map[string]map[string]bool{"webhookAgreementEvents": all}
}

// needed are the conditions that we need.
var needed = []string{"includeDetailedInfo", "includeParticipantsInfo"}

// verbs returns the first word of each step. It fails if a step shows a token.
func verbs(t *testing.T, steps []vendorapi.Step) (all []string) {
	t.Helper()
	for _, step := range steps {
		if strings.Contains(step.Description, "canary") {
			t.Errorf("shows a token: %s", step.Description)
		}
		verb, _, _ := strings.Cut(step.Description, " ")
		all = append(all, verb)
	}
	return all
}

// urls returns the URLs of the webhooks at the vendor, and whether they are active.
func (w *world) urls() (all []string) {
	for _, s := range w.Subscriptions("adobesign") {
		state := " on"
		if s.Disabled {
			state = " off"
		}
		all = append(all, s.URL+state)
	}
	return all
}

func TestSubscriptions(t *testing.T) {
	few := []any{"AGREEMENT_CREATED", "AGREEMENT_WORKFLOW_COMPLETED"}
	const documents, inactive, events = "signed documents are included", "it is not active", "it does not send AGREEMENT_ACTION_COMPLETED, "
	w := newWorld(t)
	w.subscribe("1", here)
	w.subscribe("2", was, "inactive", true, "name", "old", "scope", "GROUP")
	w.subscribe("3", here, "webhookConditionalParams", conditions("includeSignedDocuments"), "webhookSubscriptionEvents",
		few)
	w.subscribe("4", here, "webhookSubscriptionEvents", []any{"AGREEMENT_ALL", "WIDGET_ALL"})
	w.subscribe("5", here, "webhookSubscriptionEvents", few, "inactive", true, "webhookConditionalParams",
		map[string]any{})
	w.subscribe("6", here, "scope", "RESOURCE")
	w.subscribe("7", here, "scope", "USER")
	got, err := w.simple(t).Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []vendorapi.Subscription{
		{Name: "esignhooks (account)", URL: here, Active: true},
		{Name: "old (group)", URL: was, Problems: []string{inactive}},
		{Name: "esignhooks (account)", URL: here, Active: true, Problems: []string{documents, events}},
		{Name: "esignhooks (account)", URL: here, Active: true},
		{Name: "esignhooks (account)", URL: here, Problems: []string{inactive, events}},
	}
	for i, s := range got {
		for j, problem := range s.Problems { // each must contain the expected text
			if i < len(want) && j < len(want[i].Problems) && strings.HasPrefix(problem, want[i].Problems[j]) {
				got[i].Problems[j] = want[i].Problems[j]
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !got[0].Healthy() || got[1].Healthy() {
		t.Error("the wrong subscriptions are healthy")
	}
}

func TestRegisterMakesAWebhookOnce(t *testing.T) {
	w := newWorld(t)
	w.receive("UI", vendorstub.AdobeSignClientID)
	w.subscribe("1", "https://elsewhere.example/hook")
	c := w.client(t)
	steps, err := c.Register(t.Context(), here)
	if diff := cmp.Diff([]string{"create"}, verbs(t, steps)); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if n := len(w.Subscriptions("adobesign")); n != 1 {
		t.Fatal("a step is done without Do")
	}
	for _, told := range []string{"with 18 events", "without documents", "includeDetailedInfo", "externalId",
		"e-mail address",
		"includeParticipantsInfo", "name", "user ID", "the stack's queue"} {
		if !strings.Contains(steps[0].Description, told) {
			t.Errorf("%q is missing: %s", told, steps[0].Description)
		}
	}
	if err := steps[0].Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	made := w.Subscriptions("adobesign")[1]
	want := map[string]any{
		"name": "esignhooks", "scope": "ACCOUNT", "webhookSubscriptionEvents": provider.Events(),
		"webhookConditionalParams": map[string]map[string]bool{"webhookAgreementEvents": {
			"includeDetailedInfo": true, "includeDocumentsInfo": false, "includeParticipantsInfo": true,
			"includeSignedDocuments": false,
		}},
	}
	if diff := cmp.Diff(want, made.Settings); made.URL != here || diff != "" {
		t.Error(made.URL, diff)
	}
	if steps, err := c.Register(t.Context(), here); err != nil || len(steps) != 0 {
		t.Error("the second time: ", verbs(t, steps), err)
	}
	all, err := c.Subscriptions(t.Context())
	if err != nil || !slices.ContainsFunc(all,
		func(s vendorapi.Subscription) bool { return s.URL == here && s.Healthy() }) {
		t.Error(all, err)
	}
}

// TestUnknownEventsAreLeftOut registers at an account that does not know the newest events.
func TestUnknownEventsAreLeftOut(t *testing.T) {
	for name, method := range map[string]string{"a new webhook": http.MethodPost, "an existing webhook": http.MethodPut} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.receive(vendorstub.AdobeSignClientID)
			if method == http.MethodPut {
				w.subscribe("1", here, "webhookSubscriptionEvents", []any{"AGREEMENT_CREATED"})
			}
			w.Fail(vendorstub.Failure{Method: method, Path: "/webhooks", Status: 400, Times: 1,
				Header: http.Header{"Content-Type": {"application/json"}},
				Body:   `{"code": "INVALID_WEBHOOK_SUBSCRIPTION_EVENTS"}`})
			c := w.client(t)
			steps, err := c.Register(t.Context(), here)
			if err != nil || len(steps) != 1 {
				t.Fatal(verbs(t, steps), err)
			}
			if err := steps[0].Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			made := w.Subscriptions("adobesign")[0].Settings["webhookSubscriptionEvents"]
			if diff := cmp.Diff(provider.StatusEvents(), made); diff != "" {
				t.Error(diff)
			}
			all, err := c.Subscriptions(t.Context())
			if err != nil || len(all) != 1 || !all[0].Healthy() {
				t.Error(all, err)
			}
		})
	}
}

func TestEventsAreThoseThatNormalizeMaps(t *testing.T) {
	events := provider.Events()
	for _, event := range []string{"AGREEMENT_WORKFLOW_COMPLETED", "AGREEMENT_REJECTED", "AGREEMENT_EXPIRED",
		"LIBRARY_DOCUMENT_CREATED", "AGREEMENT_EMAIL_BOUNCED", "AGREEMENT_ACTION_DELEGATED",
		"AGREEMENT_ACTION_REPLACED_SIGNER"} {
		if !slices.Contains(events, event) {
			t.Errorf("%s is missing", event)
		}
	}
	if slices.Contains(events, "AGREEMENT_PARTICIPANT_COMPLETED") || !slices.IsSorted(events) {
		t.Error(events)
	}
}

func TestANewTokenReplacesTheWebhookWithoutAGap(t *testing.T) {
	w := newWorld(t)
	w.receive(vendorstub.AdobeSignClientID)
	w.subscribe("1", was)
	w.subscribe("2", endpoint+"/canary-older", "inactive", true)
	w.subscribe("3", was, "scope", "GROUP")
	w.subscribe("4", "https://hooks.example/live/webhooks/docusign/canary-old")
	steps, err := w.simple(t).Register(t.Context(), here)
	if diff := cmp.Diff([]string{"create", "delete", "delete"}, verbs(t, steps)); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for i, step := range steps {
		if err := step.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if urls := w.urls(); !slices.Contains(urls, was+" on") && !slices.Contains(urls, here+" on") {
			t.Errorf("after step %d no webhook is active: %s", i+1, urls)
		}
	}
	// the first is the group's
	want := []string{was + " on", "https://hooks.example/live/webhooks/docusign/canary-old on", here + " on"}
	if diff := cmp.Diff(want, w.urls()); diff != "" {
		t.Error(diff)
	}
}

func TestRegisterCorrectsTheExistingWebhook(t *testing.T) {
	for name, tt := range map[string]struct {
		settings []any
		want     []string
	}{
		"it is correct":     {nil, nil},
		"it was turned off": {[]any{"inactive", true}, []string{"activate"}},
		"it includes signed documents": {[]any{"webhookConditionalParams",
			conditions(append(needed, "includeSignedDocuments")...)}, []string{"change"}},
		"it includes less":   {[]any{"webhookConditionalParams", conditions()}, []string{"change"}},
		"it includes nobody": {[]any{"webhookConditionalParams", conditions("includeDetailedInfo")}, []string{"change"}},
		"it includes nothing but people": {[]any{"webhookConditionalParams", conditions("includeParticipantsInfo")},
			[]string{"change"}},
		"it has no conditions": {[]any{"webhookConditionalParams", nil}, []string{"change"}},
		"it includes more": {[]any{"webhookConditionalParams", conditions(append(needed, "includeDocumentsInfo")...)},
			nil},
		"events are missing": {[]any{"webhookSubscriptionEvents", []any{"AGREEMENT_CREATED"}}, []string{"change"}},
		"there are more events": {[]any{"webhookSubscriptionEvents", []any{"AGREEMENT_ALL", "LIBRARY_DOCUMENT_CREATED",
			"LIBRARY_DOCUMENT_MODIFIED", "LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM", "WIDGET_ALL"}}, nil},
		"some of the events are missing, others are added": {[]any{"webhookSubscriptionEvents", []any{"AGREEMENT_ALL",
			"AGREEMENT_SHARED", "MEGASIGN_ALL"}}, []string{"change"}},
		"it is off, with wrong settings": {[]any{"inactive", true, "webhookSubscriptionEvents", []any{"AGREEMENT_CREATED"}},
			[]string{"activate", "change"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.receive(vendorstub.AdobeSignClientID)
			w.subscribe("1", here, append(tt.settings, "name", "by hand")...)
			c := w.simple(t)
			steps, err := c.Register(t.Context(), here)
			if diff := cmp.Diff(tt.want, verbs(t, steps)); err != nil || diff != "" {
				t.Fatal(err, diff)
			}
			for _, step := range steps {
				if err := step.Do(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if steps, err = c.Register(t.Context(), here); err != nil || len(steps) > 0 {
				t.Error("the second time: ", verbs(t, steps), err)
			}
			now := w.Subscriptions("adobesign")[0]
			if now.Disabled || now.Settings["name"] != "by hand" {
				t.Error(now)
			}
			if all, err := c.Subscriptions(t.Context()); err != nil || !all[0].Healthy() {
				t.Error(all, err)
			}
		})
	}
}

// TestRegisterKeepsWhatTheOperatorAdded changes a webhook, or replaces it because it has an old token.
func TestRegisterKeepsWhatTheOperatorAdded(t *testing.T) {
	on, off := map[string]bool{"includeDetailedInfo": true}, map[string]bool{"includeDetailedInfo": false}
	for url, verb := range map[string]string{here: "change", was: "create"} {
		w := newWorld(t)
		w.receive(vendorstub.AdobeSignClientID)
		w.subscribe("1", url, "webhookSubscriptionEvents", []any{"AGREEMENT_CREATED", "AGREEMENT_SHARED", "MEGASIGN_ALL"},
			"webhookConditionalParams", map[string]any{"webhookWidgetEvents": on, "webhookMegaSignEvents": off,
				"webhookAgreementEvents": map[string]any{"includeDocumentsInfo": true, "includeSignedDocuments": true}})
		steps, err := w.simple(t).Register(t.Context(), here)
		if err != nil || verbs(t, steps)[0] != verb {
			t.Fatal(verbs(t, steps), err)
		}
		for _, step := range steps {
			if err := step.Do(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		events := append(provider.Events(), "AGREEMENT_SHARED", "MEGASIGN_ALL")
		slices.Sort(events)
		want := map[string]any{"webhookSubscriptionEvents": events,
			"webhookConditionalParams": map[string]map[string]bool{"webhookWidgetEvents": on, "webhookMegaSignEvents": off,
				"webhookAgreementEvents": {"includeDetailedInfo": true, "includeParticipantsInfo": true,
					"includeDocumentsInfo": true, "includeSignedDocuments": false}}}
		made := w.Subscriptions("adobesign")[0]
		for name, want := range want {
			if diff := cmp.Diff(want, made.Settings[name]); diff != "" || made.URL != here {
				t.Errorf("%s: %s %s", verb, made.URL, diff)
			}
		}
	}
}

func TestRegisterPrefersTheActiveOfTwoWithTheSameURL(t *testing.T) {
	w := newWorld(t)
	w.subscribe("1", here, "inactive", true)
	w.subscribe("2", here)
	if steps, err := w.simple(t).Register(t.Context(), here); err != nil || len(steps) > 0 {
		t.Error(verbs(t, steps), err)
	}
}

func TestStepsThatFail(t *testing.T) {
	t.Run("the receiver does not know the client ID", func(t *testing.T) {
		w := newWorld(t)
		w.receive("another")
		w.subscribe("1", was)
		steps, err := w.simple(t).Register(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		err = steps[0].Do(t.Context())
		if !errors.Is(err, vendorapi.ErrInvalid) || !strings.Contains(err.Error(), "INVALID_WEBHOOK_URL") ||
			strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{was + " on"}, w.urls()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("another process has created it", func(t *testing.T) {
		w := newWorld(t)
		w.receive(vendorstub.AdobeSignClientID)
		c := w.simple(t)
		steps, err := c.Register(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		w.subscribe("1", here)
		if err := steps[0].Do(t.Context()); !errors.Is(err, vendorapi.ErrInvalid) ||
			!strings.Contains(err.Error(), "another user") {
			t.Error(err)
		}
	})
	t.Run("it is changed in between", func(t *testing.T) {
		w := newWorld(t)
		w.receive(vendorstub.AdobeSignClientID)
		w.subscribe("1", here, "inactive", true)
		w.Fail(vendorstub.Failure{Method: "PUT", Path: "/webhooks/1/state", Status: 412,
			Body: `{"code": "RESOURCE_MODIFIED"}`, Times: 1})
		steps, err := w.simple(t).Register(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		if err := steps[0].Do(t.Context()); err == nil || errors.Is(err, vendorapi.ErrInvalid) {
			t.Error(err)
		}
		if err := steps[0].Do(t.Context()); err != nil {
			t.Error("the second time: ", err)
		}
	})
	t.Run("the credentials lack the right", func(t *testing.T) {
		w := newWorld(t)
		w.Fail(vendorstub.Failure{Method: "POST", Path: "/webhooks", Status: 403,
			Body: `{"code": "WEBHOOK_CREATION_NOT_ALLOWED"}`, Times: 1})
		steps, err := w.simple(t).Register(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		if err := steps[0].Do(t.Context()); !errors.Is(err, vendorapi.ErrDenied) ||
			!strings.Contains(err.Error(), "WEBHOOK_CREATION_NOT_ALLOWED") {
			t.Error(err)
		}
	})
	t.Run("the list cannot be read", func(t *testing.T) {
		w := newWorld(t)
		w.Fail(vendorstub.Failure{Path: "/webhooks", Status: 403, Body: `{"code": "PERMISSION_DENIED"}`, Times: 9})
		c := w.simple(t)
		_, subscriptions := c.Subscriptions(t.Context())
		_, register := c.Register(t.Context(), here)
		_, repair := c.Repair(t.Context(), here)
		for _, err := range []error{subscriptions, register, repair} {
			if !errors.Is(err, vendorapi.ErrDenied) {
				t.Error(err)
			}
		}
	})
}

func TestRegisterStaysWithinTheRateLimit(t *testing.T) {
	w := newWorld(t)
	w.AdobeSignLimit(3, 60e9)
	w.receive(vendorstub.AdobeSignClientID)
	w.subscribe("1", here, "inactive", true, "webhookSubscriptionEvents", []any{"AGREEMENT_ALL"})
	c := w.simple(t)
	steps, err := c.Register(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := step.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := c.Subscriptions(t.Context()); err != nil || !all[0].Healthy() {
		t.Error(all, err)
	}
}

func TestRepairReusesTheListOfSubscriptions(t *testing.T) {
	w := newWorld(t)
	w.AdobeSignLimit(1, 10*time.Minute)
	w.receive(vendorstub.AdobeSignClientID)
	w.subscribe("1", here, "inactive", true)
	c := w.simple(t)
	for range 2 {
		all, err := c.Subscriptions(t.Context())
		if err != nil || len(all) != 1 || all[0].Active {
			t.Fatal(all, err)
		}
		steps, err := c.Repair(t.Context(), here)
		if err != nil || len(steps) != 1 {
			t.Fatal(verbs(t, steps), err)
		}
		w.pass(10 * time.Minute)
	}
	steps, err := c.Repair(t.Context(), here) // without a list before
	if err != nil || len(steps) != 1 {
		t.Fatal(verbs(t, steps), err)
	}
	if err := steps[0].Do(t.Context()); err != nil {
		t.Error(err)
	}
	w.pass(10 * time.Minute)
	if steps, err := c.Repair(t.Context(), here); err != nil || len(steps) > 0 {
		t.Error("afterwards: ", verbs(t, steps), err)
	}
}

func TestRepair(t *testing.T) {
	const off = "inactive"
	for name, tt := range map[string]struct {
		there func(*world)
		want  []string // the URLs afterwards; nil if there is nothing to do
	}{
		"there is no webhook":           {func(w *world) {}, nil},
		"ours works":                    {func(w *world) { w.subscribe("1", here) }, nil},
		"ours works with another token": {func(w *world) { w.subscribe("1", was) }, nil},
		"another's is off": {func(w *world) { w.subscribe("1", "https://elsewhere.example/hook", off, true) },
			nil},
		"ours works, an old one is off": {func(w *world) {
			w.subscribe("1", was, off, true)
			w.subscribe("2", here)
		}, nil},
		"ours is off":      {func(w *world) { w.subscribe("1", here, off, true) }, []string{here + " on"}},
		"a group's is off": {func(w *world) { w.subscribe("1", here, off, true, "scope", "GROUP") }, []string{here + " on"}},
		"ours is off, though an old one works": {func(w *world) {
			w.subscribe("1", was)
			w.subscribe("2", here, off, true)
		}, []string{was + " on", here + " on"}},
		"two are off, and the latest is activated": {func(w *world) {
			w.subscribe("1", endpoint+"/canary-2", off, true, "lastModified", "2026-10-02T00:00:00Z")
			w.subscribe("2", endpoint+"/canary-1", off, true, "lastModified", "2026-10-01T00:00:00-08:00")
		}, []string{endpoint + "/canary-2 on", endpoint + "/canary-1 off"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.receive(vendorstub.AdobeSignClientID)
			tt.there(w)
			c := w.simple(t)
			steps, err := c.Repair(t.Context(), here)
			if err != nil || (len(steps) > 0) != (tt.want != nil) {
				t.Fatal(verbs(t, steps), err)
			}
			for _, step := range steps {
				if err := step.Do(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if tt.want == nil {
				return
			}
			if diff := cmp.Diff(tt.want, w.urls()); diff != "" {
				t.Error(diff)
			}
			if steps, err := c.Repair(t.Context(), here); err != nil || len(steps) > 0 {
				t.Error("the second time: ", verbs(t, steps), err)
			}
		})
	}
}

func TestAURLThatDoesNotAnswerIsNotActivated(t *testing.T) {
	w := newWorld(t)
	w.receive("another")
	w.subscribe("1", here, "inactive", true)
	steps, err := w.simple(t).Repair(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	if err := steps[0].Do(t.Context()); !errors.Is(err, vendorapi.ErrInvalid) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{here + " off"}, w.urls()); diff != "" {
		t.Error(diff)
	}
}
