package sim

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// lookedUp counts the references, in all worlds, by which agreements were found; stale those that an agreement had
// earlier.
var lookedUp, stale atomic.Int64

// referring is a provider whose events state references. Copies of an event state different ones. Some state more than
// fit into the transaction of a commit.
type referring struct{ webhook.Provider }

// Normalize implements [webhook.Provider].
func (r referring) Normalize(d *webhook.Delivery) (esign.Event, error) {
	e, err := r.Provider.Normalize(d)
	if err != nil {
		return e, err
	}
	e.References = maps.Clone(e.References)
	if e.References == nil {
		e.References = map[string]string{}
	}
	sum := sha256.Sum256(d.Payload)
	switch sum[0] % 4 {
	case 0:
		for i := range ledger.MaxIndexed + 5 {
			e.References[fmt.Sprint("crm.", i)] = fmt.Sprint(sum[1] % 2)
		}
	case 1, 2:
		e.References["deal"] = fmt.Sprint(sum[1] % 3)
	}
	return e, nil
}

// index writes the references that an agreement did not have before, from one of them to another.
func (t *table) index(subject string, before, after esign.Agreement, from, to int) {
	missing := ledger.Unindexed(before, after)
	for _, r := range missing[min(from, len(missing)):min(to, len(missing))] {
		if t.references[r] == nil {
			t.references[r] = map[string]bool{}
		}
		t.references[r][subject] = true
	}
}

// checkReferences checks that each agreement is found by each of its references.
func (s *simulation) checkReferences() {
	for _, subject := range slices.Sorted(maps.Keys(s.table.agreements)) {
		a := s.table.agreements[subject].agreement
		for _, name := range slices.Sorted(maps.Keys(a.References)) {
			lookedUp.Add(1)
			if !s.table.references[ledger.Reference{Name: name, Value: a.References[name]}][subject] {
				s.world.problem("%s is not found by its reference %s", subject, name)
			}
		}
	}
	for r, subjects := range s.table.references {
		for subject := range subjects {
			if !r.IsOf(s.table.agreements[subject].agreement) {
				stale.Add(1)
			}
		}
	}
}
