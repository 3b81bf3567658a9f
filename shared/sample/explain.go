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
	tokenRight := len(keys.URLTokens) == 0 || r.TokenMatched
	answer, err := p.Challenge(r, keys)
	switch {
	case err == nil && tokenRight:
		fmt.Fprintf(w, "%s: it verifies the URL, and is answered with %d\n", name, answer.Status)
		return nil
	case r.Method != http.MethodPost && errors.Is(err, webhook.ErrNoChallenge):
		fmt.Fprintf(w, "%s: refused with 405: this vendor sends %s, and the request is a %s\n", name, p.Info().Allow,
			webhook.Label(r.Method))
		return nil
	}
	if errors.Is(err, webhook.ErrNoChallenge) {
		proof, err := p.Verify(r, keys)
		if err == nil && tokenRight {
			fmt.Fprintf(w, "%s: accepted: the request is genuine under these keys (proof: %s)\n", name, proof)
			if _, err := p.Identify(r); err != nil {
				fmt.Fprintln(w, "its body cannot be read: it is kept as unreadable")
			}
			return nil
		}
	}
	status := http.StatusUnauthorized
	if !tokenRight {
		status = http.StatusNotFound
	}
	fmt.Fprintf(w, "%s: refused with %d\n", name, status)
	for i, cause := range refusal.Explain(p, providers, r, keys) {
		fmt.Fprintf(w, "%d. %s: %s\n", i+1, cause.Code, cause.Hint)
	}
	return nil
}
