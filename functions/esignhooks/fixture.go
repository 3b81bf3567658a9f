package main

import (
	"fmt"
	"os"

	"esignhooks/shared/operate"
	"esignhooks/shared/wiring/localhost"
)

type fixture struct {
	File     string `placeholder:"FILE" help:"A recorded request, a proxy event or the body of a POST."`
	Provider string `placeholder:"PROVIDER" help:"The vendor. Needed only for a body."`
	Out      string `placeholder:"FILE" help:"The new file. Default: events/PROVIDER/recorded-TYPE.json."`
}

// Validate requires a file.
func (c fixture) Validate() error {
	if c.File == "" {
		return operate.Missing("FILE", "name a recorded request, as in FILE=.local/recorded/….json")
	}
	return nil
}

func (c fixture) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	recorded, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	made, err := localhost.Fixture(config, a.providers, recorded, c.Provider, c.Out)
	if err == nil {
		fmt.Fprintf(a.out, "%s: signed with the development key, and without what may be personal; read it before you "+
			"publish it\n", made)
	}
	return err
}
