package sim

import (
	"context"
	"fmt"

	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
)

// bucket is a payload store.
type bucket struct {
	w       *world
	objects map[string][]byte
}

var _ payload.Store = (*bucket)(nil)

func (b *bucket) Put(ctx context.Context, key string, body []byte) error {
	return b.w.do(ctx, "put "+short(key), networkFaults, func() error {
		b.objects[key] = body
		return nil
	})
}

func (b *bucket) Get(ctx context.Context, key string) (body []byte, err error) {
	err = b.w.do(ctx, "get "+short(key), readFaults, func() error {
		var ok bool
		if body, ok = b.objects[key]; !ok {
			return payload.ErrNotFound
		}
		return nil
	})
	return body, err
}

// eventBus records what is published. Any entry of a request may fail, and some events are refused each time.
type eventBus struct {
	w         *world
	table     *table
	refused   map[string]bool // whether an event is, by its ID
	published []bus.Event
	rule      func(bus.Event) // nil: none
}

var _ bus.Bus = (*eventBus)(nil)

func (b *eventBus) Publish(ctx context.Context, all []bus.Event) []error {
	errs := make([]error, len(all))
	err := b.w.do(ctx, fmt.Sprintf("publish %d", len(all)), networkFaults, func() error {
		for i, e := range all {
			id := e.Detail.EventID
			if _, seen := b.refused[id]; !seen {
				b.refused[id] = b.w.rate > 0 && b.rule == nil && b.w.choices.rarely(60)
			}
			if b.refused[id] {
				errs[i] = bus.ErrRefused
				continue
			}
			if b.w.rate > 0 && b.w.choices.rarely(b.w.rate) {
				errs[i] = errFault
				continue
			}
			b.take(e)
		}
		return nil
	})
	for i := range errs {
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}

func (b *eventBus) take(e bus.Event) {
	d := e.Detail
	if b.table.state(ledger.Key{Subject: d.Event.Subject, ID: d.EventID}) != ledger.Processed {
		b.w.problem("%s was published before it was committed", short(d.EventID))
	}
	b.w.note("%-34s %s %s %q → %q", "bus", short(d.EventID), e.DetailType, d.StatusBefore, d.StatusAfter)
	b.published = append(b.published, e)
	if b.rule != nil {
		b.rule(e)
	}
}
