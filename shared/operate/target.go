package operate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Target is what commands act on: a deployed stack, or localhost.
type Target struct {
	Providers []webhook.Provider
	Ledger    ledger.Reader
	Bus       bus.Bus
	// Archive hands the completion of an agreement to the archiver.
	Archive func(context.Context, bus.Event) error
	// Clients makes the client of a provider's API. [vendorapi.ErrOff] is wrapped in words that tell where credentials go.
	Clients func(ctx context.Context, provider string) (vendorapi.Client, error)
	// Webhook is where a provider's events come in: the URL without a token, empty if it is not known from where the
	// vendor is, and the keys that count.
	Webhook func(ctx context.Context, provider string) (address string, keys webhook.Keys, err error)
	Now     func() time.Time
}

func (t Target) find(provider string) (webhook.Provider, error) {
	if p, ok := webhook.Find(t.Providers, provider); ok {
		return p, nil
	}
	var names []string
	for _, p := range t.Providers {
		names = append(names, p.Info().Name)
	}
	return nil, fmt.Errorf("operate: no provider %q; there are: %s", provider, strings.Join(names, ", "))
}

// webhook is the URL that a provider is to call, with the token, and the keys. It is the given one, which may lack the
// token, or the target's own; empty if there is neither.
func (t Target) webhook(ctx context.Context, p webhook.Provider, given string) (string, webhook.Keys, error) {
	own, keys, err := t.Webhook(ctx, p.Info().Name)
	if err != nil {
		return "", keys, err
	}
	if given == "" {
		if own != "" {
			own = keys.URL(own)
		}
		return own, keys, nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || isHere(u.Hostname()) || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", keys, notLike(p)
	}
	_, token, found := strings.Cut(u.Path+"/", "/webhooks/"+p.Info().Name+"/")
	switch token = strings.TrimSuffix(token, "/"); {
	case !found || strings.Contains(token, "/"):
		return "", keys, notLike(p)
	case token == "":
		return keys.URL(strings.TrimSuffix(given, "/")), keys, nil
	case !webhook.Any(keys.URLTokens, token):
		return "", keys, errors.New("operate: the URL's token is none of those that count: every request would be refused; leave it out, and the newest is taken")
	}
	return given, keys, nil
}

// isHere says whether a host is this machine, which no vendor can reach.
func isHere(host string) bool {
	address, _ := netip.ParseAddr(host)
	return host == "localhost" || address.IsLoopback()
}

// notLike quotes nothing: the URL may hold a token.
func notLike(p webhook.Provider) error {
	return fmt.Errorf("operate: the URL is not like https://tunnel.example/webhooks/%s: https, a host that the vendor can reach, no query, at most a token behind", p.Info().Name)
}
