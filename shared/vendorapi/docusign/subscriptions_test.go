package docusign_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/vendorstub"
	provider "esignhooks/shared/provider/docusign"
	"esignhooks/shared/vendorapi"
)

const webhookURL = "https://api.example.com/v1/webhooks/docusign"

func says(steps []vendorapi.Step) []string {
	return names(steps, func(s vendorapi.Step) string { return s.Description })
}

// settings returns the right settings of a configuration, with changes.
func settings(change map[string]any) map[string]any {
	all := map[string]any{
		"name": "esignhooks", "configurationType": "custom", "allUsers": "true", "allUsersExcept": "false",
		"requiresAcknowledgement": "true", "includeHMAC": "true", "deliveryMode": "SIM", "useSoapInterface": "false",
		"includeDocuments": "false", "includeCertificateOfCompletion": "false", "includeEnvelopeVoidReason": "true",
		"enableLog": "true", "pausePublish": "false", "events": texts(all()...),
		"eventData": map[string]any{"version": "restv2.1", "includeData": texts("recipients", "custom_fields")},
	}
	maps.Copy(all, change)
	return all
}

// all are the events that every account knows, and the others.
func all() []string { return append(provider.Events(), provider.MoreEvents()...) }

// texts returns a list as JSON decodes it.
func texts(list ...string) (all []any) {
	for _, s := range list {
		all = append(all, s)
	}
	return all
}

func do(t *testing.T, steps []vendorapi.Step) {
	t.Helper()
	for _, s := range steps {
		if err := s.Do(t.Context()); err != nil {
			t.Fatalf("%s: %v", s.Description, err)
		}
	}
}

func TestRegisterMakesAConfigurationOnce(t *testing.T) {
	w := newWorld(t)
	another := vendorstub.Subscription{ID: "1", URL: "https://elsewhere.example.com/hook",
		Settings: map[string]any{"name": "Another"}}
	received := vendorstub.Subscription{ID: "2", URL: webhookURL,
		Settings: settings(map[string]any{"configurationType": "customrecipient"})}
	w.Subscribe("docusign", another)
	w.Subscribe("docusign", received)
	c := w.client(t, nil)
	steps, err := c.Register(t.Context(), webhookURL+"/token")
	if err != nil || len(steps) != 2 || !strings.Contains(steps[0].Description, `"esignhooks"`) ||
		!strings.Contains(steps[0].Description, "discloses names and e-mail addresses") ||
		strings.Contains(strings.Join(says(steps), " "), "/token") || steps[0].Optional || !steps[1].Optional {
		t.Fatalf("steps %q, error %v", says(steps), err)
	}
	if n := len(w.Subscriptions("docusign")); n != 2 {
		t.Fatalf("%d configurations before the step is done", n)
	}
	do(t, steps)
	current := w.Subscriptions("docusign")
	want := []vendorstub.Subscription{another, received,
		{ID: current[2].ID, URL: webhookURL + "/token", Settings: settings(nil)}}
	if diff := cmp.Diff(want, current); diff != "" {
		t.Error(diff)
	}
	if steps, err := c.Register(t.Context(), webhookURL+"/token"); err != nil || len(steps) > 0 {
		t.Errorf("steps the second time %q, error %v", says(steps), err)
	}
	subscriptions, err := c.Subscriptions(t.Context())
	if err != nil || !subscriptions[2].Healthy() {
		t.Errorf("subscriptions %+v, error %v", subscriptions, err)
	}
}

// wrong lists faults of a configuration, with a part of the problem that is reported.
var wrong = map[string]struct {
	change   map[string]any
	disabled bool
	want     string
	inactive bool
}{
	"switched off": {nil, true, "switched off", true},
	"paused":       {map[string]any{"pausePublish": "true"}, false, "paused", true},
	"for some users": {map[string]any{"allUsers": "false", "userIds": texts("x")}, false,
		"not for all users", false},
	"for all users but some": {map[string]any{"allUsersExcept": "true"}, false, "excludes some users", false},
	"without acknowledgement": {map[string]any{"requiresAcknowledgement": "false"}, false, "no acknowledgement",
		false},
	"acknowledgement missing": {map[string]any{"requiresAcknowledgement": nil}, false, "no acknowledgement", false},
	"without HMAC":            {map[string]any{"includeHMAC": "false"}, false, "no HMAC", false},
	"aggregate":               {map[string]any{"deliveryMode": "Aggregate"}, false, "(SIM)", false},
	"SOAP":                    {map[string]any{"useSoapInterface": "true"}, false, "SOAP", false},
	"documents":               {map[string]any{"includeDocuments": "true"}, false, "includes documents", false},
	"certificate": {map[string]any{"includeCertificateOfCompletion": "true"}, false, "certificate",
		false},
	"no reason": {map[string]any{"includeEnvelopeVoidReason": "false"}, false,
		"why an envelope is voided", false},
	"no log": {map[string]any{"enableLog": "false"}, false, "log is switched off", false},
	"XML": {map[string]any{"eventData": map[string]any{"version": "soap",
		"includeData": texts("recipients")}}, false, "data format", false},
	"no data format": {map[string]any{"eventData": nil}, false, "data format", false},
	"documents in the data": {map[string]any{"eventData": map[string]any{"version": "restv2.1",
		"includeData": texts("recipients", "documents")}}, false, "messages include: documents", false},
	"no summary": {map[string]any{"eventData": map[string]any{"version": "restv2.1"}}, false,
		"messages do not include: recipients", false},
	"events missing": {map[string]any{"events": texts(all()[1:]...)}, false, "not send: " +
		provider.Events()[0], false},
}

func TestProblems(t *testing.T) {
	for name, tt := range wrong {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: webhookURL, Disabled: tt.disabled,
				Settings: settings(tt.change)})
			got, err := w.client(t, nil).Subscriptions(t.Context())
			if err != nil || len(got) != 1 || !strings.Contains(strings.Join(got[0].Problems, "; "), tt.want) ||
				got[0].Active == tt.inactive {
				t.Errorf("subscriptions %+v, error %v, want the problem %q", got, err, tt.want)
			}
		})
	}
}

func TestRegisterCorrectsAConfiguration(t *testing.T) {
	for name, tt := range wrong {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			found := settings(tt.change)
			found["userName"] = "kept"
			w.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: webhookURL + "/old", Disabled: tt.disabled,
				Settings: found})
			c := w.client(t, nil)
			steps, err := c.Register(t.Context(), webhookURL+"/new")
			if err != nil || len(steps) != 1 || !strings.Contains(steps[0].Description, tt.want) ||
				!strings.Contains(steps[0].Description, "(7)") ||
				!strings.Contains(steps[0].Description, "another token") || strings.Contains(steps[0].Description, "/new") ||
				strings.Contains(steps[0].Description, "/old") {
				t.Fatalf("steps %q, error %v", says(steps), err)
			}
			do(t, steps)
			current := w.Subscriptions("docusign")
			want := settings(map[string]any{"userName": "kept"})
			delete(current[0].Settings, "userIds") // ignored if allUsers is true
			if diff := cmp.Diff([]vendorstub.Subscription{{ID: "7", URL: webhookURL + "/new", Settings: want}},
				current); diff != "" {
				t.Error(diff)
			}
			if steps, err := c.Register(t.Context(), webhookURL+"/new"); err != nil || len(steps) > 0 {
				t.Errorf("steps the second time %q, error %v", says(steps), err)
			}
		})
	}
}

// TestRegisterKeepsWhatTheOperatorAdded has a configuration of which Register changes as little as possible.
func TestRegisterKeepsWhatTheOperatorAdded(t *testing.T) {
	events := texts(append(all(), "click-agreed")...)
	for name, tt := range map[string]struct {
		data, want []any
		says       string // empty: there is nothing to change
	}{
		"more data than is needed": {texts("recipients", "tabs", "custom_fields"), nil, ""},
		"in other letters":         {texts("Recipients", "Custom_Fields", "tabs"), nil, ""},
		"no custom fields": {texts("tabs", "recipients"), texts("recipients", "custom_fields", "tabs"),
			"custom_fields, so that events carry no references"},
		"no recipients": {texts("custom_fields", "folders"), texts("recipients", "custom_fields", "folders"),
			"not include: recipients"},
		"documents": {texts("recipients", "custom_fields", "tabs", "Documents"), texts("recipients", "custom_fields", "tabs"),
			"messages include: documents"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: webhookURL, Settings: settings(map[string]any{
				"events": events, "eventData": map[string]any{"version": "restv2.1", "includeData": tt.data, "more": "kept"}})})
			c := w.client(t, nil)
			steps, err := c.Register(t.Context(), webhookURL)
			if err != nil || (len(steps) == 0) != (tt.says == "") {
				t.Fatalf("steps %q, error %v", says(steps), err)
			}
			healthy, err := c.Subscriptions(t.Context())
			if works := tt.says == "" || name == "no custom fields"; err != nil || healthy[0].Healthy() != works {
				t.Errorf("subscriptions %+v, error %v", healthy, err)
			}
			if tt.says == "" {
				return
			}
			said := steps[0].Description
			if discloses := strings.Contains(said, "discloses names and e-mail addresses"); !strings.Contains(said, tt.says) ||
				discloses != (name != "documents") {
				t.Errorf("step %q", said)
			}
			do(t, steps)
			is := w.Subscriptions("docusign")[0].Settings
			want := map[string]any{"version": "restv2.1", "includeData": tt.want, "more": "kept"}
			if diff := cmp.Diff(want, is["eventData"]); diff != "" {
				t.Error(diff)
			}
			if got := subscribed(w); len(got) != len(events) || !slices.Contains(got, any("click-agreed")) {
				t.Errorf("events %v", got)
			}
		})
	}
}

// subscribed are the events of the first configuration.
func subscribed(w world) []any {
	events, _ := w.Subscriptions("docusign")[0].Settings["events"].([]any)
	return events
}

// TestRegisterAddsFurtherEventsInASecondCall lets DocuSign refuse the events that not every account has.
func TestRegisterAddsFurtherEventsInASecondCall(t *testing.T) {
	for name, tt := range map[string]struct {
		is    *vendorstub.Subscription
		steps int
	}{
		"there is no configuration": {nil, 2},
		"there is one without them": {&vendorstub.Subscription{ID: "7", URL: webhookURL,
			Settings: settings(map[string]any{"events": texts(provider.Events()...)})}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tt.is != nil {
				w.Subscribe("docusign", *tt.is)
			}
			c := w.client(t, nil)
			steps, err := c.Register(t.Context(), webhookURL)
			if err != nil || len(steps) != tt.steps || !steps[tt.steps-1].Optional {
				t.Fatalf("steps %q, error %v", says(steps), err)
			}
			do(t, steps[:tt.steps-1])
			if diff := cmp.Diff(texts(provider.Events()...), subscribed(w)); diff != "" {
				t.Errorf("after the first call: %s", diff)
			}
			more := provider.MoreEvents()
			for _, refused := range []int{len(more), 2} { // together, and then so many of them alone
				w.Fail(vendorstub.Failure{Method: "PUT", Path: "/connect", Status: 400, Body: `{"errorCode":"INVALID_EVENT"}`,
					Times: 1 + refused})
				err := steps[tt.steps-1].Do(t.Context())
				if !errors.Is(err, vendorapi.ErrInvalid) || !strings.HasSuffix(err.Error(), strings.Join(more[:refused], ", ")) {
					t.Errorf("error %v", err)
				}
				if diff := cmp.Diff(texts(append(provider.Events(), more[refused:]...)...), subscribed(w)); diff != "" {
					t.Errorf("%d are refused: %s", refused, diff)
				}
			}
			subscriptions, err := c.Subscriptions(t.Context())
			if err != nil || len(subscriptions) != 1 || !subscriptions[0].Healthy() {
				t.Errorf("without the further events: %+v, error %v", subscriptions, err)
			}
			do(t, steps[tt.steps-1:])
			if got := subscribed(w); len(got) != len(all()) {
				t.Errorf("with the further events: %v", got)
			}
		})
	}
}

func TestRegisterInsistsOnTLS(t *testing.T) {
	if steps, err := newWorld(t).client(t, nil).Register(t.Context(),
		"http://localhost:3000/webhooks/docusign"); !errors.Is(err, vendorapi.ErrInvalid) {
		t.Errorf("steps %q, error %v", says(steps), err)
	}
}

func TestConnectNeedsAnAdministrator(t *testing.T) {
	w := newWorld(t)
	w.Fail(vendorstub.Failure{Path: "/connect", Status: 400, Body: `{"errorCode":"USER_LACKS_PERMISSIONS"}`, Times: 9})
	c := w.client(t, nil)
	_, listed := c.Subscriptions(t.Context())
	_, registered := c.Register(t.Context(), webhookURL)
	_, repaired := c.Repair(t.Context(), webhookURL)
	for name, err := range map[string]error{"subscriptions": listed, "register": registered, "repair": repaired} {
		if !errors.Is(err, vendorapi.ErrDenied) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	w := newWorld(t)
	w.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: webhookURL, Failed: []string{id(1), id(2)}})
	w.Subscribe("docusign", vendorstub.Subscription{ID: "8", URL: "https://elsewhere.example.com/hook",
		Failed: []string{id(3)}})
	got, err := w.client(t, nil).Subscriptions(t.Context())
	want := []vendorapi.Subscription{
		{Name: `"esignhooks" (7)`, URL: webhookURL, Active: true, Failures: 2},
		{Name: `"esignhooks" (8)`, URL: "https://elsewhere.example.com/hook", Active: true, Failures: 1},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
}

func TestRepair(t *testing.T) {
	for name, tt := range map[string]struct {
		is   vendorstub.Subscription
		want []string // parts of the steps' descriptions
	}{
		"nothing is wrong": {vendorstub.Subscription{}, nil},
		"switched off": {vendorstub.Subscription{Disabled: true},
			[]string{"switch the Connect configuration"}},
		"paused": {vendorstub.Subscription{Settings: settings(map[string]any{"pausePublish": "true",
			"userName": "kept"})}, []string{"switch the Connect configuration"}},
		"some could not be delivered": {vendorstub.Subscription{Failed: []string{id(1), id(2), id(1)}},
			[]string{"of 2 envelopes"}},
		"both": {vendorstub.Subscription{Disabled: true, Failed: []string{id(1)}},
			[]string{"switch the Connect configuration", "of 1 envelopes"}},
		"wrong settings are left to Register": {vendorstub.Subscription{Settings: settings(map[string]any{"includeHMAC": "false"})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			another := vendorstub.Subscription{ID: "8", URL: "https://elsewhere.example.com/hook", Disabled: true,
				Failed: []string{id(3)}}
			w.Subscribe("docusign", another)
			tt.is.ID, tt.is.URL = "7", webhookURL+"/token"
			w.Subscribe("docusign", tt.is)
			c := w.client(t, nil)
			steps, err := c.Repair(t.Context(), webhookURL)
			if err != nil || len(steps) != len(tt.want) {
				t.Fatalf("steps %q, error %v, want %q", says(steps), err, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(steps[i].Description, want) || strings.Contains(steps[i].Description, "token") {
					t.Errorf("step %q, want %q", steps[i].Description, want)
				}
			}
			do(t, steps)
			current := w.Subscriptions("docusign")
			if diff := cmp.Diff(another, current[0]); diff != "" {
				t.Errorf("another's configuration: %s", diff)
			}
			if s := current[1]; s.Disabled || len(s.Failed) > 0 || s.URL != webhookURL+"/token" ||
				s.Settings["userName"] != tt.is.Settings["userName"] {
				t.Errorf("after the repair it is %+v", s)
			}
			if steps, err := c.Repair(t.Context(), webhookURL); err != nil || len(steps) > 0 {
				t.Errorf("steps the second time %q, error %v", says(steps), err)
			}
		})
	}
}

// TestRepairOfOtherFailures resends failures of an envelope's own notification, which belongs to no configuration but
// has our URL. It also resends failures of our configuration from a time when it had another URL.
func TestRepairOfOtherFailures(t *testing.T) {
	const another = "https://elsewhere.example.com/hook"
	for name, tt := range map[string]struct {
		connectID, configURL string
		ours                 bool
	}{
		"an envelope's own notification":             {"0", webhookURL + "/token", true},
		"our configuration, when it had another URL": {"7", another, true},
		"another's": {"8", another, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: webhookURL})
			w.Fail(vendorstub.Failure{Path: "/connect/failures", Status: 200, Times: 1, Body: fmt.Sprintf(
				`{"failures":[{"connectId":%q,"configUrl":%q,"envelopeId":%q,"retryCount":null}]}`, tt.connectID, tt.configURL,
				id(1))})
			steps, err := w.client(t, nil).Repair(t.Context(), webhookURL)
			if err != nil || (len(steps) == 1) != tt.ours {
				t.Errorf("steps %q, error %v", says(steps), err)
			}
		})
	}
}

func TestRepairResendsABoundedNumberAtOnce(t *testing.T) {
	w := newWorld(t)
	var failed []string
	for i := range 250 {
		failed = append(failed, id(i))
	}
	w.Subscribe("docusign", vendorstub.Subscription{ID: "7", URL: webhookURL, Failed: failed})
	steps, err := w.client(t, nil).Repair(t.Context(), webhookURL)
	if err != nil {
		t.Fatal(err)
	}
	do(t, steps)
	if left, calls := w.Subscriptions("docusign")[0].Failed, w.Calls("PUT /restapi"); len(left) > 0 || calls != 3 {
		t.Errorf("%d are left after %d calls", len(left), calls)
	}
}
