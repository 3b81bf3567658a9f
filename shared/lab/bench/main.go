// Command bench measures the built Lambda functions beside the least that one could run instead: bare functions that make
// the same calls, or none. It starts the binaries as Lambda does, behind a Runtime API of its own, between stubs of
// DynamoDB, SQS, Secrets Manager and S3 that answer at once or after a delay, and count. Everything is on 127.0.0.1. The
// result is a table in Markdown.
//
//	bench [-rounds 15] [-agreements 1000000] [-only cold|warm|refusal|large|worker|memory|size|localhost|growth] [-profile folder]
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"esignhooks/shared/provider"
)

// bench is a run.
type bench struct {
	context.Context
	root, dir  string // the repository, and where files may be
	rounds     int
	agreements int    // in the larger store
	profiles   string // folder for them, instead of measuring; empty: none
	report     report
	plain      *account // reached by HTTP
	secure     *account // by TLS
	built      map[string]bootstrap
}

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{Context: ctx, built: map[string]bootstrap{}}
	var only string
	flag.IntVar(&b.rounds, "rounds", 15, "how often each contestant has its turn")
	flag.IntVar(&b.agreements, "agreements", 1_000_000, "in the larger of the two stores that are compared")
	flag.StringVar(&b.profiles, "profile", "", "write profiles of the acknowledgement and the worker into this folder, and measure nothing")
	flag.StringVar(&only, "only", "", "measure these figures alone, separated by commas")
	flag.Parse()
	if b.rounds < 1 || b.agreements < fewAgreements || flag.NArg() > 0 {
		return fmt.Errorf("bench: at least 1 round, %d agreements, and no arguments", fewAgreements)
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer b.plain.close()
	defer b.secure.close()
	if b.profiles != "" {
		return b.profile()
	}
	return b.run(only)
}

// prepare builds what is measured, and starts what it is measured with.
func (b *bench) prepare() (err error) {
	if b.root, err = os.Getwd(); err != nil {
		return err
	}
	parent := filepath.Join(b.root, ".build") // on the disk of the repository: folders for temporary files may be in memory
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(parent, "bench-"); err != nil {
		return err
	}
	if b.plain, err = open(b.dir, false); err != nil {
		return err
	}
	if b.secure, err = open(b.dir, true); err != nil {
		return err
	}
	for folder, names := range map[string][]string{
		functions: {"AdobeSign", "DocuSign", "DropboxSign", "ESignGlobal", "Worker", "Publisher", "Archiver", "Reconciler", "Local"},
		baselines: {"ok", "copy", "calls", "worker"},
	} {
		for _, name := range names {
			fmt.Fprintln(os.Stderr, "build", name)
			if b.built[name], err = build(b, b.root, b.dir, folder, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// run measures the figures, and writes the report.
func (b *bench) run(only string) error {
	began, before := time.Now(), load()
	type figure struct {
		name    string
		measure func() error
	}
	figures := []figure{
		{"cold", b.cold}, {"warm", b.warm}, {"refusal", b.refusal}, {"large", b.large}, {"worker", b.worker}, {"memory", b.memory},
		{"size", b.size}, {"localhost", b.localhost}, {"growth", b.growth},
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if only != "" && !slices.ContainsFunc(figures, func(f figure) bool { return f.name == name }) {
			return fmt.Errorf("bench: no figure %q", name)
		}
	}
	for _, figure := range figures {
		if only != "" && !slices.Contains(chosen, figure.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measure", figure.name)
		if err := figure.measure(); err != nil {
			return fmt.Errorf("bench: %s: %w", figure.name, err)
		}
	}
	b.report.load = before + " and " + load()
	b.report.write(os.Stdout, began, b.rounds)
	return nil
}

// receivers are the receivers' functions by provider.
func receivers() map[string]string {
	names := map[string]string{}
	for _, p := range provider.All() {
		for _, function := range []string{"AdobeSign", "DocuSign", "DropboxSign", "ESignGlobal"} {
			if strings.EqualFold(function, p.Info().Name) {
				names[p.Info().Name] = function
			}
		}
	}
	return names
}

// status wants an answer with this status.
func status(code int) func([]byte) error {
	return func(answer []byte) error {
		if !bytes.Contains(answer, fmt.Appendf(nil, `"statusCode":%d,`, code)) {
			return fmt.Errorf("bench: answered %.200s, not %d", answer, code)
		}
		return nil
	}
}
