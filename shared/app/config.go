// Package app wires the Lambda functions: it reads the environment, that template.yaml writes, and the keys. One process
// serves one function; what it makes, it makes once, before the first invocation.
package app

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// config is the environment of a function.
type config struct {
	table            string        // TABLE_NAME
	payloadBucket    string        // PAYLOAD_BUCKET
	archiveBucket    string        // ARCHIVE_BUCKET: empty is none; worker
	queueURL         string        // QUEUE_URL; receivers
	deadLetterURL    string        // DEAD_LETTER_QUEUE_URL; worker
	secretARN        string        // SECRET_ARN; receivers
	requireURLToken  bool          // REQUIRE_URL_TOKEN: true or false; receivers
	expiry           time.Duration // EXPIRE_AFTER_DAYS: 0 is never, else at least 30
	metricsNamespace string        // METRICS_NAMESPACE
}

// minExpiry is longer than every vendor's retries, and than a message may be in the queue, among the dead letters and in
// the queue again.
const minExpiry = 30

// environment looks variables up, and collects what is wrong with them.
type environment struct {
	lookup   func(string) (string, bool) // [os.LookupEnv]
	problems []error
}

func (e *environment) get(name string) string {
	value, _ := e.lookup(name)
	return value
}

func (e *environment) need(name string) string {
	value := e.get(name)
	if value == "" {
		e.problems = append(e.problems, fmt.Errorf("%s is not set", name))
	}
	return value
}

// truth reads a variable that is true or false.
func (e *environment) truth(name string) bool {
	value := e.get(name)
	if value != "true" && value != "false" {
		e.problems = append(e.problems, fmt.Errorf("%s is %q, neither true nor false", name, value))
	}
	return value == "true"
}

func (e *environment) err() error { return errors.Join(e.problems...) }

// receiverConfig reads what a receiver needs. All problems are reported at once.
func receiverConfig(lookup func(string) (string, bool)) (config, error) {
	e := environment{lookup: lookup}
	c := e.common()
	c.queueURL, c.secretARN = e.need("QUEUE_URL"), e.need("SECRET_ARN")
	c.requireURLToken = e.truth("REQUIRE_URL_TOKEN")
	return c, e.err()
}

// workerConfig reads what the worker needs.
func workerConfig(lookup func(string) (string, bool)) (config, error) {
	e := environment{lookup: lookup}
	c := e.common()
	c.deadLetterURL, c.archiveBucket = e.need("DEAD_LETTER_QUEUE_URL"), e.get("ARCHIVE_BUCKET")
	return c, e.err()
}

func (e *environment) common() config {
	return config{
		table: e.need("TABLE_NAME"), payloadBucket: e.need("PAYLOAD_BUCKET"), metricsNamespace: e.need("METRICS_NAMESPACE"), expiry: e.expiry(),
	}
}

// expiry reads how long history is kept; 0 is for ever.
func (e *environment) expiry() time.Duration {
	value := e.need("EXPIRE_AFTER_DAYS")
	days, err := strconv.Atoi(value)
	if value != "" && (err != nil || days != 0 && days < minExpiry || days > 36500) {
		e.problems = append(e.problems, fmt.Errorf("EXPIRE_AFTER_DAYS is %q, neither 0 nor a number of days from %d", value, minExpiry))
	}
	return time.Duration(days) * 24 * time.Hour
}
