package localhost

import (
	"errors"
	"net/http"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// found is a page of agreements.
type found struct {
	Agreements []esign.Agreement `json:"agreements"`
	Next       string            `json:"next,omitempty"`
}

// serveByReference lists the agreements that have a reference now, in the order of their subjects.
func (g *Gateway) serveByReference(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	reference, errReference := ledger.ParseReference(query.Get("reference"))
	part, errPart := partOf(query, "reference")
	if err := errors.Join(errReference, errPart); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page, next := found{Agreements: []esign.Agreement{}}, part.after
	for more := true; more && len(page.Agreements) < part.limit; more = next != "" {
		var some []esign.Agreement
		var err error
		some, next, err = g.ledger.ByReference(r.Context(), reference, next, part.limit-len(page.Agreements))
		if err != nil {
			answer(w, nil, err)
			return
		}
		for _, a := range some {
			if part.of(a.Provider) {
				page.Agreements = append(page.Agreements, a)
			}
		}
	}
	if next != "" {
		page.Next = part.cursor(next)
	}
	answer(w, page, nil)
}
