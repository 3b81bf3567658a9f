package stack

import (
	"context"
	"errors"
	"fmt"
	"io"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// URLs writes what to register at each vendor. Nothing else shows the URL tokens.
func (s *Stack) URLs(ctx context.Context, w io.Writer) error {
	fmt.Fprintln(w, "These URLs are secrets: anyone who knows one can forge events. Show each only to its vendor.")
	var problems []error
	for _, p := range provider.All() {
		if err := s.registration(ctx, w, p); err != nil {
			problems = append(problems, fmt.Errorf("stack: %s: %w", p.Info().Title, err))
		}
	}
	return errors.Join(problems...)
}

func (s *Stack) registration(ctx context.Context, w io.Writer, p webhook.Provider) error {
	info := p.Info()
	if s.disabled(info) {
		added := "no keys"
		if !info.SignsAll {
			added = "a new URL token and no keys"
		}
		fmt.Fprintf(w, "\n%s\n  disabled: %s\n  - the stack then has a new secret, with %s: run make urls again\n",
			info.Title, enable(info), added)
		fmt.Fprintln(w, "  - register the URL and put the keys into the secret, or copy the value of the old secret into it")
		return nil
	}
	address, keys, err := s.webhook(ctx, info.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n  %s\n", info.Title, keys.URL(address))
	for _, line := range info.Registration {
		fmt.Fprintf(w, "  - %s\n", line)
	}
	arn := s.output(info.Name, "Secret")
	if webhook.RefusesAll(p, keys) {
		fmt.Fprintf(w, "  ! The secret holds no keys: every request is refused. To put one there:\n    %s\n",
			edit(arn, putKey))
	}
	if len(keys.Keys) == 0 {
		fmt.Fprintf(w, "  - If the vendor was disabled before, its old secret may be left. To find it, and to copy its "+
			"value, so that\n    the URL and the keys from before are valid again:\n    %s\n", move(info, arn))
	}
	return nil
}
