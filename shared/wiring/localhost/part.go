package localhost

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// part is the part of a list that a request asks for.
type part struct {
	list     string // its name
	provider string // empty for all
	limit    int
	after    string // where the part before has ended; empty for the first part
}

var errAfter = errors.New("after must be the next of another answer")

// partOf parses the parameters of a list.
func partOf(query url.Values, list string) (p part, err error) {
	p = part{list, query.Get("provider"), 1000, ""}
	var errLimit error
	if text := query.Get("limit"); text != "" {
		if p.limit, err = strconv.Atoi(text); err != nil || p.limit < 1 {
			errLimit = errors.New("limit must be a positive number")
		}
	}
	if text := query.Get("after"); text != "" {
		cursor, err := base64.RawURLEncoding.DecodeString(text)
		after, ok := strings.CutPrefix(string(cursor), list+":")
		if err != nil || !ok {
			return p, errors.Join(errLimit, errAfter)
		}
		p.after = after
	}
	return p, errLimit
}

// of reports whether the list has items of this provider.
func (p part) of(provider string) bool { return p.provider == "" || p.provider == provider }

// cursor returns what continues the list.
func (p part) cursor(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.list + ":" + after))
}
