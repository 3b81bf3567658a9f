package esignglobal

import (
	"slices"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]: a callback is one event.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	c, err := decode(r.Body)
	if err != nil {
		return nil, err
	}
	fields := c.identity()
	if fields == nil {
		fields = []string{"body", string(r.Body)}
	}
	at, _ := c.occurredAt()
	return []webhook.Identity{{
		EventID:     webhook.EventID(provider, fields...),
		Subject:     c.subject(),
		AgreementID: c.agreementID(),
		VendorType:  webhook.Label(c.name()),
		OccurredAt:  at,
		Via:         c.via(),
	}}, nil
}

// identity returns the fields that tell the event from all others, or nil if the event is unknown or one of them is
// missing: then the body is all there is. The vendor has no event ID, and may send the same event as v1 and as v2, so
// times, which only v1 has, count nowhere but between two views of one signer.
func (c *callback) identity() []string {
	if c.name() == templateFillResult {
		if c.Template.TaskID == "" || c.Template.Status == "" {
			return nil
		}
		return []string{"template", string(c.Template.TaskID), string(c.Template.Status)}
	}
	e := c.envelope()
	if e.ID == "" {
		return nil
	}
	id := string(e.ID)
	switch c.name() {
	case envelopeStart, envelopeAllSignerSigned, envelopeFinish, envelopeCancel, envelopeExpired, envelopeSignerFailed:
		return []string{"envelope", id, c.name()}
	case envelopeSignerSigned:
		return with(set(c.about(), signer.identity), "signed", id)
	case envelopeSignerViewed:
		return with(set(c.about(), signer.identity), "viewed", id, string(e.SignerInfo.ViewedTime))
	case envelopeDeclined, signerDeclined:
		return with(set(c.about(), func(s signer) string { return string(s.Email) }), "declined", id)
	}
	return nil
}

// with puts the fields before the set; without a set there is no identity.
func with(set []string, fields ...string) []string {
	if set == nil {
		return nil
	}
	return append(fields, set...)
}

// set returns the keys of the signers, each once and in one order; nil if there are none, or if one of them has no key.
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

// identity tells the signer from the others of the envelope; empty if nothing but the order does, which those who sign
// side by side share.
func (s signer) identity() string {
	phone := s.Phone.CountryCode + s.Phone.Number
	if s.id() == "" && phone == "" {
		return ""
	}
	return webhook.EventID(provider, string(s.BusinessID), string(s.Email), string(phone), string(s.Order))
}

func (c *callback) agreementID() string { return webhook.AgreementID(string(c.envelope().ID)) }

func (c *callback) subject() string {
	if id := c.agreementID(); id != "" {
		return webhook.AgreementSubject(provider, id)
	}
	if id := c.Template.TaskID; id != "" || c.name() == templateFillResult {
		return webhook.Subject(provider, "template", string(id))
	}
	return webhook.Subject(provider, "other", "")
}
