package main

import "esignhooks/shared/wiring/localhost"

type doctor struct {
	Provider string `placeholder:"PROVIDER" help:"Only this vendor."`
	URL      string `name:"url" placeholder:"URL" help:"The public URL of a tunnel, a domain or a webhook. Default: the tunnel that runs, or the stack's own."`
}

func (c doctor) Run(a *app) error {
	if a.stack != onLocalhost {
		s, err := open(a.ctx, a.stack)
		if err != nil {
			return err
		}
		return s.Doctor(a.ctx, a.out, c.Provider, c.URL)
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	return localhost.Doctor(a.ctx, a.out, config, a.providers, localhost.Examination{Provider: c.Provider, URL: c.URL})
}
