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
	"AGREEMENT_CREATED":          esign.AgreementCreated,
	requested:                    esign.AgreementSent,
	"AGREEMENT_DOCUMENTS_VIEWED": esign.AgreementViewed,
	"AGREEMENT_DOCUMENTS_VIEWED_PASSWORD_PROTECTED": esign.AgreementViewed,
	"AGREEMENT_EMAIL_VIEWED":                        esign.AgreementViewed,
	acted:                                           esign.AgreementSigned, // see signatures
	"AGREEMENT_WORKFLOW_COMPLETED":                  esign.AgreementCompleted,
	"AGREEMENT_REJECTED":                            esign.AgreementDeclined,
	"AGREEMENT_RECALLED":                            esign.AgreementCancelled,
	"AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": esign.AgreementCancelled,
	expired: esign.AgreementExpired,
	"AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.AgreementFailed,
	bounced:        esign.AgreementUndeliverable,
	delegated:      esign.AgreementUpdated, // see delegator
	replacedSigner: esign.AgreementUpdated, // see successor

	"LIBRARY_DOCUMENT_CREATED":                           esign.TemplateCreated,
	"LIBRARY_DOCUMENT_MODIFIED":                          esign.TemplateUpdated,
	"LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.TemplateFailed,
}

const (
	requested      = "AGREEMENT_ACTION_REQUESTED"
	acted          = "AGREEMENT_ACTION_COMPLETED"
	bounced        = "AGREEMENT_EMAIL_BOUNCED"
	delegated      = "AGREEMENT_ACTION_DELEGATED"
	replacedSigner = "AGREEMENT_ACTION_REPLACED_SIGNER"
)

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
		Reason:       p.reason(typ),
		References:   p.resource().ExternalID.References(),
		Participant:  about.ID,
		Participants: p.participants(about, typ.Status().Terminal()),
		Present:      present,
		Attributes:   p.attributes(),
	}, nil
}

// defaultReasons are the comments of nobody.
//
// SPEC: as for types, read 2026-11-30: the samples of AGREEMENT_REJECTED and AGREEMENT_RECALLED without a comment.
var defaultReasons = map[webhook.Text]bool{
	"": true, "Signer canceled without providing a reason.": true, "Sender canceled without providing a reason.": true,
}

// reason returns why the agreement ended without success. An expiry has a comment too, which is only its time in words.
//
// SPEC: as for types, read 2026-11-30: the comment is a parameter of its own in the table of AGREEMENT_RECALLED, and is
// in agreementCancellationInfo in all samples.
func (p *payload) reason(t esign.Type) string {
	switch t {
	case esign.AgreementDeclined, esign.AgreementCancelled, esign.AgreementFailed:
		for _, comment := range []webhook.Text{p.Cancellation.Comment, p.Comment} {
			if !defaultReasons[comment] {
				return string(comment)
			}
		}
	}
	return ""
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
