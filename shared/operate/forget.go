package operate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	archiver "esignhooks/shared/archive"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// Traces are what leads to the things of an agreement that is to be forgotten.
type Traces struct {
	Provider    string
	AgreementID string
	Subject     string
	Events      []ledger.Entry // as they are stored
}

// Place is a store that may hold things of an agreement, apart from the ledger.
type Place struct {
	Name string
	// Forget returns how many things of the agreement it has found. If remove is set, it removes them. kept is how many
	// of them it may not remove: because of a legal hold, a retention, or a missing right.
	Forget func(ctx context.Context, traces Traces, remove bool) (found, kept int, err error)
}

// forget lists what there is of an agreement. If apply is set, it removes it: first the tombstone is written, so
// nothing comes back meanwhile. The ledger comes last, since it leads to everything else. So a command that failed is
// run again.
func forget(ctx context.Context, w io.Writer, t Target, provider, id string, apply bool) error {
	if _, err := t.find(provider); err != nil {
		return err
	}
	f, at, err := t.traces(ctx, provider, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "of %s %s there is:\n", provider, terminal.Printable(f.AgreementID))
	found, _, err := t.sweep(ctx, w, &f, false)
	switch {
	case err != nil:
		return err
	case found == 0 && at.IsZero():
		return fmt.Errorf("%w: provider %q, ID %q, also tried in lower case", ErrUnknown, provider, id)
	case !at.IsZero():
		fmt.Fprintf(w, "it was forgotten at %s UTC\n", moment(at))
	}
	if !apply {
		fmt.Fprintln(w, "nothing is removed yet: APPLY=1 removes it")
		return nil
	}
	if err := t.Forgetter.Bury(ctx, f.Subject, t.Now().UTC()); err != nil {
		return err
	}
	fmt.Fprintln(w, "removed:")
	_, kept, err := t.sweep(ctx, w, &f, true)
	if err == nil && t.InFlight > 0 {
		fmt.Fprintf(w, "what is being processed ends within %v; then it is removed too:\n", t.InFlight)
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(t.InFlight):
			if err = t.readEvents(ctx, &f); err == nil {
				_, kept, err = t.sweep(ctx, w, &f, true)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("operate: not everything is removed; run the command again: %w", err)
	}
	if kept > 0 {
		return fmt.Errorf("operate: %d objects stay: a legal hold, a retention or a missing right protects them", kept)
	}
	fmt.Fprintln(w, "it is forgotten: an event that still arrives is acknowledged and dropped")
	return nil
}

// traces finds an agreement, also by its ID in lower case. at is when it was forgotten, if it was. If nothing is known,
// the ID is as given.
func (t Target) traces(ctx context.Context, provider, id string) (f Traces, at time.Time, err error) {
	for _, spelling := range slices.Compact([]string{strings.ToLower(id), id}) {
		f = Traces{Provider: provider, AgreementID: spelling, Subject: webhook.AgreementSubject(provider, spelling)}
		if at, err = t.Forgetter.Forgotten(ctx, f.Subject); err != nil {
			return f, at, err
		}
		if f.Events, err = t.Forgetter.Remains(ctx, f.Subject); err != nil {
			return f, at, err
		}
		_, version, err := t.Ledger.Agreement(ctx, f.Subject)
		if err != nil || len(f.Events) > 0 || version > 0 || !at.IsZero() {
			return f, at, err
		}
	}
	return f, at, nil
}

// sweep counts what there is of an agreement, and removes it if remove is set. It prints what it has found.
func (t Target) sweep(ctx context.Context, w io.Writer, f *Traces, remove bool) (found, kept int, err error) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	places := append(slices.Clone(t.Places), Place{"notes", t.forgetNotes},
		Place{"items of the table", func(ctx context.Context, _ Traces, remove bool) (int, int, error) {
			return t.forgetItems(ctx, f, remove)
		}})
	for _, place := range places {
		n, protected, err := place.Forget(ctx, *f, remove)
		if err != nil {
			return found, kept, fmt.Errorf("%s: %w", place.Name, err)
		}
		found, kept = found+n, kept+protected
		cells := []string{"  " + place.Name, fmt.Sprint(n - protected)}
		if protected > 0 {
			cells = append(cells, fmt.Sprintf("%d stay", protected))
		}
		row(table, cells...)
	}
	return found, kept, nil
}

// readEvents adds the events that are stored now.
func (t Target) readEvents(ctx context.Context, f *Traces) error {
	events, err := t.Forgetter.Remains(ctx, f.Subject)
	f.Events = append(f.Events, events...)
	return err
}

// forgetItems counts or removes the agreement, its events and its references, and what the vendor said of it last.
// Events that were stored since the last time are added first, since they may lead to more.
func (t Target) forgetItems(ctx context.Context, f *Traces, remove bool) (found, kept int, err error) {
	if remove {
		if err := t.readEvents(ctx, f); err != nil {
			return 0, 0, err
		}
	}
	agreement, version, err := t.Ledger.Agreement(ctx, f.Subject)
	if err != nil {
		return 0, 0, err
	}
	references := ledger.ReferencesOf(agreement, f.Events)
	note := reconcile.LastAskedNote(f.Provider, f.AgreementID)
	if remove {
		found, err = t.Forgetter.Erase(ctx, f.Subject, references, note)
		return found, 0, err
	}
	found = len(f.Events)
	if version > 0 {
		found += 1 + len(references)
	}
	_, version, err = t.Notes.Note(ctx, note)
	if version > 0 {
		found++
	}
	return found, 0, err
}

// forgetNotes counts or removes the entries of an agreement in the notes of the archiver and the reconciler.
func (t Target) forgetNotes(ctx context.Context, f Traces, remove bool) (found, kept int, err error) {
	err = archiver.NotAsked{Notes: t.Notes, Provider: f.Provider}.Remove(ctx, func(c archiver.Completion) (bool, error) {
		ours := c.AgreementID == f.AgreementID
		if ours {
			found++
		}
		return ours && remove, nil
	})
	if err != nil {
		return found, 0, err
	}
	n, err := reconcile.Forget(ctx, t.Notes, f.Provider, f.AgreementID, remove)
	return found + n, 0, err
}

// Agreed asks at a terminal whether to apply what the command forget has listed. If the answer is yes, it changes the
// command so that it does.
func Agreed(in *os.File, w io.Writer, command Command) bool {
	f, ok := command.(*Forget)
	if !ok || f.Apply || !terminal.Is(in) {
		return false
	}
	fmt.Fprint(w, "remove it now? It cannot be undone. Type yes: ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if errors.Is(err, io.EOF) {
		fmt.Fprintln(w)
	}
	f.Apply = strings.TrimSpace(answer) == "yes"
	return f.Apply
}
