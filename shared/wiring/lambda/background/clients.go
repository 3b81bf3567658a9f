package background

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// vendorClients are the clients of the vendors' APIs, by provider.
type vendorClients map[string]*vendorClient

// secretARNs reads <PROVIDER>_SECRET_ARN of each provider.
func secretARNs(e *wiring.Environment, providers []webhook.Provider) map[string]string {
	arns := map[string]string{}
	for _, p := range providers {
		arns[p.Info().Name] = e.Need(strings.ToUpper(p.Info().Name) + "_SECRET_ARN")
	}
	return arns
}

func newVendorClients(secrets *secretsmanager.Client, arns map[string]string, o vendorapi.Options, log *slog.Logger) vendorClients {
	c := vendorClients{}
	for provider, arn := range arns {
		c[provider] = &vendorClient{
			read: wiring.Secret(secrets, arn), now: o.Now, log: log.With("provider", provider),
			open: func(credentials []byte) (vendorapi.Client, error) { return all.Open(provider, credentials, o) },
		}
	}
	return c
}

// get returns the client of a provider, or vendorapi.ErrOff.
func (c vendorClients) get(ctx context.Context, provider string) (vendorapi.Client, error) {
	if c[provider] == nil {
		return nil, fmt.Errorf("background: %w", vendorapi.ErrOff)
	}
	return c[provider].get(ctx)
}

// vendorClient is one provider's, made of the credentials in its secret. As with the receivers' keys, those that were read last serve
// while newer ones cannot be read, or are wrong.
type vendorClient struct {
	read func(context.Context) (string, error)
	open func(credentials []byte) (vendorapi.Client, error)
	now  func() time.Time
	log  *slog.Logger

	mu          sync.Mutex // held while reading
	next        time.Time  // of reading
	credentials [sha256.Size]byte
	known       bool
	made        vendorapi.Client // nil: none
	problem     error            // why there is none
}

func (c *vendorClient) get(ctx context.Context) (vendorapi.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.now().Before(c.next) {
		c.refresh(ctx)
	}
	if c.made == nil {
		return nil, c.problem
	}
	return c.made, nil
}

func (c *vendorClient) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, wiring.KeysDeadline)
	defer cancel()
	text, err := c.read(ctx)
	var stored webhook.StoredKeys
	if err == nil {
		stored, err = webhook.ParseStoredKeys(text)
	}
	if err != nil {
		c.log.Error("credentials not read", "stale", c.made != nil, "error", err)
		if c.known {
			c.next = c.now().Add(wiring.KeysRetry)
		} else { // each call tries
			c.problem = fmt.Errorf("background: credentials: %w", err)
		}
		return
	}
	c.next = c.now().Add(wiring.KeysAge)
	if sum := sha256.Sum256(stored.API); !c.known || sum != c.credentials {
		c.credentials, c.known = sum, true
		c.remake(stored.API)
	}
}

// remake makes a client of other credentials than the last ones, and says once if there is none.
func (c *vendorClient) remake(credentials []byte) {
	made, err := c.open(credentials)
	switch {
	case errors.Is(err, vendorapi.ErrOff):
		c.log.Info("off: no credentials of the vendor's API in the secret")
		c.made, c.problem = nil, err
	case err != nil:
		c.log.Error("wrong credentials", "stale", c.made != nil, "error", err)
		c.problem = err
	default:
		c.made = made
	}
}
