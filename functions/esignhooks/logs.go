package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/receive"
	"esignhooks/shared/wiring/localhost"
)

type logs struct {
	Provider string `placeholder:"PROVIDER" help:"Only what concerns this vendor."`
	Refused  bool   `help:"Only refused requests, with the cause."`
	Since    string `placeholder:"TIME" help:"Since when: 2026-11-02T09:30:00Z, a day (midnight UTC), or as long ago as 1h."`
}

// Validate requires a time that can be understood, if there is one.
func (c logs) Validate() error {
	_, err := c.from(time.Now(), 0)
	return err
}

// from returns when the logs begin.
func (c logs) from(now time.Time, lookback time.Duration) (time.Time, error) {
	if c.Since == "" {
		return now.Add(-lookback), nil
	}
	return since(c.Since, now)
}

func (c logs) Run(a *app) error {
	style, readable := terminal.StyleOf(a.lookup), a.isTerminal(a.out)
	if a.stack == onLocalhost {
		return c.localhost(a, style, readable)
	}
	from, err := c.from(a.now(), 10*time.Minute)
	if err != nil {
		return err
	}
	s, err := open(a.ctx, a.stack)
	if err != nil {
		return err
	}
	return s.Logs(a.ctx, from, func(source string, at time.Time, text string) {
		c.show(a.out, style, readable, source, at, text)
	})
}

// show writes an entry of a stack's log, if the filters let it through.
func (c logs) show(w io.Writer, style terminal.Style, readable bool, source string, at time.Time, text string) {
	switch e := terminal.ParseEntry(text); {
	case !c.shows(source, e), readable && isNoise(e):
	case readable:
		fmt.Fprintln(w, style.Line(source, at, e))
	default:
		fmt.Fprintln(w, e.JSON(source, at))
	}
}

// shows reports whether the filters let an entry of a stack's log through. The API's own entries name the path, and an
// error if the API has refused a request.
func (c logs) shows(source string, e terminal.Entry) bool {
	path, failure := e.Value("resourcePath")+"/", e.Value("error")
	refused := e.Message() == "refused" || path != "/" && failure != "" && failure != "-"
	provider := e.Value("provider") == c.Provider || strings.EqualFold(source, c.Provider) ||
		strings.HasPrefix(path, "/webhooks/"+c.Provider+"/")
	return (refused || !c.Refused) && (provider || c.Provider == "")
}

// isNoise reports whether an entry says nothing to a reader: a metric, or an invocation that did not fail.
func isNoise(e terminal.Entry) bool {
	record := e.Value("record")
	return e.Value("_aws") != "" || strings.HasPrefix(e.Value("type"), "platform.") &&
		(!strings.Contains(record, `"status"`) || strings.Contains(record, `"success"`))
}

// localhost follows the requests to the running gateway, which keeps the last ones in memory.
func (c logs) localhost(a *app, style terminal.Style, readable bool) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	from, err := c.from(a.now(), 0)
	if err != nil {
		return err
	}
	return localhost.Follow(a.ctx, config, c.Provider, func(r localhost.Request) {
		switch {
		case c.Refused && r.Outcome != receive.Refused, c.Since != "" && r.ReceivedAt.Before(from):
		case readable:
			fmt.Fprintln(a.out, r.Line(style, time.Local))
		default:
			json.NewEncoder(a.out).Encode(r)
		}
	})
}
