package main

import (
	"fmt"
	"os"

	"esignhooks/shared/operate"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

type explain struct {
	File     string `placeholder:"FILE" help:"A proxy event, a request of /api/requests/ID, an HTTP request, or a body."`
	Provider string `placeholder:"PROVIDER" help:"The vendor. Default: the one of the file's path."`
}

// Validate requires a file.
func (c explain) Validate() error {
	if c.File == "" {
		return operate.Missing("FILE", "name a saved request, such as events/docusign/envelope-completed.json")
	}
	return nil
}

// Run uses the keys of the environment, or those of a stack.
func (c explain) Run(a *app) error {
	file, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("FILE cannot be read: %w", err)
	}
	keys := func(p webhook.Provider) (webhook.Keys, error) {
		config, err := a.config()
		return config.Keys[p.Info().Name].Keys, err
	}
	if a.stack != onLocalhost {
		s, err := open(a.ctx, a.stack)
		if err != nil {
			return err
		}
		keys = func(p webhook.Provider) (webhook.Keys, error) {
			_, keys, err := s.Target().Webhook(a.ctx, p.Info().Name)
			return keys, err
		}
	}
	return sample.Explain(a.out, a.providers, file, c.Provider, keys)
}
