package docusign

import (
	"encoding/xml"
	"regexp"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
)

// field is a custom field of an envelope.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: value is at most 100 characters; a list field has the chosen one in value, and all in
// listItems.
// SPEC: https://github.com/docusign/connect-node-listener-aws, webhook_eg_msg_completed.xml, read 2026-11-30: XML's.
type field struct {
	Name  text `json:"name" xml:"Name"`
	Value text `json:"value" xml:"Value"`
	Show  text `json:"show" xml:"Show"`
}

// fields are the custom fields of an envelope in the order of the message, at most [webhook.MaxList] of each kind.
type fields []field

// UnmarshalJSON implements [json.Unmarshaler].
func (fs *fields) UnmarshalJSON(b []byte) error {
	*fs = nil
	var lists struct {
		Text webhook.List[field] `json:"textCustomFields"`
		List webhook.List[field] `json:"listCustomFields"`
	}
	if webhook.DecodeJSON(b, &lists) == nil { // else it is not an object
		*fs = append(fields(lists.Text), lists.List...)
	}
	return nil
}

// UnmarshalXML implements [xml.Unmarshaler], for one field after the other.
func (fs *fields) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if len(*fs) >= webhook.MaxList {
		return d.Skip()
	}
	var f field
	err := d.DecodeElement(&f, &start)
	*fs = append(*fs, f)
	return err
}

// references returns the sender's own fields by name, or nil if the message does not hold any. Of two values of one
// name, which DocuSign does not allow, it returns the greater.
func (fs fields) references() map[string]string {
	var all map[string]string
	for _, f := range fs {
		if f.Name == "" || f.Value == "" || f.system() {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[string(f.Name)] = max(all[string(f.Name)], string(f.Value))
	}
	return all
}

var (
	accountNumber = regexp.MustCompile(`^[0-9]{1,20}$`)
	siteName      = regexp.MustCompile(`^[0-9A-Za-z-]+$`)
)

// system reports whether DocuSign has added the field. A sender's field may have the same name.
//
// SPEC: https://github.com/docusign/connect-node-listener-aws, webhook_eg_msg_completed.xml, read 2026-11-30: with
// includeSenderAccountAsCustomField, there are AccountId, a number, AccountName and AccountSite, all with Show false.
func (f field) system() bool {
	if !strings.EqualFold(string(f.Show), "false") {
		return false
	}
	switch f.Name {
	case "AccountId":
		return accountNumber.MatchString(string(f.Value))
	case "AccountSite":
		return siteName.MatchString(string(f.Value))
	}
	return f.Name == "AccountName"
}

// account returns the account's number, which DocuSign's own field holds. A sender's field may have the same name and
// any content. With two numbers, the account is uncertain, and account returns none.
func (fs fields) account() string {
	var numbers []string
	for _, f := range fs {
		if f.Name == "AccountId" && accountNumber.MatchString(string(f.Value)) {
			numbers = append(numbers, string(f.Value))
		}
	}
	if numbers = slices.Compact(numbers); len(numbers) == 1 {
		return numbers[0]
	}
	return ""
}
