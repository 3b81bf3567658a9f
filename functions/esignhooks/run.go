package main

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/wiring/localhost"
)

type run struct{}

func (run) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // the heap is small: this saves a fifth of the CPU time for some tens of MB
	log := slog.New(slog.NewJSONHandler(a.err, nil))
	style := terminal.StyleOf(a.lookup)
	if a.isTerminal(a.err) {
		log = style.Logger(a.err, slog.LevelWarn, "refused") // the request's line says so
	}
	gateway, err := localhost.Open(config, a.providers, log)
	if err != nil {
		return err
	}
	if a.isTerminal(a.err) {
		watch(gateway, func(r localhost.Request) { fmt.Fprintln(a.err, r.Line(style, time.Local)) })
	}
	listener, err := gateway.Listen()
	if err != nil {
		return err
	}
	if err := gateway.Banner(a.out, "http://"+listener.Addr().String()); err != nil {
		return err
	}
	return gateway.Serve(a.ctx, listener)
}

// watch shows each request. A terminal that its user has paused must not stop the gateway, so lines are left out then.
func watch(gateway *localhost.Gateway, show func(localhost.Request)) {
	requests := make(chan localhost.Request, 1000)
	go func() {
		for r := range requests {
			show(r)
		}
	}()
	gateway.Watch(func(r localhost.Request) {
		select {
		case requests <- r:
		default:
		}
	})
}
