package esignglobal

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types maps only FINISH to [esign.AgreementCompleted], so that an agreement completes once.
var types = map[string]esign.Type{
	envelopeStart:           esign.AgreementSent,
	envelopeSignerViewed:    esign.AgreementViewed,
	envelopeSignerSigned:    esign.AgreementSigned,
	envelopeAllSignerSigned: esign.AgreementUpdated,
	envelopeFinish:          esign.AgreementCompleted,
	envelopeCancel:          esign.AgreementCancelled,
	envelopeExpired:         esign.AgreementExpired, // regardless of envelopeStatus: one page has 2, another 3
	envelopeDeclined:        esign.AgreementDeclined,
	signerDeclined:          esign.AgreementDeclined,
	envelopeSignerFailed:    esign.AgreementFailed,
	envelopeDeliveryFailed:  esign.AgreementUndeliverable,
}

// statuses leaves out 0 (pending), 5 (interrupted) and 9 (not reached), which report no progress of a signer.
var statuses = map[webhook.Text]esign.Status{
	signerInProgress:  esign.Sent,
	signerSigned:      esign.Signed,
	signerHasDeclined: esign.Declined,
	signerViewed:      esign.Viewed,
}

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	event := esign.Event{
		Type:        p.eventType(),
		VendorType:  webhook.Label(p.event()),
		AgreementID: p.agreementID(),
		Attributes:  p.attributes(),
	}
	if event.Type == esign.AgreementUndeliverable {
		event.Cause = esign.CauseUndelivered // the vendor does not say by e-mail or text message, nor why
	}
	event.OccurredAt, event.Approximate = p.occurredAt()
	people := p.people()
	event.Participant = people.participant()
	event.Participants = people.participants(event.Type)
	event.Present = people.present(event.Type)
	if event.AgreementID != "" && slices.ContainsFunc(people.signers(), Signer.named) {
		event.SharedReference = SharedReference
		event.SharedReferenceDiffers = people.differ(people.signers(), event.Participants)
	}
	event.Reason = string(p.reason(event.Type))
	return event, nil
}

func (p *payload) eventType() esign.Type {
	event, e := p.event(), p.envelope()
	switch known, ok := types[event]; {
	case event == templateFillResult:
		return taskType(p.Template.object.Status)
	case e.ID == "":
		return esign.Other
	case event == envelopeFinish && e.Status != "" && e.Status != envelopeCompleted:
		return esign.AgreementUpdated // whether FINISH also closes what was cancelled or expired is not documented
	case ok:
		return known
	}
	return esign.AgreementUpdated
}

// reason returns why the envelope was declined, cancelled or interrupted, or why the template was not filled.
//
// SPEC: https://www.esignglobal.com/developer-center/api/vhqyt3ltiwqn8ifeeb6b4jyu (v1) and
// https://www.esignglobal.com/developer-center/document/fjy4rotdw8b6r66mkflvur4c (v2), read 2026-11-30: signerMessage
// and declineReason. https://www.esignglobal.com/developer-center/api/f6udt0g3kk1ty67u8o9dn0s3: cancelInfo.reason.
// https://www.esignglobal.com/developer-center/api/hzf0ipligf96y2hsh4yrz8q7: description, next to the envelope.
func (p *payload) reason(t esign.Type) (reason webhook.Text) {
	switch e := p.envelope(); t {
	case esign.AgreementDeclined:
		reason = e.DeclineSigner.object.Message
		for _, s := range e.having(signerHasDeclined) {
			reason = cmp.Or(reason, s.DeclineReason)
		}
	case esign.AgreementCancelled:
		reason = e.CancelInfo.object.Reason
	case esign.AgreementFailed:
		reason = p.Error
	case esign.TemplateFailed:
		reason = p.Template.object.Error
	}
	return reason
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

// occurredAt returns the time of the event. v2 states only that of the start.
func (p *payload) occurredAt() (at time.Time, approximate bool) {
	e := p.envelope()
	switch p.event() {
	case envelopeStart:
		if at := moment(e.StartTime); !at.IsZero() {
			return at, false
		}
		return moment(e.CreateTime), true // it may be sent as much as 30 days later
	case envelopeSignerViewed:
		return moment(e.SignerInfo.object.ViewedTime), false
	case envelopeSignerSigned:
		return lastSigned(p.about()), false
	case envelopeAllSignerSigned:
		return lastSigned(e.SignedSigners), false // it is the last signature
	case envelopeFinish, envelopeCancel, envelopeExpired, envelopeDeclined, signerDeclined, envelopeSignerFailed:
		return moment(e.EndTime), false
	}
	return time.Time{}, false
}

func lastSigned(signers []Signer) (last time.Time) {
	for _, s := range signers {
		if at := moment(s.SignDate); at.After(last) {
			last = at
		}
	}
	return last
}

// attributes holds only numeric statuses and nothing else of the payload, which contains access codes in clear text.
func (p *payload) attributes() map[string]string {
	var attributes map[string]string
	for key, status := range map[string]webhook.Text{
		"envelopeStatus": p.envelope().Status,
		"taskStatus":     p.Template.object.Status,
	} {
		if _, err := strconv.ParseUint(string(status), 10, 16); err != nil {
			continue
		}
		if attributes == nil {
			attributes = map[string]string{}
		}
		attributes[key] = string(status)
	}
	return attributes
}
