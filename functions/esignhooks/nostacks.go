//go:build !stacks

package main

import (
	"context"
	"fmt"

	"esignhooks/shared/operate"
)

const withStacks = false

func open(_ context.Context, name string) (stack, error) {
	return nil, operate.UsageError(fmt.Sprintf("this binary cannot act on the stack %q: build it with -tags stacks, as in "+
		"go build -tags stacks ./functions/esignhooks; or name the gateway here, as in -stack localhost", name))
}
