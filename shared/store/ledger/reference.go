package ledger

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// MaxIndexed is the largest number of reference items that a commit writes in its transaction.
const MaxIndexed = 20

// Reference is the sender's own key of an agreement. The ledger has an item for each reference of each agreement. It
// holds nothing but the hash of the reference and the agreement's subject.
//
// Commit and Correct write the items of the references that the agreement did not have before, see [Unindexed]. They
// delete none: [Reader.ByReference] reads the agreement, and ignores an item that no longer fits.
//
// The first MaxIndexed items are written in the transaction of the agreement. The others, if there are any, are written
// before it, in a transaction of their own. If the commit then fails, they find nothing. So every reference of a stored
// agreement has its item, also if the agreement never has another event.
type Reference struct{ Name, Value string }

// ParseReference parses a reference like deal_id:123. The name ends at the first colon. A long value is cut, as in an
// event.
func ParseReference(text string) (Reference, error) {
	name, value, found := strings.Cut(text, ":")
	if !found {
		return Reference{}, errors.New("a reference must be like deal_id:123, a name, a colon and a value")
	}
	said := esign.Event{References: map[string]string{name: value}}
	return Reference{name, esign.Policy{References: []string{"*"}}.Apply(said, "").References[name]}, nil
}

// Hash returns the lower-case hex SHA-256 of the name and the value, each prefixed with its length.
func (r Reference) Hash() string { return webhook.EventID(r.Name, r.Value) }

// IsOf reports whether the agreement has the reference now.
func (r Reference) IsOf(a esign.Agreement) bool {
	return r.Value != "" && a.References[r.Name] == r.Value
}

// Unindexed returns the references that an agreement did not have before, in the order of their names.
func Unindexed(before, after esign.Agreement) (missing []Reference) {
	for _, name := range slices.Sorted(maps.Keys(after.References)) {
		if r := (Reference{name, after.References[name]}); !r.IsOf(before) {
			missing = append(missing, r)
		}
	}
	return missing
}

// ReferencesOf returns all references that an agreement has or had, as far as its events show it. The items of all
// others have expired.
func ReferencesOf(a esign.Agreement, events []Entry) []Reference {
	seen := map[Reference]bool{}
	add := func(references map[string]string) {
		for name, value := range references {
			seen[Reference{name, value}] = true
		}
	}
	add(a.References)
	for _, e := range events {
		if e.Agreement != nil {
			add(e.Agreement.References)
		}
		if e.Event == nil {
			continue
		}
		add(e.Event.References)
		for _, p := range e.Event.Participants { // see [esign.Event.SharedReference]
			add(map[string]string{e.Event.SharedReference: p.Reference})
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b Reference) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
}
