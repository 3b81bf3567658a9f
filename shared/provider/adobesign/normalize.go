package adobesign

import (
	"cmp"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types maps the events that mean more than [esign.AgreementUpdated], or change what is known of people.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookeventsagreements, read
// 2026-11-30, and webhookeventslibrary in the same folder. AGREEMENT_PARTICIPANT_COMPLETED is left out: it has the same
// trigger as AGREEMENT_ACTION_COMPLETED and would count a signature twice. So is AGREEMENT_PARTICIPANT_REPLACED, which
// is the second event of a replacement.
var types = map[webhook.Text]esign.Type{
	"AGREEMENT_CREATED":                                 esign.AgreementCreated,
	"AGREEMENT_ACTION_REQUESTED":                        esign.AgreementSent,
	"AGREEMENT_DOCUMENTS_VIEWED":                        esign.AgreementViewed,
	"AGREEMENT_DOCUMENTS_VIEWED_PASSWORD_PROTECTED":     esign.AgreementViewed,
	"AGREEMENT_EMAIL_VIEWED":                            esign.AgreementViewed,
	"AGREEMENT_ACTION_COMPLETED":                        esign.AgreementSigned, // see signatures
	"AGREEMENT_WORKFLOW_COMPLETED":                      esign.AgreementCompleted,
	"AGREEMENT_REJECTED":                                esign.AgreementDeclined,
	"AGREEMENT_RECALLED":                                esign.AgreementCancelled,
	"AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": esign.AgreementCancelled,
	expired: esign.AgreementExpired,
	"AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.AgreementFailed,
	bounced:                            esign.AgreementUndeliverable,
	"AGREEMENT_ACTION_DELEGATED":       esign.AgreementUpdated, // see delegator
	"AGREEMENT_ACTION_REPLACED_SIGNER": esign.AgreementUpdated, // see participants

	"LIBRARY_DOCUMENT_CREATED":                           esign.TemplateCreated,
	"LIBRARY_DOCUMENT_MODIFIED":                          esign.TemplateUpdated,
	"LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.TemplateFailed,
}

const bounced = "AGREEMENT_EMAIL_BOUNCED"

// Events are the names of the events that a webhook should subscribe to.
func Events() []string { return names(func(webhook.Text) bool { return true }) }

// StatusEvents are those of Events that a status may depend on. A webhook must subscribe to them.
func StatusEvents() []string {
	return names(func(e webhook.Text) bool { return types[e].Status() != "" })
}

func names(wanted func(webhook.Text) bool) (all []string) {
	for event, t := range types {
		if wanted(event) || strings.HasPrefix(string(t), "template.") {
			all = append(all, string(event))
		}
	}
	slices.Sort(all)
	return all
}

// signatures are the values of actionType that make AGREEMENT_ACTION_COMPLETED a signature. The others are approvals,
// acceptances, deliveries and the like.
//
// SPEC: as for types.
var signatures = map[webhook.Text]bool{
	"ESIGNED": true, "DIGSIGNED": true, "WRITTEN_SIGNED": true, "PRESIGNED": true, "SIGNED": true,
	"DIGITAL_SIGN_UIDAI_SIGNER_CONSENT": true,
}

// signers are the roles of those who sign. Others approve, accept, fill in, receive or delegate.
//
// SPEC: https://github.com/adobe/acrobat-sign sdks/AcrobatSign_OpenAPI_SDK/json (role), read 2026-11-30: SIGNER,
// APPROVER, ACCEPTOR, CERTIFIED_RECIPIENT, FORM_FILLER, DELEGATE_TO_…, SHARE, SENDER. Several clients know
// NOTARY_SIGNER and ELECTRONIC_SEALER too.
var signers = map[webhook.Text]bool{"SIGNER": true, "NOTARY_SIGNER": true, "ELECTRONIC_SEALER": true}

// signs reports whether a completed action is a signature. Old payloads have no actionType, and the oldest no role.
//
// SPEC: https://github.com/AdobeDocs/adobeio-documentation sign/webhooks (2018), read 2026-11-30: payloads without
// actionType.
func (p *payload) signs() bool {
	if p.ActionType != "" {
		return signatures[p.ActionType]
	}
	return p.ParticipantRole == "" || signers[p.ParticipantRole]
}

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	typ, present := p.eventType(), p.present()
	about := p.about(typ, present)
	return esign.Event{
		Type:         typ,
		VendorType:   webhook.Label(string(p.Event)),
		AgreementID:  p.resource().agreementID(),
		AccountID:    webhook.Label(string(p.AccountID)),
		OccurredAt:   webhook.Time(string(p.EventDate)),
		Cause:        p.cause(typ),
		Participant:  about.ID,
		Participants: p.participants(about),
		Present:      present,
		Attributes:   p.attributes(),
	}, nil
}

// about returns the participant whom the event is about. The status is that of the participant's step, if the event
// reports one.
//
// SPEC: as for types: of AGREEMENT_EMAIL_BOUNCED, the acting user is the participant.
// SPEC: as for types, read 2026-11-30: of AGREEMENT_SHARED, the participant is the user "to whom the agreement is
// shared"; AGREEMENT_DOCUMENTS_VIEWED comes "when a user views an agreement". The templates have no list of such users,
// so a viewer who is missing from a complete list is no participant.
func (p *payload) about(t esign.Type, present []string) esign.Participant {
	who := one("", p.ParticipantID, p.ParticipantEmail)
	switch t.Status() {
	case esign.Sent, esign.Viewed, esign.Signed, esign.Declined:
		who.Status = t.Status()
	}
	switch {
	case p.Event == expired:
		return esign.Participant{} // another copy names another recipient
	case p.Event == bounced && who.ID == "":
		return one("", p.ActingID, p.ActingEmail)
	case t == esign.AgreementViewed && present != nil && !p.lists(who, present):
		return esign.Participant{}
	}
	return who
}

func (p *payload) eventType() esign.Type {
	t := types[p.Event]
	switch {
	case p.resource().agreementID() == "" && strings.HasPrefix(string(p.Event), "AGREEMENT_"):
		return esign.Other
	case p.resource().agreementID() == "":
		return cmp.Or(t, esign.Other)
	case t == esign.AgreementSigned && !p.signs():
		return esign.AgreementUpdated
	case t == esign.AgreementUndeliverable && cmp.Or(p.participant(), p.ActingID, p.ActingEmail) == "":
		return esign.AgreementUpdated // a bounce always names the recipient, except in the vendor's templates
	case t == "" && p.textFailed():
		return esign.AgreementUndeliverable
	}
	return cmp.Or(t, esign.AgreementUpdated)
}

// textFailed reports whether the event is that a text message was not delivered. The documents do not show its name.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/releasenotes/acrobatsignreleasenotes, read 2026-11-30: an event
// of November 2025 for text messages that "can't be delivered due to invalid numbers, carrier issues, or other
// problems".
func (p *payload) textFailed() bool {
	event := string(p.Event)
	failed := slices.ContainsFunc([]string{"FAIL", "BOUNCE", "UNDELIVER"}, func(word string) bool {
		return strings.Contains(event, word)
	})
	return failed && strings.HasPrefix(event, "AGREEMENT_") && strings.Contains(event, "SMS")
}

func (p *payload) cause(t esign.Type) esign.Cause {
	switch {
	case t != esign.AgreementUndeliverable:
		return ""
	case p.textFailed():
		return esign.CauseSMS
	}
	return esign.CauseBounced
}

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

// participants returns the progress of people: of the one whom the event is about, if it reports a step of theirs, and
// of those in participant sets. A set has one status for all its members: all are asked, any of them may have signed.
// The e-mail address of a person connects the IDs that the event and a set use. It is stored as a hash.
//
// One person may be in several sets. Who was replaced in one of them may still be active in another.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookpayloadoverview, read
// 2026-11-22: in the dated sample, userId of a member is the participantUserId of the event; it may be missing.
func (p *payload) participants(about esign.Participant) (said []esign.Participant) {
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
	active, asked := map[string]bool{}, map[string]bool{} // by all IDs of the person
	for _, set := range p.sets() {
		members := set.active()
		status := set.status(len(members))
		for _, m := range members {
			person := one(status, m.ids()...)
			add(person)
			for _, id := range keys(person) {
				active[id] = true
				asked[id] = asked[id] || status == esign.Sent
			}
		}
	}
	replace := func(person esign.Participant, unless map[string]bool) {
		person.Replaced = !slices.ContainsFunc(keys(person), func(id string) bool { return unless[id] })
		add(person)
	}
	for _, set := range p.sets() {
		for _, m := range set.MemberInfos {
			if m.Status == replaced && set.Status != "" && set.Status != "NOT_YET_VISIBLE" {
				replace(one(esign.Sent, m.ids()...), active)
			}
		}
	}
	replace(p.delegator(), asked)
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
	return a
}

const replaced = "REPLACED"

// delegator returns who has handed over the task to the participant.
//
// SPEC: as for types: of AGREEMENT_ACTION_DELEGATED, the participant is the delegatee, the acting user the delegator.
func (p *payload) delegator() esign.Participant {
	if p.Event != "AGREEMENT_ACTION_DELEGATED" || p.participant() == cmp.Or(p.ActingID, p.ActingEmail) {
		return esign.Participant{}
	}
	return one(esign.Sent, p.ActingID, p.ActingEmail)
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

// sets returns all participant sets, with at most [webhook.MaxList] members in all. Some payloads list the later ones
// apart.
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

// status returns what the status of a set says about each of its active members.
func (s participantSet) status(active int) esign.Status {
	switch {
	case s.Status == "COMPLETED" && active == 1 && signers[s.Role]:
		return esign.Signed
	case s.Status == "EXPIRED":
		return esign.Expired
	case strings.HasPrefix(string(s.Status), "WAITING_FOR_MY_"):
		return esign.Sent
	}
	return ""
}

func (p *payload) attributes() map[string]string {
	about := p.resource()
	said := map[string]string{
		"webhookNotificationId":        string(p.NotificationID),
		"webhookScope":                 string(p.Scope),
		"subEvent":                     string(p.SubEvent),
		"actionType":                   string(p.ActionType),
		"participantRole":              string(p.ParticipantRole),
		"parentType":                   string(p.ParentType),
		"parentId":                     string(p.ParentID),
		"conditionalParametersTrimmed": cmp.Or(p.Trimmed.String(), about.Trimmed.String()),
	}
	if about.Kind == "agreement" {
		said["agreementStatus"] = string(about.Status)
	} else {
		said["resourceType"], said["resourceId"], said["resourceStatus"] = about.Kind, string(about.ID), string(about.Status)
	}
	kept := map[string]string{}
	for key, value := range said {
		if label := webhook.Label(value); label != "" {
			kept[key] = label
		}
	}
	return kept
}
