package ledger

import "esignhooks/shared/esign"

// Effects returns the processed events of a history, in the order of their commits.
func Effects(history []Entry) []Entry {
	var effects []Entry
	for _, e := range history {
		if e.State == Processed {
			effects = append(effects, e)
		}
	}
	return InOrderOfCommits(effects)
}

// Gone returns how many writes an agreement of this version has seen beyond these effects and their corrections: their
// events have expired. It is negative if the agreement was read before some of the effects were committed.
func Gone(effects []Entry, version int64) int64 {
	for _, e := range effects {
		version--
		if !e.CorrectedAt.IsZero() {
			version--
		}
	}
	return version
}

// Rebuild folds effects again, and returns the agreement after each. If earlier effects are gone, it begins with the
// stored agreement after the first one that is left.
func Rebuild(effects []Entry, gone bool) []esign.Agreement {
	after := make([]esign.Agreement, len(effects))
	var agreement esign.Agreement
	if gone && len(effects) > 0 {
		agreement = *effects[0].Agreement
	}
	for i, e := range effects {
		agreement = esign.Fold(agreement, *e.Event)
		after[i] = agreement
	}
	return after
}
