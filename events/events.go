// Package events holds the examples: complete API Gateway proxy events, one folder per provider, signed with the
// development keys.
package events

import "embed"

// FS holds <provider>/<name>.json.
//
//go:embed */*.json
var FS embed.FS
