package main

import "esignhooks/shared/operate"

type preflight struct{}

func (preflight) Run(a *app) error {
	if a.stack == onLocalhost {
		return operate.Missing("STACK", "name the stack that is to go into production, as in STACK=esignhooks")
	}
	s, err := open(a.ctx, a.stack)
	if err != nil {
		return err
	}
	return s.Preflight(a.ctx, a.out)
}
