package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// NotAsked is the list of a provider's completions that wait for credentials of another account. The archiver has not
// asked that account about them, so they are neither confirmed nor forged. They wait without limit of time.
//
// The list is a note. When that is full, its content moves to a further note, so no note becomes too large.
type NotAsked struct {
	Notes    ledger.Notes
	Provider string
}

// Completion is a completion that the archiver has not asked about.
type Completion struct {
	AgreementID string    `json:"agreementId"`
	AccountID   string    `json:"accountId"`
	EventID     string    `json:"eventId"`
	At          time.Time `json:"at"` // when it was put on the list
}

// Event returns the event from which [Job] makes the archiver's job again.
func (c Completion) Event(provider string) bus.Event {
	return bus.EventOf(ledger.Entry{
		ProcessedAt: c.At,
		Event: &esign.Event{
			ID: c.EventID, Provider: provider, Type: esign.AgreementCompleted, AgreementID: c.AgreementID,
			Subject: webhook.AgreementSubject(provider, c.AgreementID), AccountID: c.AccountID, Proof: esign.ProofSigned,
		},
	})
}

const (
	listVersion = 1        // the format version of the notes that this release writes
	fullNote    = 16 << 10 // bytes; a note that is larger takes no more completions
	listTries   = 5        // of a change, while others change the list too
)

// list is the content of a note.
type list struct {
	V           int          `json:"v"`                 // the format version
	Further     int          `json:"further,omitempty"` // of the first note: the number of further notes
	Completions []Completion `json:"completions"`
}

// name returns the name of a note: 0 is the first, to which completions are added; the others are numbered.
func (n NotAsked) name(number int) string {
	if number == 0 {
		return n.Provider + "/not-asked"
	}
	return fmt.Sprintf("%s/not-asked/%d", n.Provider, number)
}

func (n NotAsked) read(ctx context.Context, number int) (l list, version int64, err error) {
	text, version, err := n.Notes.Note(ctx, n.name(number))
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &l)
		err = errors.Join(format.Check(l.V, listVersion), err)
	}
	if err != nil {
		return l, version, fmt.Errorf("archive: list of completions that were not asked about: %w", err)
	}
	return l, version, nil
}

func (n NotAsked) write(ctx context.Context, number int, l list, version int64) error {
	l.V = listVersion
	text, err := json.Marshal(l)
	if err == nil {
		err = n.Notes.PutNote(ctx, n.name(number), string(text), version)
	}
	if err != nil {
		return fmt.Errorf("archive: list of completions that were not asked about: %w", err)
	}
	return nil
}

// add puts a completion on the list, in place of an earlier one of the same agreement.
func (n NotAsked) add(ctx context.Context, c Completion) (err error) {
	for range listTries {
		if err = n.addOnce(ctx, c); !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return err
}

func (n NotAsked) addOnce(ctx context.Context, c Completion) error {
	first, version, err := n.read(ctx, 0)
	if err != nil {
		return err
	}
	if text, err := json.Marshal(first); err != nil || len(text) > fullNote {
		// A further note may exist already, if a process has died here. It then holds nothing else.
		_, further, err := n.read(ctx, first.Further+1)
		if err == nil {
			err = n.write(ctx, first.Further+1, list{Completions: first.Completions}, further)
		}
		if err != nil {
			return err
		}
		first = list{Further: first.Further + 1}
	}
	first.Completions = append(slices.DeleteFunc(first.Completions, func(known Completion) bool {
		return known.AgreementID == c.AgreementID
	}), c)
	return n.write(ctx, 0, first, version)
}

// All returns the completions on the list, one of each agreement, the oldest first.
func (n NotAsked) All(ctx context.Context) ([]Completion, error) {
	first, _, err := n.read(ctx, 0)
	all := first.Completions
	for number := 1; err == nil && number <= first.Further; number++ {
		var l list
		l, _, err = n.read(ctx, number)
		all = append(all, l.Completions...)
	}
	slices.SortStableFunc(all, func(a, b Completion) int { return a.At.Compare(b.At) })
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(c Completion) bool {
		known := seen[c.AgreementID]
		seen[c.AgreementID] = true
		return known
	}), err
}

// Remove removes those completions for which done returns true. It calls done at least once for each, and removes
// nothing that the archiver adds meanwhile.
func (n NotAsked) Remove(ctx context.Context, done func(Completion) (bool, error)) error {
	first, _, err := n.read(ctx, 0)
	if err != nil {
		return err
	}
	for number := range first.Further + 1 {
		if err := n.removeFrom(ctx, number, done); err != nil {
			return err
		}
	}
	return nil
}

func (n NotAsked) removeFrom(ctx context.Context, number int, done func(Completion) (bool, error)) error {
	removed := map[Completion]bool{} // a completion that is added again has another time
	for try := 1; ; try++ {
		l, version, err := n.read(ctx, number)
		if err != nil {
			return err
		}
		before := len(l.Completions)
		var failed error
		l.Completions = slices.DeleteFunc(l.Completions, func(c Completion) bool {
			if !removed[c] && failed == nil {
				removed[c], failed = done(c)
			}
			return removed[c]
		})
		if len(l.Completions) < before {
			err = n.write(ctx, number, l, version)
		}
		if !errors.Is(err, ledger.ErrConflict) || try == listTries {
			return errors.Join(failed, err)
		}
	}
}
