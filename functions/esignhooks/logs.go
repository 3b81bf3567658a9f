package main

import "esignhooks/shared/operate"

type logs struct{}

func (logs) Run(a *app) error {
	if a.stack == onLocalhost {
		return operate.UsageError("STACK=localhost has no logs to follow: make run prints them to its terminal")
	}
	s, err := open(a.ctx, a.stack)
	if err != nil {
		return err
	}
	return s.Logs(a.ctx, a.out)
}
