package lambda

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// MinExpiry is in days. It exceeds every vendor's retry period, and the longest life of a message: in the queue, in the
// dead-letter queue, and in the queue again after a redrive.
const MinExpiry = 30

// Environment reads environment variables and collects the problems with them.
type Environment struct {
	lookup   func(string) (string, bool)
	problems []error
}

// NewEnvironment returns an Environment that reads through lookup, normally [os.LookupEnv].
func NewEnvironment(lookup func(string) (string, bool)) *Environment {
	return &Environment{lookup: lookup}
}

// Optional returns a variable, or "" if it is unset.
func (e *Environment) Optional(name string) string {
	value, _ := e.lookup(name)
	return value
}

// Required returns a variable. It is a problem if the variable is unset or empty.
func (e *Environment) Required(name string) string {
	value := e.Optional(name)
	if value == "" {
		e.problem("%s is not set", name)
	}
	return value
}

// Bool returns a variable that must be true or false.
func (e *Environment) Bool(name string) bool {
	value := e.Optional(name)
	if value != "true" && value != "false" {
		e.problem("%s is %q, neither true nor false", name, value)
	}
	return value == "true"
}

// Option returns a variable that may be true or false. It is false if the variable is unset, as it is while a stack is
// updated from a release that does not know it.
func (e *Environment) Option(name string) bool { return e.Optional(name) != "" && e.Bool(name) }

// References returns REFERENCES, a list of names separated by commas. It is empty if the variable is set but empty.
func (e *Environment) References() []string {
	list, ok := e.lookup("REFERENCES")
	if !ok {
		list = "externalId"
	}
	return esign.ParseReferences(list)
}

// Expiry returns a variable that holds a number of days: 0 for never, otherwise at least 30.
func (e *Environment) Expiry(name string) time.Duration {
	value := e.Required(name)
	days, err := strconv.Atoi(value)
	if value != "" && (err != nil || days != 0 && days < MinExpiry || days > 36500) {
		e.problem("%s is %q, neither 0 nor a number of days from %d", name, value, MinExpiry)
	}
	return time.Duration(days) * 24 * time.Hour
}

// Hours returns a variable that holds a number of hours.
func (e *Environment) Hours(name string) time.Duration {
	value := e.Optional(name)
	hours, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		e.problem("%s is %q, not a number of hours", name, value)
	}
	return time.Duration(hours) * time.Hour
}

// certificates returns the certificates whose subjects a variable lists, as they are shown at a domain. It is unset
// while a stack is updated from a release that does not know it.
func (e *Environment) certificates(name, domain string) webhook.ClientCertificates {
	c, err := webhook.ParseClientCertificates(domain, e.Optional(name))
	if err != nil {
		e.problem("%s is wrong: %w", name, err)
	}
	return c
}

func (e *Environment) problem(format string, arguments ...any) {
	e.problems = append(e.problems, fmt.Errorf(format, arguments...))
}

// Err returns all problems, one line for each variable, or nil if there are none.
func (e *Environment) Err() error { return errors.Join(e.problems...) }
