package docusign

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"esignhooks/shared/webhook"
)

// The formats, as Via and the attributes name them.
const (
	formatSIM       = "sim"       // JSON, one event
	formatAggregate = "aggregate" // JSON, the envelope as it is when the message is sent
	formatXML       = "xml"       // the same in XML
)

// payload is the content of a request in any of the formats.
type payload struct {
	envelope // SIM: the summary, if the configuration asks for it

	format        string
	event         string // SIM's name of the event; empty in the other formats if the status describes it
	configuration string
	generated     text // when the message was made; whether a retry keeps it is not documented
	accountID     string
	envelopeID    string
	recipientID   string    // of the recipient whom the event is about, see [payload.identity]
	reassignedID  string    // of the recipient who takes over
	who           recipient // the recipient whom the event is about; zero if the message does not describe it
	said          news      // what an aggregate or XML reports; zero in SIM
	further       bool      // the message reports other events too, which state everything else
	agreementID   string    // of a click agreement, which is no envelope
	templateID    string
	documents     bool           // documents came with it
	offset        *time.Duration // of times without a zone; nil if the message has none
	body          []byte
}

// parse reads a body. What it reports is left to [payload.events]. The Content-Type that DocuSign sends is not
// documented, so the first character decides the format.
func parse(body []byte) (*payload, error) {
	trimmed := bytes.TrimLeft(webhook.TrimBOM(fromUTF16(body)), " \t\r\n")
	var p *payload
	var err error
	switch {
	case bytes.HasPrefix(trimmed, []byte("{")):
		p, err = parseJSON(trimmed)
	case bytes.HasPrefix(trimmed, []byte("<")):
		p, err = parseXML(trimmed)
	default:
		err = fmt.Errorf("docusign: neither a JSON object nor XML: %w", webhook.ErrUnreadable)
	}
	if err != nil {
		return nil, err
	}
	p.body = body
	return p, nil
}

// events returns the payload once for each event that it reports. There is at least one.
func (p *payload) events() []*payload {
	if p.format == formatSIM {
		p.who = p.recipient(p.recipientID)
		return []*payload{p}
	}
	var all []*payload
	reported := p.interpret()
	for _, n := range reported {
		one := *p
		one.event, one.said = n.event, n
		if n.event != envelopeDeclined {
			one.who, one.recipientID = n.of, n.id
		}
		one.further = len(reported) > 1 && n.event != "" && n.at.IsZero()
		all = append(all, &one)
	}
	return all
}

// recipient returns the recipient whom the message names by the given ID; zero if it does not describe that one.
func (p *payload) recipient(named string) recipient {
	for _, r := range p.Recipients {
		if id := canonical(text(named)); id != "" && (canonical(r.RecipientID) == id || canonical(r.GUID) == id) {
			return r
		}
	}
	return recipient{}
}

// step splits the event into its object, such as "envelope" or "recipient", and what happened to it.
func (p *payload) step() (whose, which string) {
	if p.event == "" && p.format != formatSIM {
		return "envelope", strings.ToLower(string(p.Status))
	}
	whose, which, _ = strings.Cut(p.event, "-")
	return whose, which
}

// stepTime is the time of the step itself. It is empty if the message does not hold it.
func (p *payload) stepTime() text {
	whose, which := p.step()
	switch {
	case whose == "envelope" && which == "declined":
		return cmp.Or(p.of(which), p.declined())
	case whose == "envelope":
		return p.of(which)
	case p.format != formatSIM:
		return p.said.stated
	case whose == "recipient" && p.event != autoResponded && p.event != authenticationFailed: // these have no time
		return p.who.of(which)
	}
	return ""
}

// declined is the time at which a signer declined.
func (p *payload) declined() text {
	var last change
	for _, r := range p.Recipients {
		if act, _ := p.changes(r); act.event == envelopeDeclined && !act.at.Before(last.at) {
			last = act
		}
	}
	return last.stated
}

// statusTime is the time at which this step put the envelope into its status. It is empty if another step did.
func (p *payload) statusTime() text {
	if whose, which := p.step(); whose == "envelope" && strings.EqualFold(which, string(p.Status)) {
		return p.StatusTime
	}
	return "" // another step's
}

// vendorType is DocuSign's name of the event or of the status.
func (p *payload) vendorType() string {
	if p.format != formatSIM {
		return webhook.Label(string(p.Status))
	}
	return webhook.Label(p.event)
}

// subject is what the message is about; agreementID is empty unless that is an envelope.
//
// SPEC: https://learn.microsoft.com/connectors/docusign/, read 2026-11-30: the events of other products, which may
// share the URL. An "agreement" is a record of Navigator, not an envelope.
func (p *payload) subject() (subject, agreementID string) {
	switch whose, _ := p.step(); {
	case whose == "template":
		return webhook.Subject(name, "template", p.templateID), ""
	case whose == "click" && p.agreementID != "":
		return webhook.Subject(name, "click", p.agreementID), ""
	case whose == "click", whose == "workflow", whose == "agreement":
	case p.envelopeID != "":
		id := webhook.AgreementID(p.envelopeID)
		return webhook.AgreementSubject(name, id), id
	}
	return webhook.Subject(name, "account", p.accountID), ""
}

// time reads one of the message's times. If neither the time nor the message has a zone, it assumes UTC and returns
// approximate.
func (p *payload) time(s text) (at time.Time, approximate bool) {
	at = webhook.Time(string(s))
	if _, err := time.Parse(time.RFC3339Nano, string(s)); err == nil || at.IsZero() {
		return at, false
	}
	if p.offset == nil {
		return at, true
	}
	return at.Add(-*p.offset), false
}
