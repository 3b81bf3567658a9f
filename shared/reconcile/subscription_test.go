package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

func TestSubscriptions(t *testing.T) {
	healthy := vendorapi.Subscription{Name: "17", URL: address, Active: true}
	with := func(change func(*vendorapi.Subscription)) vendorapi.Subscription {
		s := healthy
		change(&s)
		return s
	}
	elsewhere := with(func(s *vendorapi.Subscription) { s.URL = "https://other.example.com/webhooks/acmesign" })
	disabled := with(func(s *vendorapi.Subscription) { s.Name, s.Active = "18", false })
	token := func(token string) func(*vendorapi.Subscription) {
		return func(s *vendorapi.Subscription) { s.URL += "/" + token }
	}
	for name, tt := range map[string]struct {
		all    []vendorapi.Subscription
		tokens []string
		want   string // in the log; empty: no problem
	}{
		"a healthy subscription":                 {[]vendorapi.Subscription{elsewhere, healthy}, nil, ""},
		"a healthy and an inactive subscription": {[]vendorapi.Subscription{disabled, healthy}, nil, ""},
		"none":                                   {nil, nil, "no subscription has our URL"},
		"one with another URL":                   {[]vendorapi.Subscription{elsewhere}, nil, "no subscription has our URL"},
		"one without a URL": {[]vendorapi.Subscription{with(func(s *vendorapi.Subscription) { s.URL = "" })}, nil,
			"no subscription has our URL"},
		"an inactive subscription": {[]vendorapi.Subscription{elsewhere, disabled}, nil, "18: not active"},
		"one with several problems": {
			[]vendorapi.Subscription{with(func(s *vendorapi.Subscription) {
				s.Active, s.Problems = false, []string{"it is paused"}
			})}, nil,
			`"17: not active","17: it is paused"`,
		},
		"one with a problem": {[]vendorapi.Subscription{with(func(s *vendorapi.Subscription) {
			s.Problems = []string{"no HMAC"}
		})}, nil, "17: no HMAC"},
		"one with failed deliveries": {[]vendorapi.Subscription{with(func(s *vendorapi.Subscription) {
			s.Failures = 3
		})}, nil, "17: 3 events are undelivered"},
		"one with an active token": {[]vendorapi.Subscription{with(token("old"))}, []string{"old", "new"}, ""},
		"one with an unknown token": {[]vendorapi.Subscription{with(token("gone"))}, []string{"old", "new"},
			"token is not one of the configured tokens"},
		"one without a token": {[]vendorapi.Subscription{healthy}, []string{"old", "new"},
			"token is not one of the configured tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.subscriptions = tt.all
			w.Webhook = func(context.Context, string) (string, webhook.Keys, error) {
				return address, webhook.Keys{URLTokens: webhook.Secrets(tt.tokens...)}, nil
			}
			must(t, w.pass())
			n, ok := w.counted()["SubscriptionProblems"]
			if !ok || (n == 1) != (tt.want != "") || n > 1 {
				t.Errorf("counted %d", n)
			}
			if text := w.log.String(); !strings.Contains(text, tt.want) || tt.want == "" && text != "" {
				t.Error(text)
			}
			if len(w.vendor.repaired) > 0 {
				t.Error("repaired without being allowed to")
			}
		})
	}
}

func TestRepair(t *testing.T) {
	w := newWorld(t)
	w.Repair = true
	must(t, w.pass())
	if len(w.vendor.repaired) > 0 {
		t.Error("repaired a healthy subscription")
	}
	w.vendor.subscriptions[0].Active = false
	var done []string
	step := func(says string, err error) vendorapi.Step {
		return vendorapi.Step{Description: says, Do: func(context.Context) error {
			done = append(done, says)
			return err
		}}
	}
	w.vendor.steps = []vendorapi.Step{step("activate it", nil), step("publish again", errDown), step("and again", nil)}
	if err := w.pass(); !errors.Is(err, errDown) || fmt.Sprint(done) != "[activate it publish again]" {
		t.Errorf("done %q, %v", done, err)
	}
	if len(w.vendor.windows) != 2 {
		t.Error("a failed repair stops the rest")
	}
	if n := w.counted()["SubscriptionProblems"]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

func TestAnUnknownURLIsSkippedAndAnUnreadableOneIsAFailure(t *testing.T) {
	w := newWorld(t)
	w.vendor.subscriptions = nil
	var failure error
	w.Webhook = func(context.Context, string) (string, webhook.Keys, error) { return "", webhook.Keys{}, failure }
	must(t, w.pass())
	if _, ok := w.counted()["SubscriptionProblems"]; ok {
		t.Error("counted")
	}
	failure = errDown
	if err := w.pass(); !errors.Is(err, errDown) || len(w.vendor.windows) != 2 {
		t.Errorf("%v, windows %v", err, w.vendor.windows)
	}
}
