package docusign_test

import (
	"fmt"
	"strings"
	"testing"

	"esignhooks/shared/lab/attack"
	"esignhooks/shared/webhook/webhooktest"
)

var claims = webhooktest.Claims{
	Variables: [3]string{"DOCUSIGN_HMAC_KEYS", "DOCUSIGN_URL_TOKENS", "DOCUSIGN_API"},
	Header:    "X-DocuSign-Signature-1", AlgorithmHeader: "X-Authorization-Digest", Covered: webhooktest.BodyOf,
	Spellings: []func([]byte) string{webhooktest.Base64},
	Object:    "data", ID: "envelopeId",
	Completed: func(_, _ string) string { return `"event":"envelope-completed"` },
	Named: func(quoted string) string {
		return `"event":` + quoted + `,"configurationId":` + quoted + `,"data":{"envelopeId":"a","recipientId":` + quoted +
			`}`
	},
	KeepsObject:  true,
	AnyOfSeveral: true, // there is one signature for each key of the account
	LongLists: map[string]func(func(string) string) string{
		"recipients": func(repeat func(string) string) string {
			return about("envelope-sent", `"envelopeSummary":{"recipients":{"signers":[`+repeat("{},")+`{}]}}`)
		},
		"lists of recipients": func(repeat func(string) string) string {
			return about("envelope-sent", `"envelopeSummary":{"recipients":{`+repeat(`"a":[{}],`)+`"b":[]}}`)
		},
		"custom fields": func(repeat func(string) string) string {
			return about("envelope-sent", `"envelopeSummary":{"customFields":{"textCustomFields":[`+repeat("{},")+`{}]}}`)
		},
		"XML's custom fields": func(repeat func(string) string) string {
			return legacy("<Status>Sent</Status><CustomFields>"+repeat("<CustomField/>")+"</CustomFields>", "")
		},
		"delegations": func(repeat func(string) string) string {
			return about("envelope-sent", `"envelopeSummary":{"recipients":{"signers":[{"delegatedTo":[`+repeat("{},")+`{}]}]}}`)
		},
		"documents": func(repeat func(string) string) string {
			return about("envelope-sent", `"envelopeSummary":{"envelopeDocuments":[`+repeat("{},")+`{}]}`)
		},
		"XML": func(repeat func(string) string) string {
			return legacy("<Status>Sent</Status><RecipientStatuses>"+repeat("<RecipientStatus/>")+"</RecipientStatuses>", "")
		},
	},
}

func TestProvider(t *testing.T) { webhooktest.Run(t, provider, claims, attack.Run) }

func FuzzGenuine(f *testing.F) { attack.Fuzz(f, provider, claims) }

// TestXMLHasOneMeaning attacks DocuSign's legacy format, in messages with a valid signature.
func TestXMLHasOneMeaning(t *testing.T) {
	message := func(status string) string {
		return `<DocuSignEnvelopeInformation xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus>` + status +
			`<Email>canary.person@example.com</Email></EnvelopeStatus></DocuSignEnvelopeInformation>`
	}
	const status, id = "<Status>Completed</Status>", "<EnvelopeID>first</EnvelopeID>"
	laughs := `<!DOCTYPE x [<!ENTITY a "first">`
	for i := 'b'; i < 'k'; i++ {
		laughs += fmt.Sprintf(`<!ENTITY %c "%s">`, i, strings.Repeat(fmt.Sprintf("&%c;", i-1), 10))
	}
	const deep = 100_000
	for name, tt := range map[string]struct{ body, want string }{
		"unchanged":           {message(status + id), "first"},
		"an ID of ours twice": {message(status + id + "<EnvelopeID>second</EnvelopeID>"), "second"},
		"a status twice":      {message("<Status>Sent</Status>" + status + id), "first"},
		"an ID in another name space": {
			message(status + id + `<x:EnvelopeID xmlns:x="urn:x">second</x:EnvelopeID>`), "second",
		},
		"an ID in another case":      {message(status + id + "<envelopeid>second</envelopeid>"), "first"},
		"an ID in a comment":         {message(status + id + "<!--<EnvelopeID>second</EnvelopeID>-->"), "first"},
		"an ID with a comment in it": {message(status + "<EnvelopeID>fi<!-- -->rst</EnvelopeID>"), "first"},
		"an ID as CDATA":             {message(status + "<EnvelopeID><![CDATA[first]]></EnvelopeID>"), "first"},
		"an ID in an instruction":    {message(status + id + "<?EnvelopeID second?>"), "first"},
		"an envelope within the envelope": {
			message(status + id + "<EnvelopeStatus><EnvelopeID>second</EnvelopeID></EnvelopeStatus>"), "first",
		},
		"a second message after the first": {
			message(status+id) + message(status+"<EnvelopeID>second</EnvelopeID>"), "first",
		},
		"a second envelope after the first": {
			strings.Replace(message(status+id), "</DocuSign",
				"<EnvelopeStatus><EnvelopeID>second</EnvelopeID></EnvelopeStatus></DocuSign", 1),
			"second",
		},
		"an entity of its own": {
			`<!DOCTYPE x [<!ENTITY a "first">]>` + message(status+"<EnvelopeID>&a;</EnvelopeID>"), attack.Unreadable,
		},
		"an entity that nobody declared": {message(status + "<EnvelopeID>&a;</EnvelopeID>"), attack.Unreadable},
		"an entity that is a file": {
			`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + message(status+"<EnvelopeID>&a;</EnvelopeID>"),
			attack.Unreadable,
		},
		"an entity of parameters": {
			`<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1/x.dtd"> %a;]>` + message(status+id), attack.Unreadable,
		},
		"a document type from elsewhere": {
			`<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">` + message(status+id), attack.Unreadable,
		},
		"a document type inside the message": {message(status + id + `<!DOCTYPE x>`), attack.Unreadable},
		"an inclusion": {
			message(status + id + `<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>`),
			"first",
		},
		"a billion laughs": {
			laughs + `]>` + message(status+"<EnvelopeID>&j;</EnvelopeID>"), attack.Unreadable,
		},
		"elements nested to the limit": {
			message(status + id + strings.Repeat("<a>", deep) + strings.Repeat("</a>", deep)), "first or unreadable",
		},
		"unknown elements nested to the limit": {
			strings.Repeat("<a>", deep) + strings.Repeat("</a>", deep), attack.Unreadable,
		},
		"elements that are never closed": {strings.Repeat("<a>", deep), attack.Unreadable},
		"elements that cross":            {message(status + "<EnvelopeID>first</Status>"), attack.Unreadable},
		"attributes without end": {
			message(status + id + "<a " + strings.Repeat(`b="c" `, deep) + "/>"), "first or unreadable",
		},
		"a wrong encoding": {
			`<?xml version="1.0" encoding="UTF-16"?>` + message(status+id), "first",
		},
		"UTF-7": {
			`<?xml version="1.0" encoding="UTF-7"?>` + message(status+"<EnvelopeID>+AGYAaQByAHMAdA-</EnvelopeID>"),
			"+agyaaqbyahmada-",
		},
		"the right encoding":   {`<?xml version="1.0" encoding="utf-8"?>` + message(status+id), "first"},
		"invalid UTF-8":        {message(status + "<EnvelopeID>a\xff</EnvelopeID>"), attack.Unreadable},
		"a NUL":                {message(status + "<EnvelopeID>a\x00</EnvelopeID>"), attack.Unreadable},
		"a NUL as a reference": {message(status + "<EnvelopeID>a&#0;</EnvelopeID>"), attack.Unreadable},
		"a SOAP envelope": {
			`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>` + message(status+id) +
				`</s:Body></s:Envelope>`,
			attack.Unreadable,
		},
		"JSON behind it": {message(status+id) + claims.Body("", "second"), "first"},
		"JSON before it": {claims.Body("", "second") + message(status+id), attack.Unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			w := attack.NewWorld(t, provider, claims)
			got := w.Meaning(w.Signed(tt.body))
			if got != tt.want && !(tt.want == "first or unreadable" && (got == "first" || got == attack.Unreadable)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
