package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"esignhooks/shared/provider/docusign"
)

// profiledFor is how long a function is profiled.
const profiledFor = 10 * time.Second

// profile writes profiles of processor time and of allocations, of the acknowledgement and of the worker with batches of ten
// of ten agreements, and says how to read them.
func (b *bench) profile() error {
	binary, err := build(b, b.root, b.dir, "shared/lab/bench", "profiled")
	if err != nil {
		return err
	}
	receiver, err := completed(docusign.Provider{}, small)
	if err != nil {
		return err
	}
	worker, err := newWorkload(docusign.Provider{}, "envelope-sent", small)
	if err != nil {
		return err
	}
	var about []string
	for i := range 10 {
		about = append(about, worker.id(i))
	}
	for _, of := range []struct {
		function string
		event    func() ([]byte, error)
		check    func([]byte) error
	}{
		{"docusign", receiver.fresh, status(http.StatusOK)},
		{"worker", func() ([]byte, error) { return worker.batch(about) }, allProcessed},
	} {
		folder, err := filepath.Abs(filepath.Join(b.profiles, of.function))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for _, kind := range []string{"cpu", "allocs"} {
			file := filepath.Join(folder, kind)
			n, err := b.profileFunction(binary, of.function, kind, file, of.event, of.check)
			if err != nil {
				return err
			}
			fmt.Printf("%s, %d invocations: go tool pprof -top %s\n", of.function, n, file)
		}
	}
	return nil
}

func (b *bench) profileFunction(binary bootstrap, function, kind, file string, event func() ([]byte, error), check func([]byte) error) (n int, err error) {
	b.plain.reset(true)
	env := append(b.plain.environment("docusign", setting), "PROFILE_FUNCTION="+function, "PROFILE_KIND="+kind, "PROFILE_FILE="+file)
	f, err := start(b, binary, env...)
	if err != nil {
		return 0, err
	}
	defer f.stop()
	for began := time.Now(); time.Since(began) < profiledFor; n += 100 {
		events, err := repeat(100, event)
		if err != nil {
			return n, err
		}
		if _, err := invokeAll(b, f, events, check); err != nil {
			return n, err
		}
	}
	if err := f.process.Process.Signal(syscall.SIGTERM); err != nil {
		return n, err
	}
	select {
	case <-f.process.ended:
		return n, nil
	case <-time.After(timeout):
		return n, fmt.Errorf("bench: the profiled function does not stop")
	}
}
