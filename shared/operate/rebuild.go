package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/store/ledger"
)

// rebuild folds an agreement's events again, and compares the result with the stored agreement. It also checks that
// each change of the status follows the one before, and that each status was entered once. A difference is an error.
func rebuild(ctx context.Context, w io.Writer, reader ledger.Reader, provider, id string) error {
	r, err := Find(ctx, reader, provider, id)
	if err != nil {
		return err
	}
	committed := r.committed()
	rebuilt := esign.Agreement{Provider: r.Agreement.Provider, ID: r.Agreement.ID}
	statusBefore, gone := esign.Status(""), ledger.Gone(committed, r.Version)
	if gone > 0 {
		if len(committed) == 0 {
			return errors.New("operate: all events have expired: there is nothing to rebuild the agreement from")
		}
		fmt.Fprintf(w, "%d of %d events are gone, probably expired; comparing from the oldest one left\n", gone, r.Version)
		statusBefore = committed[0].StatusBefore
	}
	if after := ledger.Rebuild(committed, gone > 0); len(after) > 0 {
		rebuilt = after[len(after)-1]
	}
	found := append(differences(r.Agreement, rebuilt), gaps(statusBefore, committed, r.Agreement.Status)...)
	if gone < 0 {
		found = append(found, fmt.Sprintf("version: stored %d, but there are %d events", r.Version, len(committed)))
	}
	if len(found) == 0 {
		fmt.Fprintf(w, "no difference, from %d events\n", len(committed))
		return nil
	}
	for _, difference := range found {
		fmt.Fprintln(w, terminal.Printable(difference))
	}
	return fmt.Errorf("operate: differences: %d", len(found))
}

// differences lists the fields in which the stored and the rebuilt agreement differ.
func differences(stored, rebuilt esign.Agreement) []string {
	was, is := fields(stored), fields(rebuilt)
	all := maps.Clone(was)
	maps.Copy(all, is)
	var found []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if was[name] != is[name] {
			found = append(found, fmt.Sprintf("%s: stored %s, rebuilt %s",
				name, cmp.Or(was[name], "nothing"), cmp.Or(is[name], "nothing")))
		}
	}
	return found
}

func fields(a esign.Agreement) map[string]string {
	exact := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	f := map[string]string{
		"provider": a.Provider, "id": a.ID, "status": string(a.Status), "updated": exact(a.UpdatedAt),
		"conflict": fmt.Sprint(a.Conflict),
	}
	for status, at := range a.Reached {
		f["reached "+string(status)] = exact(at)
	}
	for id, p := range a.Participants {
		f["participant "+id] = string(p.Status) + " " + exact(p.At)
	}
	return f
}

// gaps lists the changes of status that do not follow the one before. It orders them by their first status, which only
// rises: workers' clocks may differ.
func gaps(status esign.Status, committed []ledger.Entry, stored esign.Status) []string {
	changes := slices.DeleteFunc(slices.Clone(committed), func(e ledger.Entry) bool {
		return e.StatusBefore == e.StatusAfter
	})
	slices.SortStableFunc(changes, func(a, b ledger.Entry) int { return a.StatusBefore.Compare(b.StatusBefore) })
	var found []string
	for _, e := range changes {
		if e.StatusBefore != status || !status.Before(e.StatusAfter) {
			found = append(found, fmt.Sprintf("event %s: changed the status from %q to %q, when it was %q",
				e.ID, e.StatusBefore, e.StatusAfter, status))
		}
		status = e.StatusAfter
	}
	if status != stored {
		found = append(found, fmt.Sprintf("status: stored %q, last entered %q", stored, status))
	}
	return found
}
