package docusign

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
)

// atWork are the statuses of an envelope in which its recipients act. The envelope then keeps its status and its time,
// although somebody has viewed or signed it.
var atWork = []string{"sent", "delivered", "signed", "processing"}

// These are estimates. DocuSign asks the next recipients within routing after an action, usually in the message about
// the action. Within routed, that is still possible, but a sender's correction is as likely.
const (
	routing = 10 * time.Second
	routed  = time.Minute
)

// maxNews is the largest number of events that a message reports. More than one is rare.
const maxNews = 50

// change is one recipient's step.
type change struct {
	event  string // SIM's name of it
	of     recipient
	id     string // of the recipient, see [payload.identity]
	stated text   // its time; empty if the message does not hold it
	at     time.Time
}

// news is one event that an aggregate or XML reports. A zero value is the status of the envelope.
type news struct {
	change
	asked   []change    // who was asked since the action
	cause   esign.Cause // of a problem
	problem string      // distinguishes a recipient's problems
}

// interpret decides what an aggregate or XML reports. Such a message describes the envelope, and does not name what has
// changed. The newest time decides, and the event gets SIM's name. If it is the envelope's own time, the event has no
// name, and the status describes it. What has no time of its own may be newer, so each such thing is an event too.
//
// SPEC: https://github.com/docusign/docusign-esign-java-client/issues/139, read 2026-11-30: "Connect does not tell the
// trigger". https://github.com/docusign/connect-node-listener-aws, webhook_eg_msg_completed.xml: the envelope's time of
// Sent moves when the next recipient is reached, so an action precedes it; a carbon copy has no time but Sent.
func (p *payload) interpret() []news {
	status := strings.ToLower(string(p.Status))
	if !slices.Contains(atWork, status) {
		return []news{{}}
	}
	var acted, asked []change
	var untimed []news
	told := false // that somebody was asked, by an earlier message: a problem has followed
	for _, r := range p.Recipients {
		act, ask := p.changes(r)
		if act.event != "" && act.at.IsZero() {
			untimed = append(untimed, news{change: act})
		} else if act.event != "" {
			acted = append(acted, act)
		}
		asked = append(asked, ask...)
		told = told || r.unreached()
		if !r.acted() {
			untimed = append(untimed, p.problems(r)...)
		}
	}
	since, _ := p.time(cmp.Or(p.of(status), p.StatusTime))
	if acted = newest(acted); len(acted) > 0 {
		since = acted[0].at
	}
	asked = slices.DeleteFunc(asked, func(c change) bool { return c.at.Before(since) })
	last := newest(asked)
	late := func(after time.Duration) bool {
		return len(last) > 0 && !since.IsZero() && last[0].at.After(since.Add(after))
	}
	var all []news
	if late(routing) {
		for _, c := range last {
			all = append(all, news{change: c})
		}
	}
	if !late(routed) {
		for _, c := range acted {
			all = append(all, news{change: c, asked: asked})
		}
	}
	acts := func(n news) bool { return n.cause == "" }
	if len(acted) == 0 && !late(routed) && !told && !slices.ContainsFunc(untimed, acts) {
		all = append(all, news{})
	}
	all = append(all, untimed...)
	return all[:min(len(all), maxNews)]
}

// others returns who else was asked since the action. A recipient may act as soon as it is asked.
func (n news) others() []change {
	return slices.DeleteFunc(slices.Clone(n.asked), func(c change) bool { return c.id == n.id && c.at.Equal(n.at) })
}

const (
	envelopeDeclined     = "envelope-declined" // a signer who declines ends the envelope, whose status follows
	authenticationFailed = "recipient-authenticationfailed"
	autoResponded        = "recipient-autoresponded"
)

// changes returns the newest thing that the recipient has done, and how it was asked before. An act without a time is
// newer than all others.
func (p *payload) changes(r recipient) (act change, asked []change) {
	status, id := strings.ToLower(string(r.Status)), p.identity(r)
	step := func(event string, stated text) change {
		at, _ := p.time(stated)
		if at.IsZero() {
			stated = ""
		}
		return change{event, r, id, stated, at}
	}
	add := func(event string, stated text, reached bool) {
		if c := step(event, stated); !c.at.IsZero() || reached {
			act = act.or(c)
		}
	}
	add("recipient-delivered", r.Delivered, status == "delivered")
	for _, result := range r.Authentication {
		add(authenticationFailed, result.At, false)
	}
	completed := r.of("completed")
	switch {
	case r.signs():
		add("recipient-completed", completed, progress[status] == esign.Signed)
		if status == "declined" {
			add(envelopeDeclined, r.Declined, true)
		}
	case r.copies(): // the envelope does not wait for it, and it may have done nothing
		asked = append(asked, step("recipient-completed", completed))
	case r.role() != "":
		add("recipient-completed", completed, false)
	}
	asked = append(asked, step("recipient-sent", r.Sent))
	return act, slices.DeleteFunc(asked, func(c change) bool { return c.at.IsZero() })
}

// steps are in the order in which they follow each other. Of two steps with one time, the message is about the later.
var steps = []string{
	"", "recipient-sent", "recipient-delivered", authenticationFailed, "recipient-completed", envelopeDeclined,
}

// or returns the newer of two changes of one recipient.
func (c change) or(d change) change {
	newer := d.at.Compare(c.at)
	switch {
	case c.event == "":
		return d
	case d.at.IsZero():
		newer = 1
	case c.at.IsZero():
		newer = -1
	}
	if cmp.Or(newer, cmp.Compare(slices.Index(steps, d.event), slices.Index(steps, c.event))) > 0 {
		return d
	}
	return c
}

// sorted returns the changes, the newest first. The result does not depend on the order of recipients in the message.
func sorted(changes []change) []change {
	slices.SortStableFunc(changes, func(c, d change) int {
		return cmp.Or(d.at.Compare(c.at), cmp.Compare(slices.Index(steps, d.event), slices.Index(steps, c.event)),
			cmp.Compare(d.of.GUID+d.of.RecipientID, c.of.GUID+c.of.RecipientID))
	})
	return changes
}

// newest returns the changes with the newest time. Each of them may be what the message reports.
func newest(changes []change) []change {
	changes = sorted(changes)
	for i, c := range changes {
		if !c.at.Equal(changes[0].at) {
			return changes[:i:i]
		}
	}
	return changes
}

// acted reports whether the recipient has reacted to the envelope.
func (r recipient) acted() bool {
	status := progress[strings.ToLower(string(r.Status))]
	return status != "" && status != esign.Sent
}
