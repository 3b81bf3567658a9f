package adobesign

import (
	"cmp"

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
	return []webhook.Identity{{
		EventID:     p.eventID(r.Body),
		Subject:     about.subject(),
		AgreementID: about.agreementID(),
		VendorType:  webhook.Label(string(p.Event)),
		OccurredAt:  webhook.Time(string(p.EventDate)),
		Via:         webhook.Label(via),
	}}, nil
}

// eventID is made of the meaning wherever there is one: applications that share a URL get a copy each, with its own
// webhookNotificationId. Times have whole seconds, so two alike acts of one person in one second count once.
//
// SPEC: https://helpx.adobe.com/se/sign/web/developers/webhooks/overview.html, read 2026-11-22: duplicates are normal,
// and are to be recognised by the event.
func (p *payload) eventID(body []byte) string {
	switch about := p.resource(); {
	case about.ID != "" && p.Event != "" && p.EventDate != "":
		return webhook.EventID(name, "event", about.Kind, string(about.ID), string(p.Event), string(p.SubEvent),
			string(p.EventDate), string(p.participant()), string(cmp.Or(p.ActingID, p.ActingEmail)), string(p.ActionType))
	case p.NotificationID != "":
		return webhook.EventID(name, "notification", string(p.NotificationID))
	default:
		return webhook.EventID(name, "body", string(body))
	}
}

func (p *payload) participant() webhook.Text { return cmp.Or(p.ParticipantID, p.ParticipantEmail) }
