package localhost

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/receive"
)

// Watch calls seen with each request, once it is answered. It must be called before Serve, and seen must not block.
func (g *Gateway) Watch(seen func(Request)) { g.requests.seen = append(g.requests.seen, seen) }

// Line returns the request as one line for a terminal: time, provider, vendor's event type, agreement, outcome, cause.
func (r Request) Line(s terminal.Style, at *time.Location) string {
	colour := map[receive.Outcome]terminal.Colour{
		receive.Accepted: terminal.Green, receive.Duplicate: terminal.Dim, receive.Challenge: terminal.Cyan,
		receive.Unreadable: terminal.Yellow,
	}[r.Outcome]
	colour = cmp.Or(colour, terminal.Red)
	kind := terminal.Printable(cmp.Or(r.VendorType, string(r.Type), r.Method))
	if more := len(r.EventIDs) - 1; more > 0 {
		kind += fmt.Sprintf(" +%d", more)
	}
	outcome := string(r.Outcome)
	if r.Outcome == receive.Refused || r.Outcome == receive.Unavailable {
		outcome += fmt.Sprintf(" %d", r.Status)
	}
	line := fmt.Sprintf("%s %-11s %-24s %-36s %s", s.Paint(terminal.Dim, r.ReceivedAt.In(at).Format(time.TimeOnly)),
		r.Provider, kind, cmp.Or(terminal.Printable(r.AgreementID), "–"), s.Paint(colour, outcome))
	switch {
	case len(r.Causes) > 0:
		line += " " + s.Paint(colour, terminal.Printable(r.Causes[0].Code)) + ": " + terminal.Printable(r.Causes[0].Hint)
	case r.Outcome == receive.Refused && r.Causes == nil:
		line += " not explained: too many were refused at once"
	}
	return strings.TrimRight(line, " ")
}
