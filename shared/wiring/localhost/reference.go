package localhost

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"

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
	limit, errLimit := limitOf(query.Get("limit"))
	cursor, errCursor := base64.RawURLEncoding.DecodeString(query.Get("after"))
	if errCursor != nil {
		errCursor = errors.New("after must be the next of another answer")
	}
	if err := errors.Join(errReference, errLimit, errCursor); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page, next := found{Agreements: []esign.Agreement{}}, string(cursor)
	for more := true; more && len(page.Agreements) < limit; more = next != "" {
		var some []esign.Agreement
		var err error
		some, next, err = g.ledger.ByReference(r.Context(), reference, next, limit-len(page.Agreements))
		if err != nil {
			answer(w, nil, err)
			return
		}
		for _, a := range some {
			if p := query.Get("provider"); p == "" || p == a.Provider {
				page.Agreements = append(page.Agreements, a)
			}
		}
	}
	page.Next = base64.RawURLEncoding.EncodeToString([]byte(next))
	answer(w, page, nil)
}

// limitOf parses the largest number of items of a list.
func limitOf(text string) (int, error) {
	if text == "" {
		return 1000, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, errors.New("limit must be a positive number")
	}
	return limit, nil
}
