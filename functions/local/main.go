// Command local runs all functions on localhost with an embedded store. With a command, it sends an example to a
// gateway, or runs an operator's command in the running gateway.
//
//	local
//	local send -provider docusign -event envelope-completed [-agreement ID] [-url URL]
//	local inspect|replay|redrive|archive|confirm|forget|register|registered …
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/wiring/localhost"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := localhost.ReadConfig(provider.All(), os.LookupEnv)
	if err != nil {
		return err
	}
	if len(os.Args) > 1 && os.Args[1] == "send" {
		return send(ctx, config, os.Args[2:])
	} else if len(os.Args) > 1 {
		return command(ctx, config, os.Args[1:])
	}
	debug.SetGCPercent(400) // the heap is small: this saves a fifth of the CPU time for some tens of MB
	gateway, err := localhost.Open(config, provider.All(), slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	listener, err := gateway.Listen()
	if err != nil {
		return err
	}
	if err := gateway.Banner(os.Stdout, "http://"+listener.Addr().String(), time.Now()); err != nil {
		return err
	}
	return gateway.Serve(ctx, listener)
}

func command(ctx context.Context, config localhost.Config, arguments []string) error {
	if err := localhost.Operate(ctx, os.Stdout, config, arguments); err != nil {
		return err
	}
	if applying, ok := operate.Agreed(os.Stdin, os.Stdout, arguments); ok {
		return localhost.Operate(ctx, os.Stdout, config, applying)
	}
	return nil
}

func send(ctx context.Context, config localhost.Config, arguments []string) error {
	var s localhost.Sending
	flags := flag.NewFlagSet("send", flag.ExitOnError)
	flags.StringVar(&s.Provider, "provider", "", "the provider")
	flags.StringVar(&s.Event, "event", "", "the name of an example in events/<provider>, without .json")
	flags.StringVar(&s.Agreement, "agreement", "", "the agreement's ID (default: a new one)")
	flags.StringVar(&s.URL, "url", "", "the webhook's URL (default: the gateway on localhost)")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	return localhost.Send(ctx, os.Stdout, config, provider.All(), s, time.Now())
}
