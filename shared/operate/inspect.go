package operate

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/store/ledger"
)

// inspect writes an agreement and its history as tables.
func inspect(ctx context.Context, w io.Writer, reader ledger.Reader, provider, id string) error {
	r, err := Find(ctx, reader, provider, id)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	inspectAgreement(table, r.Agreement)
	leftOut := 0
	shown := map[string]bool{} // an event about form data that was stored later has all documents again
	for _, e := range r.committed() {
		leftOut = max(leftOut, e.Event.ReferencesLeftOut)
		for _, d := range e.Event.Documents {
			if !shown[d.Location] {
				row(table, "document "+d.Name, d.Location+" sha256 "+d.SHA256)
			}
			shown[d.Location] = true
		}
	}
	if leftOut > 0 {
		row(table, "references left out", fmt.Sprintf("%d of an event: they are not on the list, parameter References of a "+
			"stack, variable REFERENCES on localhost", leftOut))
	}
	fmt.Fprintln(table)
	row(table, "OCCURRED (UTC)", "RECEIVED (UTC)", "TYPE", "VENDOR'S NAME", "STATE", "STATUS", "PROOF", "DUPLICATES",
		"VIA", "EVENT", "SHA256")
	for _, e := range r.History {
		row(table, occurred(e), moment(e.ReceivedAt), string(e.Type), e.VendorType, string(e.State), change(e),
			string(e.Proof), fmt.Sprint(e.Duplicates), strings.Join(e.Via, ","), e.ID, e.SHA256)
	}
	return table.Flush()
}

func inspectAgreement(w io.Writer, a esign.Agreement) {
	row(w, "agreement", a.Provider+" "+a.ID)
	row(w, "status", string(a.Status))
	row(w, "updated", moment(a.UpdatedAt))
	for _, status := range slices.SortedFunc(maps.Keys(a.Reached), esign.Status.Compare) {
		row(w, string(status), moment(a.Reached[status]))
	}
	for _, id := range slices.Sorted(maps.Keys(a.Participants)) {
		row(w, "participant "+id, progress(a.Participants[id]))
	}
	for _, name := range slices.Sorted(maps.Keys(a.References)) {
		row(w, "reference "+name, a.References[name])
	}
	if len(a.ReferencesCut) > 0 {
		row(w, "references cut", strings.Join(a.ReferencesCut, ", "))
	}
	if a.Conflict {
		row(w, "conflict", "events claim different final statuses; the highest one is kept")
	}
}

func progress(p esign.Progress) string {
	words := []string{moment(p.At), string(p.Status)}
	if p.Approximate {
		words[0] = "~" + words[0]
	}
	if p.Replaced {
		words = append(words, "replaced")
	}
	if len(p.Aliases) > 0 {
		words = append(words, "also "+strings.Join(p.Aliases, ", "))
	}
	return strings.Join(words, " ")
}

// row writes one line of a table, with a dash for an empty cell.
func row(w io.Writer, cells ...string) {
	for i, cell := range cells {
		cells[i] = cmp.Or(terminal.Printable(cell), "–")
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// occurred marks an approximate time with a tilde.
func occurred(e ledger.Entry) string {
	if e.Event != nil && e.Event.Approximate {
		return "~" + moment(e.OccurredAt)
	}
	return moment(e.OccurredAt)
}

// change describes what an event did to the agreement's status.
func change(e ledger.Entry) string {
	switch {
	case e.State != ledger.Processed:
		return ""
	case e.StatusBefore == e.StatusAfter:
		return "="
	}
	return cmp.Or(string(e.StatusBefore), "–") + " → " + string(e.StatusAfter)
}
