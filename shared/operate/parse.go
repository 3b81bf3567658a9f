package operate

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// UsageError says what is wrong with a command. It is all that a user needs to see.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// Missing returns a [UsageError] for a flag that is missing. The name is in upper case, as the variables of make are.
func Missing(name, hint string) error { return UsageError(name + " is missing: " + hint) }

// MissingProvider returns the [UsageError] for a missing provider. It lists all, and then says more.
func MissingProvider(more string) error {
	return Missing("PROVIDER", "name one of "+webhook.Names(provider.All())+more)
}

// Parse parses a command and its flags.
func Parse(arguments []string) (Command, error) {
	ctx, err := ParseAs(&Commands{}, arguments, kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		return nil, err
	}
	return ctx.Selected().Target.Addr().Interface().(Command), nil
}

// ParseAs parses arguments into commands, a pointer to a struct of package kong. A flag may have one dash or two. Wrong
// arguments are a [UsageError].
func ParseAs(commands any, arguments []string, options ...kong.Option) (*kong.Context, error) {
	parser, err := kong.New(commands, options...)
	if err != nil {
		return nil, err
	}
	long := make([]string, len(arguments))
	for i, argument := range arguments {
		if len(argument) > 2 && argument[0] == '-' && argument[1] != '-' && argument[2] != '=' {
			argument = "-" + argument
		}
		long[i] = argument
	}
	ctx, err := parser.Parse(long)
	var wrong *kong.ParseError
	var usage UsageError
	switch {
	case err == nil:
		return ctx, nil
	case errors.As(err, &usage):
		return nil, usage
	case !errors.As(err, &wrong):
		return nil, err
	}
	said := wrong.Error()
	if flag, _, absent := strings.Cut(said, `: expected string value but got "EOL"`); absent {
		return nil, UsageError("the value of " + flag + " is missing")
	} else if wrong.Context.Selected() != nil {
		return nil, UsageError(said)
	}
	var names []string
	for _, command := range parser.Model.Children {
		names = append(names, command.Name)
	}
	if wrong.Context.Error == nil {
		return nil, Missing("COMMAND", "name one of "+strings.Join(names, ", "))
	}
	return nil, UsageError(said + "; the commands are " + strings.Join(names, ", "))
}

// Arguments returns a parsed command as arguments of [Parse].
func Arguments(command *kong.Node) []string {
	arguments := []string{command.Name}
	for _, flag := range command.Flags {
		if !flag.Target.IsZero() {
			arguments = append(arguments, fmt.Sprintf("--%s=%v", flag.Name, flag.Target.Interface()))
		}
	}
	return arguments
}
