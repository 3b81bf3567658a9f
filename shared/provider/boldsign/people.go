package boldsign

import (
	"cmp"
	"slices"
	"strconv"

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
// has only been asked is known if it is that signer's turn.
//
// A signer who reassigns the document is replaced. Later messages may list that signer or the successor as reassigned:
// the documents do not say which. So nothing else follows from that flag.
func (p people) participants(event esign.Event) []esign.Participant {
	var all []esign.Participant
	turn := p.turn(event.Type)
	for _, s := range p.all {
		participant := esign.Participant{ID: s.key(), Role: s.role(), Order: s.order(), Reference: string(s.Role),
			Problem: s.problem()}
		if event.Cause != "" && participant.ID == event.Participant {
			participant.Problem = event.Cause
		}
		if turn != nil {
			isTurn := turn(s)
			participant.Waiting = &isTurn
		}
		switch {
		case s.Status == "Completed":
			participant.Status, participant.At = esign.Signed, webhook.UnixTime(string(s.ActiveAt))
		case s.Status == "Declined":
			participant.Status, participant.At = esign.Declined, webhook.UnixTime(string(s.ActiveAt))
		case s.Status == "Expired":
			participant.Status = esign.Expired
		case participant.Problem == "" && (s.Status != "NotCompleted" || s.Reassigned == "true" && !p.replaces(s)):
			continue
		case s.Viewed == "true":
			participant.Status, participant.Replaced = esign.Viewed, p.replaces(s)
		case participant.Problem != "" || p.replaces(s) || p.asked() || turn != nil && turn(s):
			participant.Status, participant.Replaced = esign.Sent, p.replaces(s)
		default:
			continue
		}
		all = append(all, participant)
	}
	return all
}

// asked reports whether all signers have been asked to sign.
func (p people) asked() bool {
	return p.Data.Status != "Draft" && p.Data.Status != "Scheduled" && p.Data.Ordered == "false"
}

// replaces reports whether the signer names somebody else to sign.
func (p people) replaces(s signer) bool {
	return p.Event.Type == reassigned && p.Context.Actor.Type == "Signer" && p.acts(s)
}

// problem returns what keeps the signer from signing.
func (s signer) problem() esign.Cause {
	switch {
	case s.Undelivered == "true":
		return esign.CauseBounced
	case s.Unidentified == "true":
		return esign.CauseIdentification
	}
	return ""
}

// role returns the role of a signer.
//
// SPEC: https://developers.boldsign.com/sdk/dotnet/class-reference/BoldSign.Model.SignerType.html, read 2026-11-30:
// Signer, InPersonSigner, and Reviewer, who "don't have to sign but only can view the document". A sample has none.
func (s signer) role() esign.Role {
	if s.Type == "Reviewer" {
		return esign.RoleOther
	}
	return esign.RoleSigner
}

// order returns the place in the order of signing, from 1. It is 0 if the message has none.
func (s signer) order() int {
	if n, err := strconv.Atoi(string(s.Order)); err == nil && n > 0 && n <= webhook.MaxList {
		return n
	}
	return 0
}

// turn returns whether it is a signer's turn; nil if the message does not say. It is that of all, or of the first in
// the order if the document is sent to one after the other, and nobody's unless the document is in progress. Somebody
// who has reassigned the document still holds back those who come later: the successor may be missing from the list.
func (p people) turn(t esign.Type) func(signer) bool {
	open := func(s signer) bool { return s.Status == "NotCompleted" }
	inProgress := p.Data.Status == "InProgress" && !t.Status().Terminal()
	first := -1
	for _, s := range p.all {
		if open(s) && (first < 0 || s.order() < first) {
			first = s.order()
		}
	}
	switch {
	case len(p.Data.Signers) == 0 || p.Data.Status == "" || p.Data.Ordered == "" && inProgress:
		return nil
	case !inProgress:
		return func(signer) bool { return false }
	}
	return func(s signer) bool {
		return open(s) && !p.replaces(s) && (p.Data.Ordered != "true" || s.order() == first)
	}
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
