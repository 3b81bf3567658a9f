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
	id := p.eventID(p.identity(Signer.identity), r.Body)
	at, approximate := p.occurredAt()
	return []webhook.Identity{{
		EventID:     id,
		Subject:     p.subject(),
		AgreementID: p.agreementID(),
		VendorType:  webhook.Label(p.event()),
		OccurredAt:  at,
		Approximate: approximate && !at.IsZero(),
		Via:         p.via(),
		FormerIDs:   p.formerIDs(id, r.Body),
	}}, nil
}

// eventID returns the ID of the event with these fields. Without fields it is made of the body.
func (p *payload) eventID(fields []string, body []byte) string {
	if fields == nil {
		fields = []string{"body", string(body)}
	}
	return webhook.EventID(name, fields...)
}

// formerIDs returns the ID that releases until November 2026 gave the event, if it is not the ID of today. They did not
// know ENVELOPE_DELIVERY_FAILED, and a country code with a plus sign made another signer.
func (p *payload) formerIDs(id string, body []byte) []webhook.FormerID {
	var fields []string
	if p.event() != envelopeDeliveryFailed {
		fields = p.identity(func(s Signer) string {
			return s.identify(string(s.Phone.object.CountryCode + s.Phone.object.Number))
		})
	}
	if former := p.eventID(fields, body); former != id {
		return []webhook.FormerID{{ID: former}}
	}
	return nil
}

// identity returns the fields that identify the event. It returns nil if the event is unknown or a field is missing;
// then the event is identified by its body. The vendor has no event ID, and may send the same event as v1 and as v2.
// Only v1 has times, so they are used only to distinguish two views by one signer.
//
// Two failures to reach the same people are one event: neither version has a time or a number for them.
func (p *payload) identity(key func(Signer) string) []string {
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
		return with(set(p.about(), key), "signed", id)
	case envelopeSignerViewed:
		if e.SignerInfo.object.ViewedTime == "" {
			return nil // two views would get one ID
		}
		return with(set(p.about(), key), "viewed", id, string(e.SignerInfo.object.ViewedTime))
	case envelopeDeclined, signerDeclined:
		return with(set(p.about(), func(s Signer) string { return string(s.Email) }), "declined", id)
	case envelopeDeliveryFailed:
		return with(p.unreached(), "undelivered", id)
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
func set(signers []Signer, key func(Signer) string) []string {
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

// unreached returns what identifies the people who were not reached. It is nil if one of them has no key.
func (p *payload) unreached() []string {
	unreached := p.about()
	copies := p.envelope().copies()
	if len(copies) > 0 && len(unreached) == 1 && !unreached[0].named() {
		unreached = nil
	}
	keys := set(unreached, Signer.identity)
	if keys == nil && unreached != nil {
		return nil
	}
	for _, c := range copies {
		keys = append(keys, webhook.EventID(name, "cc", string(c.Email)))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// named reports whether anything is known of the signer.
func (s Signer) named() bool {
	s.Message, s.DeclineReason = "", ""
	return s != Signer{}
}

// identity returns what identifies the signer within the envelope. It is empty if the signer has only a signing order,
// which several signers may share.
func (s Signer) identity() string { return s.identify(s.Phone.object.String()) }

func (s Signer) identify(phone string) string {
	if s.id() == "" && phone == "" {
		return ""
	}
	return webhook.EventID(name, string(s.BusinessID), string(s.Email), phone, string(s.Order))
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
