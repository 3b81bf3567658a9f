// Package events holds the examples: complete API Gateway proxy events, one folder per provider, signed with the
// development keys.
package events

import "embed"

// FS holds <provider>/<name>.json, and <provider>/stories.tmpl: how the vendor reports stories, for the simulator.
//
//go:embed */*.json */*.tmpl
var FS embed.FS
