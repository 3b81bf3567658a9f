package reconcile

import (
	"context"
	"errors"
	"fmt"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// subscription looks whether the vendor tells us of events at all, and repairs that if it may.
func (p *pass) subscription(ctx context.Context) error {
	address, keys, err := p.Webhook(ctx, p.provider)
	if err != nil {
		return fmt.Errorf("our URL: %w", err)
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
	wrong := problems(all, address, keys)
	p.measure(metric.Count("SubscriptionProblems", min(len(wrong), 1)))
	if len(wrong) == 0 {
		return nil
	}
	p.log.ErrorContext(ctx, "subscription", "url", vendorapi.Masked(address), "problems", wrong)
	if !p.Repair {
		return nil
	}
	return p.repair(ctx, keys.URL(address))
}

// problems are those of the subscriptions that lead to us, unless one of them is healthy.
func problems(all []vendorapi.Subscription, address string, keys webhook.Keys) (wrong []string) {
	for _, s := range all {
		if !vendorapi.SamePlace(s.URL, address) {
			continue
		}
		s = s.Checked(keys)
		if s.Healthy() {
			return nil
		}
		if !s.Active {
			wrong = append(wrong, s.Name+": not active")
		}
		for _, problem := range s.Problems {
			wrong = append(wrong, s.Name+": "+problem)
		}
		if s.Failures > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d events are undelivered", s.Name, s.Failures))
		}
	}
	if len(wrong) == 0 {
		return []string{"none leads to our URL"}
	}
	return wrong
}

func (p *pass) repair(ctx context.Context, address string) error {
	steps, err := p.client.Repair(ctx, address)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	for _, step := range steps {
		if err := step.Do(ctx); err != nil {
			return fmt.Errorf("repair: %s: %w", step.Says, err)
		}
		p.log.WarnContext(ctx, "subscription repaired", "step", step.Says)
	}
	return nil
}
