package receive

import (
	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// Outcome is what became of a request.
type Outcome string

const (
	Accepted    Outcome = "accepted"    // at least one of its events is new
	Duplicate   Outcome = "duplicate"   // all of its events were known
	Unreadable  Outcome = "unreadable"  // genuine, but it could not be parsed
	Refused     Outcome = "refused"     // not genuine, or nothing that a vendor sends
	Unavailable Outcome = "unavailable" // a service that we depend on did not answer, so the vendor must retry
	Challenge   Outcome = "challenge"   // the vendor's verification of the URL, answered
)

// Observation is what became of a request, for the developer on localhost. The answer to the vendor shows none of it.
type Observation struct {
	Outcome Outcome
	Proof   esign.Proof       // of a genuine request
	Events  []ObservedEvent   // of a genuine request
	Err     error             // why it was refused, or what was unavailable
	Causes  []webhook.Refusal // of a refusal, the most likely first; nil if the rate limit forbade to look for them
}

// ObservedEvent is one event of a request.
type ObservedEvent struct {
	webhook.Identity
	Before   ledger.State // in which the event was found; ledger.New for the first delivery
	Enqueued bool         // for the worker; false if the event needs no more work
}

func outcome(provider string, events []ObservedEvent, known int) Outcome {
	switch {
	case len(events) == 1 && events[0].Subject == webhook.UnreadableSubject(provider):
		return Unreadable
	case known == len(events):
		return Duplicate
	}
	return Accepted
}
