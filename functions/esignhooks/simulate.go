package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/operate"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample/play"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/localhost"
)

type simulate struct {
	Provider string  `placeholder:"PROVIDER" help:"The vendor, such as docusign."`
	Story    string  `placeholder:"STORY" help:"What happens, such as two-signers."`
	Number   int     `short:"n" placeholder:"N" help:"How many agreements, at most 10000. Default: 1, for bulk 100."`
	Speed    float64 `placeholder:"SPEED" help:"How fast the vendor's time passes; 1 is real pace. Default: 3600."`
	Faults   string  `placeholder:"FAULTS" help:"What goes wrong, such as duplicate,late."`
	Seed     uint64  `placeholder:"SEED" help:"Of the faults' choices, to repeat them. Default: a new one."`
	URL      string  `name:"url" placeholder:"URL" help:"The webhook's URL. Default: the gateway on localhost."`
	API      string  `name:"api" placeholder:"URL" help:"The read API to compare with, such as http://127.0.0.1:3000."`
	StateURL string  `name:"state-url" placeholder:"URL" help:"Where your application answers its state."`
	Report   string  `default:"text" placeholder:"FORMAT" help:"text, json or junit."`
	Out      string  `placeholder:"FILE" help:"Write the report there."`
	Yes      bool    `help:"Agree to more than 100 agreements for another machine."`

	KeyVariable string `placeholder:"NAME" help:"The environment variable with the key to sign with, or two. Default: the configured keys."`
}

// Validate requires a story that the vendor can tell, and faults that exist.
func (c simulate) Validate() error {
	if c.Provider == "" {
		return operate.MissingProvider(", and a story by STORY=")
	}
	p, ok := webhook.Find(provider.All(), c.Provider)
	if !ok {
		return nil
	}
	book, err := story.Open(p)
	if err != nil {
		return err
	}
	if c.Story == "" && len(book.Stories) > 0 {
		return operate.Missing("STORY", "name one of "+strings.Join(book.Names(), ", "))
	}
	if _, err := book.Find(c.Story); err != nil {
		return operate.UsageError(err.Error())
	}
	if _, err := play.ParseFaults(c.Faults); err != nil {
		return operate.UsageError(err.Error())
	}
	if !slices.Contains(play.Formats, c.Report) {
		return operate.UsageError(fmt.Sprintf("no report %q; the reports: %s", c.Report, strings.Join(play.Formats, ", ")))
	}
	return nil
}

func (c simulate) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	faults, _ := play.ParseFaults(c.Faults) // Validate has checked them
	s := localhost.Simulation{
		Provider: c.Provider, Story: c.Story, Number: c.Number, Speed: c.Speed, Faults: faults, Seed: c.Seed, URL: c.URL,
		API: c.API, StateURL: c.StateURL, Agreed: c.Yes,
	}
	if c.KeyVariable != "" {
		value, _ := a.lookup(c.KeyVariable)
		if s.Keys = webhook.Secrets(strings.Split(value, ",")...); len(s.Keys) == 0 {
			return operate.Missing(c.KeyVariable, "it is the key to sign with, and never printed")
		}
	}
	prepared, err := localhost.Simulate(a.ctx, config, a.providers, s)
	if err != nil {
		return operate.UsageError(err.Error())
	}
	if c.URL == "" {
		if err := localhost.Running(a.ctx, config); err != nil {
			return err
		}
	}
	file, ok := a.err.(*os.File)
	prepared.Plan.Progress = play.Printer(a.err, ok && terminal.Is(file), prepared.Number > 1)
	fmt.Fprintf(a.err, "%d messages in about %v\n", prepared.Messages(), prepared.Lasts().Round(time.Second/10))
	report, err := prepared.Run(a.ctx)
	if a.ctx.Err() != nil {
		return errors.New("stopped before the end, without a verdict")
	} else if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := report.Write(&out, c.Report); err != nil {
		return err
	}
	if c.Out == "" {
		_, err = out.WriteTo(a.out)
	} else {
		err = os.WriteFile(c.Out, out.Bytes(), 0o600)
	}
	if err == nil && report.Verdict != play.Right {
		err = errors.New("the verdict is " + string(report.Verdict))
	}
	return err
}
