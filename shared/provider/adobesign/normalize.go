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
	"AGREEMENT_EMAIL_BOUNCED":                     esign.AgreementUndeliverable,
	"AGREEMENT_ACTION_DELEGATED":                  esign.AgreementUpdated, // see delegator
	"AGREEMENT_ACTION_REPLACED_SIGNER":            esign.AgreementUpdated, // see participants

	"LIBRARY_DOCUMENT_CREATED":                           esign.TemplateCreated,
	"LIBRARY_DOCUMENT_MODIFIED":                          esign.TemplateUpdated,
	"LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.TemplateFailed,
}

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
	typ := p.eventType()
	event := esign.Event{
		Type:         typ,
		VendorType:   webhook.Label(string(p.Event)),
		AgreementID:  p.resource().agreementID(),
		AccountID:    webhook.Label(string(p.AccountID)),
		OccurredAt:   webhook.Time(string(p.EventDate)),
		Cause:        p.cause(typ),
		Participant:  webhook.ParticipantKey(string(p.participant())),
		Participants: p.participants(typ.Status()),
		Present:      p.present(),
		Attributes:   p.attributes(),
	}
	if p.Event == expired {
		event.Participant = "" // another copy names another recipient
	}
	return event, nil
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
	case t == esign.AgreementUndeliverable && p.participant() == "":
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
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookpayloadoverview, read
// 2026-11-22: in the dated sample, userId of a member is the participantUserId of the event; it may be missing.
func (p *payload) participants(step esign.Status) (said []esign.Participant) {
	add := func(person esign.Participant) {
		i := slices.IndexFunc(said, func(known esign.Participant) bool { return known.ID == person.ID })
		switch {
		case person.ID == "" || person.Status == "":
		case i < 0:
			said = append(said, person)
		default:
			said[i] = merged(said[i], person)
		}
	}
	switch step {
	case esign.Sent, esign.Viewed, esign.Signed, esign.Declined:
		add(one(step, p.ParticipantID, p.ParticipantEmail))
	}
	if p.resource().agreementID() == "" {
		return nil
	}
	add(p.delegator())
	for _, set := range p.sets() {
		active := set.active()
		status := set.status(len(active))
		for _, m := range active {
			add(one(status, m.ids()...))
		}
		for _, m := range set.MemberInfos {
			if m.Status == replaced && set.Status != "" && set.Status != "NOT_YET_VISIBLE" {
				old := one(esign.Sent, m.ids()...)
				old.Replaced = true
				add(old)
			}
		}
	}
	return said
}

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
	from := one(esign.Sent, p.ActingID, p.ActingEmail)
	from.Replaced = true
	return from
}

// present returns all IDs of everybody: of the recipients and of the sender, who may view the agreement too. It returns
// nil unless all are known by the ID that events use.
func (p *payload) present() (all []string) {
	about := p.resource()
	if about.agreementID() == "" || about.SenderEmail == "" {
		return nil
	}
	sets := p.sets()
	for _, set := range sets {
		if len(set.MemberInfos) == 0 || len(set.MemberInfos) == webhook.MaxList || len(sets) >= webhook.MaxList {
			return nil
		}
		for _, m := range set.active() {
			if m.UserID == "" {
				return nil
			}
			for _, id := range m.ids() {
				all = append(all, webhook.ParticipantKey(string(id)))
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return slices.DeleteFunc(append(all, webhook.ParticipantKey(string(about.SenderEmail))), func(id string) bool {
		return id == ""
	})
}

// sets returns all participant sets. Some payloads list the later ones apart.
func (p *payload) sets() []participantSet {
	info := p.resource().ParticipantSetsInfo
	return slices.Concat(info.ParticipantSets, info.NextParticipantSets)
}

func (m member) ids() []webhook.Text { return []webhook.Text{m.UserID, m.Email, m.ID} }

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
