// Package all lists the clients of the vendors' APIs.
package all

import (
	"fmt"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/adobesign"
	"esignhooks/shared/vendorapi/docusign"
	"esignhooks/shared/vendorapi/dropboxsign"
	"esignhooks/shared/vendorapi/esignglobal"
)

// clients is the one list of them. A vendor that has none stands in it with nil.
var clients = map[string]func(credentials []byte, o vendorapi.Options) (vendorapi.Client, error){
	"adobesign":   adobesign.New,
	"docusign":    docusign.New,
	"dropboxsign": dropboxsign.New,
	"esignglobal": esignglobal.New,
}

// Open makes the client of a provider from the member "api" of its secret. It returns [vendorapi.ErrOff] if there are no
// credentials, and else an error that tells all that is wrong with them.
func Open(provider string, credentials []byte, o vendorapi.Options) (vendorapi.Client, error) {
	open := clients[provider]
	if open == nil || len(credentials) == 0 || string(credentials) == "null" {
		return nil, fmt.Errorf("%s: %w", provider, vendorapi.ErrOff)
	}
	client, err := open(credentials, o)
	if err != nil {
		return nil, fmt.Errorf("vendorapi: credentials of %s: %w", provider, err)
	}
	return client, nil
}
