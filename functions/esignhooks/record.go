package main

import (
	"esignhooks/shared/operate"
	"esignhooks/shared/wiring/localhost"
)

type record struct {
	Count   int  `placeholder:"N" help:"How many requests to record. Default: 100."`
	Minutes int  `placeholder:"N" help:"For how long to record. Default: 60."`
	Off     bool `help:"End the recording."`
}

func (c record) Run(a *app) error {
	if a.stack != onLocalhost {
		return operate.UsageError("a stack records nothing: its archive keeps payloads, if ArchiveDays is set")
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	return localhost.Record(a.ctx, a.out, config, localhost.Recording{Count: c.Count, Minutes: c.Minutes, Off: c.Off})
}
