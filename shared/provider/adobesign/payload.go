package adobesign

import (
	"strings"

	"esignhooks/shared/webhook"
)

// payload holds the fields of a notification that we read. Every value may be missing or empty.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookpayloadoverview, read
// 2026-11-22: common fields, and one object named after the resource.
type payload struct {
	WebhookID        webhook.Text `json:"webhookId"`
	NotificationID   webhook.Text `json:"webhookNotificationId"`
	Scope            webhook.Text `json:"webhookScope"`
	Event            webhook.Text `json:"event"`
	SubEvent         webhook.Text `json:"subEvent"`
	EventDate        webhook.Text `json:"eventDate"`         // RFC 3339, whole seconds
	ResourceType     webhook.Text `json:"eventResourceType"` // documented in capitals, sent in small letters
	ParentType       webhook.Text `json:"eventResourceParentType"`
	ParentID         webhook.Text `json:"eventResourceParentId"`
	ParticipantRole  webhook.Text `json:"participantRole"`
	ActionType       webhook.Text `json:"actionType"`
	ParticipantID    webhook.Text `json:"participantUserId"`
	ParticipantEmail webhook.Text `json:"participantUserEmail"`
	ActingID         webhook.Text `json:"actingUserId"`
	ActingEmail      webhook.Text `json:"actingUserEmail"`
	AccountID        webhook.Text `json:"accountId"`
	Trimmed          trimmed      `json:"conditionalParametersTrimmed"`
	Comment          webhook.Text `json:"comment"`
	Cancellation     struct {
		Comment webhook.Text `json:"comment"`
	} `json:"agreementCancellationInfo"`
	Reminder struct {
		ID     webhook.Text         `json:"id"`
		People webhook.List[person] `json:"participantList"`
	} `json:"reminderInfo"`

	Agreement       resource `json:"agreement"`
	Widget          resource `json:"widget"`
	MegaSign        resource `json:"megaSign"` // documented as "megasign" too; encoding/json matches either
	LibraryDocument resource `json:"libraryDocument"`
}

// resource is the object that an event is about. Its kind is agreement, widget, megasign or librarydocument. If the
// payload holds no resource, its kind is eventResourceType.
type resource struct {
	Kind                string               `json:"-"`
	ID                  webhook.Text         `json:"id"`
	Status              webhook.Text         `json:"status"`
	ExternalID          ExternalID           `json:"externalId"`
	Trimmed             trimmed              `json:"conditionalParametersTrimmed"`
	SenderEmail         webhook.Text         `json:"senderEmail"`
	CCs                 webhook.List[copied] `json:"ccs"`
	ParticipantSetsInfo setsInfo             `json:"participantSetsInfo"`
}

// ExternalID is the sender's own key for a resource. The vendor's API has it in the same form. Senders may pack several
// values into one ID, in ways of their own, so it is not split.
//
// SPEC: https://github.com/adobe/acrobat-sign sdks/AcrobatSign_OpenAPI_SDK/json (ExternalId), read 2026-11-30: "an
// arbitrary value from your system, which can be specified at sending time and then later returned or queried". It has
// no group, unlike in the API's first versions.
type ExternalID struct {
	ID    webhook.Text `json:"id"`
	Group webhook.Text `json:"group"`
}

// UnmarshalJSON implements [json.Unmarshaler]. A value of another type is no ID.
func (e *ExternalID) UnmarshalJSON(b []byte) error {
	type object ExternalID
	_ = webhook.DecodeJSON(b, (*object)(e))
	return nil
}

// References returns the references that are stated, by their names in [esign.Event].
func (e ExternalID) References() map[string]string {
	stated := map[string]string{}
	for name, value := range map[string]webhook.Text{"externalId": e.ID, "externalId.group": e.Group} {
		if value != "" {
			stated[name] = string(value)
		}
	}
	if len(stated) == 0 {
		return nil
	}
	return stated
}

// setsInfo holds the participant sets. Some payloads list those whose turn is next apart.
type setsInfo struct {
	ParticipantSets     webhook.List[participantSet] `json:"participantSets"`
	NextParticipantSets webhook.List[participantSet] `json:"nextParticipantSets"`
}

// UnmarshalJSON implements [json.Unmarshaler].
//
// SPEC: https://github.com/AdobeDocs/adobeio-documentation sign/webhooks (2018), read 2026-11-30: the sets are a list.
func (s *setsInfo) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return s.ParticipantSets.UnmarshalJSON(b)
	}
	type object setsInfo
	_ = webhook.DecodeJSON(b, (*object)(s)) // a value of another type holds no sets
	return nil
}

// copied is somebody who only gets a copy.
type copied struct {
	Email webhook.Text `json:"email"`
}

// UnmarshalJSON implements [json.Unmarshaler].
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/acrobat_sign_events/webhookeventsagreements, read
// 2026-11-30: ccs is an array of strings in the table, and of objects in the templates.
func (c *copied) UnmarshalJSON(b []byte) error {
	type object copied
	if err := c.Email.UnmarshalJSON(b); err != nil || c.Email != "" {
		return err
	}
	_ = webhook.DecodeJSON(b, (*object)(c)) // a value of another type has no e-mail address
	return nil
}

// person is one of those who are reminded.
type person struct {
	UserID webhook.Text `json:"participantUserId"`
	ID     webhook.Text `json:"id"`
	Email  webhook.Text `json:"email"`
}

type participantSet struct {
	Order       webhook.Text         `json:"order"` // from 1; sets with the same number act at the same time
	Role        webhook.Text         `json:"role"`
	Status      webhook.Text         `json:"status"`
	MemberInfos webhook.List[member] `json:"memberInfos"`
}

type member struct {
	UserID webhook.Text `json:"userId"` // matches participantUserId; may be missing
	ID     webhook.Text `json:"id"`     // of this person in this agreement
	Email  webhook.Text `json:"email"`
	Status webhook.Text `json:"status"` // ACTIVE or REPLACED
}

// trimmed names the groups of fields that Adobe left out of a payload above 10 MB. Adobe's overview shows it next to
// the resource, its tables show it inside.
type trimmed webhook.List[webhook.Text]

// UnmarshalJSON implements [json.Unmarshaler]. A single word counts as a list of one.
func (t *trimmed) UnmarshalJSON(b []byte) error {
	var word webhook.Text
	if err := word.UnmarshalJSON(b); err != nil || word != "" {
		*t = trimmed{word}
		return err
	}
	return (*webhook.List[webhook.Text])(t).UnmarshalJSON(b)
}

func (t trimmed) String() string {
	var words []string
	for _, word := range t {
		if word != "" {
			words = append(words, string(word))
		}
	}
	return strings.Join(words, ",")
}

func parse(body []byte) (*payload, error) {
	p := new(payload)
	if err := webhook.DecodeJSON(body, p); err != nil {
		return nil, err
	}
	p.Agreement.Kind, p.Widget.Kind = "agreement", "widget"
	p.MegaSign.Kind, p.LibraryDocument.Kind = "megasign", "librarydocument"
	return p, nil
}

// resource returns the resource that p is about. Its ID is empty if p holds no resource.
func (p *payload) resource() resource {
	for _, r := range []resource{p.Agreement, p.Widget, p.MegaSign, p.LibraryDocument} {
		if r.ID != "" {
			return r
		}
	}
	return resource{Kind: strings.ToLower(strings.ReplaceAll(string(p.ResourceType), "_", ""))}
}

// agreementID is empty if r is not an agreement.
func (r resource) agreementID() string {
	if r.Kind != "agreement" {
		return ""
	}
	return webhook.AgreementID(string(r.ID))
}

func (r resource) subject() string {
	switch {
	case r.ID == "":
		return webhook.Subject(name, "other", "")
	case r.Kind == "agreement":
		return webhook.AgreementSubject(name, r.agreementID())
	default:
		return webhook.Subject(name, r.Kind, string(r.ID))
	}
}
