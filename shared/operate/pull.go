package operate

import (
	"time"

	"esignhooks/shared/esign"
)

// Pulled is an event of a stack that localhost processes too, as it was received there.
type Pulled struct {
	Provider   string      `json:"provider"`
	EventID    string      `json:"eventId"`
	ReceivedAt time.Time   `json:"receivedAt"`
	Proof      esign.Proof `json:"proof"`
	Payload    []byte      `json:"payload"`
}

// PulledVia is the subscription through which localhost received an event of a stack.
const PulledVia = "pulled"
