// Package slow marks the tests that take too long for `make test`.
package slow

import (
	"os"
	"testing"
)

// Test skips a slow test, unless the environment variable SLOW is 1: `make test-all` sets it.
func Test(t testing.TB) {
	t.Helper()
	if os.Getenv("SLOW") != "1" {
		t.Skip("slow: make test-all runs it")
	}
}

// Cases returns how many cases a test tries: few, or many if slow tests run.
func Cases(few, many int) int {
	if os.Getenv("SLOW") == "1" {
		return many
	}
	return few
}
