package boldsign

import (
	"cmp"
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// people are the signers in a message about a document, each once.
type people struct {
	*payload
	all []signer
}

func (p *payload) people() people {
	all := slices.DeleteFunc(slices.Clone(p.Data.Signers), func(s signer) bool { return s.key() == "" })
	if s := p.Data.Signer; s.key() != "" && !slices.ContainsFunc(all, s.is) {
		all = append(all, s)
	}
	return people{p, all}
}

// key returns the ID of a signer: BoldSign's own, or else the e-mail address. The address of a signer who has an ID is
// no alias: the sender may change it, and several signers may sign in person, at one address.
func (s signer) key() string { return webhook.ParticipantKey(string(cmp.Or(s.ID, s.Email))) }

// is reports whether both are the same person.
func (s signer) is(t signer) bool {
	return s.key() == t.key() || (s.ID == "" || t.ID == "") && s.Email == t.Email
}

// participant returns the signer whom the event is about, if the message lists that signer.
func (p people) participant() string {
	about := p.acts
	switch {
	case p.Event.Type == deliveryFailed:
		about = func(s signer) bool { return s.Undelivered == "true" }
	case p.Event.Type == authenticationFailed && !slices.ContainsFunc(p.all, about):
		about = func(s signer) bool { return s.Unidentified == "true" }
	}
	found := ""
	for _, s := range p.all {
		switch {
		case !about(s):
		case found != "":
			return "" // several
		default:
			found = s.key()
		}
	}
	return found
}

// acts reports whether the signer caused the event.
func (p people) acts(s signer) bool { return s.ID != "" && s.ID == p.Context.Actor.ID }

// participants returns how far the signers of a document have come. The status says Completed of who has signed. Who
// has only been asked is known unless the document is a draft, or is sent to one signer after the other.
//
// A signer who reassigns the document is replaced. Later messages may list that signer or the successor as reassigned:
// the documents do not say which. So nothing else follows from that flag.
func (p people) participants() []esign.Participant {
	asked := p.Data.Status != "Draft" && p.Data.Status != "Scheduled" && p.Data.Ordered == "false"
	var all []esign.Participant
	for _, s := range p.all {
		participant := esign.Participant{ID: s.key()}
		replaces := p.Event.Type == reassigned && p.Context.Actor.Type == "Signer" && p.acts(s)
		switch {
		case s.Status == "Completed":
			participant.Status, participant.At = esign.Signed, webhook.UnixTime(string(s.ActiveAt))
		case s.Status == "Declined":
			participant.Status, participant.At = esign.Declined, webhook.UnixTime(string(s.ActiveAt))
		case s.Status == "Expired":
			participant.Status = esign.Expired
		case s.Status != "NotCompleted" || s.Reassigned == "true" && !replaces:
			continue
		case s.Viewed == "true":
			participant.Status, participant.Replaced = esign.Viewed, replaces
		case asked || replaces:
			participant.Status, participant.Replaced = esign.Sent, replaces
		default:
			continue
		}
		all = append(all, participant)
	}
	return all
}

// present returns the IDs of everybody whom the document concerns. It returns nil unless all signers have one.
func (p people) present() (present []string) {
	for _, s := range p.Data.Signers {
		if s.key() == "" {
			return nil
		}
		present = append(present, s.key())
	}
	if present == nil {
		return nil
	}
	for _, c := range p.Data.CCs {
		if c.Email != "" {
			present = append(present, webhook.ParticipantKey(string(c.Email)))
		}
	}
	return present
}
