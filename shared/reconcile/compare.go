package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// maxUnsettled is how many agreements wait for a later pass.
const maxUnsettled = 1000

// compare makes a finding of what the vendor says of an agreement, if we miss it. While a webhook may be on its way that
// waits: for another listing if the vendor tells when the agreement changed, else for a later pass. sure says that none is.
func (p *pass) compare(ctx context.Context, a vendorapi.Agreement, sure bool) error {
	if a.ID == "" || a.Status == "" || p.now.Sub(a.ChangedAt).Abs() < settle {
		return nil
	}
	ours, err := p.ours(ctx, a.ID)
	if err != nil {
		return err
	}
	if p.contradicts(ours, a) {
		p.measure(metric.Count("Contradicted", 1))
		p.log.ErrorContext(ctx, "the vendor does not know of our agreement's end", "agreement", webhook.Label(a.ID),
			"status", ours.Status, "vendorStatus", webhook.Label(a.VendorStatus), "vendorSays", a.Status)
	}
	if !misses(ours, a.Status) {
		return nil
	}
	if ours.ID == "" {
		if forgotten, err := p.forgotten(ctx, a); forgotten || err != nil {
			return err
		}
	}
	if a.ChangedAt.IsZero() && !sure && p.waits(a) {
		return nil
	}
	return p.find(ctx, ours, a)
}

// forgotten says of an agreement that the table does not hold whether it may have done so: it took on its status before all
// that the table remembers. A vendor lists such a one when anything else about it changes, and it would complete a second
// time. Of an end without a time the vendor is asked once more: what a list does not tell, it may tell of one agreement.
func (p *pass) forgotten(ctx context.Context, a vendorapi.Agreement) (bool, error) {
	if p.Remembers == 0 {
		return false, nil
	}
	at := a.ChangedAt
	if at.IsZero() && a.Status.Terminal() {
		asked, err := p.client.Agreement(ctx, a.ID)
		if err != nil && !errors.Is(err, vendorapi.ErrUnknown) {
			return false, fmt.Errorf("an agreement: %w", err)
		}
		at = asked.ChangedAt
	}
	if at.IsZero() || p.now.Sub(at) <= p.Remembers {
		return false, nil
	}
	p.log.InfoContext(ctx, "older than what the table remembers", "agreement", webhook.Label(a.ID), "status", a.Status)
	return true, nil
}

func (p *pass) ours(ctx context.Context, id string) (esign.Agreement, error) {
	a, _, err := p.Agreements.Agreement(ctx, webhook.AgreementSubject(p.provider, id))
	return a, err
}

// contradicts says whether our agreement has come to an end that the vendor has had time to know of, and does not. Somebody
// may have forged it, together with its time.
func (p *pass) contradicts(ours esign.Agreement, a vendorapi.Agreement) bool {
	return ours.Status.Terminal() && a.Status.Before(ours.Status) && p.now.Sub(ours.Reached[ours.Status]).Abs() > time.Hour
}

// misses says whether an agreement has not come as far as this status, or not to this end.
func misses(ours esign.Agreement, status esign.Status) bool {
	_, known := ours.Reached[status]
	return !known && (ours.Status.Before(status) || status.Terminal())
}

func (p *pass) find(ctx context.Context, ours esign.Agreement, a vendorapi.Agreement) error {
	d := finding.Reconciled(p.provider, a.ID, a.Status, a.VendorStatus, a.ChangedAt, p.Now())
	m, _ := queue.Encode(&d) // a finding fits in a message
	if err := p.Queue.Send(ctx, m); err != nil {
		return err
	}
	p.measure(metric.Count("Reconciled", 1))
	p.log.WarnContext(ctx, "reconciled", "event", d.EventID, "agreement", webhook.Label(a.ID), "statusBefore", ours.Status,
		"status", a.Status)
	return nil
}

// waits keeps what the vendor has said for a later pass, and says whether there was room: what is on its way is not more.
func (p *pass) waits(a vendorapi.Agreement) bool {
	if slices.ContainsFunc(p.Unsettled, func(s said) bool { return s.ID == a.ID }) {
		return true
	}
	if len(p.Unsettled) >= maxUnsettled {
		return false
	}
	p.Unsettled = append(p.Unsettled, said{a.ID, a.Status, webhook.Label(a.VendorStatus), p.now})
	return true
}

// settled makes findings of what an earlier pass has kept, if we still miss it. The vendor need not be asked again: what an
// agreement was, it has been.
func (p *pass) settled(ctx context.Context) error {
	var left []said
	for _, s := range p.Unsettled {
		if p.now.Sub(s.At).Abs() < settle {
			left = append(left, s)
			continue
		}
		ours, err := p.ours(ctx, s.ID)
		if err == nil && misses(ours, s.Status) {
			err = p.find(ctx, ours, vendorapi.Agreement{ID: s.ID, Status: s.Status, VendorStatus: s.VendorStatus})
		}
		if err != nil {
			return err
		}
	}
	if len(left) == len(p.Unsettled) {
		return nil
	}
	p.Unsettled = left
	return p.save(ctx)
}
