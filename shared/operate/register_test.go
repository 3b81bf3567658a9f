package operate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

const (
	here  = "https://api.example/live/webhooks/"
	token = "canary-token"
)

// vendor is a client whose vendor has one subscription, and does not change its mind unless it is told to.
type vendor struct {
	vendorapi.Client // what is not asked here
	subscriptions    []vendorapi.Subscription
	err              error // of everything that is asked
	stepErr          error
	deaf             bool // steps do nothing
	agreement        vendorapi.Agreement
	done             int
}

func (v *vendor) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return v.subscriptions, v.err
}

func (v *vendor) Register(_ context.Context, address string) ([]vendorapi.Step, error) {
	if slices.ContainsFunc(v.subscriptions, func(s vendorapi.Subscription) bool { return s.URL == address && s.Active }) {
		return nil, v.err
	}
	step := vendorapi.Step{Says: "make one for " + vendorapi.Masked(address), Do: func(context.Context) error {
		v.done++
		if v.stepErr == nil && !v.deaf {
			v.subscriptions = []vendorapi.Subscription{{Name: "made", URL: address, Active: true}}
		}
		return v.stepErr
	}}
	return []vendorapi.Step{step}, v.err
}

func (v *vendor) Agreement(context.Context, string) (vendorapi.Agreement, error) {
	return v.agreement, v.err
}

// target has one vendor for all providers.
func (v *vendor) target() operate.Target {
	return operate.Target{
		Providers: provider.All(), Now: func() time.Time { return start },
		Clients: func(context.Context, string) (vendorapi.Client, error) { return v, nil },
		Webhook: func(_ context.Context, provider string) (string, webhook.Keys, error) {
			return here + provider, webhook.Keys{Keys: webhook.Secrets("canary-key"), URLTokens: webhook.Secrets("canary-old", token)}, nil
		},
	}
}

// silent fails the test if a secret is shown.
func silent(t *testing.T, texts ...any) {
	t.Helper()
	if text := fmt.Sprint(texts...); strings.Contains(text, "canary") {
		t.Errorf("shows a secret: %s", text)
	}
}

func TestRegisterShowsThenDoesThenFindsNothingToDo(t *testing.T) {
	v := &vendor{}
	out, err := act(t, v.target(), "register -provider docusign")
	silent(t, out, err)
	const shown = "DocuSign Connect: https://api.example/live/webhooks/docusign/…\n  - make one for https://api.example/live/webhooks/docusign/…\n"
	if diff := cmp.Diff(shown+"nothing is done yet: APPLY=1 does it\n", out); err != nil || diff != "" || v.done != 0 {
		t.Error(err, v.done, diff)
	}
	out, err = act(t, v.target(), "register -provider docusign -apply")
	silent(t, out, err)
	want := shown + "step 1 of 1 is done\nread back: made is active, 0 events are undelivered\n"
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got := v.subscriptions[0].URL; got != here+"docusign/"+token {
		t.Errorf("registered %s", got)
	}
	for _, flag := range []string{"", " -apply"} {
		if out, err = act(t, v.target(), "register -provider docusign"+flag); err != nil || !strings.Contains(out, "nothing to do") || v.done != 1 {
			t.Errorf("%v, done %d: %s", err, v.done, out)
		}
	}
}

func TestRegisterTellsWhatWentWrong(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		vendor vendor
		change func(*operate.Target)
		want   error
		said   string
	}{
		"the vendor cannot be asked": {vendor{err: broken}, nil, broken, ""},
		"a step fails":               {vendor{stepErr: broken}, nil, broken, "step 1 of 1"},
		"the vendor does not do it":  {vendor{deaf: true}, nil, nil, "none is active"},
		"the API cannot":             {vendor{err: fmt.Errorf("use the console: %w", errors.ErrUnsupported)}, nil, errors.ErrUnsupported, "use the console"},
		"every request was refused":  {vendor{}, keyless, nil, "put one there first"},
		"the keys cannot be read":    {vendor{}, func(t *operate.Target) { t.Webhook = unreadable(broken) }, broken, ""},
		"there are no credentials":   {vendor{}, off, vendorapi.ErrOff, "put them there"},
		"localhost knows no URL":     {vendor{}, nowhere, nil, "URL=https://tunnel.example/webhooks/docusign"},
		"there is no such provider":  {vendor{}, func(t *operate.Target) { t.Providers = t.Providers[:1] }, nil, "there are: adobesign"},
		"it is made and not healthy": {vendor{deaf: true, subscriptions: sick("not acknowledged")}, nil, nil, "not acknowledged"},
		"it leads to another place":  {vendor{deaf: true, subscriptions: []vendorapi.Subscription{{URL: "https://other.example/webhooks/docusign/" + token, Active: true}}}, nil, nil, "none is active"},
		"its token is out of date":   {vendor{deaf: true, subscriptions: []vendorapi.Subscription{{URL: here + "docusign/canary-gone", Active: true}}}, nil, nil, "token"},
	} {
		t.Run(name, func(t *testing.T) {
			target := tt.vendor.target()
			if tt.change != nil {
				tt.change(&target)
			}
			out, err := act(t, target, "register -provider docusign -apply")
			silent(t, out, err)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.said) {
				t.Errorf("%v: %s", err, out)
			}
			if errors.Is(err, errors.ErrUnsupported) && !strings.Contains(out, "Settings → Connect") {
				t.Errorf("does not say where to do it by hand: %s", out)
			}
		})
	}
}

func sick(problem string) []vendorapi.Subscription {
	return []vendorapi.Subscription{{Name: "sick", URL: here + "docusign/canary-old", Active: true, Problems: []string{problem}}}
}

func keyless(t *operate.Target) {
	t.Webhook = func(context.Context, string) (string, webhook.Keys, error) {
		return here + "docusign", webhook.Keys{}, nil
	}
}

func nowhere(t *operate.Target) {
	t.Webhook = func(context.Context, string) (string, webhook.Keys, error) {
		return "", webhook.Keys{Keys: webhook.Secrets("canary-key")}, nil
	}
}

func unreadable(err error) func(context.Context, string) (string, webhook.Keys, error) {
	return func(context.Context, string) (string, webhook.Keys, error) { return "", webhook.Keys{}, err }
}

func off(t *operate.Target) {
	t.Clients = func(context.Context, string) (vendorapi.Client, error) {
		return nil, fmt.Errorf("%w; put them there", vendorapi.ErrOff)
	}
}

func TestAURLThatIsGiven(t *testing.T) {
	for given, want := range map[string]string{
		"https://tunnel.example/webhooks/docusign":                 "https://tunnel.example/webhooks/docusign/" + token,
		"https://tunnel.example/webhooks/docusign/":                "https://tunnel.example/webhooks/docusign/" + token,
		"https://tunnel.example:8443/a/webhooks/docusign/" + token: "https://tunnel.example:8443/a/webhooks/docusign/" + token,
		"https://tunnel.example/webhooks/docusign/canary-old":      "https://tunnel.example/webhooks/docusign/canary-old",
		"https://tunnel.example/webhooks/docusign/canary-none":     "",
		"https://tunnel.example/webhooks/docusign/{token}":         "",
		"https://tunnel.example/webhooks/docusign/a/b":             "",
		"https://tunnel.example/webhooks/docusign2":                "",
		"https://tunnel.example/webhooks/adobesign":                "",
		"https://tunnel.example/":                                  "",
		"http://tunnel.example/webhooks/docusign":                  "",
		"https://:443/webhooks/docusign":                           "",
		"https:///webhooks/docusign":                               "",
		"https://canary@tunnel.example/webhooks/docusign":          "",
		"https://tunnel.example/webhooks/docusign?canary=1":        "",
		"https://tunnel.example/webhooks/docusign?":                "",
		"https://tunnel.example/webhooks/docusign#canary":          "",
		"tunnel.example/webhooks/docusign":                         "",
		"https://tunnel.example:canary/webhooks/docusign":          "",
		"https://localhost:3000/webhooks/docusign":                 "",
		"https://127.0.0.1:3000/webhooks/docusign":                 "",
		"https://[::1]/webhooks/docusign":                          "",
	} {
		v := &vendor{}
		out, err := act(t, v.target(), "register -provider docusign -apply -url "+given)
		silent(t, out, err)
		if want == "" {
			if err == nil || v.done > 0 {
				t.Errorf("%s is taken: %s", given, out)
			}
		} else if err != nil || v.subscriptions[0].URL != want {
			t.Errorf("%s: %v, %+v", given, err, v.subscriptions)
		}
	}
}

func TestRegisteredListsEverything(t *testing.T) {
	v := &vendor{subscriptions: []vendorapi.Subscription{
		{Name: "ours", URL: here + "docusign/" + token, Active: true},
		{Name: "old", URL: here + "docusign/canary-gone", Failures: 3, Problems: []string{"not acknowledged"}},
		{Name: "other\x1b", URL: "https://other.example/hook?canary=1", Active: true},
	}}
	out, err := act(t, v.target(), "registered -provider docusign")
	silent(t, out, err)
	const want = `DocuSign Connect
  NAME    LEADS HERE  ACTIVE  UNDELIVERED  URL
  ours    yes         yes     0            https://api.example/live/webhooks/docusign/…
  old     yes         no      3            https://api.example/live/webhooks/docusign/…
  other?  no          yes     0            https://other.example/hook
  ! old: not acknowledged
  ! old: the URL's token is none of those that count: every request is refused
`
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestRegisteredFailsWhereNoneLeadsHereInGoodHealth(t *testing.T) {
	healthy := vendorapi.Subscription{Name: "s", URL: here + "docusign/" + token, Active: true}
	with := func(change func(*vendorapi.Subscription)) []vendorapi.Subscription {
		s := healthy
		change(&s)
		return []vendorapi.Subscription{s}
	}
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		vendor vendor
		change func(*operate.Target)
		want   string // in the error; empty if there is none
	}{
		"healthy":                    {vendor{subscriptions: []vendorapi.Subscription{healthy}}, nil, ""},
		"none at all":                {vendor{}, nil, "good health"},
		"to another place":           {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.URL = "https://other.example/webhooks/docusign" })}, nil, "good health"},
		"disabled":                   {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.Active = false })}, nil, "good health"},
		"with a problem":             {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.Problems = []string{"p"} })}, nil, "good health"},
		"with undelivered events":    {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.Failures = 1 })}, nil, "good health"},
		"with a token of yesterday":  {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.URL = here + "docusign/canary-gone" })}, nil, "good health"},
		"without the token":          {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.URL = here + "docusign" })}, nil, "good health"},
		"the vendor cannot be asked": {vendor{err: broken}, nil, "DocuSign Connect: broken"},
		"the keys cannot be read":    {vendor{}, func(t *operate.Target) { t.Webhook = unreadable(broken) }, "broken"},
		"the API cannot":             {vendor{err: fmt.Errorf("use the console: %w", errors.ErrUnsupported)}, nil, ""},
		"the feature is off":         {vendor{}, off, ""},
		"wrong credentials": {vendor{}, func(t *operate.Target) {
			t.Clients = func(context.Context, string) (vendorapi.Client, error) { return nil, broken }
		}, "broken"},
		"nobody knows the URL of localhost": {vendor{}, nowhere, ""},
	} {
		t.Run(name, func(t *testing.T) {
			target := tt.vendor.target()
			if tt.change != nil {
				tt.change(&target)
			}
			out, err := act(t, target, "registered -provider docusign")
			silent(t, out, err)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestRegisteredGoesOnBehindAFailure(t *testing.T) {
	v := &vendor{}
	target := v.target()
	target.Providers = all.Providers()
	target.Clients = func(_ context.Context, provider string) (vendorapi.Client, error) {
		switch provider {
		case "adobesign":
			return nil, vendorapi.ErrDenied
		case "docusign":
			return nil, fmt.Errorf("%w; put them there", vendorapi.ErrOff)
		}
		return v, nil
	}
	out, err := act(t, target, "registered")
	silent(t, out, err)
	if !errors.Is(err, vendorapi.ErrDenied) || strings.Contains(err.Error(), "DocuSign") || !strings.Contains(err.Error(), "Dropbox Sign: operate: none leads here") {
		t.Error(err)
	}
	for _, said := range []string{"Adobe Acrobat Sign\nDocuSign Connect\n", "put them there", "integrationKey", "Dropbox Sign\n", "eSignGlobal\n"} {
		if !strings.Contains(out, said) {
			t.Errorf("does not say %q: %s", said, out)
		}
	}
}

func TestRegisteredTakesTheURLOfATunnel(t *testing.T) {
	v := &vendor{subscriptions: []vendorapi.Subscription{{Name: "s", URL: "https://tunnel.example/webhooks/docusign", Active: true}}}
	target := v.target()
	nowhere(&target)
	out, err := act(t, target, "registered -provider docusign -url https://tunnel.example/webhooks/docusign")
	if err != nil || !strings.Contains(out, "yes         yes") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := act(t, target, "registered -provider docusign -url https://elsewhere.example/webhooks/docusign"); err == nil {
		t.Error("one that leads elsewhere is taken for ours")
	}
}
