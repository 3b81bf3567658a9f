package docusign_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inJSON makes the custom fields of JSON.
func inJSON(text, list string) string {
	return `"customFields":{"textCustomFields":[` + text + `],"listCustomFields":[` + list + `]}`
}

// xmlField makes a custom field of XML.
func xmlField(name, value, more string) string {
	return "<CustomField><Name>" + name + "</Name>" + more + "<Value>" + value + "</Value></CustomField>"
}

func TestReferences(t *testing.T) {
	const hidden, shown = "<Show>False</Show>", "<Show>True</Show>"
	for name, tt := range map[string]struct {
		json, xml string // XML has no list of its own, and no null
		want      map[string]string
	}{
		"a text field and a list field, of which only the chosen value counts": {
			inJSON(`{"fieldId":"1","name":"deal_id","value":"123","show":"true"}`,
				`{"name":"Department","value":"Optics","listItems":["Optics","Acoustics"]}`),
			xmlField("deal_id", "123", shown+"<CustomFieldType>Text</CustomFieldType>") +
				xmlField("Department", "Optics", "<ListItems>Optics;Acoustics</ListItems><CustomFieldType>List</CustomFieldType>"),
			map[string]string{"deal_id": "123", "Department": "Optics"},
		},
		"nothing told": {`"status":"sent"`, "", nil},
		"no fields":    {inJSON("", ""), "", nil},
		"null":         {`"customFields":null`, "", nil},
		"wrong types": {`"customFields":{"textCustomFields":{"name":"a","value":"b"},"listCustomFields":[7,null,[]]}`, "",
			nil},
		"an empty one": {inJSON(`{"name":"a","value":""},{"name":"","value":"b"},{"name":"c"}`, ""),
			xmlField("a", "", "") + xmlField("", "b", ""), nil},
		"other scalars": {inJSON(`{"name":"a","value":7.50},{"name":"b","value":true},{"name":"c","value":null}`, ""),
			xmlField("a", "7.50", "") + xmlField("b", "true", ""), map[string]string{"a": "7.50", "b": "true"}},
		"two of one name": {
			inJSON(`{"name":"a","value":"2"},{"name":"a","value":"1"}`, `{"name":"a","value":"1"}`),
			xmlField("a", "2", "") + xmlField("a", "1", ""), map[string]string{"a": "2"},
		},
		"system fields": {
			inJSON(`{"name":"AccountId","value":"4197223","show":"false"},
				{"name":"AccountName","value":"World Wide Corp","show":false},
				{"name":"AccountSite","value":"na4","show":"false"}`, ""),
			xmlField("AccountId", "4197223", hidden) + xmlField("AccountName", "World Wide Corp", hidden) +
				xmlField("AccountSite", "demo", hidden), nil,
		},
		"a sender's fields with such names": {
			inJSON(`{"name":"AccountId","value":"ACME-7","show":"false"},{"name":"AccountName","value":"Corp","show":"true"},
				{"name":"AccountSite","value":"Main street","show":"false"},{"name":"AccountNo","value":"1","show":"false"}`, ""),
			xmlField("AccountId", "ACME-7", hidden) + xmlField("AccountName", "Corp", shown) +
				xmlField("AccountSite", "Main street", hidden) + xmlField("AccountNo", "1", hidden),
			map[string]string{"AccountId": "ACME-7", "AccountName": "Corp", "AccountSite": "Main street", "AccountNo": "1"},
		},
		"a sender's number": {inJSON(`{"name":"AccountId","value":"7"}`, ""), xmlField("AccountId", "7", shown),
			map[string]string{"AccountId": "7"}},
	} {
		for format, body := range map[string]string{
			"sim":       about("envelope-sent", summary(tt.json)),
			"aggregate": fmt.Sprintf(`{"envelopeId":%q,"status":"sent",%s}`, envelopeID, tt.json),
			"xml":       legacy("<Status>Sent</Status><CustomFields>"+tt.xml+"</CustomFields>", ""),
		} {
			if diff := cmp.Diff(tt.want, normalize(t, body).References); diff != "" && (format != "xml" || tt.xml != "") {
				t.Errorf("%s, %s: %s", name, format, diff)
			}
		}
	}
	xml := legacy("<Status>Sent</Status><RecipientStatuses><RecipientStatus><CustomFields>"+xmlField("a", "b", "")+
		"</CustomFields></RecipientStatus></RecipientStatuses>", "")
	if e := normalize(t, xml); len(e.References) > 0 {
		t.Errorf("a recipient's field is a reference: %v", e.References)
	}
	if e := normalize(t, sim("template-created", summary(inJSON(`{"name":"a","value":"b"}`, "")))); len(e.References) > 0 {
		t.Errorf("references of a template: %v", e.References)
	}
}

// TestManyFields has more fields than are read.
func TestManyFields(t *testing.T) {
	var texts, xml strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&texts, `{"name":"f%d","value":"v"},`, i)
		xml.WriteString(xmlField(fmt.Sprintf("f%d", i), "v", ""))
	}
	text := strings.TrimSuffix(texts.String(), ",")
	for body, want := range map[string]int{
		about("envelope-sent", summary(inJSON(text, strings.ReplaceAll(text, `"f`, `"g`)))): 2000,
		legacy("<Status>Sent</Status><CustomFields>"+xml.String()+"</CustomFields>", ""):    1000,
	} {
		if got := len(normalize(t, body).References); got != want {
			t.Errorf("%d references, want %d: %.60s", got, want, body)
		}
	}
}
