package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

// archive hands an agreement to the archiver, as if it were completed now. Where we know of no completion, the vendor is
// asked first: the archiver would take one that is none for forged.
func archive(ctx context.Context, w io.Writer, t Target, provider, id string) error {
	if _, err := t.find(provider); err != nil {
		return err
	}
	client, err := t.Clients(ctx, provider)
	if err != nil {
		return withNeeds(err, provider)
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
	fmt.Fprintf(w, "%s %s is handed to the archiver: make inspect shows agreement.archived when it is done, the log why it is not\n", provider, printable(completion.Event.AgreementID))
	return nil
}

// completed is the last event of an agreement that completed it, or said so again; ErrUnknown if there is none.
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

// ask makes of what the vendor says the event that we should have.
func (t Target) ask(ctx context.Context, client vendorapi.Client, provider, id string) (ledger.Entry, error) {
	a, err := client.Agreement(ctx, id)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("operate: no event has told of the agreement's completion; asking the vendor: %w", err)
	}
	if a.Status != esign.Completed {
		return ledger.Entry{}, fmt.Errorf("operate: the vendor says that the agreement is %s, not completed", printable(a.VendorStatus))
	}
	now := t.Now()
	d := finding.Reconciled(provider, a.ID, a.Status, a.VendorStatus, a.ChangedAt, now)
	e, err := finding.Event(&d)
	e.ID, e.Provider, e.Subject, e.ReceivedAt, e.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
	return ledger.Entry{Event: &e, StatusAfter: a.Status, ProcessedAt: now}, err
}
