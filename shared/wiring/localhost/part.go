package localhost

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
)

// part is the part of a list that a request asks for.
type part struct {
	provider string // empty for all
	limit    int
	after    string // the last item of the part before; empty for the first part
}

var errAfter = errors.New("after must be the next of another answer")

// partOf parses the parameters of a list.
func partOf(query url.Values) (p part, err error) {
	p = part{query.Get("provider"), 1000, ""}
	var errLimit, errCursor error
	if text := query.Get("limit"); text != "" {
		if p.limit, errLimit = strconv.Atoi(text); errLimit != nil || p.limit < 1 {
			errLimit = errors.New("limit must be a positive number")
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(query.Get("after"))
	if err != nil {
		errCursor = errAfter
	}
	p.after = string(after)
	return p, errors.Join(errLimit, errCursor)
}

// of reports whether the list has items of this provider.
func (p part) of(provider string) bool { return p.provider == "" || p.provider == provider }

// cursor returns what continues a list after an item.
func cursor(after string) string { return base64.RawURLEncoding.EncodeToString([]byte(after)) }
