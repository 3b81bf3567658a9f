package localhost

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

// Sending is an example or a file, and where to send it.
type Sending struct {
	Provider  string
	Event     string // the name of an example in events/<provider>, without .json
	Agreement string // the agreement's ID; empty for a new agreement
	URL       string // of the webhook, with its token if it has one; empty for the gateway on localhost
	// File is sent instead of an example: a proxy event, or the body of a POST. Only the latter needs a provider.
	File []byte
	Key  *webhook.Secret // to sign with; nil: the first configured key
	// KeyVariable is the environment variable that Key is from.
	KeyVariable string
}

// Send sends a new, genuine request, or one from a file. It signs the request, and writes the response to w.
func Send(ctx context.Context, w io.Writer, config Config, providers []webhook.Provider, s Sending,
	now time.Time) error {
	r, agreement, err := s.request(config, providers, now)
	if err != nil {
		return err
	}
	request, err := httpRequest(ctx, r.provider, r.key, r.Request, target(config, r.Sending), now)
	if err != nil {
		return err
	}
	s.Provider = r.Provider
	var before []Request
	here := request.URL.Host == config.address() || request.URL.Host == "localhost:"+config.Port
	if here {
		before, _ = Requests(ctx, config, "", 1) // if no gateway answers, the next request says so
	}
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) { // its message quotes the URL with the token
		if s.URL == "" {
			return fmt.Errorf("%w on %s; start it with make run: %w", errNoGateway, config.address(), failed.Err)
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
	fmt.Fprintf(w, "%s %s: %s\n", s.Provider, cmp.Or(s.Event, "request"), answer.Status)
	if agreement != "" && answer.StatusCode == http.StatusOK {
		fmt.Fprintf(w, "agreement %s\n", agreement)
	}
	fmt.Fprintf(w, "%s\n", body)
	if here && answer.StatusCode >= http.StatusBadRequest {
		explainRefusal(ctx, w, config, before, Request{Method: r.Method, Status: answer.StatusCode,
			BodyBytes: int64(len(r.Body))})
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("refused with %s", answer.Status)
	}
	return nil
}

// explainRefusal writes the cause and the hint of a refusal: those of the newest request like sent that was not there
// before.
func explainRefusal(ctx context.Context, w io.Writer, config Config, before []Request, sent Request) {
	after, err := Requests(ctx, config, "", maxRequests)
	if err != nil {
		return // the answer is known, and nothing else
	}
	for _, r := range after {
		switch {
		case len(before) > 0 && r.ID == before[0].ID:
			return
		case r.Method == sent.Method && r.Status == sent.Status && r.BodyBytes == sent.BodyBytes && len(r.Causes) > 0:
			fmt.Fprintf(w, "cause: %s\nhint: %s\n", terminal.Printable(r.Causes[0].Code),
				terminal.Printable(r.Causes[0].Hint))
			return
		}
	}
}

// signed is a request that is ready to be sent.
type signed struct {
	Sending // with the provider
	*webhook.Request
	provider webhook.Provider
	key      webhook.Secret
}

// request makes a request of the example or of the file.
func (s Sending) request(config Config, providers []webhook.Provider, now time.Time) (r signed, agreement string,
	err error) {
	p, known := webhook.Find(providers, s.Provider)
	var e lambda.APIGatewayProxyRequest
	if s.File != nil {
		if p, e, err = sample.Saved(providers, s.File, s.Provider); err != nil {
			return r, "", err
		}
		s.Provider = p.Info().Name
	} else if !known {
		return r, "", fmt.Errorf("no provider %q; the providers are: %s", s.Provider, webhook.Names(providers))
	}
	r = signed{Sending: s, provider: p}
	switch keys := config.Keys[s.Provider].Keys.Keys; {
	case s.Key != nil:
		r.key = *s.Key
	case len(keys) == 0:
		return r, "", fmt.Errorf("no key to sign with: $%s is empty", p.Info().KeysVariable)
	default:
		r.key = keys[0]
	}
	if s.File == nil {
		r.Request, agreement, err = sample.Request(p, s.Event, s.Agreement, r.key, now)
		return r, agreement, err
	}
	if r.Request, err = apigw.Request(e); err != nil {
		return r, "", err
	}
	if err := p.Sign(r.Request, r.key, now); err != nil {
		return r, "", fmt.Errorf("the file cannot be signed as %s does: %w", p.Info().Title, err)
	}
	r.LimitContentType()
	if ids, err := p.Identify(r.Request); err == nil && len(ids) > 0 {
		agreement = ids[0].AgreementID
	}
	return r, agreement, nil
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
