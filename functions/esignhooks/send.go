package main

import (
	"strings"

	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/localhost"
)

type send struct {
	Provider  string `placeholder:"PROVIDER" help:"The vendor, such as docusign."`
	Event     string `placeholder:"EVENT" help:"The name of an example in events/PROVIDER, without .json."`
	Agreement string `placeholder:"ID" help:"The agreement's ID. Default: a new one."`
	URL       string `name:"url" placeholder:"URL" help:"The webhook's URL. Default: the gateway on localhost."`
}

// Validate requires an example.
func (c send) Validate() error {
	if c.Provider == "" {
		return operate.MissingProvider(", and an example by EVENT=")
	}
	if p, ok := webhook.Find(provider.All(), c.Provider); ok && c.Event == "" {
		return operate.Missing("EVENT", "name one of "+strings.Join(sample.Names(p), ", "))
	}
	return nil
}

func (c send) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	return localhost.Send(a.ctx, a.out, config, a.providers,
		localhost.Sending{Provider: c.Provider, Event: c.Event, Agreement: c.Agreement, URL: c.URL}, a.now())
}
