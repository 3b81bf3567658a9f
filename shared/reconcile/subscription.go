package reconcile

import (
	"context"
	"errors"
	"fmt"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// subscription checks that the vendor sends us events, and repairs the subscription if that is allowed.
func (p *pass) subscription(ctx context.Context) error {
	address, keys, err := p.settings.Webhook(ctx, p.provider)
	if err != nil {
		return fmt.Errorf("our webhook's URL: %w", err)
	}
	if address == "" {
		return nil
	}
	all, err := p.client.Subscriptions(ctx)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return fmt.Errorf("subscriptions: %w", err)
	}
	found := problems(all, address, keys)
	p.measure(metric.Count("SubscriptionProblems", min(len(found), 1)))
	if len(found) == 0 {
		return nil
	}
	p.log.ErrorContext(ctx, "subscription does not work", "url", vendorapi.Masked(address), "problems", found)
	if !p.settings.Repair {
		return nil
	}
	return p.repair(ctx, keys.URL(address))
}

// problems returns the problems of the subscriptions to our URL, or none if one of them is healthy.
func problems(all []vendorapi.Subscription, address string, keys webhook.Keys) (found []string) {
	for _, s := range all {
		if !vendorapi.SameEndpoint(s.URL, address) {
			continue
		}
		s = s.Checked(keys)
		if s.Healthy() {
			return nil
		}
		if !s.Active {
			found = append(found, s.Name+": not active")
		}
		for _, problem := range s.Problems {
			found = append(found, s.Name+": "+problem)
		}
		if s.Failures > 0 {
			found = append(found, fmt.Sprintf("%s: %d events are undelivered", s.Name, s.Failures))
		}
	}
	if len(found) == 0 {
		return []string{"no subscription has our URL"}
	}
	return found
}

func (p *pass) repair(ctx context.Context, address string) error {
	steps, err := p.client.Repair(ctx, address)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	for _, step := range steps {
		if err := step.Do(ctx); err != nil {
			return fmt.Errorf("repair: %s: %w", step.Description, err)
		}
		p.log.WarnContext(ctx, "subscription repaired", "step", step.Description)
	}
	return nil
}
