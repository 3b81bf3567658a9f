package process

import (
	"context"
	"errors"
	"slices"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// correct gives a processed event the exact time, which only this copy of it states. It folds the agreement's history
// again, so the order in which the copies arrived does not matter. It returns [ledger.ErrConflict] if the agreement
// changes meanwhile.
//
// The event was published with its approximate time, and is not published again. So a copy that changes its type
// corrects nothing.
func (p *Processor) correct(ctx context.Context, e decoded) error {
	stored, version, err := p.Ledger.Agreement(ctx, e.claim.Subject) // before the history: see [ledger.Gone]
	if err != nil {
		return err
	}
	history, err := p.Ledger.History(ctx, e.claim.Subject)
	if err != nil {
		return err
	}
	effects := ledger.Effects(history)
	i := slices.IndexFunc(effects, func(known ledger.Entry) bool { return known.ID == e.claim.ID })
	gone := ledger.Gone(effects, version)
	if i < 0 || gone < 0 {
		return ledger.ErrConflict
	}
	log := p.Log.With("provider", e.event.Provider, "event", e.event.ID, "type", e.event.Type)
	if effects[i].Type != e.event.Type {
		log.WarnContext(ctx, "already processed with another type", "known", effects[i].Type)
		return nil
	}
	effects[i].Event = &e.event
	after := ledger.Rebuild(effects, gone > 0)
	err = p.Ledger.Correct(ctx, ledger.Correction{
		Claim: e.claim, Event: e.event, Before: stored, After: after[i], Agreement: after[len(after)-1], Version: version,
		At: p.Now().UTC(),
	})
	if errors.Is(err, ledger.ErrProcessed) { // by another worker
		err = nil
	}
	if err == nil {
		log.InfoContext(ctx, "corrected", "agreement", webhook.Label(e.event.AgreementID), "occurredAt", e.event.OccurredAt)
	}
	return err
}
