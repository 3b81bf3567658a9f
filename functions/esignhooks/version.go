package main

import (
	"fmt"
	"runtime/debug"
)

type version struct{}

func (version) Run(a *app) error {
	info, _ := debug.ReadBuildInfo() // always there: the binary is built from a module
	revision := "unknown"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += ", with changes"
		}
	}
	stacks := "not included: build with -tags stacks, as make does for its targets on stacks"
	if withStacks {
		stacks = "included"
	}
	_, err := fmt.Fprintf(a.out, "esignhooks %s\nrevision: %s\nGo: %s\nstacks: %s\n", info.Main.Version, revision,
		info.GoVersion, stacks)
	return err
}
