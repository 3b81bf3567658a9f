package esignglobal

import (
	"slices"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]. A callback holds one event.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	fields := p.identity()
	if fields == nil {
		fields = []string{"body", string(r.Body)}
	}
	at, approximate := p.occurredAt()
	return []webhook.Identity{{
		EventID:     webhook.EventID(name, fields...),
		Subject:     p.subject(),
		AgreementID: p.agreementID(),
		VendorType:  webhook.Label(p.event()),
		OccurredAt:  at,
		Approximate: approximate && !at.IsZero(),
		Via:         p.via(),
	}}, nil
}

// identity returns the fields that identify the event. It returns nil if the event is unknown or a field is missing;
// then the event is identified by its body. The vendor has no event ID, and may send the same event as v1 and as v2.
// Only v1 has times, so they are used only to distinguish two views by one signer.
func (p *payload) identity() []string {
	if p.event() == templateFillResult {
		if p.Template.object.TaskID == "" || p.Template.object.Status == "" {
			return nil
		}
		return []string{"template", string(p.Template.object.TaskID), string(p.Template.object.Status)}
	}
	e := p.envelope()
	if e.ID == "" {
		return nil
	}
	id := string(e.ID)
	switch p.event() {
	case envelopeStart, envelopeAllSignerSigned, envelopeFinish, envelopeCancel, envelopeExpired, envelopeSignerFailed:
		return []string{"envelope", id, p.event()}
	case envelopeSignerSigned:
		return with(set(p.about(), signer.identity), "signed", id)
	case envelopeSignerViewed:
		if e.SignerInfo.object.ViewedTime == "" {
			return nil // two views would get one ID
		}
		return with(set(p.about(), signer.identity), "viewed", id, string(e.SignerInfo.object.ViewedTime))
	case envelopeDeclined, signerDeclined:
		return with(set(p.about(), func(s signer) string { return string(s.Email) }), "declined", id)
	}
	return nil
}

// with returns the fields followed by the set. It returns nil if the set is empty.
func with(set []string, fields ...string) []string {
	if set == nil {
		return nil
	}
	return append(fields, set...)
}

// set returns the keys of the signers, sorted and without duplicates. It returns nil without signers, or if a signer
// has no key.
func set(signers []signer, key func(signer) string) []string {
	var keys []string
	for _, s := range signers {
		keys = append(keys, key(s))
	}
	if slices.Contains(keys, "") {
		return nil
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// identity returns what identifies the signer within the envelope. It is empty if the signer has only a signing order,
// which several signers may share.
func (s signer) identity() string {
	phone := s.Phone.object.CountryCode + s.Phone.object.Number
	if s.id() == "" && phone == "" {
		return ""
	}
	return webhook.EventID(name, string(s.BusinessID), string(s.Email), string(phone), string(s.Order))
}

func (p *payload) agreementID() string { return webhook.AgreementID(string(p.envelope().ID)) }

func (p *payload) subject() string {
	if id := p.agreementID(); id != "" {
		return webhook.AgreementSubject(name, id)
	}
	if id := p.Template.object.TaskID; id != "" || p.event() == templateFillResult {
		return webhook.Subject(name, "template", string(id))
	}
	return webhook.Subject(name, "other", "")
}
