package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/metric"
	"esignhooks/shared/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	settle    = 10 * time.Minute // a change may be on its way to us for so long
	overlap   = time.Hour        // how far each window reaches back into the one before, for what a vendor lists late
	maxWindow = 24 * time.Hour
	firstTime = 24 * time.Hour // how far back the first pass looks
	maxPages  = 50             // of a pass

	maxUnsettled = 1000 // agreements
)

// changes compares the agreements that changed at the vendor with ours, window by window, and page by page. The page of a
// window that is not finished is kept: the next pass goes on there.
func (p *pass) changes(ctx context.Context) error {
	latest := p.now.Add(-settle)
	for range maxPages {
		if p.over() {
			return nil
		}
		if p.Page == "" {
			p.open(latest)
		}
		changed, next, err := p.client.Changed(ctx, p.Compared.Add(-overlap), p.Until, p.Page)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			p.Compared = time.Time{}
			return nil
		case (errors.Is(err, vendorapi.ErrInvalid) || errors.Is(err, vendorapi.ErrUnknown)) && p.Page != "":
			p.Page = "" // the vendor no longer knows it
			return errors.Join(fmt.Errorf("a page of changes: %w", err), p.save(ctx))
		case err != nil:
			return fmt.Errorf("changes: %w", err)
		}
		for _, a := range changed {
			if err := p.compare(ctx, a, false); err != nil {
				return err
			}
		}
		if p.Page = next; next == "" {
			p.Compared = p.Until
		}
		if err := p.save(ctx); err != nil {
			return err
		}
		if next == "" && !p.Compared.Before(latest) {
			return nil
		}
	}
	return nil
}

// open begins a window. One that would begin in the future is the work of a clock that was wrong.
func (p *pass) open(latest time.Time) {
	if p.Compared.IsZero() {
		p.Compared = p.now.Add(-firstTime)
	}
	if p.Compared.After(latest) {
		p.Compared = latest
	}
	if p.Until = p.Compared.Add(maxWindow); p.Until.After(latest) {
		p.Until = latest
	}
}

// compare makes a finding of what the vendor says of an agreement, if we miss it. While a webhook may be on its way that waits:
// for another listing if the vendor tells when it changed, else for a later pass, unless sure says that there is no need.
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
	if !misses(ours, a.Status) || a.ChangedAt.IsZero() && !sure && p.waits(a) {
		return nil
	}
	return p.find(ctx, ours, a)
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
	m, _ := queue.Encode(&d) // it is small
	if err := p.Queue.Send(ctx, m); err != nil {
		return err
	}
	p.measure(metric.Count("Reconciled", 1))
	p.log.WarnContext(ctx, "reconciled", "event", d.EventID, "agreement", webhook.Label(a.ID), "statusBefore", ours.Status,
		"status", a.Status)
	return nil
}

// waits keeps what the vendor has said for a later pass. It says no to more than there can be on its way.
func (p *pass) waits(a vendorapi.Agreement) bool {
	if slices.ContainsFunc(p.Unsettled, func(s said) bool { return s.ID == a.ID }) {
		return true
	}
	if len(p.Unsettled) >= maxUnsettled {
		return false
	}
	p.Unsettled = append(p.Unsettled, said{a.ID, a.Status, a.VendorStatus, p.now})
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
