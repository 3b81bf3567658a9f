package docusign

import (
	"strings"

	"esignhooks/shared/esign"
)

// problem is why a message has not reached the recipient, or empty.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: autoresponded means that the e-mail bounced or that an out-of-office note came back;
// autoRespondedReason is the error text of the destination's mail system; secondaryDeliveryStatus is autoresponded,
// optedout or limitreached, and secondaryDeliveryMethod is SMS or WhatsApp, among others.
func (r recipient) problem() esign.Cause {
	for _, n := range r.Notifications {
		switch strings.ToLower(string(n.Status)) {
		case "optedout":
			return esign.CauseOptedOut
		case "autoresponded", "limitreached":
			if phone(n.Method) {
				return esign.CauseSMS
			}
			return esign.CauseUndelivered
		}
	}
	switch autoResponded := strings.EqualFold(string(r.Status), "autoresponded"); {
	case autoResponded && phone(r.Method):
		return esign.CauseSMS
	case r.Bounce != "":
		return esign.CauseBounced
	case autoResponded:
		return esign.CauseAutoReply
	}
	return ""
}

// phone reports whether a delivery method sends to a telephone.
func phone(method text) bool {
	return strings.EqualFold(string(method), "SMS") || strings.EqualFold(string(method), "WhatsApp")
}

// cause is why the event is [esign.AgreementUndeliverable], or empty if it is not. A problem that the summary shows
// counts only if the event is about a message to that recipient.
func (p *payload) cause() esign.Cause {
	switch p.event {
	case "recipient-authenticationfailed":
		return esign.CauseIdentification
	case "recipient-autoresponded":
		if cause := p.who.problem(); cause != "" {
			return cause
		}
		return esign.CauseAutoReply
	case "recipient-sent", "recipient-resent":
		if !strings.EqualFold(string(p.who.Status), "autoresponded") { // an event of its own reports that
			return p.who.problem()
		}
	}
	return ""
}
