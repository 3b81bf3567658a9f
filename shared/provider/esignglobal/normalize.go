package esignglobal

import (
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types has no [esign.AgreementCompleted] but FINISH, so that an agreement completes once.
var types = map[string]esign.Type{
	envelopeStart:           esign.AgreementSent,
	envelopeSignerViewed:    esign.AgreementViewed,
	envelopeSignerSigned:    esign.AgreementSigned,
	envelopeAllSignerSigned: esign.AgreementUpdated,
	envelopeFinish:          esign.AgreementCompleted,
	envelopeCancel:          esign.AgreementCancelled,
	envelopeExpired:         esign.AgreementExpired, // whatever envelopeStatus says: one page has 2, another 3
	envelopeDeclined:        esign.AgreementDeclined,
	signerDeclined:          esign.AgreementDeclined,
	envelopeSignerFailed:    esign.AgreementFailed,
}

// statuses leaves out 0, pending, and 5, interrupted, which say nothing about how far a signer has come.
var statuses = map[webhook.Text]esign.Status{
	signerInProgress:  esign.Sent,
	signerSigned:      esign.Signed,
	signerHasDeclined: esign.Declined,
	signerViewed:      esign.Viewed,
}

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	c, err := decode(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	event := esign.Event{
		Type:         c.eventType(),
		VendorType:   webhook.Label(c.name()),
		AgreementID:  c.agreementID(),
		Participants: c.participants(),
		Attributes:   c.attributes(),
	}
	event.OccurredAt, event.Approximate = c.occurredAt()
	if about := c.about(); len(about) == 1 {
		event.Participant = webhook.ParticipantKey(about[0].id())
	}
	return event, nil
}

func (c *callback) eventType() esign.Type {
	name, e := c.name(), c.envelope()
	switch known, ok := types[name]; {
	case name == templateFillResult:
		return taskType(c.Template.Status)
	case e.ID == "":
		return esign.Other
	case name == envelopeFinish && e.Status != "" && e.Status != envelopeCompleted:
		return esign.AgreementUpdated // whether FINISH also closes what was cancelled or expired is not documented
	case ok:
		return known
	case strings.HasPrefix(name, "ENVELOPE_") || strings.HasPrefix(name, "SIGNER_"):
		return esign.AgreementUpdated
	}
	return esign.Other
}

func taskType(status webhook.Text) esign.Type {
	switch status {
	case taskSucceeded:
		return esign.TemplateFilled
	case taskFailed:
		return esign.TemplateFailed
	}
	return esign.TemplateUpdated
}

// occurredAt is zero for v2, which has no times of events.
func (c *callback) occurredAt() (at time.Time, approximate bool) {
	e := c.envelope()
	switch c.name() {
	case envelopeStart:
		return moment(e.CreateTime), true
	case envelopeSignerViewed:
		return moment(e.SignerInfo.ViewedTime), false
	case envelopeSignerSigned:
		return lastSigned(c.about()), false
	case envelopeAllSignerSigned:
		return lastSigned(e.SignedSigners), true
	case envelopeFinish, envelopeCancel, envelopeExpired, envelopeDeclined, signerDeclined, envelopeSignerFailed:
		return moment(e.EndTime), false
	}
	return time.Time{}, false
}

func lastSigned(signers []signer) (last time.Time) {
	for _, s := range signers {
		if at := moment(s.SignDate); at.After(last) {
			last = at
		}
	}
	return last
}

func (c *callback) participants() []esign.Participant {
	var said []esign.Participant
	for _, s := range c.envelope().listed() {
		status, ok := statuses[s.Status]
		if !ok || s.id() == "" {
			continue
		}
		p := esign.Participant{ID: webhook.ParticipantKey(s.id()), Status: status}
		switch status {
		case esign.Signed:
			p.At = moment(s.SignDate)
		case esign.Viewed:
			p.At = moment(s.ViewedTime)
		}
		said = append(said, p)
	}
	return said
}

// attributes holds statuses only where they are the numbers that they should be, and nothing else of the payload:
// access codes stand in it in clear.
func (c *callback) attributes() map[string]string {
	var attributes map[string]string
	for name, status := range map[string]webhook.Text{
		"envelopeStatus": c.envelope().Status,
		"taskStatus":     c.Template.Status,
	} {
		if _, err := strconv.ParseUint(string(status), 10, 16); err != nil {
			continue
		}
		if attributes == nil {
			attributes = map[string]string{}
		}
		attributes[name] = string(status)
	}
	return attributes
}
