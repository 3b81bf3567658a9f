package localhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

// Sending is an example and where to send it.
type Sending struct {
	Provider  string
	Event     string // the name of an example in events/<provider>, without .json
	Agreement string // the agreement's ID; empty for a new agreement
	URL       string // of the webhook, with its token if it has one; empty for the gateway on localhost
}

// Send sends a new, genuine request, signed with the first configured key. It writes the response to w.
func Send(ctx context.Context, w io.Writer, config Config, providers []webhook.Provider, s Sending,
	now time.Time) error {
	p, ok := webhook.Find(providers, s.Provider)
	if !ok {
		return fmt.Errorf("no provider %q; the providers are: %s", s.Provider, webhook.Names(providers))
	}
	keys := config.Keys[s.Provider]
	if len(keys.Keys.Keys) == 0 {
		return fmt.Errorf("no key to sign with: $%s is empty", p.Info().KeysVariable)
	}
	r, agreement, err := sample.Request(p, s.Event, s.Agreement, keys.Keys.Keys[0], now)
	if err != nil {
		return err
	}
	request, err := httpRequest(ctx, p, keys.Keys.Keys[0], r, target(config, s), now)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) { // its message quotes the URL with the token
		if s.URL == "" {
			return fmt.Errorf("no gateway answers on %s; start it with make run: %w", config.address(), failed.Err)
		}
		return fmt.Errorf("the URL does not answer: %w", failed.Err)
	} else if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s %s: %s\n", s.Provider, s.Event, answer.Status)
	if agreement != "" && answer.StatusCode == http.StatusOK {
		fmt.Fprintf(w, "agreement %s\n", agreement)
	}
	fmt.Fprintf(w, "%s\n", body)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("refused with %s", answer.Status)
	}
	return nil
}

func target(config Config, s Sending) string {
	if s.URL != "" {
		return s.URL
	}
	url := "http://" + config.address() + "/webhooks/" + s.Provider
	if tokens := config.Keys[s.Provider].URLTokens; len(tokens) > 0 {
		url += "/" + tokens[0].Reveal()
	}
	return url
}

// httpRequest returns the HTTP request. A query of the target replaces the example's, and r is signed again: the vendor
// may sign the query.
func httpRequest(
	ctx context.Context, p webhook.Provider, key webhook.Secret, r *webhook.Request, target string, now time.Time,
) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, errors.New("the URL cannot be parsed") // err quotes the URL with the token
	}
	if request.URL.RawQuery != "" {
		r.Query = request.URL.Query()
		if err := p.Sign(r, key, now); err != nil {
			return nil, err
		}
	}
	request.URL.RawQuery = r.Query.Encode()
	for name, values := range r.Header {
		if !transport(name) {
			request.Header[name] = values
		}
	}
	return request, nil
}
