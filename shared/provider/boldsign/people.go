package boldsign

import (
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// people are the signers in a message about a document.
type people struct {
	*payload
	all  []signer
	keys [][]string // of each signer, the most stable one first
}

func (p *payload) people() people {
	all := append(slices.Clone(p.Data.Signers), p.Data.Signer)
	all = slices.DeleteFunc(all, func(s signer) bool { return s.ID+s.Email == "" })
	emails := map[webhook.Text]int{}
	for _, s := range all {
		emails[s.Email]++
	}
	made := people{p, all, make([][]string, len(all))}
	for i, s := range all {
		if s.ID != "" {
			made.keys[i] = append(made.keys[i], webhook.ParticipantKey(string(s.ID)))
		}
		if s.Email != "" && (s.ID == "" || emails[s.Email] == 1) { // several signers may sign in person, at one address
			made.keys[i] = append(made.keys[i], webhook.ParticipantKey(string(s.Email)))
		}
	}
	return made
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
	for i, s := range p.all {
		switch {
		case !about(s):
		case found != "":
			return "" // several
		default:
			found = p.keys[i][0]
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
	for i, s := range p.all {
		participant := esign.Participant{ID: p.keys[i][0], Aliases: p.keys[i][1:]}
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

// present returns the IDs of everybody whom the document concerns.
func (p people) present() []string {
	if len(p.Data.Signers) == 0 {
		return nil
	}
	var present []string
	for _, keys := range p.keys {
		present = append(present, keys...)
	}
	for _, c := range p.Data.CCs {
		if c.Email != "" {
			present = append(present, webhook.ParticipantKey(string(c.Email)))
		}
	}
	return present
}
