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

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/operate"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	here  = "https://api.example/live/webhooks/"
	token = "canary-token"
)

// vendor is a client whose vendor has one subscription. A step replaces it.
type vendor struct {
	vendorapi.Client // what is not asked here
	subscriptions    []vendorapi.Subscription
	err              error // of everything that is asked
	stepErr          error
	optional         bool // a second step is optional, and fails
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
	step := vendorapi.Step{Description: "make one for " + vendorapi.Masked(address), Do: func(context.Context) error {
		v.done++
		if v.stepErr == nil && !v.deaf {
			v.subscriptions = []vendorapi.Subscription{{Name: "made", URL: address, Active: true}}
		}
		return v.stepErr
	}}
	if v.optional {
		return []vendorapi.Step{step, {Description: "add", Optional: true, Do: func(context.Context) error {
			return errors.New("no such event")
		}}}, v.err
	}
	return []vendorapi.Step{step}, v.err
}

func (v *vendor) Agreement(context.Context, string) (vendorapi.Agreement, error) {
	return v.agreement, v.err
}

// other is AcmeSign under another name.
type other struct{ acmesign.Provider }

func (p other) Info() webhook.Info {
	info := p.Provider.Info()
	info.Name, info.Title = "other", "Other"
	return info
}

var providers = []webhook.Provider{other{}, acmesign.Provider{}}

// target has this vendor for all providers.
func (v *vendor) target() operate.Target {
	return operate.Target{
		Providers: providers, Notes: noNotes{}, Now: func() time.Time { return start },
		Clients: func(context.Context, string) (vendorapi.Client, error) { return v, nil },
		Webhook: func(_ context.Context, provider string) (string, webhook.Keys, error) {
			return here + provider, webhook.Keys{Keys: webhook.Secrets("canary-key"),
				URLTokens: webhook.Secrets("canary-old", token)}, nil
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
	out, err := act(t, v.target(), "register -provider acmesign")
	silent(t, out, err)
	const shown = "AcmeSign: https://api.example/live/webhooks/acmesign/…\n  - make one for " +
		"https://api.example/live/webhooks/acmesign/…\n"
	if diff := cmp.Diff(shown+"nothing is changed yet: APPLY=1 changes it\n", out); err != nil || diff != "" ||
		v.done != 0 {
		t.Error(err, v.done, diff)
	}
	out, err = act(t, v.target(), "register -provider acmesign -apply")
	silent(t, out, err)
	want := shown + "step 1 of 1 is done\nread back: made is active, 0 events are undelivered\n"
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got := v.subscriptions[0].URL; got != here+"acmesign/"+token {
		t.Errorf("registered %s", got)
	}
	for _, flag := range []string{"", " -apply"} {
		if out, err = act(t, v.target(), "register -provider acmesign"+flag); err != nil ||
			!strings.Contains(out, "nothing to do") || v.done != 1 {
			t.Errorf("%v, done %d: %s", err, v.done, out)
		}
	}
}

func TestRegisterContinuesAfterAnOptionalStep(t *testing.T) {
	v := &vendor{optional: true}
	out, err := act(t, v.target(), "register -provider acmesign -apply")
	silent(t, out, err)
	const want = "step 1 of 2 is done\nstep 2 of 2 failed, which does no harm: no such event\nread back: made is active"
	if err != nil || !strings.Contains(out, want) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRegisterReportsErrors(t *testing.T) {
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
		"the API cannot": {vendor{err: fmt.Errorf("use the console: %w", errors.ErrUnsupported)}, nil,
			errors.ErrUnsupported, "use the console"},
		"every request was refused":            {vendor{}, keyless, nil, "put one there first"},
		"without a client, the key may follow": {vendor{}, clientless, vendorapi.ErrNoClient, ""},
		"the keys cannot be read": {vendor{}, func(t *operate.Target) { t.Webhook = unreadable(broken) }, broken,
			""},
		"there are no credentials": {vendor{}, off, vendorapi.ErrOff, "put them there"},
		"localhost knows no URL":   {vendor{}, nowhere, nil, "URL=https://tunnel.example/webhooks/acmesign"},
		"there is no such provider": {vendor{}, func(t *operate.Target) { t.Providers = t.Providers[:1] }, nil,
			"the providers are: other"},
		"it is made and not healthy": {vendor{deaf: true, subscriptions: sick("not acknowledged")}, nil, nil,
			"not acknowledged"},
		"it leads to another place": {vendor{deaf: true,
			subscriptions: []vendorapi.Subscription{{URL: "https://other.example/webhooks/acmesign/" + token, Active: true}}},
			nil, nil, "none is active"},
		"its token is out of date": {vendor{deaf: true,
			subscriptions: []vendorapi.Subscription{{URL: here + "acmesign/canary-gone", Active: true}}}, nil, nil, "token"},
	} {
		t.Run(name, func(t *testing.T) {
			target := tt.vendor.target()
			if tt.change != nil {
				tt.change(&target)
			}
			out, err := act(t, target, "register -provider acmesign -apply")
			silent(t, out, err)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.said) {
				t.Errorf("%v: %s", err, out)
			}
			if errors.Is(err, errors.ErrUnsupported) && !strings.Contains(out, "Settings → Callbacks") {
				t.Errorf("does not say where to do it by hand: %s", out)
			}
		})
	}
}

func sick(problem string) []vendorapi.Subscription {
	return []vendorapi.Subscription{{Name: "sick", URL: here + "acmesign/canary-old", Active: true,
		Problems: []string{problem}}}
}

func keyless(t *operate.Target) {
	t.Webhook = func(context.Context, string) (string, webhook.Keys, error) {
		return here + "acmesign", webhook.Keys{}, nil
	}
}

// clientless is a vendor that shows its key only once the URL is registered.
func clientless(t *operate.Target) {
	keyless(t)
	t.Clients = func(context.Context, string) (vendorapi.Client, error) { return nil, vendorapi.ErrNoClient }
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
		"https://tunnel.example/webhooks/acmesign":  "https://tunnel.example/webhooks/acmesign/" + token,
		"https://tunnel.example/webhooks/acmesign/": "https://tunnel.example/webhooks/acmesign/" + token,
		"https://tunnel.example:8443/a/webhooks/acmesign/" + token: "https://tunnel.example:8443/a/webhooks/acmesign/" +
			token,
		"https://tunnel.example/webhooks/acmesign/canary-old":  "https://tunnel.example/webhooks/acmesign/canary-old",
		"https://tunnel.example/webhooks/acmesign/canary-none": "",
		"https://tunnel.example/webhooks/acmesign/{token}":     "",
		"https://tunnel.example/webhooks/acmesign/a/b":         "",
		"https://tunnel.example/webhooks/acmesign2":            "",
		"https://tunnel.example/webhooks/other":                "",
		"https://tunnel.example/":                              "",
		"http://tunnel.example/webhooks/acmesign":              "",
		"https://:443/webhooks/acmesign":                       "",
		"https:///webhooks/acmesign":                           "",
		"https://canary@tunnel.example/webhooks/acmesign":      "",
		"https://tunnel.example/webhooks/acmesign?canary=1":    "",
		"https://tunnel.example/webhooks/acmesign?":            "",
		"https://tunnel.example/webhooks/acmesign#canary":      "",
		"tunnel.example/webhooks/acmesign":                     "",
		"https://tunnel.example:canary/webhooks/acmesign":      "",
		"https://localhost:3000/webhooks/acmesign":             "",
		"https://127.0.0.1:3000/webhooks/acmesign":             "",
		"https://[::1]/webhooks/acmesign":                      "",
	} {
		v := &vendor{}
		out, err := act(t, v.target(), "register -provider acmesign -apply -url "+given)
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
		{Name: "ours", URL: here + "acmesign/" + token, Active: true},
		{Name: "old", URL: here + "acmesign/canary-gone", Failures: 3, Problems: []string{"not acknowledged"}},
		{Name: "other\x1b", URL: "https://other.example/hook?canary=1", Active: true},
	}}
	out, err := act(t, v.target(), "registered -provider acmesign")
	silent(t, out, err)
	const want = `AcmeSign
  NAME    OUR URL  ACTIVE  UNDELIVERED  URL
  ours    yes      yes     0            https://api.example/live/webhooks/acmesign/…
  old     yes      no      3            https://api.example/live/webhooks/acmesign/…
  other?  no       yes     0            https://other.example/hook
  ! old: not acknowledged
  ! old: the URL's token is not one of the configured tokens: every request is refused
`
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestRegisteredFailsWhereNoneLeadsHereInGoodHealth(t *testing.T) {
	healthy := vendorapi.Subscription{Name: "s", URL: here + "acmesign/" + token, Active: true}
	with := func(change func(*vendorapi.Subscription)) []vendorapi.Subscription {
		s := healthy
		change(&s)
		return []vendorapi.Subscription{s}
	}
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		vendor vendor
		change func(*operate.Target)
		want   string // part of the error; empty: no error
	}{
		"healthy":         {vendor{subscriptions: []vendorapi.Subscription{healthy}}, nil, ""},
		"no subscription": {vendor{}, nil, "no healthy subscription"},
		"to another place": {vendor{subscriptions: with(func(s *vendorapi.Subscription) {
			s.URL = "https://other.example/webhooks/acmesign"
		})}, nil, "no healthy subscription"},
		"disabled": {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.Active = false })}, nil,
			"no healthy subscription"},
		"with a problem": {vendor{subscriptions: with(func(s *vendorapi.Subscription) {
			s.Problems = []string{"p"}
		})}, nil, "no healthy subscription"},
		"with undelivered events": {vendor{subscriptions: with(func(s *vendorapi.Subscription) { s.Failures = 1 })}, nil,
			"no healthy subscription"},
		"with a token of yesterday": {vendor{subscriptions: with(func(s *vendorapi.Subscription) {
			s.URL = here + "acmesign/canary-gone"
		})}, nil, "no healthy subscription"},
		"without the token": {vendor{subscriptions: with(func(s *vendorapi.Subscription) {
			s.URL = here + "acmesign"
		})}, nil, "no healthy subscription"},
		"the vendor cannot be asked": {vendor{err: broken}, nil, "AcmeSign: broken"},
		"the keys cannot be read":    {vendor{}, func(t *operate.Target) { t.Webhook = unreadable(broken) }, "broken"},
		"the API cannot":             {vendor{err: fmt.Errorf("use the console: %w", errors.ErrUnsupported)}, nil, ""},
		"there are no credentials":   {vendor{}, off, ""},
		"wrong credentials": {vendor{}, func(t *operate.Target) {
			t.Clients = func(context.Context, string) (vendorapi.Client, error) { return nil, broken }
		}, "broken"},
		"the URL of localhost is unknown": {vendor{}, nowhere, ""},
	} {
		t.Run(name, func(t *testing.T) {
			target := tt.vendor.target()
			if tt.change != nil {
				tt.change(&target)
			}
			out, err := act(t, target, "registered -provider acmesign")
			silent(t, out, err)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestRegisteredContinuesAfterAFailure(t *testing.T) {
	target := (&vendor{}).target()
	target.Clients = func(_ context.Context, provider string) (vendorapi.Client, error) {
		if provider == "other" {
			return nil, vendorapi.ErrDenied
		}
		return &vendor{}, nil
	}
	out, err := act(t, target, "registered")
	silent(t, out, err)
	if !errors.Is(err, vendorapi.ErrDenied) ||
		!strings.Contains(err.Error(), "AcmeSign: operate: no healthy subscription") {
		t.Error(err)
	}
	if !strings.Contains(out, "Other\nAcmeSign\n  nothing is registered\n") {
		t.Error(out)
	}
}

func TestRegisteredAcceptsTheURLOfATunnel(t *testing.T) {
	v := &vendor{subscriptions: []vendorapi.Subscription{{Name: "s", URL: "https://tunnel.example/webhooks/acmesign",
		Active: true}}}
	target := v.target()
	nowhere(&target)
	out, err := act(t, target, "registered -provider acmesign -url https://tunnel.example/webhooks/acmesign")
	if err != nil || !strings.Contains(out, "yes      yes") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := act(t, target, "registered -provider acmesign -url https://elsewhere.example/webhooks/acmesign"); err == nil {
		t.Error("one that leads elsewhere is taken for ours")
	}
}
