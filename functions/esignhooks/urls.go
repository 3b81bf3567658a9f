package main

import "esignhooks/shared/wiring/localhost"

type urls struct{}

func (urls) Run(a *app) error {
	if a.stack == onLocalhost {
		config, err := a.config()
		if err != nil {
			return err
		}
		return localhost.URLs(a.out, config, a.providers)
	}
	s, err := open(a.ctx, a.stack)
	if err != nil {
		return err
	}
	return s.URLs(a.ctx, a.out)
}
