// Command consumer is an example of a consumer: a Lambda function behind a rule of the event bus. It finds the
// application's own record by the reference "deal_id", shows each new status, and pays only when the vendor's API has
// confirmed the completion. Copy it, and replace what handle does.
package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// detail is the part of an event that this application reads; detail.schema.json has all. Ignore what you do not know:
// types, causes and roles may be added at any time.
type detail struct {
	EventID       string `json:"eventId"` // the same for each copy of an event
	StatusAfter   string `json:"statusAfter"`
	StatusChanged bool   `json:"statusChanged"` // true for one event of each status
	Event         struct {
		Cause string `json:"cause"`
	} `json:"event"`
	Agreement struct {
		Provider   string            `json:"provider"`
		ID         string            `json:"id"`
		References map[string]string `json:"references"`
	} `json:"agreement"`
}

// action is what the application does for one of its records. The key makes it safe to do twice: the bus delivers an
// event at least once, and an operator may have it published again. So store the key with the effect, and do nothing if
// it is there already.
type action struct {
	deal, what, key string
}

// decide returns what an event means for the application, or nothing.
func decide(e events.EventBridgeEvent) (action, error) {
	var d detail
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return action{}, err
	}
	deal := d.Agreement.References["deal_id"]
	switch {
	case deal == "": // not sent by this application
		return action{}, nil
	case e.DetailType == "agreement.confirmed": // once for each agreement, whatever the vendor signs
		return action{deal, "pay", d.EventID}, nil
	case e.DetailType == "agreement.undeliverable":
		return action{deal, "notify the sender: " + d.Event.Cause, d.EventID}, nil
	case d.StatusChanged: // events come in no order: the agreement's status never falls
		return action{deal, "show " + d.StatusAfter, d.EventID}, nil
	}
	return action{}, nil
}

func handle(_ context.Context, e events.EventBridgeEvent) error {
	a, err := decide(e)
	if err != nil || a.deal == "" {
		return err
	}
	slog.Info("the application acts", "deal", a.deal, "what", a.what, "key", a.key)
	return nil
}

func main() { lambda.Start(handle) }
