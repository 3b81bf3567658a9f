package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

// archive queues an agreement for the archiver, as if it had completed now. If no event has completed it, the vendor is
// asked first: the archiver would take an agreement that is not completed for forged.
func archive(ctx context.Context, w io.Writer, t Target, provider, id string) error {
	if _, err := t.find(provider); err != nil {
		return err
	}
	client, err := t.client(ctx, provider)
	if err != nil {
		return err
	}
	completion, err := completed(ctx, t.Ledger, provider, id)
	if errors.Is(err, ErrUnknown) {
		completion, err = t.ask(ctx, client, provider, id)
	}
	if err != nil {
		return err
	}
	event := bus.EventOf(completion)
	event.Detail.Replay = true
	if err := t.Archive(ctx, event); err != nil {
		return fmt.Errorf("operate: the archiver's queue: %w", err)
	}
	fmt.Fprintf(w, "%s %s is queued for the archiver; when it is done, make inspect shows agreement.archived\n",
		provider, terminal.Printable(completion.Event.AgreementID))
	return nil
}

// completed returns the last event that completed an agreement, or ErrUnknown.
func completed(ctx context.Context, reader ledger.Reader, provider, id string) (ledger.Entry, error) {
	r, err := Find(ctx, reader, provider, id)
	if err != nil {
		return ledger.Entry{}, err
	}
	for _, e := range slices.Backward(r.committed()) {
		if e.Type == esign.AgreementCompleted {
			return e, nil
		}
	}
	return ledger.Entry{}, ErrUnknown
}

// ask asks the vendor, and returns the completion event that we lack.
func (t Target) ask(ctx context.Context, client vendorapi.Client, provider, id string) (ledger.Entry, error) {
	a, err := client.Agreement(ctx, id)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("operate: no event has completed the agreement, and the vendor cannot be asked: %w",
			err)
	}
	if a.Status != esign.Completed {
		return ledger.Entry{}, fmt.Errorf("operate: the vendor says that the agreement is %s, not completed",
			terminal.Printable(a.VendorStatus))
	}
	now := t.Now()
	d := finding.Reconciled(provider, a.ID, a.Status, a.VendorStatus, a.ChangedAt, now, finding.Said{})
	e, err := finding.Event(&d)
	e.ID, e.Provider, e.Subject, e.ReceivedAt, e.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
	return ledger.Entry{Event: &e, StatusAfter: a.Status, ProcessedAt: now}, err
}
