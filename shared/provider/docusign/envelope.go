package docusign

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"

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
	Recipients   recipients `json:"recipients" xml:"RecipientStatuses>RecipientStatus"`
	Documents    documents  `json:"envelopeDocuments" xml:"-"`
}

type documents = webhook.List[struct{ PDFBytes present }]

// recipient is one recipient of an envelope, whatever its role.
type recipient struct {
	times
	RecipientID text `json:"recipientId" xml:"RecipientId"`
	Status      text `json:"status" xml:"Status"`
	Type        text `json:"recipientType" xml:"Type"`

	list string // JSON: the name of the list that it stands in
}

// signs says whether the recipient is one who signs. Others, such as carbon copies, are "completed" as well.
func (r recipient) signs() bool {
	switch cmp.Or(r.list, string(r.Type)) {
	case "signers", "inPersonSigners", "seals", "witnesses", "notaries", // JSON
		"Signer", "InPersonSigner", "Seal", "Witness", "Notary": // XML
		return true
	}
	return false
}

// recipients are all lists of recipients, one after the other, in the order of the message; [webhook.MaxList] at most.
type recipients []recipient

// UnmarshalJSON implements [json.Unmarshaler].
func (rs *recipients) UnmarshalJSON(b []byte) error {
	*rs = nil
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b)) // of what is known to be valid
	d.Token()
	for d.More() && len(*rs) < webhook.MaxList {
		name, _ := d.Token()
		var list webhook.List[recipient] // beside the lists stand a count and the like, which are none
		if err := d.Decode(&list); err != nil {
			return err
		}
		for _, r := range list[:min(len(list), webhook.MaxList-len(*rs))] {
			r.list, _ = name.(string)
			*rs = append(*rs, r)
		}
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

// times are when an envelope or a recipient entered each status; empty for those it has not entered.
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

// of returns the time of a status, in lower case.
//
// Not of "corrected" or "resent", which can happen many times: lastModifiedDateTime was seen to stand before
// sentDateTime on a completed envelope, and nothing says that each correction moves it, or each resending sentDateTime.
// A time that stays where it was would make two events one.
func (t times) of(status string) text {
	switch status {
	case "created":
		return t.Created
	case "sent":
		return t.Sent
	case "delivered":
		return t.Delivered
	case "signed":
		return t.Signed
	case "completed":
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

// present says that there is a value, of any size, without keeping it.
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
