// Package bus is the contract of the event bus, which delivers every committed event to consumers. Its drivers are
// eventbridge, and embedded for localhost.
package bus

import (
	"context"
	"errors"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// Event is a committed event, in EventBridge's terms.
type Event struct {
	Source     string    // "esign." and the provider's name
	DetailType string    // the event's type
	Time       time.Time // when the event was committed
	Trace      string    // the ID of the X-Ray trace that it continues; optional
	Detail     Detail
}

// Version is the version of the contract with consumers.
const Version = 1

// Detail is the part of an event that consumers act on. Its JSON Schema is detail.schema.json.
type Detail struct {
	Version int `json:"version" jsonschema:"the version of this contract; it is raised only if a consumer must change"`

	EventID string `json:"eventId" jsonschema:"deduplicate on it: equal if and only if the event is the same"`

	Proof esign.Proof `json:"proof" jsonschema:"how much of the request was proved to be the vendor's, strongest first"`

	StatusBefore esign.Status `json:"statusBefore" jsonschema:"the agreement's status before; empty if it had none"`
	StatusAfter  esign.Status `json:"statusAfter" jsonschema:"the agreement's status after; empty if it has none"`

	StatusChanged bool `json:"statusChanged" jsonschema:"act on it: true for exactly one event of each status entered"`

	Replay bool `json:"replay" jsonschema:"true if an operator has had the event published again"`

	Event esign.Event `json:"event"`

	Agreement *esign.Agreement `json:"agreement,omitempty" jsonschema:"after the event; absent if it is not about one"`
}

// Source returns the source of a provider's events.
func Source(provider string) string { return "esign." + provider }

// EventOf returns the event to publish for a processed entry of the ledger.
func EventOf(e ledger.Entry) Event {
	return Event{
		Source: Source(e.Event.Provider), DetailType: string(e.Event.Type), Time: e.ProcessedAt,
		Trace: e.Trace,
		Detail: Detail{
			Version: Version,
			EventID: e.Event.ID, Proof: e.Event.Proof, StatusBefore: e.StatusBefore, StatusAfter: e.StatusAfter,
			StatusChanged: e.StatusBefore != e.StatusAfter, Event: *e.Event, Agreement: e.Agreement,
		},
	}
}

// ErrRefused reports that the bus will never accept the event. Do not retry.
var ErrRefused = errors.New("bus: permanently refused")

// Bus accepts events.
type Bus interface {
	// Publish puts events on the bus. It returns one error for each event, in the same order. nil means that the bus has
	// stored the event durably. After an error, the event may or may not be on the bus. Publishing it again is safe,
	// because consumers deduplicate.
	Publish(context.Context, []Event) []error
}
