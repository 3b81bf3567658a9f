package adobesign

import (
	"cmp"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// types maps the events that mean more than [esign.AgreementUpdated].
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookeventsagreements, read
// 2026-11-22, and webhookeventslibrary in the same folder. AGREEMENT_PARTICIPANT_COMPLETED is left out: it has the same
// trigger as AGREEMENT_ACTION_COMPLETED and would count a signature twice.
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
	"AGREEMENT_EXPIRED":                                 esign.AgreementExpired,
	"AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM":       esign.AgreementFailed,

	"LIBRARY_DOCUMENT_CREATED":                           esign.TemplateCreated,
	"LIBRARY_DOCUMENT_MODIFIED":                          esign.TemplateUpdated,
	"LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.TemplateFailed,
}

// Events are the names of the events that a webhook must subscribe to.
func Events() (names []string) {
	for event := range types {
		names = append(names, string(event))
	}
	slices.Sort(names)
	return names
}

// signatures are the values of actionType that make AGREEMENT_ACTION_COMPLETED a signature. The others are approvals,
// acceptances, deliveries and the like.
//
// SPEC: as for types.
var signatures = map[webhook.Text]bool{
	"": true, "ESIGNED": true, "DIGSIGNED": true, "WRITTEN_SIGNED": true, "PRESIGNED": true, "SIGNED": true,
	"DIGITAL_SIGN_UIDAI_SIGNER_CONSENT": true,
}

// Normalize implements [webhook.Provider].
func (Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	p, err := parse(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	return esign.Event{
		Type:         p.eventType(),
		VendorType:   webhook.Label(string(p.Event)),
		AgreementID:  p.resource().agreementID(),
		AccountID:    webhook.Label(string(p.AccountID)),
		OccurredAt:   webhook.Time(string(p.EventDate)),
		Participant:  webhook.ParticipantKey(string(p.participant())),
		Participants: p.participants(),
		Attributes:   p.attributes(),
	}, nil
}

func (p *payload) eventType() esign.Type {
	t := types[p.Event]
	if t == esign.AgreementSigned && !signatures[p.ActionType] {
		t = esign.AgreementUpdated
	}
	switch {
	case !strings.HasPrefix(string(p.Event), "AGREEMENT_"):
		return cmp.Or(t, esign.Other)
	case p.resource().agreementID() == "":
		return esign.Other
	default:
		return cmp.Or(t, esign.AgreementUpdated)
	}
}

// participants returns the progress of signers that are alone in their participant set. A larger set has one status for
// all its members, and any of them may have signed.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookpayloadoverview, read
// 2026-11-22: in the dated sample, userId of a member is the participantUserId of the event; it may be missing.
func (p *payload) participants() []esign.Participant {
	var signers []esign.Participant
	for _, set := range p.resource().ParticipantSetsInfo.ParticipantSets {
		status := setStatus(set.Status)
		if set.Role != "SIGNER" || status == "" || len(set.MemberInfos) != 1 || set.MemberInfos[0].UserID == "" {
			continue
		}
		id := webhook.ParticipantKey(string(set.MemberInfos[0].UserID))
		signers = append(signers, esign.Participant{ID: id, Status: status})
	}
	return signers
}

func setStatus(status webhook.Text) esign.Status {
	switch {
	case status == "COMPLETED":
		return esign.Signed
	case strings.HasPrefix(string(status), "WAITING_FOR_MY_"):
		return esign.Sent
	default:
		return ""
	}
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
