package reconcile

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// lastVersion is the format version of the note that this release writes.
const lastVersion = 1

// lastAsked is when the vendor was asked about an agreement last, in a note that all processes share. Without a Pause
// of the vendor there is no note.
type lastAsked struct {
	*pass
	id      string
	version int64 // of the note
	asked
}

// asked is the content of the note.
type asked struct {
	V     int       `json:"v"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`           // the vendor may not be asked before
	By    string    `json:"by,omitempty"`    // while it is asked: differs, so that of two at the same time one fails
	State *state    `json:"state,omitempty"` // what the vendor said; nil while it is asked, and if it said nothing
}

// state is what the vendor said, without the sender's own texts: a note never expires. Our agreement has these soon.
type state struct {
	ID           string              `json:"id"`
	Status       esign.Status        `json:"status"`
	VendorStatus string              `json:"vendorStatus,omitempty"`
	ChangedAt    time.Time           `json:"changedAt,omitzero"`
	Participants []esign.Participant `json:"participants,omitempty"`
}

func (s state) agreement() vendorapi.Agreement {
	return vendorapi.Agreement{
		ID: s.ID, Status: s.Status, VendorStatus: s.VendorStatus, ChangedAt: s.ChangedAt, Participants: s.Participants,
	}
}

// LastAskedNote returns the name of the note that holds what the vendor last said about an agreement.
func LastAskedNote(provider, agreementID string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(agreementID))) // a vendor may know an ID in either case
	return provider + "/asked/" + hex.EncodeToString(sum[:])
}

// load reads the note. What has ended, and what a wrong clock has moved too far, is absent.
func (l *lastAsked) load(ctx context.Context) error {
	l.asked = asked{}
	if l.client.Pause() == 0 {
		return nil
	}
	text, version, err := l.settings.Notes.Note(ctx, LastAskedNote(l.provider, l.id))
	if err != nil {
		return fmt.Errorf("reconcile: when the vendor was asked last: %w", err)
	}
	l.version = version
	var known asked
	if json.Unmarshal([]byte(text), &known) != nil || format.Check(known.V, lastVersion) != nil {
		return nil // asking again is better than never
	}
	if wait := known.Until.Sub(l.settings.Now()); wait > 0 && wait <= max(l.client.Pause(), retryFailed) {
		l.asked = known
	}
	return nil
}

// reserve notes that the vendor is asked now. It reports false if another process has noted that first.
func (l *lastAsked) reserve(ctx context.Context) (bool, error) {
	now := l.settings.Now().UTC()
	l.asked = asked{At: now, Until: now.Add(l.failedPause(retryFailed)), By: rand.Text()}
	err := l.put(ctx)
	if errors.Is(err, ledger.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// keep notes the answer.
func (l *lastAsked) keep(ctx context.Context, a vendorapi.Agreement) {
	people := slices.Clone(a.Participants)
	for i := range people {
		people[i].Reference = ""
	}
	l.State = &state{a.ID, a.Status, webhook.Label(a.VendorStatus), a.ChangedAt,
		esign.Event{Participants: people}.Limited().Participants}
	l.By, l.Until = "", l.At.Add(l.client.Pause())
	l.note(ctx)
}

// release notes that the vendor gave no answer, and may be asked again after a time. It returns that time, which is the
// vendor's Pause at most.
func (l *lastAsked) release(ctx context.Context, after time.Duration) time.Duration {
	after = l.failedPause(after)
	l.By, l.State, l.Until = "", nil, l.settings.Now().UTC().Add(after)
	l.note(ctx)
	return after
}

func (l *lastAsked) failedPause(limit time.Duration) time.Duration {
	return min(limit, l.client.Pause())
}

// note writes the note after an answer. If it cannot, the question stays reserved for a while.
func (l *lastAsked) note(ctx context.Context) {
	if err := l.put(ctx); err != nil {
		l.log.WarnContext(ctx, "what the vendor said is not noted", "error", err)
	}
}

func (l *lastAsked) put(ctx context.Context) error {
	if l.client.Pause() == 0 {
		return nil
	}
	l.V = lastVersion
	text, err := json.Marshal(l.asked)
	if err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	err = l.settings.Notes.PutNote(ctx, LastAskedNote(l.provider, l.id), string(text), l.version)
	if err == nil {
		l.version++
	}
	return err
}
