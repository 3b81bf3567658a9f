package docusign

import (
	"bytes"
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

// message is what a request tells, whatever its format.
type message struct {
	envelope // SIM: the summary, if the configuration asks for it

	format        string
	event         string // SIM's name of the event; the other formats have none and tell the envelope's status
	configuration string
	generated     text // when the message was made; whether a retry keeps it is not documented
	accountID     string
	envelopeID    string
	recipientID   string // chosen by the sender, unique in the envelope only
	agreementID   string // of a click agreement, which is no envelope
	templateID    string
	documents     bool           // documents came with it
	offset        *time.Duration // of the times that carry no zone; nil if the message does not say
	body          []byte
}

// read reads a body. The Content-Type that DocuSign sends is not documented: the first character tells the format.
func read(body []byte) (*message, error) {
	trimmed := bytes.TrimLeft(webhook.TrimBOM(body), " \t\r\n")
	var m *message
	var err error
	switch {
	case bytes.HasPrefix(trimmed, []byte("{")):
		m, err = readJSON(trimmed)
	case bytes.HasPrefix(trimmed, []byte("<")):
		m, err = readXML(trimmed)
	default:
		err = webhook.ErrUnreadable
	}
	if err != nil {
		return nil, fmt.Errorf("docusign: %w", err)
	}
	m.body = body
	return m, nil
}

// step splits what happened into whose step it is, "envelope" or "recipient" among others, and which.
func (m *message) step() (whose, which string) {
	if m.format != formatSIM {
		return "envelope", strings.ToLower(string(m.Status))
	}
	whose, which, _ = strings.Cut(m.event, "-")
	return whose, which
}

// stepTime is the time of the step itself, where the message tells it.
func (m *message) stepTime() text {
	switch whose, which := m.step(); whose {
	case "envelope":
		return m.of(which)
	case "recipient":
		return m.recipient().of(which)
	}
	return ""
}

// recipient finds whom the event is about. It returns a zero recipient if the message tells no more than the ID.
func (m *message) recipient() recipient {
	for _, r := range m.Recipients {
		if m.recipientID != "" && string(r.RecipientID) == m.recipientID {
			return r
		}
	}
	return recipient{}
}

// vendorType is DocuSign's own word for what happened.
func (m *message) vendorType() string {
	if m.format != formatSIM {
		return webhook.Label(string(m.Status))
	}
	return webhook.Label(m.event)
}

// subject is what the message is about; agreementID is empty unless that is an envelope.
func (m *message) subject() (subject, agreementID string) {
	switch whose, _ := m.step(); {
	case whose == "template":
		return webhook.Subject(name, "template", m.templateID), ""
	case whose == "click" && m.agreementID != "":
		return webhook.Subject(name, "click", m.agreementID), ""
	case m.envelopeID != "":
		id := webhook.AgreementID(m.envelopeID)
		return webhook.AgreementSubject(name, id), id
	}
	return webhook.Subject(name, "account", m.accountID), ""
}

// time reads one of the message's times. It is approximate if neither it nor the message tells the zone: then UTC is
// taken.
func (m *message) time(s text) (at time.Time, approximate bool) {
	at = webhook.Time(string(s))
	if _, err := time.Parse(time.RFC3339Nano, string(s)); err == nil || at.IsZero() {
		return at, false
	}
	if m.offset == nil {
		return at, true
	}
	return at.Add(-*m.offset), false
}
