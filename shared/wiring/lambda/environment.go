package lambda

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// minExpiry is longer than every vendor's retries, and than a message may be in the queue, among the dead letters and in
// the queue again.
const minExpiry = 30

// Environment looks variables up, and collects what is wrong with them.
type Environment struct {
	lookup   func(string) (string, bool)
	problems []error
}

// NewEnvironment makes one of the process's variables.
func NewEnvironment() *Environment { return &Environment{lookup: os.LookupEnv} }

// Get reads a variable that may be empty.
func (e *Environment) Get(name string) string {
	value, _ := e.lookup(name)
	return value
}

// Need reads a variable that must not be empty.
func (e *Environment) Need(name string) string {
	value := e.Get(name)
	if value == "" {
		e.Problem("%s is not set", name)
	}
	return value
}

// Truth reads a variable that is true or false.
func (e *Environment) Truth(name string) bool {
	value := e.Get(name)
	if value != "true" && value != "false" {
		e.Problem("%s is %q, neither true nor false", name, value)
	}
	return value == "true"
}

// Expiry reads EXPIRE_AFTER_DAYS, how long history is kept: 0 is for ever, else at least 30 days.
func (e *Environment) Expiry() time.Duration {
	value := e.Need("EXPIRE_AFTER_DAYS")
	days, err := strconv.Atoi(value)
	if value != "" && (err != nil || days != 0 && days < minExpiry || days > 36500) {
		e.Problem("EXPIRE_AFTER_DAYS is %q, neither 0 nor a number of days from %d", value, minExpiry)
	}
	return time.Duration(days) * 24 * time.Hour
}

// Problem adds to what is wrong.
func (e *Environment) Problem(format string, arguments ...any) {
	e.problems = append(e.problems, fmt.Errorf(format, arguments...))
}

// Err is all that is wrong, one line for each variable; nil if nothing is.
func (e *Environment) Err() error { return errors.Join(e.problems...) }
