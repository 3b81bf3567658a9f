package docusign_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func TestUnreadable(t *testing.T) {
	good := legacy("<Status>Sent</Status>", "")
	for name, body := range map[string]string{
		"nothing":                       "",
		"white space":                   " \r\n\t",
		"a byte order mark":             "\xef\xbb\xbf",
		"null":                          "null",
		"an array":                      "[]",
		"an array of messages":          "[" + about("envelope-sent", "") + "]",
		"a string":                      `"envelope-sent"`,
		"a number":                      "7",
		"a form":                        "event=envelope-sent",
		"no members":                    "{}",
		"cut off":                       about("envelope-sent", "")[:60],
		"two objects":                   about("envelope-sent", "") + about("envelope-sent", ""),
		"a null event":                  `{"event":null,"data":{"envelopeId":"e"}}`,
		"no event":                      `{"data":{"envelopeId":"e"}}`,
		"an empty event without data":   `{"event":"","data":{}}`,
		"an object as the event":        `{"event":{"name":"envelope-sent"},"data":{}}`,
		"an aggregate without an ID":    `{"status":"sent"}`,
		"an aggregate without a status": `{"envelopeId":"e"}`,
		"UTF-16":                        "\xff\xfe{\x00}\x00",
		"nested 100,000 levels deep": `{"event":"x","data":` + strings.Repeat("[", 100_000) +
			strings.Repeat("]", 100_000) + `}`,
		"nested and never closed": strings.Repeat(`{"data":`, 100_000),

		"XML cut off":             good[:len(good)-9],
		"XML of another kind":     `<Envelope><Status>Sent</Status></Envelope>`,
		"HTML":                    "<!DOCTYPE html><html></html>",
		"XML's declaration alone": `<?xml version="1.0"?>`,
		"SOAP": `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
			good + `</soap:Body></soap:Envelope>`,
		"XML without an ID":                    `<DocuSignEnvelopeInformation><EnvelopeStatus><Status>Sent</Status></EnvelopeStatus></DocuSignEnvelopeInformation>`,
		"XML without a status":                 legacy("", ""),
		"XML with nil":                         legacy(`<Status xsi:nil="true" />`, ""),
		"a document type":                      "<!DOCTYPE DocuSignEnvelopeInformation>" + good,
		"a document type inside":               legacy("<!DOCTYPE x><Status>Sent</Status>", ""),
		"a document type after the message":    good + "<!DOCTYPE x>",
		"an entity of its own":                 `<!DOCTYPE x [<!ENTITY a "Sent">]>` + legacy("<Status>&a;</Status>", ""),
		"an entity nobody declared":            legacy("<Status>&a;</Status>", ""),
		"an entity of HTML":                    legacy("<Status>Sent</Status><Subject>&nbsp;</Subject>", ""),
		"XML with a stray end":                 good + "</x>",
		"an ID that is not UTF-8":              strings.Replace(good, envelopeID, "e\xff", 1),
		"an ID with a control character":       strings.Replace(good, envelopeID, "e&#1;", 1),
		"a document type in another encoding":  `<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x>` + good,
		"a document type in UTF-16":            utf16("<!DOCTYPE x>"+good, 0, 1),
		"an entity beside a control character": legacy("<Status>Sent</Status><Subject>&#1;&a;</Subject>", ""),
		"XML nested in status, deep": legacy("<RecipientStatuses>"+strings.Repeat("<RecipientStatus>", 100_000),
			""),
	} {
		t.Run(name, func(t *testing.T) {
			if ids, err := provider.Identify(&webhook.Request{Body: []byte(body)}); !errors.Is(err, webhook.ErrUnreadable) ||
				ids != nil {
				t.Errorf("identified as %v, %v", ids, err)
			}
			e, err := provider.Normalize(&webhook.Delivery{Payload: []byte(body)})
			if !errors.Is(err, webhook.ErrUnreadable) || !cmp.Equal(e, esign.Event{}) {
				t.Errorf("normalised to %+v, %v", e, err)
			}
			if err != nil && len(body) > 3 && strings.Contains(err.Error(), "Sent") {
				t.Errorf("the error contains the body: %v", err)
			}
		})
	}
}

// utf16 returns ASCII and a byte order mark in UTF-16. high and low are the positions of the bytes.
func utf16(s string, high, low int) string {
	var b []byte
	for _, r := range s {
		var unit [2]byte
		unit[high], unit[low] = byte(r>>8), byte(r)
		b = append(b, unit[:]...)
	}
	return string(b)
}

func TestUnreadableSOAPSaysWhatToDo(t *testing.T) {
	for _, namespace := range []string{"http://schemas.xmlsoap.org/soap/envelope/",
		"http://www.w3.org/2003/05/soap-envelope"} {
		_, err := provider.Identify(&webhook.Request{Body: []byte(`<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="` +
			namespace + `"><s:Body>` + legacy("<Status>Sent</Status>", "") + `</s:Body></s:Envelope>`)})
		if !errors.Is(err, webhook.ErrUnreadable) || !strings.Contains(err.Error(), "SOAP") ||
			!strings.Contains(err.Error(), "switch off useSoapInterface") {
			t.Error(err)
		}
	}
}

func TestReadable(t *testing.T) {
	xmlns := ` xmlns="http://www.docusign.net/API/3.0"`
	status := "<Status>Sent</Status>"
	for name, body := range map[string]string{
		"unchanged":          about("envelope-sent", ""),
		"byte order mark":    "\xef\xbb\xbf" + about("envelope-sent", ""),
		"white space around": "\r\n " + about("envelope-sent", "") + " \n",
		"unknown members":    about("envelope-sent", `"future":{"a":[1,null]},"hasFormDataChanged":"false"`),
		"wrong types":        about("envelope-sent", `"accountId":{},"recipientId":[],"envelopeSummary":"none"`),
		"wrong types inside": about("envelope-sent",
			summary(`"status":7,"recipients":[],"envelopeDocuments":{},"voidedReason":{}`)),
		"wrong types further inside": about("envelope-sent",
			summary(`"recipients":{"signers":"none","agents":[[]]},"envelopeDocuments":["a",{"PDFBytes":7}]`)),
		"nulls": about("envelope-sent",
			`"accountId":null,`+summary(`"status":null,"recipients":null,"envelopeDocuments":null,"anySigner":null`)),
		"data of the wrong type": `{"event":"envelope-sent","data":"none","uri":"/accounts/a/envelopes/` + envelopeID +
			`"}`,
		"retryCount as text":       strings.Replace(about("envelope-sent", ""), `"data"`, `"retryCount":"0","data"`, 1),
		"a body that is not UTF-8": about("envelope-sent", summary(`"emailSubject":"`+"\xff\xfe"+`"`)),
		"duplicate keys, the last": strings.Replace(about("envelope-sent", ""), `{"event"`,
			`{"event":"envelope-voided","event"`, 1),
		"an aggregate":                  `{"envelopeId":"` + envelopeID + `","status":"sent"}`,
		"an aggregate, the event empty": `{"event":"","envelopeId":"` + envelopeID + `","status":"sent"}`,
		"nested 100,000 levels deep":    legacy(status+strings.Repeat("<a>", 100_000)+strings.Repeat("</a>", 100_000), ""),

		"namespace on the root": legacy(status, ""),
		"namespace on the children": `<DocuSignEnvelopeInformation><EnvelopeStatus` + xmlns + `><EnvelopeID>` + envelopeID +
			`</EnvelopeID>` + status + `</EnvelopeStatus></DocuSignEnvelopeInformation>`,
		"no namespace":          strings.Replace(legacy(status, ""), xmlns, "", 1),
		"a prefix":              `<d:DocuSignEnvelopeInformation xmlns:d="http://www.docusign.net/API/3.0"><d:EnvelopeStatus><d:EnvelopeID>` + envelopeID + `</d:EnvelopeID><d:Status>Sent</d:Status></d:EnvelopeStatus></d:DocuSignEnvelopeInformation>`,
		"XML's declaration":     `<?xml version="1.0" encoding="UTF-8"?>` + "\r\n" + legacy(status, "") + "\r\n",
		"XML's byte order mark": "\xef\xbb\xbf" + `<?xml version="1.0" encoding="utf-8"?>` + legacy(status, ""),
		"UTF-8 declared as UTF-16": `<?xml version="1.0" encoding="utf-16"?>` +
			legacy(status+"<Subject>é</Subject>", ""),
		"UTF-8 declared as something else": `<?xml version='1.0' encoding='us-ascii' ?>` +
			legacy(status+"<Subject>é</Subject>", ""),
		"ISO 8859-1": `<?xml version="1.0" encoding="ISO-8859-1"?>` +
			legacy(status+"<Subject>\xe9\x80</Subject>", ""),
		"neither UTF-8 nor declared": legacy(status+"<Subject>\xe9</Subject>", ""),
		"an unknown encoding": `<?xml version="1.0" encoding="x"?>` +
			legacy(status+"<Subject>\xe9</Subject>", ""),
		"UTF-16, little end first": utf16("\ufeff"+`<?xml version="1.0" encoding="utf-16"?>`+legacy(status, ""), 1,
			0),
		"UTF-16, big end first": utf16("\ufeff"+`<?xml version="1.0" encoding="utf-16"?>`+legacy(status, ""), 0,
			1),
		"UTF-16 without a mark": utf16(legacy(status, ""), 1, 0),
		"XML 1.1":               `<?xml version="1.1"?>` + legacy(status, ""),
		"references to control characters": legacy(status+
			"<Subject>&#xB;&#x1;&#0;&#31;&#xFFFF;&#xD800;&#x110000;&#99999999999;&#X1F;&#-1;&#+7;&#;&#x;</Subject>", ""),
		"control characters":    legacy(status+"<Subject>\x01\x0b\x00\uffff</Subject>", ""),
		"predefined entities":   legacy(status+"<Subject>&lt;&amp;&#233;</Subject>", ""),
		"CDATA and comments":    legacy("<!-- x --><Status><![CDATA[Sent]]></Status>", "") + "<!-- y -->",
		"unknown elements":      legacy(status+"<Future><Status>Voided</Status></Future>", "<Future />"),
		"a status inside a tab": legacy("<RecipientStatuses><RecipientStatus><TabStatuses><TabStatus><Status>Voided</Status></TabStatus></TabStatuses></RecipientStatus></RecipientStatuses>"+status, ""),
	} {
		t.Run(name, func(t *testing.T) {
			if e := normalize(t, body); e.Type != esign.AgreementSent || e.AgreementID != envelopeID {
				t.Errorf("normalised to %+v", e)
			}
			if id := identify(t, body); id.AgreementID != envelopeID {
				t.Errorf("identified as %+v", id)
			}
		})
	}
}

func TestLargeDocumentsAreIgnored(t *testing.T) {
	pdf := strings.Repeat("JVBERi0x", 3<<20/8)
	for name, body := range map[string]string{
		"sim": about("envelope-completed", summary(`"envelopeDocuments":[{"documentId":"1","PDFBytes":"`+pdf+`"}]`)),
		"aggregate": `{"envelopeId":"` + envelopeID + `","status":"completed","envelopeDocuments":[{"PDFBytes":"` + pdf +
			`"}]}`,
		"xml": legacy("<Status>Completed</Status>",
			"<DocumentPDFs><DocumentPDF><PDFBytes>"+pdf+"</PDFBytes></DocumentPDF></DocumentPDFs>"),
	} {
		t.Run(name, func(t *testing.T) {
			r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
			if err := provider.Sign(r, webhook.NewSecret(provider.Info().DevelopmentKey), time.Time{}); err != nil {
				t.Fatal(err)
			}
			ids, read, err := webhooktest.Read(provider, r, webhooktest.DevelopmentKeys(provider))
			if err != nil {
				t.Fatal(err)
			}
			if ids[0].EventID != identify(t, about("envelope-completed", "")).EventID {
				t.Error("identified as another event")
			}
			if e := read[0]; e.Type != esign.AgreementCompleted || e.Attributes["documentsIncluded"] != "true" {
				t.Errorf("normalised to %+v", e)
			}
		})
	}
}

func TestRecordedRequests(t *testing.T) {
	var message struct {
		Event string
		Data  struct{ AccountID, EnvelopeID string }
	}
	events := map[string]esign.Event{}
	for _, file := range []string{"recipient_completed_min", "envelope_completed_min", "envelope_completed_full"} {
		body := webhooktest.Fixture(t, "docusign/wild_json_sim_"+file+".json")
		if err := json.Unmarshal(body, &message); err != nil {
			t.Fatal(err)
		}
		e := normalize(t, string(body))
		if e.VendorType != message.Event || e.AgreementID != message.Data.EnvelopeID ||
			e.AccountID != message.Data.AccountID || e.OccurredAt.IsZero() {
			t.Errorf("%s: %+v", file, e)
		}
		if via := identify(t, string(body)).Via; !strings.HasPrefix(via, "configuration/") {
			t.Errorf("%s: via %q", file, via)
		}
		events[file] = e
	}
	signed, completed, full := events["recipient_completed_min"], events["envelope_completed_min"],
		events["envelope_completed_full"]
	if signed.Type != esign.AgreementSigned || signed.Participant != "1" || !signed.Approximate {
		t.Errorf("the recipient's completion: %+v", signed)
	}
	if completed.Type != esign.AgreementCompleted || completed.AgreementID != signed.AgreementID {
		t.Errorf("the same envelope's completion: %+v", completed)
	}
	if full.Approximate || len(full.Participants) != 1 || full.Participants[0].Status != esign.Signed ||
		!full.Participants[0].At.Equal(full.OccurredAt) {
		t.Errorf("the completion with a summary: %+v", full)
	}
}

func TestOfficialXML(t *testing.T) {
	body := webhooktest.Fixture(t, "docusign/official_xml_envelope_completed.xml")
	var want struct {
		EnvelopeStatus struct{ EnvelopeID, Completed string }
	}
	if err := xml.Unmarshal(body, &want); err != nil {
		t.Fatal(err)
	}
	e := normalize(t, string(body))
	if e.Type != esign.AgreementCompleted || e.VendorType != "Completed" ||
		e.AgreementID != want.EnvelopeStatus.EnvelopeID {
		t.Errorf("normalised to %+v", e)
	}
	if e.Approximate || !e.OccurredAt.Equal(at(want.EnvelopeStatus.Completed+"-07:00")) {
		t.Errorf("occurred at %v, approximate %v", e.OccurredAt, e.Approximate)
	}
	if len(e.Participants) != 1 || e.Participants[0].Status != esign.Signed ||
		strings.Trim(e.AccountID, "0123456789") != "" || e.AccountID == "" {
		t.Errorf("participants %v, account %q", e.Participants, e.AccountID)
	}
	sim := identify(t, sim("envelope-completed", `"envelopeId":"`+want.EnvelopeStatus.EnvelopeID+`"`))
	if got := identify(t, string(body)); got.EventID != sim.EventID || got.Subject != sim.Subject {
		t.Errorf("identified as %+v, SIM's as %+v", got, sim)
	}
}

func TestOfficialSchemaSample(t *testing.T) {
	body := webhooktest.Fixture(t, "docusign/schema_sample.json")
	if e := normalize(t, string(body)); e.Type != esign.AgreementUpdated || e.AgreementID == "" { // its event is empty
		t.Errorf("normalised to %+v", e)
	}
	body = bytes.Replace(body, []byte(`"event": ""`), []byte(`"event": "envelope-completed"`), 1)
	if e := normalize(t, string(body)); e.Type != esign.AgreementCompleted {
		t.Errorf("normalised to %+v", e)
	}
}

// FuzzParse checks that both methods find a body unreadable, or agree on one well-formed identity that does not change.
func FuzzParse(f *testing.F) {
	examples := webhooktest.Examples(f, "docusign")
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		f.Add(examples[name].Body)
	}
	f.Add([]byte(`{"event":"","data":{"envelopeId":"\u0000"}}`))
	f.Add([]byte(about("recipient-reassign", `"recipientId":"1","reassignedRecipientId":"2",`+summary(`"status":"sent",
		"customFields":{"textCustomFields":[{"name":"a","value":"b","show":"false"}]},"recipients":{"currentRoutingOrder":"1",
		"signers":[{"recipientId":"1","status":"sent","routingOrder":"1","clientUserId":"u","email":"a"}],
		"agents":[{"recipientId":"2","status":"completed","delegatedTo":[{"email":"a"}]}]}`))))
	f.Add([]byte(`<?xml version="1.0" encoding="utf-16"?>` +
		legacy("<Status>Sent</Status><Subject>&#1;\xff</Subject>", "")))
	f.Add([]byte(utf16(legacy("<Status>Sent</Status>", ""), 1, 0)))
	f.Add([]byte(legacy("<Status>Sent</Status>", "<DocumentPDFs><DocumentPDF><PDFBytes>")))
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, err := provider.Identify(&webhook.Request{Body: body})
		e, normalizeErr := provider.Normalize(&webhook.Delivery{Payload: body})
		if err != nil || normalizeErr != nil {
			if !errors.Is(err, webhook.ErrUnreadable) || !errors.Is(normalizeErr, webhook.ErrUnreadable) {
				t.Fatalf("identified with %v, normalised with %v", err, normalizeErr)
			}
			return
		}
		again, _ := provider.Identify(&webhook.Request{Body: body})
		if len(ids) != 1 || !cmp.Equal(ids, again) {
			t.Fatalf("%v, then %v", ids, again)
		}
		id := ids[0]
		switch {
		case len(id.EventID) != 64, len(id.Subject) > 128, !strings.HasPrefix(id.Subject, "docusign#"):
			t.Errorf("identity %+v", id)
		case id.AgreementID != "" && id.Subject != webhook.AgreementSubject("docusign", id.AgreementID):
			t.Errorf("subject %q of agreement %q", id.Subject, id.AgreementID)
		case e.AgreementID != id.AgreementID, e.VendorType != id.VendorType, !e.OccurredAt.Equal(id.OccurredAt):
			t.Errorf("identified as %+v, normalised to %+v", id, e)
		case slices.ContainsFunc(e.Participants, func(p esign.Participant) bool {
			return p.Order < 0 || p.ID == "" || p.Status == "" ||
				p.ReplacedBy != "" && !p.Replaced || p.Replaced && p.Waiting != nil && *p.Waiting
		}):
			t.Errorf("people %+v", e.Participants)
		case e.References[""] != "", slices.Contains(slices.Collect(maps.Values(e.References)), ""):
			t.Errorf("references %q", e.References)
		case e.Type == "", strings.HasPrefix(string(e.Type), "agreement.") && e.AgreementID == "":
			t.Errorf("type %q of agreement %q", e.Type, e.AgreementID)
		}
	})
}
