package docusign

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// envelope is DocuSign's description of an envelope, as far as we read it.
//
// SPEC: https://github.com/docusign/OpenAPI-Specifications, connect.schema-v2.json, and
// https://github.com/docusign/connect-node-listener-aws, webhook_eg_msg_completed.xml, read 2026-11-22.
type envelope struct {
	times
	EnvelopeID   text       `json:"envelopeId" xml:"EnvelopeID"`
	Status       text       `json:"status" xml:"Status"`
	StatusTime   text       `json:"statusChangedDateTime" xml:"-"`
	VoidedReason text       `json:"voidedReason" xml:"VoidReason"`
	Expires      text       `json:"expireDateTime" xml:"-"`
	Fields       fields     `json:"customFields" xml:"CustomFields>CustomField"`
	Recipients   recipients `json:"recipients" xml:"RecipientStatuses>RecipientStatus"`
	Documents    documents  `json:"envelopeDocuments" xml:"-"`
}

type documents = webhook.List[struct{ PDFBytes present }]

// recipient is one recipient of an envelope, whatever its role.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, and https://github.com/docusign/docusign-soap-sdk, APIService.wsdl, read 2026-11-30: recipientIdGuid is
// DocuSign's, recipientId the sender's; XML's RecipientId is the former; the fields about delivery; clientUserId is the
// sender's own ID of an embedded signer, at most 100 characters. That messages have delegatedTo and delegatedBy is
// inferred.
type recipient struct {
	times
	RecipientID    text                 `json:"recipientId" xml:"RecipientId"`
	GUID           text                 `json:"recipientIdGuid" xml:"-"`
	Status         text                 `json:"status" xml:"Status"`
	Type           text                 `json:"recipientType" xml:"Type"`
	Order          text                 `json:"routingOrder" xml:"RoutingOrder"`
	ClientUserID   text                 `json:"clientUserId" xml:"ClientUserId"`
	DeclinedReason text                 `json:"declinedReason" xml:"DeclineReason"` // personal
	Method         text                 `json:"deliveryMethod" xml:"DeliveryMethod"`
	Bounce         text                 `json:"autoRespondedReason" xml:"AutoRespondedReason"` // personal
	Notifications  webhook.List[notice] `json:"additionalNotifications" xml:"-"`
	UserID         text                 `json:"userId" xml:"-"`
	Email          text                 `json:"email" xml:"-"` // personal
	DelegatedTo    webhook.List[user]   `json:"delegatedTo" xml:"-"`
	DelegatedBy    user                 `json:"delegatedBy" xml:"-"`
	Authentication results              `json:"recipientAuthenticationStatus" xml:"RecipientAuthenticationStatus"`

	list    string // JSON: the name of the list that holds it
	current text   // JSON: the order of those who are at work; empty if the message does not hold it
}

// user is somebody to whom a recipient has delegated, or who has delegated to a recipient.
type user struct {
	UserID text `json:"userId"`
	Email  text `json:"email"` // personal
}

// notice is a second message to a recipient.
type notice struct {
	Method text `json:"secondaryDeliveryMethod"`
	Status text `json:"secondaryDeliveryStatus"`
}

// roles maps JSON's names of the lists, and XML's types. All others are [esign.RoleOther].
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/envelopes/enveloperecipients, read 2026-11-30:
// the types; an agent, and an intermediary likewise, "can add name and email information for recipients that appear
// after".
// SPEC: https://github.com/docusign/docusign-soap-sdk, APIService.wsdl, read 2026-11-30: XML's types, without seals,
// witnesses and notaries.
var roles = map[string]esign.Role{
	"signers": esign.RoleSigner, "Signer": esign.RoleSigner,
	"inPersonSigners": esign.RoleSigner, "InPersonSigner": esign.RoleSigner,
	"witnesses": esign.RoleWitness, "Witness": esign.RoleWitness,
	"notaries": esign.RoleNotary, "Notary": esign.RoleNotary,
	"seals": esign.RoleSeal, "Seal": esign.RoleSeal,
	"certifiedDeliveries": esign.RoleCertified, "CertifiedDelivery": esign.RoleCertified,
	"agents": esign.RoleAgent, "Agent": esign.RoleAgent,
	"intermediaries": esign.RoleAgent, "Intermediary": esign.RoleAgent,
	"editors": esign.RoleEditor, "Editor": esign.RoleEditor,
	"carbonCopies": esign.RoleCopy, "CarbonCopy": esign.RoleCopy,
}

// role is what the recipient does; empty if the message does not say it.
func (r recipient) role() esign.Role {
	kind := cmp.Or(r.list, string(r.Type))
	if role := roles[kind]; role != "" || kind == "" {
		return role
	}
	return esign.RoleOther
}

// signs reports whether the recipient signs. Others, such as carbon copies, become "completed" too.
func (r recipient) signs() bool {
	switch r.role() {
	case esign.RoleSigner, esign.RoleWitness, esign.RoleNotary, esign.RoleSeal:
		return true
	}
	return false
}

// routes reports whether the envelope waits for the recipient, who does not sign.
func (r recipient) routes() bool {
	switch r.role() {
	case esign.RoleCertified, esign.RoleAgent, esign.RoleEditor:
		return true
	}
	return false
}

// copies reports whether the recipient only receives a copy.
func (r recipient) copies() bool { return r.role() == esign.RoleCopy }

// last is the time of the recipient's last step, or zero if the message does not hold it.
func (r recipient) last(p *payload) (last time.Time) {
	for _, s := range []text{r.Sent, r.Delivered} {
		if at, _ := p.time(s); at.After(last) {
			last = at
		}
	}
	return last
}

// result is the result of one check of a recipient's identity.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, and https://github.com/docusign/docusign-soap-sdk, APIService.wsdl, read 2026-11-30: one member for each kind of
// check, with status Pass, Passed, Fail or Failed.
type result struct {
	XMLName xml.Name `json:"-"`
	Status  text     `json:"status" xml:"Status"`
	At      text     `json:"eventTimestamp" xml:"EventTimestamp"`
}

func (r result) failed() bool { return strings.HasPrefix(strings.ToLower(string(r.Status)), "fail") }

// results are the failed checks of a recipient, by the names of the checks.
type results map[string]result

// UnmarshalJSON implements [json.Unmarshaler].
func (rs *results) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil { // not an object
		return nil
	}
	*rs = results{}
	for name, member := range members {
		var r result
		if json.Unmarshal(member, &r) == nil && r.failed() {
			(*rs)[name] = r
		}
	}
	return nil
}

// UnmarshalXML implements [xml.Unmarshaler].
func (rs *results) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var all struct {
		Results []result `xml:",any"`
	}
	err := d.DecodeElement(&all, &start)
	*rs = results{}
	for _, r := range all.Results {
		if r.failed() {
			(*rs)[r.XMLName.Local] = r
		}
	}
	return err
}

// recipients holds all lists of recipients in the order of the message, at most [webhook.MaxList] recipients.
type recipients []recipient

// UnmarshalJSON implements [json.Unmarshaler].
func (rs *recipients) UnmarshalJSON(b []byte) error {
	*rs = nil
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b)) // b is valid JSON
	d.Token()
	var current text
	for d.More() && len(*rs) < webhook.MaxList {
		token, _ := d.Token()
		name, _ := token.(string)
		if strings.EqualFold(name, "currentRoutingOrder") {
			if err := d.Decode(&current); err != nil {
				return err
			}
			continue
		}
		var list webhook.List[recipient] // other members, such as a count, are not lists
		if err := d.Decode(&list); err != nil {
			return err
		}
		for _, r := range list[:min(len(list), webhook.MaxList-len(*rs))] {
			r.list = name
			*rs = append(*rs, r)
		}
	}
	for i := range *rs {
		(*rs)[i].current = current
	}
	return nil
}

// UnmarshalXML implements [xml.Unmarshaler], for one recipient after the other.
func (rs *recipients) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if len(*rs) >= webhook.MaxList {
		return d.Skip()
	}
	var r recipient
	err := d.DecodeElement(&r, &start)
	*rs = append(*rs, r)
	return err
}

// times are the times at which an envelope or a recipient entered each status. The others are empty.
type times struct {
	Created   text `json:"createdDateTime" xml:"Created"`
	Sent      text `json:"sentDateTime" xml:"Sent"`
	Delivered text `json:"deliveredDateTime" xml:"Delivered"`
	Signed    text `json:"signedDateTime" xml:"Signed"`
	Completed text `json:"completedDateTime" xml:"Completed"`
	Declined  text `json:"declinedDateTime" xml:"Declined"`
	Voided    text `json:"voidedDateTime" xml:"Voided"`
	Deleted   text `json:"deletedDateTime" xml:"Deleted"`
	TimedOut  text `json:"-" xml:"TimedOut"`
}

// of returns the time of a status, which is given in lower case.
//
// It returns no time for "corrected" and "resent", which can happen many times. DocuSign does not document that each
// correction changes lastModifiedDateTime, or that each resending changes sentDateTime; a completed envelope was seen
// whose lastModifiedDateTime was before its sentDateTime. Two events with the same time would become one event ID.
func (t times) of(status string) text {
	switch status {
	case "created":
		return t.Created
	case "sent", "autoresponded", "authenticationfailed":
		return t.Sent
	case "delivered":
		return t.Delivered
	case "signed":
		return t.Signed
	case "completed", "faxpending":
		return cmp.Or(t.Completed, t.Signed) // a recipient has only the latter
	case "declined":
		return t.Declined
	case "voided":
		return t.Voided
	case "deleted":
		return t.Deleted
	case "timedout":
		return t.TimedOut
	}
	return ""
}

// text is a scalar of either format.
type text = webhook.Text

// present records that a value exists, without keeping the value.
type present bool

// UnmarshalJSON implements [json.Unmarshaler].
func (p *present) UnmarshalJSON(b []byte) error {
	*p = len(b) > 0 && b[0] == '"' && string(b) != `""`
	return nil
}

// UnmarshalXML implements [xml.Unmarshaler].
func (p *present) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	*p = true
	return d.Skip()
}
