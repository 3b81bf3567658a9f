package process

import (
	"context"
	"errors"
)

// errForgotten reports that an operator has had the agreement forgotten.
var errForgotten = errors.New("process: the agreement is forgotten")

// forgotten returns errForgotten if the subject is forgotten.
func (p *Processor) forgotten(ctx context.Context, subject string) error {
	at, err := p.Ledger.Forgotten(ctx, subject)
	if err == nil && !at.IsZero() {
		err = errForgotten
	}
	return err
}

// drop acknowledges events of a forgotten agreement. They have no effect, and what the receiver's claims have left of
// them is removed. It returns how many are done, and why the next one failed.
func (p *Processor) drop(ctx context.Context, events []decoded) (done int, err error) {
	for i, e := range events {
		if err := p.Ledger.Drop(ctx, e.claim.Key, p.Now().UTC()); err != nil {
			return i, err
		}
		p.Log.InfoContext(ctx, "dropped: the agreement is forgotten", "provider", e.claim.Provider, "event", e.claim.ID)
	}
	return len(events), nil
}

// keeps reports whether the archive may keep the payload of a delivery: not if its agreement is forgotten. An
// unreadable delivery has no events.
func (p *Processor) keeps(ctx context.Context, subject string, events []decoded) (bool, error) {
	subjects := []string{subject}
	if len(events) > 0 {
		subjects = nil
	}
	for _, e := range events {
		subjects = append(subjects, e.claim.Subject)
	}
	for _, s := range subjects {
		if err := p.forgotten(ctx, s); !errors.Is(err, errForgotten) {
			return err == nil, err
		}
	}
	return false, nil
}
