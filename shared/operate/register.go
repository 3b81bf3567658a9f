package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// register shows the steps that make the vendor send its events to the URL. If apply is set, it takes them and reads
// back the subscription.
func register(ctx context.Context, w io.Writer, t Target, provider, given string, apply bool) error {
	p, err := t.find(provider)
	if err != nil {
		return err
	}
	address, keys, err := t.webhook(ctx, p, given)
	if err != nil {
		return err
	}
	client, err := t.client(ctx, provider)
	switch {
	case errors.Is(err, vendorapi.ErrNoClient): // the vendor may show the key only once the URL is registered
		byHand(w, p)
		return err
	case address == "":
		return fmt.Errorf("operate: give the public URL of the webhook, such as a tunnel's: "+
			"URL=https://tunnel.example/webhooks/%s", provider)
	case webhook.RefusesAll(p, keys):
		return fmt.Errorf("operate: there is no key of %s, and the development key does not count: every request would be "+
			"refused; put one there first, on localhost into $%s", p.Info().Title, p.Info().KeysVariable)
	case err != nil:
		return err
	}
	steps, err := client.Register(ctx, address)
	if errors.Is(err, errors.ErrUnsupported) {
		byHand(w, p)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %s\n", p.Info().Title, vendorapi.Masked(address))
	for _, step := range steps {
		fmt.Fprintf(w, "  - %s\n", terminal.Printable(step.Description))
	}
	switch {
	case len(steps) == 0:
		fmt.Fprintln(w, "nothing to do")
	case !apply:
		fmt.Fprintln(w, "nothing is changed yet: APPLY=1 changes it")
		return nil
	}
	for i, step := range steps {
		switch err := step.Do(ctx); {
		case err == nil:
			fmt.Fprintf(w, "step %d of %d is done\n", i+1, len(steps))
		case step.Optional:
			fmt.Fprintf(w, "step %d of %d failed, which does no harm: %s\n", i+1, len(steps), terminal.Printable(err.Error()))
		default:
			return fmt.Errorf("operate: step %d of %d: %w", i+1, len(steps), err)
		}
	}
	return verify(ctx, w, client, address, keys)
}

// verify reads the subscription back. It reports undelivered events too, which are not an error of the registration.
func verify(ctx context.Context, w io.Writer, client vendorapi.Client, address string, keys webhook.Keys) error {
	subscriptions, err := client.Subscriptions(ctx)
	if err != nil {
		return fmt.Errorf("operate: the subscription could not be read back; check it with make registered: %w", err)
	}
	var problems []string
	for _, s := range subscriptions {
		if !vendorapi.SameEndpoint(s.URL, address) {
			continue
		}
		if s = s.Checked(keys); s.Active && len(s.Problems) == 0 {
			fmt.Fprintf(w, "read back: %s is active, %d events are undelivered\n", terminal.Printable(s.Name), s.Failures)
			return nil
		}
		problems = append(problems, s.Problems...)
	}
	return fmt.Errorf("operate: the vendor's subscription is still wrong: %s",
		terminal.Printable(strings.Join(append(problems, "none is active"), "; ")))
}

// registered lists the subscriptions of a provider, or of all providers if the name is empty. It is an error if one has
// no healthy subscription to our URL.
func registered(ctx context.Context, w io.Writer, t Target, provider, given string) error {
	providers := t.Providers
	if provider != "" {
		p, err := t.find(provider)
		if err != nil {
			return err
		}
		providers = []webhook.Provider{p}
	}
	var problems []error
	for _, p := range providers {
		fmt.Fprintln(w, p.Info().Title)
		err := errors.Join(list(ctx, w, t, p, given), notAsked(ctx, w, t, p.Info().Name))
		if provider == "" && errors.Is(err, ErrDisabled) {
			fmt.Fprintf(w, "  %v\n", err)
			continue
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", p.Info().Title, err))
		}
	}
	return errors.Join(problems...)
}

func list(ctx context.Context, w io.Writer, t Target, p webhook.Provider, given string) error {
	address, keys, err := t.webhook(ctx, p, given)
	if err != nil {
		return err
	}
	client, err := t.client(ctx, p.Info().Name)
	var subscriptions []vendorapi.Subscription
	if err == nil {
		subscriptions, err = client.Subscriptions(ctx)
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported): // also ErrNoClient
		fmt.Fprintf(w, "  %v\n", err)
		byHand(w, p)
		return nil
	case errors.Is(err, vendorapi.ErrOff):
		fmt.Fprintf(w, "  %v\n", err)
		return nil
	case err != nil:
		return err
	}
	if healthy := show(w, subscriptions, address, keys); address != "" && !healthy {
		return errors.New("operate: no healthy subscription has our URL; make register shows what to change")
	}
	return nil
}

// show writes a table of subscriptions. It reports whether one to the address is healthy.
func show(w io.Writer, subscriptions []vendorapi.Subscription, address string, keys webhook.Keys) (healthy bool) {
	if len(subscriptions) == 0 {
		fmt.Fprintln(w, "  nothing is registered")
		return false
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row(table, "  NAME", "OUR URL", "ACTIVE", "UNDELIVERED", "URL")
	var problems []string
	for _, s := range subscriptions {
		ours := ""
		if address != "" {
			ours = "no"
		}
		if address != "" && vendorapi.SameEndpoint(s.URL, address) {
			s, ours = s.Checked(keys), "yes"
			healthy = healthy || s.Healthy()
		}
		row(table, "  "+s.Name, ours, yes(s.Active), fmt.Sprint(s.Failures), vendorapi.Masked(s.URL))
		for _, problem := range s.Problems {
			problems = append(problems, s.Name+": "+problem)
		}
	}
	table.Flush()
	for _, problem := range problems {
		fmt.Fprintf(w, "  ! %s\n", terminal.Printable(problem))
	}
	return healthy
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// byHand describes the registration at a vendor whose API cannot do it.
func byHand(w io.Writer, p webhook.Provider) {
	fmt.Fprintf(w, "%s must be registered by hand, with the URL that make urls shows, or a tunnel's:\n", p.Info().Title)
	for _, line := range p.Info().Registration {
		fmt.Fprintf(w, "  - %s\n", line)
	}
}
