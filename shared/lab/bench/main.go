// Command bench compares the built Lambda functions with bare functions that make the same calls, or none. It starts
// the binaries as Lambda does, with its own Runtime API and with stubs of AWS that answer at once or after a delay.
// Everything runs on 127.0.0.1. The result is a table in Markdown. It needs Linux.
//
//	bench [-rounds 15] [-agreements 1000000] [-only cold,warm,…] [-profile folder]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// bench is one run.
type bench struct {
	context.Context
	root, dir  string // of the repository; for temporary files
	rounds     int
	agreements int  // in the larger of two stores
	quick      bool // measures little, for a test of this program
	report     report
	plain      *stubs            // without TLS
	secure     *stubs            // with TLS
	binaries   map[string]string // by folder, such as functions/worker
}

const (
	baselines   = "shared/lab/bench/baseline/"
	reference   = "docusign" // measures what does not depend on the provider
	referenceIn = "functions/" + reference
)

func main() {
	b := &bench{}
	flag.IntVar(&b.rounds, "rounds", 15, "measurements of each contestant")
	flag.IntVar(&b.agreements, "agreements", 1_000_000, "agreements in the larger of two stores")
	profiles := flag.String("profile", "", "write profiles of the acknowledgement and the worker into this folder instead")
	only := flag.String("only", "", "measure only these figures, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.Context = ctx
	if err := b.run(*only, *profiles); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run builds the functions, measures, and prints the report.
func (b *bench) run(only, profiles string) (err error) {
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			err = f
		default:
			panic(f)
		}
	}()
	figures := []struct {
		name    string
		measure func()
	}{
		{"cold", b.cold}, {"warm", b.warm}, {"refusal", b.refusal}, {"large", b.large}, {"worker", b.worker},
		{"memory", b.memory}, {"size", b.size}, {"localhost", b.localhost}, {"growth", b.growth},
	}
	chosen := map[string]bool{}
	for _, f := range figures {
		chosen[f.name] = only == "" || slices.Contains(strings.Split(only, ","), f.name)
	}
	for name := range strings.SplitSeq(only, ",") {
		if name != "" && !chosen[name] {
			return fmt.Errorf("bench: no figure %q", name)
		}
	}
	if b.rounds < 1 || b.agreements < fewAgreements {
		return fmt.Errorf("bench: want at least 1 round and %d agreements", fewAgreements)
	}
	defer b.prepare()()
	if profiles != "" {
		b.profile(profiles)
		return nil
	}
	began, before := time.Now(), load()
	for _, f := range figures {
		if chosen[f.name] {
			fmt.Fprintln(os.Stderr, "measure", f.name)
			f.measure()
		}
	}
	fmt.Printf("Medians of %d interleaved rounds, on %s. Load at the beginning and at the end: %s and %s. It took %s.\n\n",
		b.rounds, machine(), before, load(), time.Since(began).Round(time.Second))
	b.report.write(os.Stdout)
	return nil
}

// prepare starts the stubs and builds all functions. The caller must call what it returns.
func (b *bench) prepare() (clean func()) {
	b.root = must(os.Getwd())
	build := filepath.Join(b.root, ".build") // on a disk: folders for temporary files may be in memory
	check(os.MkdirAll(build, 0o755))
	b.dir = must(os.MkdirTemp(build, "bench-"))
	b.plain, b.secure, b.binaries = open(b.dir, false), open(b.dir, true), map[string]string{}
	clean = func() {
		b.plain.close()
		b.secure.close()
		os.RemoveAll(b.dir)
	}
	for _, parent := range []string{"functions/", baselines} {
		for _, folder := range must(os.ReadDir(parent)) {
			b.build(parent + folder.Name())
		}
	}
	return clean
}

// build compiles a function for this machine by the rule that `sam build` uses.
func (b *bench) build(folder string) {
	fmt.Fprintln(os.Stderr, "build", folder)
	to := filepath.Join(b.dir, folder)
	check(os.MkdirAll(to, 0o755))
	c := exec.CommandContext(b, "make", "-s", "-f", ".sam/functions.mk", "GOARCH="+runtime.GOARCH,
		"FUNCTIONS="+filepath.Dir(folder), "ARTIFACTS_DIR="+to, "build-"+filepath.Base(folder)+"Function")
	c.Dir = b.root
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // of the make that started this program
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
	if out, err := c.CombinedOutput(); err != nil {
		check(fmt.Errorf("bench: build %s: %w: %s", folder, err, out))
	}
	b.binaries[folder] = filepath.Join(to, "bootstrap")
}

// quickly returns a tenth of a number or duration if the run is quick.
func quickly[T int | time.Duration](b *bench, n T) T {
	if b.quick {
		return max(1, n/10)
	}
	return n
}

// referenceProvider returns the provider that measures what does not depend on the provider.
func referenceProvider() webhook.Provider {
	p, ok := webhook.Find(provider.All(), reference)
	if !ok {
		panic("bench: no provider " + reference)
	}
	return p
}

// failure ends a run. [bench.run] returns it, after all deferred calls.
type failure struct{ error }

func check(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(failure{err})
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
