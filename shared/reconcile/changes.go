package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"esignhooks/shared/vendorapi"
)

const (
	webhookDelay = 10 * time.Minute // a webhook may take this long to arrive
	overlap      = time.Hour        // between two windows, for changes that a vendor lists late
	maxWindow    = 24 * time.Hour
	firstWindow  = 24 * time.Hour // how far back the first pass looks
	maxPages     = 50             // in a pass
)

// changes compares the agreements that changed at the vendor with ours, by windows and pages. Progress keeps the page
// of an unfinished window: the next pass continues there.
func (p *pass) changes(ctx context.Context) error {
	latest := p.began.Add(-webhookDelay)
	for range maxPages {
		if p.timeUp() {
			break
		}
		if p.progress.Page == "" {
			p.openWindow(latest)
		}
		from := p.progress.Compared.Add(-overlap)
		changed, next, err := p.client.Changed(ctx, from, p.progress.Until, p.progress.Page)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			p.progress.Compared = time.Time{}
			return nil
		case (errors.Is(err, vendorapi.ErrInvalid) || errors.Is(err, vendorapi.ErrUnknown)) && p.progress.Page != "":
			p.progress.Page = "" // the vendor no longer knows this page: begin the window again
			return errors.Join(fmt.Errorf("a page of changes: %w", err), p.save(ctx))
		case err != nil:
			return fmt.Errorf("changes: %w", err)
		}
		p.answered = true
		for _, a := range changed {
			if err := p.compare(ctx, a, mayBeUnderway); err != nil {
				return err
			}
		}
		if !fits(next, maxPage) { // the window begins again, and the alarm starts
			p.progress.Page = ""
			return errors.Join(fmt.Errorf("the cursor of the next page has %d bytes", len(next)), p.save(ctx))
		}
		if p.progress.Page = next; next == "" {
			p.progress.Compared = p.progress.Until
		}
		if err := p.save(ctx); err != nil {
			return err
		}
		if next == "" && !p.progress.Compared.Before(latest) {
			return nil
		}
	}
	return p.behind("the vendor has more changes than the passes can compare")
}

// openWindow sets the bounds of the next window. If a wrong clock has moved them into the future, it moves them back.
func (p *pass) openWindow(latest time.Time) {
	g := &p.progress
	if g.Compared.IsZero() {
		g.Compared = p.began.Add(-firstWindow)
	}
	if g.Compared.After(latest) {
		g.Compared = latest
	}
	if g.Until = g.Compared.Add(maxWindow); g.Until.After(latest) {
		g.Until = latest
	}
}
