package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Folders of functions, from the root of the repository.
const (
	functions = "functions"
	baselines = "shared/lab/bench/baseline"
)

// bootstrap is a function's binary, ready to start.
type bootstrap string

// build compiles the function of a folder for this machine, by the rule that `sam build` uses, into dir.
func build(ctx context.Context, root, dir, folder, name string) (bootstrap, error) {
	to := filepath.Join(dir, filepath.Base(folder), name)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return "", err
	}
	make := exec.CommandContext(ctx, "make", "-s", "-f", ".sam/functions.mk", "GOARCH="+runtime.GOARCH, "FUNCTIONS="+folder,
		"ARTIFACTS_DIR="+to, "build-"+name+"Function")
	make.Dir, make.Env = root, withoutMake(os.Environ())
	if out, err := make.CombinedOutput(); err != nil {
		return "", fmt.Errorf("bench: build %s/%s: %w: %s", folder, name, err, out)
	}
	return bootstrap(filepath.Join(to, "bootstrap")), nil
}

// withoutMake leaves out what a make tells the makes below it.
func withoutMake(environment []string) []string {
	return slices.DeleteFunc(environment, func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
}
