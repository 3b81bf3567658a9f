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

// routing is the longest time between a recipient's action and the messages to the next recipients that follow from it.
// It is an estimate: DocuSign routes at once, and senders take longer to correct an envelope.
const routing = time.Minute

// change is one recipient's step.
type change struct {
	event string // SIM's name of it
	of    recipient
	at    time.Time
}

// interpret decides what an aggregate or XML reports. Such a message describes the envelope, and does not name what has
// changed. The newest time decides, and the event gets SIM's name. If it is the envelope's own time, the event has no
// name, and the status describes it.
//
// SPEC: https://github.com/docusign/docusign-esign-java-client/issues/139, read 2026-11-30: "Connect does not tell the
// trigger". https://github.com/docusign/connect-node-listener-aws, webhook_eg_msg_completed.xml: the envelope's time of
// Sent moves when the next recipient is reached, so an action precedes it; a carbon copy has no time but Sent.
func (p *payload) interpret() {
	status := strings.ToLower(string(p.Status))
	if !slices.Contains(atWork, status) {
		return
	}
	var acted, asked, failed change
	for _, r := range p.Recipients {
		acted = acted.or(p.change(r, "delivered")).or(p.change(r, "declined")).or(p.change(r, "completed"))
		asked = asked.or(p.change(r, "sent"))
		if !r.signs() {
			asked = asked.or(p.change(r, "attended"))
		}
		if r.problem() != "" && !r.acted() {
			failed = failed.or(p.change(r, "autoresponded"))
		}
	}
	since := acted.at
	if since.IsZero() {
		since, _ = p.time(cmp.Or(p.of(status), p.StatusTime))
	}
	reported := acted
	switch {
	case failed.event != "" && !failed.at.Before(acted.at) && !asked.at.After(failed.at.Add(routing)):
		reported = failed
	case !since.IsZero() && asked.at.After(since.Add(routing)):
		reported = asked
	}
	if p.event = reported.event; p.event != envelopeDeclined {
		p.who = reported.of
		p.recipientID = p.identity(reported.of)
	}
}

const envelopeDeclined = "envelope-declined" // a signer who declines ends the envelope, whose status follows

// change returns one step of a recipient, or zero if the recipient has not done it.
func (p *payload) change(r recipient, which string) change {
	c := change{event: "recipient-" + which, of: r}
	switch which {
	case "autoresponded": // it has no time of its own
		c.at, _ = p.time(r.Sent)
		return c
	case "declined":
		c.event = envelopeDeclined
		if !r.signs() || !strings.EqualFold(string(r.Status), which) {
			return change{}
		}
	case "completed":
		if !r.signs() {
			return change{}
		}
	case "attended": // such as a carbon copy, which the envelope does not wait for
		c.event, which = "recipient-completed", "completed"
		if r.role() == "" {
			return change{}
		}
	}
	if c.at, _ = p.time(r.of(which)); c.at.IsZero() {
		return change{}
	}
	return c
}

// steps are in the order in which they follow each other. Of two steps with one time, the message is about the later.
var steps = []string{
	"", "recipient-autoresponded", "recipient-sent", "recipient-delivered", "recipient-completed", envelopeDeclined,
}

// or returns the newer of two changes. The result does not depend on the order of recipients in the message.
func (c change) or(d change) change {
	if cmp.Or(d.at.Compare(c.at), cmp.Compare(slices.Index(steps, d.event), slices.Index(steps, c.event)),
		cmp.Compare(c.of.GUID+c.of.RecipientID, d.of.GUID+d.of.RecipientID)) > 0 {
		return d
	}
	return c
}

// acted reports whether the recipient has reacted to the envelope.
func (r recipient) acted() bool {
	status := progress[strings.ToLower(string(r.Status))]
	return status != "" && status != esign.Sent
}
