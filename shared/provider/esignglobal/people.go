package esignglobal

import (
	"cmp"
	"slices"
	"strconv"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// SharedReference is the vendor's name for the sender's own key. A signer has it, and not the envelope.
//
// SPEC: https://www.esignglobal.com/developer-center/api/oqef89swtse7xva7ihxd4eah and
// https://www.esignglobal.com/developer-center/document/caadherlspjkiayulikfh1og, read 2026-11-30: "Developer
// customized business number", up to 500 characters; no field of the envelope is the sender's.
const SharedReference = "businessId"

// group are the signers in a payload, who may share an ID.
//
// SPEC: https://www.esignglobal.com/developer-center/api/c4g7knax4y890stvlk89zrgl and
// https://www.esignglobal.com/developer-center/api/vhqyt3ltiwqn8ifeeb6b4jyu, read 2026-11-30: a signer has the sender's
// businessId, an e-mail address and a telephone number; the one who declined has an e-mail address only.
type group struct {
	all []Signer
	// contacts has the contact of each businessId, and businesses the businessId of each contact. Several signers may
	// share one: then it is "*".
	contacts, businesses map[string]string
}

const several = "*"

func groupOf(all []Signer) group {
	g := group{all, map[string]string{}, map[string]string{}}
	for _, s := range all {
		note(g.contacts, string(s.BusinessID), s.contact())
		note(g.businesses, s.contact(), string(s.BusinessID))
	}
	return g
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

// people are the signers in a callback: the listed ones, signerInfo and declineSigner.
type people struct {
	*payload
	group
}

func (p *payload) people() people {
	e := p.envelope()
	return people{p, groupOf(append(e.listed(), e.SignerInfo.object, e.DeclineSigner.object))}
}

// signers returns those who have a businessId if the sender has given them one: not declineSigner.
func (p people) signers() []Signer { return p.all[:len(p.all)-1] }

// differ reports whether signers have different businessIds, and the progress of one of them is not stated. Then the
// stated ones alone do not show that the signers differ.
func (g group) differ(signers []Signer, stated []esign.Participant) bool {
	values, missing := map[webhook.Text]bool{}, false
	for _, s := range signers {
		keys := g.keys(s)
		if len(keys) == 0 {
			continue
		}
		values[s.BusinessID] = true
		if !slices.ContainsFunc(stated, func(one esign.Participant) bool { return one.ID == keys[0] }) {
			missing = true
		}
	}
	return missing && len(values) > 1
}

// keys returns the IDs of a signer, the most stable one first: the businessId, and the contact. It leaves out the one
// that other signers in the payload share.
func (g group) keys(s Signer) []string {
	business, contact := string(s.BusinessID), s.contact()
	switch {
	case business != "" && contact == "" || business == contact:
		contact = ""
	case g.contacts[business] == several:
		business = ""
	case g.businesses[contact] == several:
		contact = ""
	}
	return slices.DeleteFunc([]string{webhook.SenderKey(business), webhook.SenderKey(contact)},
		func(key string) bool { return key == "" })
}

// participant returns the one whom the event is about.
func (p people) participant() string {
	about, copies := p.about(), p.envelope().copies()
	about = slices.DeleteFunc(slices.Clone(about), func(s Signer) bool { return len(p.keys(s)) == 0 })
	switch {
	case len(about) == 1 && len(copies) == 0:
		return p.keys(about[0])[0]
	case len(about) == 0 && len(copies) == 1:
		return webhook.SenderKey(string(copies[0].Email))
	}
	return ""
}

// participants returns the progress of the signers, and of those who get a copy and were not reached.
func (p people) participants(typ esign.Type) []esign.Participant {
	var said []esign.Participant
	turns := p.turns(typ)
	for i, s := range p.all {
		status := statuses[s.Status]
		info := i == len(p.all)-2
		switch {
		case typ == esign.AgreementExpired && s.unfinished():
			status = esign.Expired
		case info && status == "" && (typ == esign.AgreementViewed || typ == esign.AgreementSigned):
			status = typ.Status()
		case info && typ == esign.AgreementUndeliverable:
			s.Status = signerUndelivered
		}
		if one, ok := p.participantOf(s, status, turns[i]); ok {
			said = append(said, one)
		}
	}
	if typ != esign.AgreementUndeliverable {
		return said
	}
	for _, c := range p.envelope().copies() {
		said = append(said, esign.Participant{ID: webhook.SenderKey(string(c.Email)), Status: esign.Sent,
			Role: esign.RoleCopy, Problem: esign.CauseUndelivered})
	}
	return said
}

// participantOf returns a signer, who need have no status yet if it is their turn, or if they were not reached. It
// reports false of anybody else, and of a signer without an ID.
//
// SPEC: https://www.esignglobal.com/developer-center/api/oqef89swtse7xva7ihxd4eah, read 2026-11-30: signOrder counts
// from 1; its type differs between the pages. Signers with the same number sign at the same time (inferred).
func (g group) participantOf(s Signer, status esign.Status, turn *bool) (esign.Participant, bool) {
	keys, isTurn, unreached := g.keys(s), turn != nil && *turn, s.Status == signerUndelivered
	if isTurn || unreached {
		status = cmp.Or(status, esign.Sent)
	}
	if len(keys) == 0 || status == "" {
		return esign.Participant{}, false
	}
	one := esign.Participant{ID: keys[0], Aliases: keys[1:], Status: status, Role: esign.RoleSigner, Order: s.order(),
		Reference: string(s.BusinessID), Waiting: turn}
	switch status {
	case esign.Signed:
		one.At = moment(s.SignDate)
	case esign.Viewed:
		one.At = moment(s.ViewedTime)
	}
	if unreached {
		one.Problem = esign.CauseUndelivered // the vendor does not say by e-mail or text message, nor why
	}
	return one, true
}

// order returns the place in the order of signing. It is 0 if the payload has none.
func (s Signer) order() int {
	if n, err := strconv.Atoi(string(s.Order)); err == nil && n > 0 && n <= webhook.MaxList {
		return n
	}
	return 0
}

// turns returns whose turn it is; nil of a signer of whom that is unknown.
func (p people) turns(typ esign.Type) []*bool {
	e := p.envelope()
	if typ.Status().Terminal() || e.Status != "" && e.Status != envelopeInProgress {
		nobody := make([]*bool, len(p.all))
		for i := range nobody {
			nobody[i] = new(bool)
		}
		return nobody
	}
	listed := len(e.listed())
	if typ == esign.AgreementUndeliverable {
		listed -= len(e.Signers) // those who were not reached, and nobody else
	}
	turns := turnsOf(p.all[:listed], len(e.NextSigners))
	return append(turns, make([]*bool, len(p.all)-listed)...)
}

// turnsOf returns whose turn it is. next is the number of signers, at the front, whom the vendor lists as the next
// ones.
//
// SPEC: https://www.esignglobal.com/developer-center/api/oqef89swtse7xva7ihxd4eah, read 2026-11-30: signerStatus 1 is
// in progress; nextSignerList has those who sign next. Otherwise the first in the order sign next (inferred).
func turnsOf(signers []Signer, next int) []*bool {
	inProgress := slices.ContainsFunc(signers, func(s Signer) bool { return s.Status == signerInProgress })
	first := -1
	for _, s := range signers {
		if !s.finished() && (first < 0 || s.order() < first) {
			first = s.order()
		}
	}
	turns := make([]*bool, len(signers))
	for i, s := range signers {
		isTurn := s.order() == first
		switch {
		case s.finished():
			isTurn = false
		case inProgress && s.Status == signerUndelivered:
			continue // it may be their turn too
		case inProgress:
			isTurn = s.Status == signerInProgress || s.Status == signerViewed
		case next > 0:
			isTurn = i < next
		}
		turns[i] = &isTurn
	}
	return turns
}

// finished reports whether the signer has signed or declined, or signing was interrupted.
func (s Signer) finished() bool {
	return slices.Contains([]webhook.Text{signerSigned, signerHasDeclined, signerInterrupted}, s.Status)
}

// Participants returns the progress of all signers of an envelope, as the API states them. It reports whether they
// differ in their businessIds, although the participants do not.
func Participants(signers []Signer, inProgress bool) (said []esign.Participant, differ bool) {
	g, turns := groupOf(signers), turnsOf(signers, 0)
	for i, s := range signers {
		if !inProgress {
			turns[i] = new(bool)
		}
		if one, ok := g.participantOf(s, statuses[s.Status], turns[i]); ok {
			said = append(said, one)
		}
	}
	return said, g.differ(signers, said)
}

// unfinished reports whether the signer neither signed nor declined.
func (s Signer) unfinished() bool {
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
