package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"esignhooks/shared/vendorapi"
)

const (
	settle    = 10 * time.Minute // a change may be on its way to us for so long
	overlap   = time.Hour        // how far each window reaches back into the one before, for what a vendor lists late
	maxWindow = 24 * time.Hour
	firstTime = 24 * time.Hour // how far back the first pass looks
	maxPages  = 50             // of a pass
)

// changes compares the agreements that changed at the vendor with ours, window by window, and page by page. The page of a
// window that is not finished is kept: the next pass goes on there.
func (p *pass) changes(ctx context.Context) error {
	latest := p.now.Add(-settle)
	for range maxPages {
		if p.over() {
			break
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
		p.answered = true
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
	return p.late("there is more than the passes can compare")
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
