package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// maxPostponed is the largest number of statements that wait for a later pass. They must fit in the note, together with
// the waiting agreements.
const maxPostponed = 500

// An agreement without a time may have changed just now, so that its webhook is still underway. Not so if the agreement
// has been silent for long.
const (
	mayBeUnderway = true
	notUnderway   = false
)

// compare sends a finding if we miss what the vendor says about an agreement. It sends none while the webhook may be
// underway: a change with a time is listed again, and one without a time is postponed to a later pass.
func (p *pass) compare(ctx context.Context, a vendorapi.Agreement, underway bool) error {
	if a.ID == "" || a.Status == "" || p.began.Sub(a.ChangedAt).Abs() < webhookDelay {
		return nil
	}
	ours, err := p.ours(ctx, a.ID)
	if err != nil {
		return err
	}
	p.reportContradiction(ctx, ours, a)
	if !misses(ours, a.Status) {
		if ours.ID == "" || p.began.Sub(ours.UpdatedAt).Abs() < webhookDelay { // another webhook may be underway
			return nil
		}
		return p.fillIn(ctx, ours, a)
	}
	if ours.ID == "" {
		if forgotten, err := p.forgotten(ctx, a.ID); forgotten || err != nil {
			return err
		}
		if expired, err := p.mayHaveExpired(ctx, a); expired || err != nil {
			return err
		}
	}
	if a.ChangedAt.IsZero() && underway && p.postpone(a) {
		return nil
	}
	return p.sendFinding(ctx, ours, a)
}

// mayHaveExpired reports whether the table may have held an absent agreement once: its status is older than the table's
// expiry. A vendor lists such an agreement when something else about it changes, and it would complete a second time.
//
// If the end of an agreement has no time, the vendor is asked about this agreement alone. Some lists omit the time.
func (p *pass) mayHaveExpired(ctx context.Context, a vendorapi.Agreement) (bool, error) {
	if p.settings.Remembers == 0 {
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
	if !p.expired(at) {
		return false, nil
	}
	p.log.InfoContext(ctx, "ignored: older than the expiry of the table",
		"agreement", webhook.Label(a.ID), "status", a.Status)
	return true, nil
}

// expired reports whether the table keeps nothing that ended at this time.
func (p *pass) expired(at time.Time) bool {
	return p.settings.Remembers > 0 && !at.IsZero() && p.began.Sub(at) > p.settings.Remembers
}

func (p *pass) ours(ctx context.Context, id string) (esign.Agreement, error) {
	a, _, err := p.settings.Agreements.Agreement(ctx, webhook.AgreementSubject(p.provider, id))
	return a, err
}

// forgotten reports whether an operator has had the agreement forgotten. Only an agreement that we lack can be.
func (p *pass) forgotten(ctx context.Context, id string) (bool, error) {
	at, err := p.settings.Tombstones.Forgotten(ctx, webhook.AgreementSubject(p.provider, id))
	return !at.IsZero(), err
}

// contradicts reports whether our agreement has ended, and the vendor still says otherwise an hour later. Then its last
// event may be forged, and so may that event's time: it may even be in the future.
func (p *pass) contradicts(ours esign.Agreement, a vendorapi.Agreement) bool {
	return ours.Status.Terminal() && a.Status.Before(ours.Status) &&
		p.began.Sub(ours.Reached[ours.Status]).Abs() > time.Hour
}

func (p *pass) reportContradiction(ctx context.Context, ours esign.Agreement, a vendorapi.Agreement) {
	if !p.contradicts(ours, a) {
		return
	}
	p.measure(metric.Count("Contradicted", 1))
	p.log.ErrorContext(ctx, "the vendor contradicts the final status of our agreement",
		"agreement", webhook.Label(a.ID), "status", ours.Status,
		"vendorStatus", webhook.Label(a.VendorStatus), "vendorSays", a.Status)
}

// misses reports whether our agreement lacks this status: it has not come as far, or not to this end.
func misses(ours esign.Agreement, status esign.Status) bool {
	_, known := ours.Reached[status]
	return !known && (ours.Status.Before(status) || status.Terminal())
}

func (p *pass) sendFinding(ctx context.Context, ours esign.Agreement, a vendorapi.Agreement) error {
	d, _ := p.statusFinding(ours, a)
	if err := p.send(ctx, d); err != nil {
		return err
	}
	p.measure(metric.Count("Reconciled", 1))
	p.log.WarnContext(ctx, "reconciled: no webhook brought this status", "event", d.EventID,
		"agreement", webhook.Label(a.ID), "statusBefore", ours.Status, "status", a.Status)
	return nil
}

func (p *pass) send(ctx context.Context, d webhook.Delivery) error {
	m, _ := queue.Encode(&d) // a finding fits in a message
	return p.settings.Queue.Send(ctx, m)
}

// postpone keeps a statement for a later pass. It reports false if too many are kept already, since so many webhooks
// are not underway at once, or if the statement is too long for the note. Then the finding is sent now.
func (p *pass) postpone(a vendorapi.Agreement) bool {
	if slices.ContainsFunc(p.progress.Postponed, func(s statement) bool { return s.ID == a.ID }) {
		return true
	}
	s := statement{a.ID, a.Status, webhook.Label(a.VendorStatus), p.began}
	if len(p.progress.Postponed) >= maxPostponed || !fits(s.ID, maxText) || !fits(s.VendorStatus, maxText) {
		return false
	}
	p.progress.Postponed = append(p.progress.Postponed, s)
	return true
}

// postponed sends findings for the statements of earlier passes that we still miss. The vendor is not asked again: the
// agreement has had this status, even if it has changed since.
func (p *pass) postponed(ctx context.Context) error {
	var left []statement
	for _, s := range p.progress.Postponed {
		if p.began.Sub(s.At).Abs() < webhookDelay {
			left = append(left, s)
			continue
		}
		ours, err := p.ours(ctx, s.ID)
		if err == nil && ours.ID == "" {
			var forgotten bool
			if forgotten, err = p.forgotten(ctx, s.ID); forgotten {
				continue
			}
		}
		if err == nil && misses(ours, s.Status) {
			a := vendorapi.Agreement{ID: s.ID, Status: s.Status, VendorStatus: s.VendorStatus}
			err = p.sendFinding(ctx, ours, a)
		}
		if err != nil {
			return err
		}
	}
	if len(left) == len(p.progress.Postponed) {
		return nil
	}
	p.progress.Postponed = left
	return p.save(ctx)
}
