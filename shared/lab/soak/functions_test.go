package soak

import (
	"testing"
	"time"
)

type functions struct{}

func buildFunctions(*testing.T, string, string) functions { return functions{} }

func soakFunctions(*testing.T, *report, functions, time.Time) {}
