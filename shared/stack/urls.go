package stack

import (
	"context"
	"errors"
	"fmt"
	"io"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// URLs writes what to register at each vendor. It is the one place that shows the URL tokens.
func (s *Stack) URLs(ctx context.Context, w io.Writer) error {
	fmt.Fprintln(w, "These URLs are secrets: whoever knows one may send what looks like events. Show each to its vendor only.")
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
	address, keys, err := s.webhook(ctx, info.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n  %s\n", info.Title, keys.URL(address))
	for _, line := range info.Registration {
		fmt.Fprintf(w, "  - %s\n", line)
	}
	if webhook.RefusesAll(p, keys) {
		fmt.Fprintf(w, "  ! The secret holds no keys: every request is refused. To put one there:\n    %s\n",
			edit(s.output(info.Name, "Secret"), putKey))
	}
	return nil
}
