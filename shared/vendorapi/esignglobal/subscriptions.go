package esignglobal

import (
	"context"

	"esignhooks/shared/vendorapi"
)

// Subscriptions implements [vendorapi.Client]. This vendor has no such call.
func (c *client) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return nil, unsupported("the API has no callback addresses; see Settings → Integrations → Apps, and Webhook")
}

// Register implements [vendorapi.Client]. This vendor has no such call.
func (c *client) Register(context.Context, string) ([]vendorapi.Step, error) {
	return nil, unsupported("the API cannot set the callback address; set it under Settings → Integrations → Apps or " +
		"Webhook, or as callBackUrl in each request that creates an envelope")
}

// Repair implements [vendorapi.Client]. This vendor has no such call.
func (c *client) Repair(context.Context, string) ([]vendorapi.Step, error) {
	return nil, unsupported("the API cannot resend an event; request the envelopes one by one")
}
