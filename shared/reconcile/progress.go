package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
)

// progressVersion is the format version of the progress that this release writes.
const progressVersion = 1

// progress is what a pass leaves to the next one, in a note. It is saved after the work that it records. If a pass dies
// in between, the next one repeats some work, which has no second effect.
type progress struct {
	V int `json:"v"` // the format version; absent means 1

	RetryAfter time.Time `json:"later,omitzero"` // the vendor's rate limit allows no call before this time

	Compared time.Time `json:"compared,omitzero"` // all changes before this time are compared
	Until    time.Time `json:"until,omitzero"`    // the end of the current window
	Page     string    `json:"page,omitempty"`    // the next page of the current window; empty before its first

	Postponed []statement `json:"unsettled,omitempty"`
	Round     round       `json:"round,omitzero"`
}

// statement is what the vendor said about an agreement while its webhook may still have been on its way.
type statement struct {
	ID           string       `json:"id"`
	Status       esign.Status `json:"status"`
	VendorStatus string       `json:"vendorStatus,omitempty"`
	At           time.Time    `json:"at"`
}

// round is one walk through the table. It may take several passes.
type round struct {
	Began    time.Time `json:"began,omitzero"`
	Previous time.Time `json:"before,omitzero"`   // when the previous round began
	Cursor   string    `json:"place,omitempty"`   // of the next part
	Going    bool      `json:"going,omitempty"`   // there is a next part
	Waiting  []string  `json:"waiting,omitempty"` // IDs of agreements to ask the vendor about
}

// The lengths of what a note may hold, in bytes as JSON. Then the IDs of a part of the table, those that still waited,
// and all postponed statements fit in a note together.
const (
	maxText = 128      // an ID or a status. No vendor's is longer, but a forger can put any ID into the table
	maxPage = 32 << 10 // the vendor's cursor
)

func fits(text string, limit int) bool {
	b, _ := json.Marshal(text) // strings always marshal
	return len(b)-len(`""`) <= limit
}

func (p *pass) noteName() string { return p.provider + "/reconciled" }

func (p *pass) load(ctx context.Context) error {
	note, version, err := p.settings.Notes.Note(ctx, p.noteName())
	if err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	if note == "" {
		p.noteVersion = version
		return nil
	}
	malformed := json.Unmarshal([]byte(note), &p.progress)
	if err := format.Check(p.progress.V, progressVersion); err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	if malformed != nil {
		return fmt.Errorf("progress: %w", malformed)
	}
	p.noteVersion = version // a note that cannot be read is not overwritten
	return nil
}

func (p *pass) save(ctx context.Context) error {
	p.progress.V = progressVersion
	note, err := json.Marshal(p.progress)
	if err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	if err := p.settings.Notes.PutNote(ctx, p.noteName(), string(note), p.noteVersion); err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	p.noteVersion++
	return nil
}

const forgetTries = 5 // while passes change the note too

// Forget returns how often the passes have noted an agreement. If remove is set, it removes that; a pass in progress
// then leaves the rest to the next one.
func Forget(
	ctx context.Context, notes ledger.Notes, provider, agreementID string, remove bool,
) (named int, err error) {
	for range forgetTries {
		p := pass{settings: &Reconciler{Notes: notes}, provider: provider}
		if err = p.load(ctx); err != nil {
			break
		}
		g := &p.progress
		before := len(g.Postponed) + len(g.Round.Waiting)
		g.Postponed = slices.DeleteFunc(g.Postponed, func(s statement) bool { return s.ID == agreementID })
		g.Round.Waiting = slices.DeleteFunc(g.Round.Waiting, func(id string) bool { return id == agreementID })
		if named = before - len(g.Postponed) - len(g.Round.Waiting); named == 0 || !remove {
			return named, nil
		}
		if err = p.save(ctx); !errors.Is(err, ledger.ErrConflict) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("reconcile: forget: %w", err)
	}
	return named, nil
}
