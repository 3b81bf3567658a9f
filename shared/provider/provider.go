// Package provider lists the providers.
package provider

import (
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/boldsign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/provider/dropboxsign"
	"esignhooks/shared/provider/esignglobal"
	"esignhooks/shared/webhook"
)

// All returns the providers. This is the one list of them.
func All() []webhook.Provider {
	return []webhook.Provider{
		adobesign.Provider{},
		boldsign.Provider{},
		docusign.Provider{},
		dropboxsign.Provider{},
		esignglobal.Provider{},
	}
}
