// Package bus is the contract of the outlet: what consumers get of every committed event. Drivers: eventbridge, and
// embedded for localhost.
package bus

import (
	"context"
	"errors"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// Event is a committed event on its way to consumers, in EventBridge's terms.
type Event struct {
	Source     string    // "esign." and the provider
	DetailType string    // the event's type
	Time       time.Time // when it was committed
	Detail     Detail
}

// Detail is what consumers act on. Its JSON Schema is detail.schema.json.
type Detail struct {
	EventID       string       `json:"eventId" jsonschema:"equal if and only if it is the same happening: deduplicate on it"`
	Proof         esign.Proof  `json:"proof" jsonschema:"how much of the request was proved to come from the vendor, strongest first"`
	StatusBefore  esign.Status `json:"statusBefore" jsonschema:"of the agreement; empty if nothing was claimed yet, or the event is not about an agreement"`
	StatusAfter   esign.Status `json:"statusAfter" jsonschema:"of the agreement"`
	StatusChanged bool         `json:"statusChanged" jsonschema:"true for exactly one event of each status that an agreement enters: act on it"`
	Replay        bool         `json:"replay" jsonschema:"published again, at an operator's request"`
	Event         esign.Event  `json:"event"`

	Agreement *esign.Agreement `json:"agreement,omitempty" jsonschema:"after the event; absent if the event is not about one"`
}

// EventOf makes what is published of a processed entry of the ledger.
func EventOf(e ledger.Entry) Event {
	return Event{
		Source: "esign." + e.Event.Provider, DetailType: string(e.Event.Type), Time: e.ProcessedAt,
		Detail: Detail{
			EventID: e.Event.ID, Proof: e.Event.Proof, StatusBefore: e.StatusBefore, StatusAfter: e.StatusAfter,
			StatusChanged: e.StatusBefore != e.StatusAfter, Event: *e.Event, Agreement: e.Agreement,
		},
	}
}

// ErrRefused: the bus will never take this event, however often it is tried.
var ErrRefused = errors.New("bus: refused for good")

// Bus takes events.
type Bus interface {
	// Publish puts events on the bus, and returns for each of them, in their order, nil once the bus has it durably.
	// Otherwise the bus may or may not have it: publishing it again is safe, since consumers deduplicate.
	Publish(context.Context, []Event) []error
}
