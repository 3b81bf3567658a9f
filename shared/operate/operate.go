// Package operate holds the commands of an operator, for a deployed stack and for localhost: show an agreement, publish
// events again, compare a stored agreement with its events, archive its documents, and register webhooks at the
// vendors. No command changes an event or an agreement in the ledger.
package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// ErrUnknown reports an agreement without any event.
var ErrUnknown = errors.New("operate: unknown agreement")

// Record is an agreement with its history, read consistently.
type Record struct {
	Agreement esign.Agreement // only provider and ID, if no event is processed yet
	Version   int64           // the number of events folded into Agreement, and of their corrections
	History   []ledger.Entry  // as [ledger.Reader] returns it
}

// Find reads an agreement and its history. It also tries the ID in lower case, in which some vendors' IDs are stored.
// It returns ErrUnknown if it finds nothing.
func Find(ctx context.Context, reader ledger.Reader, provider, id string) (Record, error) {
	for _, id := range slices.Compact([]string{id, strings.ToLower(id)}) {
		r, err := read(ctx, reader, provider, id)
		if err != nil || r.Version > 0 || len(r.History) > 0 {
			return r, err
		}
	}
	return Record{}, fmt.Errorf("%w: provider %q, ID %q, also tried in lower case", ErrUnknown, provider, id)
}

// read repeats its reads until the agreement has not changed in between.
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

// committed returns the processed events, in the order of their commits.
func (r Record) committed() []ledger.Entry { return ledger.Effects(r.History) }
