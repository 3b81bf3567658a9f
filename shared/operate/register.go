package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// register shows what is to be done so that the vendor tells the URL of its events, and does it if apply says so. Then it
// reads back what the vendor has made of it.
func register(ctx context.Context, w io.Writer, t Target, provider, given string, apply bool) error {
	p, err := t.find(provider)
	if err != nil {
		return err
	}
	address, keys, err := t.webhook(ctx, p, given)
	switch {
	case err != nil:
		return err
	case address == "":
		return fmt.Errorf("operate: name the URL from where the vendor is, as of a tunnel: URL=https://tunnel.example/webhooks/%s", provider)
	case webhook.RefusesAll(p, keys):
		return fmt.Errorf("operate: there is no key of %s, and a development key is none: every request would be refused;"+
			" put one there first, on localhost into $%s", p.Info().Title, p.Info().KeysVariable)
	}
	client, err := t.Clients(ctx, provider)
	if errors.Is(err, vendorapi.ErrNoClient) {
		byHand(w, p)
		return err
	} else if err != nil {
		return withNeeds(err, provider)
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
		fmt.Fprintf(w, "  - %s\n", printable(step.Says))
	}
	switch {
	case len(steps) == 0:
		fmt.Fprintln(w, "nothing to do")
	case !apply:
		fmt.Fprintln(w, "nothing is done yet: APPLY=1 does it")
		return nil
	}
	for i, step := range steps {
		if err := step.Do(ctx); err != nil {
			return fmt.Errorf("operate: step %d of %d: %w", i+1, len(steps), err)
		}
		fmt.Fprintf(w, "step %d of %d is done\n", i+1, len(steps))
	}
	return verify(ctx, w, client, address, keys)
}

// verify reads back. What could not be delivered before is told, and is no fault of the registration.
func verify(ctx context.Context, w io.Writer, client vendorapi.Client, address string, keys webhook.Keys) error {
	subscriptions, err := client.Subscriptions(ctx)
	if err != nil {
		return fmt.Errorf("operate: not read back; ask again by make registered: %w", err)
	}
	var problems []string
	for _, s := range subscriptions {
		if !vendorapi.SamePlace(s.URL, address) {
			continue
		}
		if s = s.Checked(keys); s.Active && len(s.Problems) == 0 {
			fmt.Fprintf(w, "read back: %s is active, %d events are undelivered\n", printable(s.Name), s.Failures)
			return nil
		}
		problems = append(problems, s.Problems...)
	}
	return fmt.Errorf("operate: the vendor does not have it as it should be: %s", printable(strings.Join(append(problems, "none is active"), "; ")))
}

// registered lists the subscriptions of a provider, or of all if the name is empty. It is an error if a provider has none
// that leads here in good health.
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
		if err := list(ctx, w, t, p, given); err != nil {
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
	client, err := t.Clients(ctx, p.Info().Name)
	if errors.Is(err, vendorapi.ErrNoClient) {
		fmt.Fprintf(w, "  %v\n", err)
		byHand(w, p)
		return nil
	} else if errors.Is(err, vendorapi.ErrOff) {
		fmt.Fprintf(w, "  %v\n", withNeeds(err, p.Info().Name))
		return nil
	} else if err != nil {
		return err
	}
	subscriptions, err := client.Subscriptions(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Fprintf(w, "  %v\n", err)
		byHand(w, p)
		return nil
	} else if err != nil {
		return err
	}
	if healthy := show(w, subscriptions, address, keys); address != "" && !healthy {
		return errors.New("operate: none leads here in good health; make register tells what is to be set")
	}
	return nil
}

// show writes a table, and says whether one that leads to the address is healthy.
func show(w io.Writer, subscriptions []vendorapi.Subscription, address string, keys webhook.Keys) (healthy bool) {
	if len(subscriptions) == 0 {
		fmt.Fprintln(w, "  nothing is registered")
		return false
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row(table, "  NAME", "LEADS HERE", "ACTIVE", "UNDELIVERED", "URL")
	var problems []string
	for _, s := range subscriptions {
		here := ""
		if address != "" {
			here = "no"
		}
		if address != "" && vendorapi.SamePlace(s.URL, address) {
			s, here = s.Checked(keys), "yes"
			healthy = healthy || s.Healthy()
		}
		row(table, "  "+s.Name, here, yes(s.Active), fmt.Sprint(s.Failures), vendorapi.Masked(s.URL))
		for _, problem := range s.Problems {
			problems = append(problems, s.Name+": "+problem)
		}
	}
	table.Flush()
	for _, problem := range problems {
		fmt.Fprintf(w, "  ! %s\n", printable(problem))
	}
	return healthy
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// byHand tells what to do where the API cannot.
func byHand(w io.Writer, p webhook.Provider) {
	fmt.Fprintf(w, "%s is registered by hand, with the URL that make urls shows, or that of a tunnel:\n", p.Info().Title)
	for _, line := range p.Info().Registration {
		fmt.Fprintf(w, "  - %s\n", line)
	}
}

// withNeeds adds to ErrOff what the credentials are made of.
func withNeeds(err error, provider string) error {
	if !errors.Is(err, vendorapi.ErrOff) || errors.Is(err, vendorapi.ErrNoClient) {
		return err
	}
	if _, lacks := all.Open(provider, []byte("{}"), vendorapi.Options{}); !errors.Is(lacks, vendorapi.ErrOff) {
		members := strings.NewReplacer("api.", "", " is missing", "", "\n", ", ").Replace(errors.Unwrap(lacks).Error())
		return fmt.Errorf("%w\n  a JSON object with %s; see shared/docs/after-the-event.md", err, members)
	}
	return err
}
