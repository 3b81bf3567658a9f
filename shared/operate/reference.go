package operate

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// inspectReference writes a table of the agreements that have a reference now. It returns ErrUnknown if none has it.
func inspectReference(ctx context.Context, w io.Writer, reader ledger.Reader, reference ledger.Reference) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for cursor, n := "", 0; ; {
		found, next, err := reader.ByReference(ctx, reference, cursor, ledger.MaxFound)
		if err != nil {
			return err
		}
		for _, a := range found {
			if n++; n == 1 {
				row(table, "PROVIDER", "ID", "STATUS", "REFERENCES")
			}
			row(table, a.Provider, a.ID, string(a.Status), references(a))
		}
		if next != "" {
			cursor = next
			continue
		}
		if n == 0 {
			return fmt.Errorf("%w: none has the reference %q; only names on the list are kept: parameter References of a "+
				"stack, variable REFERENCES on localhost", ErrUnknown, reference.Name+":"+reference.Value)
		}
		return table.Flush()
	}
}

// references returns all references of an agreement in one line.
func references(a esign.Agreement) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(a.References)) {
		all = append(all, name+":"+a.References[name])
	}
	return strings.Join(all, ", ")
}
