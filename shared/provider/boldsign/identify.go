package boldsign

import (
	"strings"

	"esignhooks/shared/webhook"
)

// Identify implements [webhook.Provider]. A message holds one event, with BoldSign's own ID.
//
// That several webhooks send the same event under one ID is not documented. If they do not, it counts once for each.
func (Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	p, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	id := webhook.EventID(name, "event", string(p.Event.ID))
	if p.Event.ID == "" {
		id = webhook.EventID(name, "body", string(r.Body))
	}
	return []webhook.Identity{{
		EventID:     id,
		Subject:     p.subject(),
		AgreementID: p.agreementID(),
		VendorType:  webhook.Label(string(p.Event.Type)),
		OccurredAt:  webhook.UnixTime(string(p.Event.Created)),
		Via:         p.via(),
	}}, nil
}

// agreementID returns the document's ID. Events of templates and of sender identities have none.
func (p *payload) agreementID() string { return webhook.AgreementID(string(p.Data.DocumentID)) }

func (p *payload) subject() string {
	switch id := p.agreementID(); {
	case id != "":
		return webhook.AgreementSubject(name, id)
	case p.Data.TemplateID != "" || strings.HasPrefix(string(p.Event.Type), "Template"):
		return webhook.Subject(name, "template", string(p.Data.TemplateID))
	case strings.HasPrefix(string(p.Event.Type), "SenderIdentity"):
		return webhook.Subject(name, "account", string(p.Data.ID))
	}
	return webhook.Subject(name, "other", "")
}

func (p *payload) via() string {
	if p.Event.App == "" {
		return "account"
	}
	return webhook.Label("app/" + string(p.Event.App))
}
