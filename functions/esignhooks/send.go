package main

import (
	"fmt"
	"os"
	"slices"
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
	File      string `placeholder:"FILE" help:"Send this instead of an example: a recorded request, a proxy event or the body of a POST."`

	KeyVariable string `placeholder:"NAME" help:"The environment variable with the key to sign with. Default: the first configured key."`
	Curl        bool   `help:"Send nothing; print a curl command that does."`
}

// Validate requires an example.
func (c send) Validate() error {
	if c.File != "" {
		return nil
	}
	if c.Provider == "" {
		return operate.MissingProvider(", and an example by EVENT=")
	}
	p, ok := webhook.Find(provider.All(), c.Provider)
	if !ok {
		return nil // reported for all commands
	}
	names := sample.Names(p)
	if choice := "name one of " + strings.Join(names, ", "); c.Event == "" {
		return operate.Missing("EVENT", choice)
	} else if !slices.Contains(names, c.Event) {
		return operate.UsageError(fmt.Sprintf("EVENT %q is unknown: %s", c.Event, choice))
	}
	return nil
}

func (c send) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	s := localhost.Sending{Provider: c.Provider, Event: c.Event, Agreement: c.Agreement, URL: c.URL}
	if c.File != "" {
		if s.File, err = os.ReadFile(c.File); err != nil {
			return err
		}
	}
	if c.KeyVariable != "" {
		value, _ := a.lookup(c.KeyVariable)
		if value == "" {
			return operate.Missing(c.KeyVariable, "it is the key to sign with, and never printed")
		}
		key := webhook.NewSecret(value)
		s.Key, s.KeyVariable = &key, c.KeyVariable
	}
	act := localhost.Send
	if c.Curl {
		act = localhost.Curl
	}
	return act(a.ctx, a.out, config, a.providers, s, a.now())
}
