package adobesign

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]. A notification holds one event.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	about := p.resource()
	via := string(p.WebhookID)
	if id := clientID(r); id != "" {
		via += "/" + id
	}
	eventID := p.eventID(r.Body)
	return []webhook.Identity{{
		EventID:     eventID,
		Subject:     about.subject(),
		AgreementID: about.agreementID(),
		VendorType:  webhook.Label(string(p.Event)),
		OccurredAt:  webhook.Time(string(p.EventDate)),
		Via:         webhook.Label(via),
		FormerIDs:   p.formerIDs(eventID),
	}}, nil
}

// eventID is made of the meaning wherever there is one: applications that share a URL get a copy each, with its own
// webhookNotificationId. Times have whole seconds, so two alike acts of one person in one second count once.
//
// SPEC: https://helpx.adobe.com/se/sign/web/developers/webhooks/overview.html, read 2026-11-22: duplicates are normal,
// and are to be recognised by the event.
func (p *payload) eventID(body []byte) string {
	switch about := p.resource(); {
	case about.ID != "" && p.Event == expired:
		return webhook.EventID(name, "event", about.Kind, string(about.ID), string(p.Event))
	case about.ID != "" && p.Event != "" && p.EventDate != "":
		return webhook.EventID(name, append(p.meaning(), p.particulars()...)...)
	case p.NotificationID != "":
		return webhook.EventID(name, "notification", string(p.NotificationID))
	default:
		return webhook.EventID(name, "body", string(body))
	}
}

// expired happens once to an agreement, but may be reported once for each recipient.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookeventsagreements, read
// 2026-11-30: participantUserId is "the user for which agreement expired".
const expired = "AGREEMENT_EXPIRED"

func (p *payload) meaning() []string {
	about := p.resource()
	return []string{"event", about.Kind, string(about.ID), string(p.Event), string(p.SubEvent), string(p.EventDate),
		string(p.participant()), string(cmp.Or(p.ActingID, p.ActingEmail)), string(p.ActionType)}
}

// particulars are what else distinguishes two events of one second. A reminder's sender is its participant, so its
// reminderInfo shows to whom it went. One person may have two roles; with an actionType, that shows which one acted.
//
// SPEC: as for expired: AGREEMENT_REMINDER_SENT and AGREEMENT_REMINDER_INITIATED have reminderInfo, and no other event;
// participantRole comes with AGREEMENT_ACTION_REQUESTED, _COMPLETED and _DELEGATED.
func (p *payload) particulars() []string {
	var reminded []string
	for _, person := range p.Reminder.People {
		reminded = append(reminded, string(cmp.Or(person.UserID, person.ID, person.Email)))
	}
	slices.Sort(reminded)
	switch role := string(p.ParticipantRole); {
	case p.Reminder.ID != "" || strings.Join(reminded, "") != "":
		return append([]string{"reminder", string(p.Reminder.ID)}, reminded...)
	case role != "" && p.ActionType == "" && strings.HasPrefix(string(p.Event), "AGREEMENT_ACTION_"):
		return []string{"role", role}
	}
	return nil
}

// formerIDs returns the event IDs that releases before 2026-12 gave to this event. They took several expiries of an
// agreement for different events, and events that differ only in their particulars for one.
func (p *payload) formerIDs(eventID string) []webhook.FormerID {
	if p.resource().ID == "" || p.Event == "" {
		return nil
	}
	former := webhook.FormerID{ID: webhook.EventID(name, p.meaning()...), OccurredAt: webhook.Time(string(p.EventDate))}
	switch {
	case p.EventDate == "" && p.Event == expired && p.NotificationID != "":
		former.ID = webhook.EventID(name, "notification", string(p.NotificationID))
	case p.EventDate == "" || former.ID == eventID:
		return nil
	case p.Event == expired:
		former.OccurredAt = time.Time{}
	}
	return []webhook.FormerID{former}
}

func (p *payload) participant() webhook.Text { return cmp.Or(p.ParticipantID, p.ParticipantEmail) }
