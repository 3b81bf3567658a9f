package background

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// vendorClients holds the clients of the vendors' APIs, by provider. A provider without a secret has none, and so has a
// vendor for whose API there is no client.
type vendorClients map[string]*vendorClient

func newVendorClients(secrets *secretsmanager.Client, arns map[string]string, o vendorapi.Options,
	log *slog.Logger) vendorClients {
	c := vendorClients{}
	for provider, arn := range arns {
		if !all.Has(provider) {
			continue
		}
		c[provider] = &vendorClient{
			read: wiring.Secret(secrets, arn), now: o.Now, log: log.With("provider", provider),
			open: func(credentials []byte) (vendorapi.Client, error) { return all.Open(provider, credentials, o) },
		}
	}
	return c
}

// get returns the client of a provider. It returns vendorapi.ErrOff without a secret or without credentials, and
// vendorapi.ErrNoClient if there is no client for the vendor's API.
func (c vendorClients) get(ctx context.Context, provider string) (vendorapi.Client, error) {
	if c[provider] == nil {
		return all.Open(provider, nil, vendorapi.Options{}) // returns one of these errors
	}
	return c[provider].get(ctx)
}

// vendorClient caches the client of one vendor's API, made from the credentials in the provider's secret. The last good
// client stays in use while the secret cannot be read or its credentials are wrong.
type vendorClient struct {
	read func(context.Context) (string, error)
	open func(credentials []byte) (vendorapi.Client, error)
	now  func() time.Time
	log  *slog.Logger

	mu       sync.Mutex // held during a read
	nextRead time.Time
	known    bool              // a read has succeeded, so that sum is valid
	sum      [sha256.Size]byte // of the credentials read last
	client   vendorapi.Client  // nil if there is none
	err      error             // why client is nil
}

func (c *vendorClient) get(ctx context.Context) (vendorapi.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.now().Before(c.nextRead) {
		c.refresh(ctx)
	}
	if c.client == nil {
		return nil, c.err
	}
	return c.client, nil
}

func (c *vendorClient) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, wiring.ReadTimeout)
	defer cancel()
	secret, err := c.read(ctx)
	var stored webhook.StoredKeys
	if err == nil {
		stored, err = webhook.ParseStoredKeys(secret)
	}
	if err != nil {
		c.log.Error("API credentials unavailable", "stale", c.client != nil, "error", err)
		if c.known {
			c.nextRead = c.now().Add(wiring.RetryAfter)
		} else { // each call tries
			c.err = fmt.Errorf("background: credentials: %w", err)
		}
		return
	}
	c.nextRead = c.now().Add(wiring.RefreshAfter)
	if sum := sha256.Sum256(stored.API); !c.known || sum != c.sum {
		c.sum, c.known = sum, true
		c.reopen(stored.API)
	}
}

// reopen makes a client from credentials that have changed. If it cannot, it logs the reason, once for each change.
func (c *vendorClient) reopen(credentials []byte) {
	client, err := c.open(credentials)
	switch {
	case errors.Is(err, vendorapi.ErrNoClient):
		c.log.Info("off: there is no API client for this vendor")
		c.client, c.err = nil, err
	case errors.Is(err, vendorapi.ErrOff):
		c.log.Info("off: the secret has no credentials of the vendor's API")
		c.client, c.err = nil, err
	case err != nil:
		c.log.Error("wrong API credentials", "stale", c.client != nil, "error", err)
		c.err = err
	default:
		c.client = client
	}
}
