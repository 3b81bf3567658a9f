package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/s3"
)

// Pull passes the events that the stack has processed since a time to deliver, in the order in which they arrived, and
// returns their number. deliver reports whether an event is new there. Findings are left out: localhost asks the vendors
// itself. Unless apply is set, Pull only counts.
func (s *Stack) Pull(ctx context.Context, w io.Writer, since time.Time, apply bool,
	deliver func(context.Context, operate.Pulled) (isNew bool, err error)) (int, error) {
	bucket := s.outputs["ArchiveBucketName"]
	if bucket == "" {
		return 0, fmt.Errorf("stack: %s keeps no payloads: deploy it with ArchiveDays, such as ArchiveDays=30; what arrives "+
			"afterwards can be pulled", s.name)
	}
	found, err := received(ctx, s.ledger(), since, time.Now())
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(w, "%s has processed %d events of vendors since %s\n", s.name, len(found),
		since.UTC().Format(time.RFC3339))
	if len(found) == 0 {
		return 0, nil
	}
	if !apply {
		fmt.Fprintln(w, "their payloads hold names and e-mail addresses; nothing is copied to this computer yet: APPLY=1 copies")
		return len(found), nil
	}
	return len(found), pull(ctx, w, s3.New(s.s3(), bucket), found, deliver)
}

// committer is the part of [ledger.Reader] that is needed.
type committer interface {
	Committed(ctx context.Context, from, to time.Time, visit func([]ledger.Entry) error) error
}

// received returns the events of vendors that were committed in a time range, in the order in which they arrived.
func received(ctx context.Context, events committer, from, to time.Time) (found []ledger.Entry, err error) {
	err = events.Committed(ctx, from, to, func(entries []ledger.Entry) error {
		for _, e := range entries {
			if e.Proof != esign.ProofConfirmed && e.SHA256 != "" {
				found = append(found, e)
			}
		}
		return nil
	})
	slices.SortStableFunc(found, func(a, b ledger.Entry) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	return found, err
}

// pull reads the payloads from the archive.
func pull(ctx context.Context, w io.Writer, archive payload.Store, found []ledger.Entry,
	deliver func(context.Context, operate.Pulled) (bool, error)) error {
	fresh, known, gone, failed := 0, 0, 0, 0
	for _, e := range found {
		body, err := archive.Get(ctx, payload.ArchiveKey(e.Provider, e.SHA256))
		if errors.Is(err, payload.ErrNotFound) {
			gone++
			continue
		} else if err != nil {
			return fmt.Errorf("stack: the archive of payloads: %w", err)
		}
		isNew, err := deliver(ctx, operate.Pulled{
			Provider: e.Provider, EventID: e.ID, ReceivedAt: e.ReceivedAt, Proof: e.Proof, Payload: body,
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failed++
			fmt.Fprintf(w, "%s %s is not pulled: %v\n", e.Provider, e.ID, err)
		case isNew:
			fresh++
		default:
			known++
		}
	}
	fmt.Fprintf(w, "pulled: %d new events, %d that localhost had already", fresh, known)
	if gone > 0 {
		fmt.Fprintf(w, "; the payloads of %d are not kept any more", gone)
	}
	fmt.Fprintln(w)
	if failed > 0 {
		return fmt.Errorf("stack: %d events are not pulled", failed)
	}
	return nil
}
