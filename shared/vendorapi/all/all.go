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

// clients is the one list of them. A vendor without an entry has no client: nothing of it is archived or reconciled.
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

// Has reports whether the provider has a client.
func Has(provider string) bool { return clients[provider] != nil }

// Open makes the client of a provider from the member "api" of its secret. It returns [vendorapi.ErrNoClient] if it has no client, [vendorapi.ErrOff] if there are no
// credentials, and else an error that tells all that is wrong with them.
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
