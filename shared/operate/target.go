package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// ErrDisabled is the error of a vendor that the target does not run.
var ErrDisabled = errors.New("disabled")

// Target is a deployed stack or localhost.
type Target struct {
	Providers []webhook.Provider
	Ledger    ledger.Reader
	Bus       bus.Bus
	// Archive queues the completion of an agreement for the archiver.
	Archive func(context.Context, bus.Event) error
	// Redrive retries what has failed, and writes what it found.
	Redrive func(context.Context, io.Writer) error
	// Clients returns the client of a provider's API. Without credentials it returns [vendorapi.ErrOff], wrapped in a
	// message that says where to put them.
	Clients func(ctx context.Context, provider string) (vendorapi.Client, error)
	// Webhook returns the active keys of a provider, and the public URL of its webhook without a token. The URL is empty
	// if it is unknown.
	Webhook func(ctx context.Context, provider string) (address string, keys webhook.Keys, err error)
	// Notes hold the list of completions that the archiver has not asked about.
	Notes ledger.Notes
	Now   func() time.Time
	// Confirm asks a vendor about one agreement now, as [reconcile.Reconciler] does.
	Confirm func(context.Context, reconcile.Question) reconcile.Reply
	// Forgetter is the ledger too. Only the command forget writes it.
	Forgetter ledger.Forgetter
	Places    []Place
	// InFlight is how long the worker may process an event before it ends. 0 means that it does no harm.
	InFlight time.Duration
}

func (t Target) find(provider string) (webhook.Provider, error) {
	if p, ok := webhook.Find(t.Providers, provider); ok {
		return p, nil
	}
	return nil, fmt.Errorf("operate: no provider %q; the providers are: %s", provider, webhook.Names(t.Providers))
}

// client returns the client of a provider's API. Without credentials, the message of its [vendorapi.ErrOff] names their
// members.
func (t Target) client(ctx context.Context, provider string) (vendorapi.Client, error) {
	client, err := t.Clients(ctx, provider)
	if !errors.Is(err, vendorapi.ErrOff) || errors.Is(err, vendorapi.ErrNoClient) || !all.Has(provider) {
		return client, err
	}
	_, missing := all.Open(provider, []byte("{}"), vendorapi.Options{}) // names each member
	members := strings.NewReplacer("api.", "", " is missing", "", "\n", ", ").Replace(errors.Unwrap(missing).Error())
	return nil, fmt.Errorf("%w\n  the credentials are a JSON object with %s; see shared/docs/after-the-event.md",
		err, members)
}

// webhook returns the URL that the vendor must call, with its token, and the keys. given is the URL of the webhook with
// or without a token. If it is empty, the URL is the target's own, which may be unknown and empty.
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
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || isLoopback(u.Hostname()) ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", keys, wrongURL(p)
	}
	_, token, found := strings.Cut(u.Path+"/", "/webhooks/"+p.Info().Name+"/")
	switch token = strings.TrimSuffix(token, "/"); {
	case !found || strings.Contains(token, "/"):
		return "", keys, wrongURL(p)
	case token == "":
		return keys.URL(strings.TrimSuffix(given, "/")), keys, nil
	case !webhook.Any(keys.URLTokens, token):
		return "", keys, errors.New("operate: the URL's token is not configured: every request would be refused; " +
			"give the URL without a token to use the newest one")
	}
	return given, keys, nil
}

// isLoopback reports whether a host is this machine, which no vendor can reach.
func isLoopback(host string) bool {
	address, _ := netip.ParseAddr(host)
	return host == "localhost" || address.IsLoopback()
}

// wrongURL does not quote the URL, which may hold a token.
func wrongURL(p webhook.Provider) error {
	return fmt.Errorf("operate: the URL must be like https://tunnel.example/webhooks/%s: https, a host that the "+
		"vendor can reach, no query, and nothing but a token after it", p.Info().Name)
}
