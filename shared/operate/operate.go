// Package operate is what an operator asks of a deployed stack or of localhost: to see an agreement, to publish events
// again, to check that the stored agreement is what its events make of it, to archive its documents, and to register at the
// vendors. It writes no event to the ledger.
package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// ErrUnknown: nothing has come for such an agreement.
var ErrUnknown = errors.New("operate: unknown agreement")

// Record is what the ledger holds of an agreement.
type Record struct {
	Agreement esign.Agreement // only its provider and ID, if none of its events is processed yet
	Version   int64           // how many events were folded into it
	History   []ledger.Entry  // as [ledger.Reader] returns it
}

// Find reads an agreement and its history, as they belong together. Some vendors' IDs are kept in lower case: they are
// found in any. It returns ErrUnknown if there is neither.
func Find(ctx context.Context, reader ledger.Reader, provider, id string) (Record, error) {
	for _, id := range slices.Compact([]string{id, strings.ToLower(id)}) {
		r, err := read(ctx, reader, provider, id)
		if err != nil || r.Version > 0 || len(r.History) > 0 {
			return r, err
		}
	}
	return Record{}, fmt.Errorf("%w: provider %q, ID %q, also looked for in lower case", ErrUnknown, provider, id)
}

// read reads again if the agreement has changed meanwhile.
func read(ctx context.Context, reader ledger.Reader, provider, id string) (Record, error) {
	subject := webhook.AgreementSubject(provider, id)
	for {
		agreement, version, err := reader.Agreement(ctx, subject)
		if err != nil {
			return Record{}, err
		}
		history, err := reader.History(ctx, subject)
		if err != nil {
			return Record{}, err
		}
		_, after, err := reader.Agreement(ctx, subject)
		if err != nil {
			return Record{}, err
		}
		if version == 0 {
			agreement.Provider, agreement.ID = provider, id
		}
		if after == version {
			return Record{agreement, version, history}, nil
		}
	}
}

// committed are the events whose effects are committed, in the order of their commits.
func (r Record) committed() []ledger.Entry {
	var committed []ledger.Entry
	for _, e := range r.History {
		if e.State == ledger.Processed {
			committed = append(committed, e)
		}
	}
	return ledger.InOrderOfCommits(committed)
}

// printable makes a vendor's or a user's word fit for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
