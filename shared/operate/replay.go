package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
)

// batch is the number of events that are passed to the bus at once.
const batch = 100

// selection selects committed events: those of one agreement or, if ID is empty, those committed from From until before
// To.
type selection struct {
	Provider, ID string
	From, To     time.Time
}

func (s selection) visit(ctx context.Context, reader ledger.Reader, visit func([]ledger.Entry) error) error {
	if s.ID == "" {
		return reader.Committed(ctx, s.From, s.To, visit)
	}
	r, err := Find(ctx, reader, s.Provider, s.ID)
	if err != nil {
		return err
	}
	return visit(r.committed())
}

// replay publishes events again, marked as a replay. It keeps the order of the commits of each agreement. It continues
// after events that cannot be published, and returns an error in the end.
func replay(ctx context.Context, w io.Writer, reader ledger.Reader, b bus.Bus, s selection) error {
	var pending []bus.Event
	published, failed := 0, 0
	publish := func() error {
		n := Publish(ctx, w, b, pending)
		published, failed, pending = published+len(pending)-n, failed+n, nil
		return ctx.Err()
	}
	err := s.visit(ctx, reader, func(subject []ledger.Entry) error {
		for _, e := range subject {
			event := bus.EventOf(e)
			event.Detail.Replay = true
			pending = append(pending, event)
		}
		if len(pending) < batch {
			return nil
		}
		return publish()
	})
	if err == nil {
		err = publish()
	}
	fmt.Fprintf(w, "%d events published again\n", published)
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("operate: %d events were not published", failed))
	}
	return err
}

// Publish puts events on the bus. It writes which events could not be published and why, and returns their number.
func Publish(ctx context.Context, w io.Writer, b bus.Bus, all []bus.Event) (failed int) {
	for some := range slices.Chunk(all, batch) {
		for i, err := range b.Publish(ctx, some) {
			if err != nil {
				fmt.Fprintf(w, "%s %s not published: %s\n",
					some[i].Detail.Event.Subject, some[i].Detail.EventID, terminal.Printable(err.Error()))
				failed++
			}
		}
	}
	return failed
}
