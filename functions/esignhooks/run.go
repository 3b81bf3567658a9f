package main

import (
	"log/slog"
	"runtime/debug"

	"esignhooks/shared/wiring/localhost"
)

type run struct{}

func (run) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // the heap is small: this saves a fifth of the CPU time for some tens of MB
	gateway, err := localhost.Open(config, a.providers, slog.New(slog.NewJSONHandler(a.err, nil)))
	if err != nil {
		return err
	}
	listener, err := gateway.Listen()
	if err != nil {
		return err
	}
	if err := gateway.Banner(a.out, "http://"+listener.Addr().String(), a.now()); err != nil {
		return err
	}
	return gateway.Serve(a.ctx, listener)
}
