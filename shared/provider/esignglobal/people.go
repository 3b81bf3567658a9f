package esignglobal

import (
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// people are the signers in a payload.
//
// SPEC: https://www.esignglobal.com/developer-center/api/c4g7knax4y890stvlk89zrgl and
// https://www.esignglobal.com/developer-center/api/vhqyt3ltiwqn8ifeeb6b4jyu, read 2026-11-30: a signer has the sender's
// businessId, an e-mail address and a telephone number; the one who declined has an e-mail address only.
type people struct {
	*payload
	all []signer
	// contacts has the contact of each businessId, and businesses the businessId of each contact. Several signers may
	// share one: then it is "*".
	contacts, businesses map[string]string
}

const several = "*"

func (p *payload) people() people {
	e := p.envelope()
	all := append(e.listed(), e.SignerInfo.object, e.DeclineSigner.object)
	made := people{p, all, map[string]string{}, map[string]string{}}
	for _, s := range all {
		note(made.contacts, string(s.BusinessID), s.contact())
		note(made.businesses, s.contact(), string(s.BusinessID))
	}
	return made
}

func note(known map[string]string, key, value string) {
	if key == "" || value == "" {
		return
	}
	if before, ok := known[key]; ok && before != value {
		value = several
	}
	known[key] = value
}

// keys returns the IDs of a signer, the most stable one first: the businessId, and the contact. It leaves out the one
// that other signers in the payload share.
func (p people) keys(s signer) []string {
	business, contact := string(s.BusinessID), s.contact()
	switch {
	case business != "" && contact == "" || business == contact:
		contact = ""
	case p.contacts[business] == several:
		business = ""
	case p.businesses[contact] == several:
		contact = ""
	}
	return slices.DeleteFunc([]string{webhook.SenderKey(business), webhook.SenderKey(contact)},
		func(key string) bool { return key == "" })
}

// participant returns the one whom the event is about.
func (p people) participant() string {
	about, copies := p.about(), p.envelope().copies()
	about = slices.DeleteFunc(slices.Clone(about), func(s signer) bool { return len(p.keys(s)) == 0 })
	switch {
	case len(about) == 1 && len(copies) == 0:
		return p.keys(about[0])[0]
	case len(about) == 0 && len(copies) == 1:
		return webhook.SenderKey(string(copies[0].Email))
	}
	return ""
}

// participants returns the progress of the signers.
func (p people) participants(typ esign.Type) []esign.Participant {
	var said []esign.Participant
	for i, s := range p.all {
		keys := p.keys(s)
		status := statuses[s.Status]
		info := i == len(p.all)-2
		switch {
		case typ == esign.AgreementExpired && s.unfinished():
			status = esign.Expired
		case info && status == "" && (typ == esign.AgreementViewed || typ == esign.AgreementSigned):
			status = typ.Status()
		}
		if len(keys) == 0 || status == "" {
			continue
		}
		participant := esign.Participant{ID: keys[0], Aliases: keys[1:], Status: status}
		switch status {
		case esign.Signed:
			participant.At = moment(s.SignDate)
		case esign.Viewed:
			participant.At = moment(s.ViewedTime)
		}
		said = append(said, participant)
	}
	return said
}

// unfinished reports whether the signer neither signed nor declined.
func (s signer) unfinished() bool {
	return slices.Contains([]webhook.Text{signerPending, signerInProgress, signerViewed, signerUndelivered}, s.Status)
}

// present returns the IDs of all signers, once all have signed: then those who have signed are all. v2 lists all
// signers in more events, but without the time that makes a list the newest.
//
// SPEC: https://www.esignglobal.com/developer-center/api/ktoxlvvrj5777zxi5oqoebun, read 2026-11-30: a signer may pass
// the envelope on to somebody else, which no event reports.
func (p people) present(typ esign.Type) []string {
	if typ != esign.AgreementCompleted && p.event() != envelopeAllSignerSigned {
		return nil
	}
	var present []string
	for _, s := range p.envelope().SignedSigners {
		keys := p.keys(s)
		if len(keys) == 0 {
			return nil
		}
		present = append(present, keys...)
	}
	return present
}
