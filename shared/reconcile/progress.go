package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"esignhooks/shared/esign"
)

// progress is what one pass leaves to the next, in a note of the provider's. It is written after what it tells of: a pass
// that dies leaves some of its work to be done again, which has no second effect.
type progress struct {
	Later time.Time `json:"later,omitzero"` // until when the vendor's limits are used up

	Compared time.Time `json:"compared,omitzero"` // all changes before it are
	Until    time.Time `json:"until,omitzero"`    // the end of the window that is being compared
	Page     string    `json:"page,omitempty"`    // of that window; empty before its first

	Unsettled []said `json:"unsettled,omitempty"`
	Round     round  `json:"round,omitzero"`
}

// said is what the vendor said of an agreement, at a time when a webhook that tells it may have been on its way.
type said struct {
	ID           string       `json:"id"`
	Status       esign.Status `json:"status"`
	VendorStatus string       `json:"vendorStatus,omitempty"`
	At           time.Time    `json:"at"`
}

// round is one walk through the table.
type round struct {
	Began   time.Time `json:"began,omitzero"`
	Before  time.Time `json:"before,omitzero"`   // when the round before it began
	Place   string    `json:"place,omitempty"`   // where the next part begins
	Going   bool      `json:"going,omitempty"`   // whether there is a next part
	Waiting []string  `json:"waiting,omitempty"` // the IDs of agreements that the vendor is still to be asked for
}

func (p *pass) note() string { return p.provider + "/reconciled" }

func (p *pass) load(ctx context.Context) error {
	text, version, err := p.Notes.Note(ctx, p.note())
	if err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	if p.version = version; text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &p.progress); err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	return nil
}

func (p *pass) save(ctx context.Context) error {
	text, err := json.Marshal(p.progress)
	if err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	if err := p.Notes.PutNote(ctx, p.note(), string(text), p.version); err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	p.version++
	return nil
}
