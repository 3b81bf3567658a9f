// Command operator acts on a deployed stack, with the caller's AWS credentials. Without a command, it lists the
// commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"esignhooks/shared/operate"
	"esignhooks/shared/stack"
)

const usage = `operator -stack NAME, and one of:
urls                                          show what to register at each vendor, with the URLs' secret tokens
logs                                          follow the logs of the functions
redrive                                       retry dead letters and unpublished events, confirm what has credentials
` + operate.Usage

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	name := flag.String("stack", "", "")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flag.Parse()
	act, err := action(flag.Args())
	if err == nil && *name == "" {
		err = errors.New("no stack is given: use -stack NAME")
	}
	if err != nil {
		return fmt.Errorf("%w\n\n%s", err, usage)
	}
	s, err := stack.Open(ctx, *name)
	if err != nil {
		return err
	}
	if err := act(ctx, s); err != nil {
		return err
	}
	if applying, ok := operate.Agreed(os.Stdin, os.Stdout, flag.Args()); ok {
		if act, err = action(applying); err == nil {
			err = act(ctx, s)
		}
	}
	return err
}

// actions are the commands without flags.
var actions = map[string]func(*stack.Stack, context.Context, io.Writer) error{
	"urls": (*stack.Stack).URLs, "logs": (*stack.Stack).Logs, "redrive": (*stack.Stack).Redrive,
}

func action(arguments []string) (func(context.Context, *stack.Stack) error, error) {
	if len(arguments) == 1 && actions[arguments[0]] != nil {
		return func(ctx context.Context, s *stack.Stack) error { return actions[arguments[0]](s, ctx, os.Stdout) }, nil
	}
	command, err := operate.Parse(arguments)
	return func(ctx context.Context, s *stack.Stack) error { return command(ctx, os.Stdout, s.Target()) }, err
}
