// Command esignhooks runs all functions on localhost with an embedded store, sends requests to them, and acts on the
// running gateway or on a deployed stack. esignhooks -h lists its commands.
//
// The build tag stacks adds the AWS SDK. Without it, the command acts on localhost only, and compiles fast.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"esignhooks/shared/operate"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/localhost"
)

// commands are all commands. Each has a method Run(*app) error, or is a command of package operate. A method Validate
// returns an [operate.UsageError] if flags are missing.
type commands struct {
	Stack string `default:"localhost" placeholder:"NAME" help:"The stack to act on. Default: the gateway on localhost."`

	Run      run      `cmd:"" help:"Run all functions on localhost (PORT=3000, DATA=.local)."`
	Send     send     `cmd:"" help:"Send a fresh, signed request."`
	Simulate simulate `cmd:"" help:"Play a vendor's story, with faults, and compare what became of it with the truth."`
	Explain  explain  `cmd:"" help:"Explain why a saved request is refused, under the keys of localhost or of a stack."`
	operate.Commands
	Doctor    doctor    `cmd:"" help:"Examine keys, clock, tunnel, TLS, the URL from outside in, and the vendor."`
	Record    record    `cmd:"" help:"Record the next requests to localhost as they come."`
	Fixture   fixture   `cmd:"" help:"Make an example, without personal data, of a recorded request."`
	Pull      pull      `cmd:"" help:"Replay what a stack has received since a time into localhost."`
	Preflight preflight `cmd:"" help:"Check a stack and its account before production."`
	URLs      urls      `cmd:"" name:"urls" help:"Show what to register at each vendor, with the URLs' secret tokens."`
	Logs      logs      `cmd:"" help:"Follow the logs of a stack, or the requests to localhost."`
	Version   version   `cmd:"" help:"Show the version, and whether this binary can act on stacks."`
}

// app is what every command may use.
type app struct {
	ctx       context.Context
	stdin     *os.File
	out, err  io.Writer
	lookup    func(string) (string, bool) // of the environment
	now       func() time.Time
	providers []webhook.Provider
	// isTerminal reports whether a person looks at what is written.
	isTerminal func(io.Writer) bool

	stack string // its name, or localhost
}

const onLocalhost = "localhost"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{
		ctx: ctx, stdin: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv, now: time.Now,
		providers: provider.All(),
		isTerminal: func(w io.Writer) bool {
			f, ok := w.(*os.File)
			return ok && terminal.Is(f)
		},
	}
	status := a.main(os.Args[1:])
	stop()
	os.Exit(status)
}

// main returns the exit status: 0, 1 for a failure, or 2 for wrong arguments.
func (a *app) main(arguments []string) int {
	if len(arguments) > 0 && arguments[0] == "help" {
		arguments = append(arguments[1:], "--help")
	}
	var c commands
	helped := false
	parsed, err := operate.ParseAs(&c, arguments, kong.Name("esignhooks"), kong.Writers(a.out, a.err),
		kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Description("Run esignhooks on localhost, send requests to it, and act on it or on a deployed stack."))
	if helped {
		return 0
	}
	if err == nil {
		err = known(parsed.Selected(), a.providers)
	}
	if a.stack = c.Stack; err == nil && a.stack == "" {
		err = operate.Missing("STACK", "name a stack, or localhost")
	}
	if err == nil {
		err = a.run(parsed)
	}
	var usage operate.UsageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(a.err, usage)
		return 2
	case err != nil:
		fmt.Fprintln(a.err, err)
		return 1
	}
	return 0
}

// known refuses a provider that does not exist.
func known(command *kong.Node, providers []webhook.Provider) error {
	for _, flag := range command.Flags {
		name, _ := flag.Target.Interface().(string)
		if _, ok := webhook.Find(providers, name); flag.Name == "provider" && name != "" && !ok {
			return operate.UsageError(fmt.Sprintf("PROVIDER %q is unknown: name one of %s", name, webhook.Names(providers)))
		}
	}
	return nil
}

func (a *app) run(parsed *kong.Context) error {
	command, ok := parsed.Selected().Target.Addr().Interface().(operate.Command)
	if !ok {
		return parsed.Run(a)
	}
	act := func() error {
		config, err := a.config()
		if err != nil {
			return err
		}
		return localhost.Operate(a.ctx, a.out, config, operate.Arguments(parsed.Selected()))
	}
	if a.stack != onLocalhost {
		s, err := open(a.ctx, a.stack)
		if err != nil {
			return err
		}
		act = func() error { return command.Act(a.ctx, a.out, s.Target()) }
	}
	err := act()
	if err == nil && operate.Agreed(a.stdin, a.out, command) {
		err = act()
	}
	return err
}

// config returns the configuration of localhost.
func (a *app) config() (localhost.Config, error) { return localhost.ReadConfig(a.providers, a.lookup) }

// stack is a deployed stack.
type stack interface {
	Target() operate.Target
	URLs(context.Context, io.Writer) error
	Logs(ctx context.Context, from time.Time, show func(source string, at time.Time, text string)) error
	Doctor(ctx context.Context, w io.Writer, provider, url string) error
	Preflight(ctx context.Context, w io.Writer) error
	Pull(ctx context.Context, w io.Writer, since time.Time, apply bool,
		deliver func(context.Context, operate.Pulled) (bool, error)) (int, error)
}
