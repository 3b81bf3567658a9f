//go:build stacks

package main

import (
	"context"

	aws "esignhooks/shared/stack"
)

const withStacks = true

func open(ctx context.Context, name string) (stack, error) { return aws.Open(ctx, name) }
