package sample

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// redacted is what localhost shows in the place of a token.
const redacted = "REDACTED"

// Explain writes whether a saved request, as [Saved] reads it, is accepted under the keys of its provider, and otherwise
// why not.
func Explain(w io.Writer, providers []webhook.Provider, file []byte, name string,
	keysOf func(webhook.Provider) (webhook.Keys, error)) error {
	p, e, err := Saved(providers, file, name)
	if err != nil {
		return err
	}
	r, err := apigw.Request(e)
	if err != nil {
		return err
	}
	keys, err := keysOf(p)
	if err != nil {
		return err
	}
	name = p.Info().Name
	if r.URLToken == redacted && len(keys.URLTokens) > 0 {
		fmt.Fprintln(w, "the token of the URL is not in the file, so it is not checked")
		r.URLToken = keys.URLTokens[0].Reveal()
	}
	r.TokenMatched = webhook.Any(keys.URLTokens, r.URLToken)
	r.LimitContentType()
	status := statusOf(p, r, keys)
	if status == http.StatusOK {
		fmt.Fprintf(w, "%s: accepted: the request is genuine under these keys\n", name)
		if _, err := p.Identify(r); r.Method == http.MethodPost && err != nil {
			fmt.Fprintln(w, "its body cannot be read: it is kept as unreadable")
		}
		return nil
	}
	if masked(e) {
		return errors.New("the file is not what came: secrets are masked or the body is cut; the gateway that showed it " +
			"has explained the request, see causes in the file; make record keeps whole requests")
	}
	fmt.Fprintf(w, "%s: refused with %d\n", name, status)
	switch status {
	case http.StatusMethodNotAllowed:
		fmt.Fprintf(w, "this vendor sends %s, and the request is a %s\n", p.Info().Allow, webhook.Label(r.Method))
	case http.StatusRequestEntityTooLarge:
		fmt.Fprintln(w, "the body is larger than 10 MiB: do not include documents")
		return nil
	}
	for i, cause := range refusal.Explain(p, providers, r, keys) {
		fmt.Fprintf(w, "%d. %s: %s\n", i+1, cause.Code, cause.Hint)
	}
	return nil
}

// statusOf returns the status of the answer, as package receive decides it.
func statusOf(p webhook.Provider, r *webhook.Request, keys webhook.Keys) int {
	if len(keys.URLTokens) > 0 && !r.TokenMatched {
		return http.StatusNotFound
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	if len(r.Body) > webhook.MaxBody {
		return http.StatusRequestEntityTooLarge
	}
	_, err := p.Challenge(r, keys)
	if r.Method == http.MethodPost && errors.Is(err, webhook.ErrNoChallenge) {
		_, err = p.Verify(r, keys)
	}
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, webhook.ErrNoChallenge):
		return http.StatusMethodNotAllowed
	}
	return http.StatusUnauthorized
}
