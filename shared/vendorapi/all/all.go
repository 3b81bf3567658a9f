// Package all lists the clients of the vendors' APIs.
package all

import (
	"fmt"
	"slices"

	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/adobesign"
	"esignhooks/shared/vendorapi/docusign"
	"esignhooks/shared/vendorapi/dropboxsign"
	"esignhooks/shared/vendorapi/esignglobal"
	"esignhooks/shared/webhook"
)

// clients is the only list of clients. A vendor without an entry has no API client: nothing of it is archived or
// reconciled.
var clients = map[string]func(credentials []byte, o vendorapi.Options) (vendorapi.Client, error){
	"adobesign":   adobesign.New,
	"docusign":    docusign.New,
	"dropboxsign": dropboxsign.New,
	"esignglobal": esignglobal.New,
}

// Providers returns the providers that have a client.
func Providers() []webhook.Provider {
	return slices.DeleteFunc(provider.All(), func(p webhook.Provider) bool { return !Has(p.Info().Name) })
}

// Has reports whether a provider has a client.
func Has(provider string) bool { return clients[provider] != nil }

// Open returns the client of a provider, made from the member "api" of its secret. It returns [vendorapi.ErrNoClient]
// for a provider without a client, and [vendorapi.ErrOff] if there are no credentials. Any other error lists everything
// that is wrong with the credentials.
func Open(name string, credentials []byte, o vendorapi.Options) (vendorapi.Client, error) {
	open := clients[name]
	if open == nil {
		return nil, fmt.Errorf("%s: %w", name, vendorapi.ErrNoClient)
	}
	if len(credentials) == 0 || string(credentials) == "null" {
		return nil, fmt.Errorf("%s: %w", name, vendorapi.ErrOff)
	}
	client, err := open(credentials, o)
	if err != nil {
		return nil, fmt.Errorf("vendorapi: credentials of %s: %w", name, err)
	}
	return client, nil
}
