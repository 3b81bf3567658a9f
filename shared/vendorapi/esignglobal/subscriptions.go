package esignglobal

import (
	"context"

	"esignhooks/shared/vendorapi"
)

// Subscriptions implements [vendorapi.Client]: not at this vendor.
func (c *client) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return nil, unsupported("no API tells of callback addresses; look under Settings → Integrations → Apps, and Webhook")
}

// Register implements [vendorapi.Client]: not at this vendor.
func (c *client) Register(context.Context, string) ([]vendorapi.Step, error) {
	return nil, unsupported("no API sets the callback address; set it under Settings → Integrations → Apps or Webhook, " +
		"or as callBackUrl in each request that creates an envelope")
}

// Repair implements [vendorapi.Client]: not at this vendor.
func (c *client) Repair(context.Context, string) ([]vendorapi.Step, error) {
	return nil, unsupported("no API sends an event again; ask for the envelopes one by one")
}
