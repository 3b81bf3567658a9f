package adobesign

import (
	"cmp"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// one returns what is known of a person who has these IDs, the most stable one first. Empty IDs are skipped.
func one(status esign.Status, ids ...webhook.Text) esign.Participant {
	said := esign.Participant{Status: status}
	for _, id := range ids {
		switch key := webhook.ParticipantKey(string(id)); {
		case key == "" || key == said.ID:
		case said.ID == "":
			said.ID = key
		default:
			said.Aliases = append(said.Aliases, key)
		}
	}
	return said
}

// about returns the participant whom the event is about. The status is that of the participant's step, if the event
// reports one.
//
// SPEC: as for types: of AGREEMENT_EMAIL_BOUNCED, the acting user is the participant.
// SPEC: as for types, read 2026-11-30: of AGREEMENT_SHARED, the participant is the user "to whom the agreement is
// shared"; AGREEMENT_DOCUMENTS_VIEWED comes "when a user views an agreement". The templates have no list of such users,
// so a viewer who is missing from a complete list is no participant.
// SPEC: as for types, read 2026-11-30: of AGREEMENT_ACTION_REQUESTED, the participant is the user "to whom the action
// is requested", of AGREEMENT_ACTION_COMPLETED "the action taker".
func (p *payload) about(t esign.Type, present []string) esign.Participant {
	who := one("", p.ParticipantID, p.ParticipantEmail)
	if p.Event == bounced && who.ID == "" {
		who = one("", p.ActingID, p.ActingEmail)
	}
	switch t.Status() {
	case esign.Sent, esign.Viewed, esign.Signed, esign.Declined:
		who.Status = t.Status()
	}
	switch {
	case p.Event == expired:
		return esign.Participant{} // another copy names another recipient
	case t == esign.AgreementViewed && present != nil && !p.lists(who, present):
		return esign.Participant{}
	case p.Event == requested:
		who.Role, who.Waiting = role(p.ParticipantRole), turn(true)
	case p.Event == acted: // an approval or the like has no status, but ends the turn
		who.Role, who.Waiting = role(p.ParticipantRole), turn(false)
		who.Status = cmp.Or(who.Status, esign.Sent)
	case t == esign.AgreementUndeliverable:
		who.Problem, who.Status = p.cause(t), esign.Sent
	}
	return who
}

// unidentified returns who failed to prove who they are too often, which ended the agreement.
//
// SPEC: as for types, read 2026-11-30: AGREEMENT_RECALLED has a subEvent such as MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED, and
// its participant is "the sender or originator", whatever the subEvent. So if the participant is the sender, it is the
// only recipient who had not acted.
func (p *payload) unidentified() esign.Participant {
	if !strings.Contains(string(p.Event+" "+p.SubEvent), "MAX_SIGNING_") {
		return esign.Participant{}
	}
	who := one(esign.Sent, p.ParticipantID, p.ParticipantEmail)
	if sender := p.resource().SenderEmail; sender != "" && strings.EqualFold(string(sender), string(p.ParticipantEmail)) {
		open := map[string]esign.Participant{}
		for _, set := range p.sets() {
			if set.waits() || set.Status == "CANCELLED" {
				for _, m := range set.active() {
					recipient := one(esign.Sent, m.ids()...)
					open[recipient.ID] = recipient
				}
			}
		}
		who = esign.Participant{}
		for _, recipient := range open {
			if len(open) == 1 {
				who = recipient
			}
		}
	}
	who.Problem = esign.CauseIdentification
	return who
}

// participants returns the progress of people: of the one whom the event is about, if it reports a step of theirs, and
// of those in participant sets. A set has one status for all its members: all are asked, any of them may have signed.
// The e-mail address of a person connects the IDs that the event and a set use. It is stored as a hash.
//
// One person may be in several sets. Who was replaced in one of them may still be active in another. Once the agreement
// has ended, it is nobody's turn.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookpayloadoverview, read
// 2026-11-22: in the dated sample, userId of a member is the participantUserId of the event; it may be missing.
func (p *payload) participants(about esign.Participant, ended bool) (said []esign.Participant) {
	if p.resource().agreementID() == "" {
		return nil
	}
	index := map[string]int{} // of each person in said
	add := func(person esign.Participant) {
		i, known := index[person.ID]
		switch {
		case person.ID == "" || person.Status == "":
		case known:
			said[i] = merged(said[i], person)
		default:
			index[person.ID] = len(said)
			said = append(said, person)
		}
	}
	add(about)
	add(p.unidentified())
	tasks := tasks{map[string]task{}, map[string]task{}}
	active := map[string]bool{} // by all IDs of the person
	for _, set := range p.sets() {
		members := set.active()
		status := set.status(len(members))
		for _, m := range members {
			person := one(status, m.ids()...)
			tasks.add(person, set.task())
			for _, id := range keys(person) {
				active[id] = true
			}
			if set.done() && !ended { // who was asked, perhaps in an earlier event, no longer is
				person.Status = cmp.Or(status, esign.Sent)
			}
			add(person)
		}
	}
	replace := func(person esign.Participant, by string, unless bool) {
		if !unless {
			person.Replaced, person.ReplacedBy = true, by
		}
		add(person)
	}
	for _, set := range p.sets() {
		for _, m := range set.MemberInfos {
			if m.Status == replaced && set.Status != "" && set.Status != later {
				was := one(esign.Sent, m.ids()...)
				tasks.add(was, task{role: role(set.Role), order: set.order()})
				replace(was, p.successor(set), slices.ContainsFunc(keys(was), func(id string) bool { return active[id] }))
			}
		}
	}
	replace(p.delegator(), p.delegatee(), p.keepsTask())
	for i := range said {
		if said[i] = tasks.of(said[i]); ended || said[i].Replaced {
			said[i].Waiting = nil
		}
	}
	return said
}

// keys returns all IDs of a person.
func keys(p esign.Participant) []string { return append([]string{p.ID}, p.Aliases...) }

// merged returns what two parts of a notification say about one person.
func merged(a, b esign.Participant) esign.Participant {
	if a.Status.Before(b.Status) {
		a.Status = b.Status
	}
	for _, alias := range b.Aliases {
		if !slices.Contains(a.Aliases, alias) {
			a.Aliases = append(a.Aliases, alias)
		}
	}
	a.Replaced = a.Replaced || b.Replaced
	a.ReplacedBy = cmp.Or(b.ReplacedBy, a.ReplacedBy)
	return a
}

const replaced = "REPLACED"

// successor returns who has taken over from the replaced members of a set, or "" if that is unsure.
//
// SPEC: as for types, read 2026-11-30: of AGREEMENT_ACTION_REPLACED_SIGNER, the participant is "the replaced signer",
// which may be the old or the new one. Only the old one is listed as REPLACED.
func (p *payload) successor(s participantSet) string {
	active := s.active()
	if len(active) == 1 {
		return one("", active[0].ids()...).ID
	}
	participant := one("", p.ParticipantID, p.ParticipantEmail)
	for _, m := range active {
		member := one("", m.ids()...)
		if p.Event == replacedSigner && len(s.MemberInfos) == len(active)+1 && same(member, participant) {
			return member.ID
		}
	}
	return ""
}

// same reports whether two parts of a notification name one person. An e-mail address alone may be that of several.
func same(a, b esign.Participant) bool {
	return a.ID != "" && b.ID != "" && (slices.Contains(keys(a), b.ID) || slices.Contains(keys(b), a.ID))
}

// delegator returns who has handed over the task to the delegatee.
//
// SPEC: as for types: of AGREEMENT_ACTION_DELEGATED, the participant is the delegatee, the acting user the delegator.
func (p *payload) delegator() esign.Participant {
	if p.Event != delegated || p.participant() == cmp.Or(p.ActingID, p.ActingEmail) {
		return esign.Participant{}
	}
	return one(esign.Sent, p.ActingID, p.ActingEmail)
}

// keepsTask reports whether the delegator is asked in another set than in the one whose task was handed over. If no set
// shows which one that was, the sets may be older than the event.
func (p *payload) keepsTask() bool {
	from, to := p.delegator(), one("", p.ParticipantID, p.ParticipantEmail)
	shown, keeps := false, false
	for _, set := range p.sets() {
		has := func(who esign.Participant, active bool) bool {
			return slices.ContainsFunc(set.MemberInfos, func(m member) bool {
				return (m.Status != replaced) == active && same(one("", m.ids()...), who)
			})
		}
		switch {
		case has(from, false), has(from, true) && has(to, true):
			shown = true
		case has(from, true):
			keeps = keeps || set.waits()
		}
	}
	return shown && keeps
}

// delegatee returns the ID of the participant, as the sets have it.
func (p *payload) delegatee() string {
	participant := one("", p.ParticipantID, p.ParticipantEmail)
	for _, set := range p.sets() {
		for _, m := range set.active() {
			if member := one("", m.ids()...); same(member, participant) && m.UserID != "" {
				return member.ID
			}
		}
	}
	return participant.ID
}

// present returns all IDs of everybody who may appear in an event: of the recipients, of those who get a copy, and of
// the sender, who may view the agreement too. It returns nil unless all are known by the ID that events use. A payload
// with the sender has the copies too, if there are any.
//
// SPEC: as for types, read 2026-11-30: ccs and senderEmail are of the agreement's inherited attributes;
// participantSetsInfo comes with another parameter.
func (p *payload) present() (all []string) {
	about := p.resource()
	if about.agreementID() == "" || about.SenderEmail == "" {
		return nil
	}
	for _, set := range p.sets() {
		if len(set.MemberInfos) == 0 {
			return nil
		}
		for _, m := range set.active() {
			if m.UserID == "" {
				return nil
			}
			all = append(all, keys(one("", m.ids()...))...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	for _, c := range about.CCs {
		if c.Email == "" {
			return nil
		}
		all = append(all, webhook.ParticipantKey(string(c.Email)))
	}
	if all = append(all, webhook.ParticipantKey(string(about.SenderEmail))); len(all) > esign.MaxParticipants {
		return nil // the payload's lists may be truncated
	}
	return all
}

// lists reports whether a payload with this complete list names the person, perhaps as replaced.
func (p *payload) lists(who esign.Participant, present []string) bool {
	for _, set := range p.sets() {
		for _, m := range set.MemberInfos {
			present = append(present, keys(one("", m.ids()...))...)
		}
	}
	return slices.ContainsFunc(keys(who), func(id string) bool { return slices.Contains(present, id) })
}

// sets returns all participant sets, with at most [webhook.MaxList] members in all.
func (p *payload) sets() []participantSet {
	info := p.resource().ParticipantSetsInfo
	sets, left := slices.Concat(info.ParticipantSets, info.NextParticipantSets), webhook.MaxList
	for i, set := range sets {
		sets[i].MemberInfos = set.MemberInfos[:min(left, len(set.MemberInfos))]
		left -= len(sets[i].MemberInfos)
	}
	return sets
}

// ids returns the IDs of a member, the most stable one first. The ID of the membership counts only if there is no
// other: one person has another one in each set.
func (m member) ids() []webhook.Text {
	if m.UserID == "" && m.Email == "" {
		return []webhook.Text{m.ID}
	}
	return []webhook.Text{m.UserID, m.Email}
}

// active returns the members who have not been replaced.
func (s participantSet) active() []member {
	return slices.DeleteFunc(slices.Clone(s.MemberInfos), func(m member) bool { return m.Status == replaced })
}

// later is the status of a set whose turn has not come.
const later = "NOT_YET_VISIBLE"

// waits reports whether it is the turn of a set.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/techblog/tldr/api-agreement-statuses, read 2026-11-30:
// WAITING_FOR_MY_SIGNATURE, _APPROVAL, _ACCEPTANCE, _ACKNOWLEDGEMENT, _FORM_FILLING, _DELEGATION and _VERIFICATION.
// WAITING_FOR_AUTHORING and WAITING_FOR_PREFILL concern the sender.
func (s participantSet) waits() bool { return strings.HasPrefix(string(s.Status), "WAITING_FOR_MY_") }

// done reports whether a set has had its turn, though its members may have no status.
func (s participantSet) done() bool {
	return s.Status == "COMPLETED" || s.Status == "WAITING_FOR_OTHERS"
}

// status returns what the status of a set says about each of its active members.
func (s participantSet) status(active int) esign.Status {
	switch {
	case s.Status == "COMPLETED" && active == 1 && signers[s.Role]:
		return esign.Signed
	case s.Status == "EXPIRED":
		return esign.Expired
	case s.waits():
		return esign.Sent
	}
	return ""
}
