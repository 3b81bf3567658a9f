package docusign

import (
	"maps"
	"slices"
	"strings"

	"esignhooks/shared/esign"
)

// problem is why a message has not reached the recipient, or why the recipient could not be identified.
type problem struct {
	cause  esign.Cause
	detail string // distinguishes it from the recipient's other problems
}

// undelivered returns why messages have not reached the recipient.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: autoresponded means that the e-mail bounced or that an out-of-office note came back;
// autoRespondedReason is the error text of the destination's mail system; secondaryDeliveryStatus is autoresponded,
// optedout or limitreached, and secondaryDeliveryMethod is SMS or WhatsApp, among others.
func (r recipient) undelivered() (all []problem) {
	for _, n := range r.Notifications {
		status := strings.ToLower(string(n.Status))
		found := problem{detail: strings.ToLower(string(n.Method)) + " " + status}
		switch status {
		case "optedout":
			found.cause = esign.CauseOptedOut
		case "autoresponded", "limitreached":
			found.cause = esign.CauseUndelivered
			if phone(n.Method) {
				found.cause = esign.CauseSMS
			}
		default:
			continue
		}
		if !slices.Contains(all, found) {
			all = append(all, found)
		}
	}
	switch autoResponded := strings.EqualFold(string(r.Status), "autoresponded"); {
	case autoResponded && phone(r.Method):
		all = append(all, problem{cause: esign.CauseSMS})
	case r.Bounce != "":
		all = append(all, problem{cause: esign.CauseBounced, detail: "bounced"})
	case autoResponded:
		all = append(all, problem{cause: esign.CauseAutoReply})
	}
	return all
}

// problem is the first reason why a message has not reached the recipient, or empty.
func (r recipient) problem() esign.Cause {
	for _, found := range r.undelivered() {
		return found.cause
	}
	return ""
}

// trouble is why the recipient, who has not acted yet, has not been reached or identified; empty if nothing shows it.
func (r recipient) trouble() esign.Cause {
	if r.acted() {
		return ""
	}
	if cause := r.problem(); cause != "" {
		return cause
	}
	if len(r.Authentication) > 0 || strings.EqualFold(string(r.Status), "authenticationfailed") {
		return esign.CauseIdentification
	}
	return ""
}

// unreached reports whether the recipient's status is a problem. It follows a message that reported the sending.
func (r recipient) unreached() bool {
	status := strings.ToLower(string(r.Status))
	return status == "autoresponded" || status == "authenticationfailed"
}

// problems returns a recipient's problems that have no time of their own.
func (p *payload) problems(r recipient) (all []news) {
	id := p.identity(r)
	add := func(event string, found problem) {
		all = append(all, news{change: change{event: event, of: r, id: id}, cause: found.cause, problem: found.detail})
	}
	for _, found := range r.undelivered() {
		add(autoResponded, found)
	}
	for _, check := range slices.Sorted(maps.Keys(r.Authentication)) {
		stated := r.Authentication[check].At
		if at, _ := p.time(stated); at.IsZero() {
			add(authenticationFailed, problem{esign.CauseIdentification, check + " " + string(stated)})
		}
	}
	if len(r.Authentication) == 0 && strings.EqualFold(string(r.Status), "authenticationfailed") {
		add(authenticationFailed, problem{cause: esign.CauseIdentification})
	}
	return all
}

// phone reports whether a delivery method sends to a telephone.
func phone(method text) bool {
	return strings.EqualFold(string(method), "SMS") || strings.EqualFold(string(method), "WhatsApp")
}

// cause is why the event is [esign.AgreementUndeliverable], or empty if it is not. A problem that SIM's summary shows
// counts only if the event is about a message to that recipient.
func (p *payload) cause() esign.Cause {
	switch {
	case p.event == authenticationFailed:
		return esign.CauseIdentification
	case p.format != formatSIM:
		return p.said.cause
	case p.event == autoResponded:
		if cause := p.who.problem(); cause != "" {
			return cause
		}
		return esign.CauseAutoReply
	case p.event == "recipient-sent", p.event == "recipient-resent":
		if !strings.EqualFold(string(p.who.Status), "autoresponded") { // an event of its own reports that
			return p.who.problem()
		}
	}
	return ""
}
