package docusign_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/webhook/webhooktest"
)

func TestTypesOfSIMEvents(t *testing.T) {
	for event, want := range map[string]esign.Type{
		"envelope-created":               esign.AgreementCreated,
		"envelope-sent":                  esign.AgreementSent,
		"envelope-delivered":             esign.AgreementViewed,
		"recipient-delivered":            esign.AgreementViewed,
		"recipient-completed":            esign.AgreementSigned,
		"envelope-completed":             esign.AgreementCompleted,
		"envelope-declined":              esign.AgreementDeclined,
		"envelope-voided":                esign.AgreementCancelled,
		"envelope-resent":                esign.AgreementUpdated,
		"envelope-corrected":             esign.AgreementUpdated,
		"envelope-purge":                 esign.AgreementUpdated,
		"envelope-deleted":               esign.AgreementUpdated,
		"envelope-discard":               esign.AgreementUpdated,
		"recipient-sent":                 esign.AgreementUpdated,
		"recipient-resent":               esign.AgreementUpdated,
		"recipient-declined":             esign.AgreementUpdated,
		"recipient-authenticationfailed": esign.AgreementUndeliverable,
		"recipient-autoresponded":        esign.AgreementUndeliverable,
		"recipient-reassign":             esign.AgreementUpdated,
		"recipient-delegate":             esign.AgreementUpdated,
		"recipient-finish-later":         esign.AgreementUpdated,
		"template-created":               esign.TemplateCreated,
		"template-modified":              esign.TemplateUpdated,
		"template-deleted":               esign.TemplateDeleted,
		"template-novelty":               esign.Other,
		"click-agreed":                   esign.Other,
		"click-declined":                 esign.Other,
		"agreement-created":              esign.Other, // of Navigator
		"agreement-reviews-completed":    esign.Other,
		"workflow-completed":             esign.Other,
		"workflow-instance-completed":    esign.Other,
		"sms-opt-in":                     esign.AgreementUpdated,
		"sms-opt-out":                    esign.AgreementUpdated,
		"envelope-signed":                esign.AgreementUpdated, // a status, and no event
		"envelope-novelty":               esign.AgreementUpdated,
		"recipient-novelty":              esign.AgreementUpdated,
		"Envelope-Completed":             esign.AgreementUpdated,
		"envelope":                       esign.AgreementUpdated,
		"novelty":                        esign.AgreementUpdated,
		"":                               esign.AgreementUpdated,
	} {
		e := normalize(t, about(event, ""))
		if e.Type != want || e.VendorType != event {
			t.Errorf("%q is %q of vendor type %q, want %q", event, e.Type, e.VendorType, want)
		}
		if about := strings.HasPrefix(string(want), "agreement."); about != (e.AgreementID == envelopeID) {
			t.Errorf("%q is about agreement %q", event, e.AgreementID)
		}
	}
	for _, event := range docusign.MoreEvents() {
		if e := normalize(t, about(event, "")); e.Type != esign.AgreementUpdated || e.AgreementID != envelopeID {
			t.Errorf("%q is %q of %q", event, e.Type, e.AgreementID)
		}
		if e := normalize(t, sim(event, "")); e.Type != esign.Other || slices.Contains(docusign.Events(), event) {
			t.Errorf("%q of no envelope is %q", event, e.Type)
		}
	}
}

func TestTypesOfStatuses(t *testing.T) {
	for status, want := range map[string]esign.Type{
		"Created":   esign.AgreementCreated,
		"Sent":      esign.AgreementSent,
		"Delivered": esign.AgreementViewed,
		"Signed":    esign.AgreementSigned,
		"Completed": esign.AgreementCompleted,
		"Declined":  esign.AgreementDeclined,
		"Voided":    esign.AgreementCancelled,
		"TimedOut":  esign.AgreementExpired,
		"Deleted":   esign.AgreementUpdated,
		"Correct":   esign.AgreementUpdated,
		"Novelty":   esign.AgreementUpdated,
	} {
		for format, body := range map[string]string{
			"xml":       legacy("<Status>\n "+status+" </Status>", ""),
			"aggregate": fmt.Sprintf(`{"envelopeId":%q,"status":%q}`, envelopeID, status),
		} {
			e := normalize(t, body)
			if e.Type != want || e.VendorType != status || e.AgreementID != envelopeID || e.Attributes["format"] != format {
				t.Errorf("%s %s: %+v, want %q", format, status, e, want)
			}
			if got := normalize(t, strings.Replace(body, status, strings.ToLower(status), 1)).Type; got != want {
				t.Errorf("%s %s in lower case is %q", format, status, got)
			}
		}
	}
}

func TestOnlyDocuSignsSentenceMeansExpired(t *testing.T) {
	for reason, want := range map[string]esign.Type{
		"Envelope has expired.":                 esign.AgreementExpired,
		" envelope has EXPIRED ":                esign.AgreementExpired,
		"Envelope has expired..":                esign.AgreementCancelled,
		"Envelope has not expired.":             esign.AgreementCancelled,
		"The envelope has expired.":             esign.AgreementCancelled,
		"Quote expired, a new contract follows": esign.AgreementCancelled,
		"EXPIRED":                               esign.AgreementCancelled,
		"Wrong version":                         esign.AgreementCancelled,
		"":                                      esign.AgreementCancelled,
	} {
		for format, body := range map[string]string{
			"sim":       about("envelope-voided", summary(fmt.Sprintf(`"voidedReason":%q`, reason))),
			"aggregate": fmt.Sprintf(`{"envelopeId":%q,"status":"voided","voidedReason":%q}`, envelopeID, reason),
			"xml":       legacy("<Status>Voided</Status><VoidReason>"+reason+"</VoidReason>", ""),
		} {
			e := normalize(t, body)
			if e.Type != want {
				t.Errorf("%s voided because %q is %q, want %q", format, reason, e.Type, want)
			}
			said := ""
			if want == esign.AgreementCancelled {
				said = reason
			}
			if e.Reason != said {
				t.Errorf("%s has the reason %q, want %q", format, e.Reason, said)
			}
		}
	}
	const deadline = `"voidedReason":"Envelope has expired.","expireDateTime":"2026-11-02T08:00:00Z"`
	for members, want := range map[string]esign.Type{
		deadline + `,"statusChangedDateTime":"2026-11-02T08:00:00Z"`:      esign.AgreementExpired,
		deadline + `,"statusChangedDateTime":"2026-11-02T07:59:59.9Z"`:    esign.AgreementCancelled,
		deadline + `,"voidedDateTime":"2026-11-02T07:00:00Z"`:             esign.AgreementCancelled,
		deadline + `,"statusChangedDateTime":"2026-11-02T10:00:00+03:00"`: esign.AgreementCancelled,
		deadline: esign.AgreementExpired, // the message was made later
	} {
		if got := normalize(t, about("envelope-voided", summary(members))).Type; got != want {
			t.Errorf("%s: %s, want %s", members, got, want)
		}
	}
	if got := normalize(t, about("envelope-completed",
		summary(`"voidedReason":"Envelope has expired."`))).Type; got != esign.AgreementCompleted {
		t.Errorf("completed with a reason is %q", got)
	}
}

func TestReasons(t *testing.T) {
	inJSON := func(status, recipients string) string {
		return fmt.Sprintf(`"status":%q,"voidedReason":"a mistake","recipients":{"signers":[%s]}`, status, recipients)
	}
	declined := func(at, reason string) string {
		return fmt.Sprintf(`{"status":"Declined","declinedDateTime":"2026-11-02T08:%s:00Z","declinedReason":%q}`, at, reason)
	}
	const sent = `{"recipientId":"1","status":"sent","declinedReason":"before a correction"}`
	inXML := func(status, reason string) string {
		return snapshot(status, "<VoidReason>a mistake</VoidReason>", xmlRecipient("Signer", guidA, "Declined", reason))
	}
	for name, tt := range map[string]struct{ body, want string }{
		"declined": {about("envelope-declined", summary(inJSON("declined", sent+","+declined("01", " too dear ")))),
			"too dear"},
		"declined twice, the last counts": {about("envelope-declined",
			summary(inJSON("declined", declined("02", "second")+","+declined("01", "first")))), "second"},
		"declined without a word":       {about("envelope-declined", summary(inJSON("declined", declined("01", "")))), ""},
		"declined, and nothing told":    {about("envelope-declined", ""), ""},
		"declined, as an aggregate":     {"{" + `"envelopeId":"e",` + inJSON("declined", declined("01", "no")) + "}", "no"},
		"declined, in XML":              {inXML("Declined", "<DeclineReason>no</DeclineReason>"), "no"},
		"declined, in XML, nil":         {inXML("Declined", `<DeclineReason xsi:nil="true" />`), ""},
		"declined, before the envelope": {inXML("Sent", "<DeclineReason>no</DeclineReason>"), "no"},
		"voided":                        {about("envelope-voided", summary(inJSON("voided", sent))), "a mistake"},
		"voided, in XML":                {inXML("Voided", "<DeclineReason>no</DeclineReason>"), "a mistake"},
		"voided, with the vendor's word": {about("envelope-voided",
			summary(`"voidedReason":"Envelope has expired.","expireDateTime":"2027-01-01T00:00:00Z",`+
				`"statusChangedDateTime":"`+generated+`"`)), ""},
		"expired": {about("envelope-voided", summary(`"voidedReason":"Envelope has expired."`)), ""},
		"completed": {about("envelope-completed", summary(inJSON("completed", declined("01", "no")))),
			""},
		"the recipient's own event": {about("recipient-declined", `"recipientId":"01",`+
			summary(inJSON("declined", declined("01", "no")))), ""},
	} {
		if got := normalize(t, tt.body).Reason; got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestOnlySignersSign(t *testing.T) {
	for list, want := range map[string]esign.Type{
		"signers": esign.AgreementSigned, "inPersonSigners": esign.AgreementSigned, "seals": esign.AgreementSigned,
		"witnesses": esign.AgreementSigned, "notaries": esign.AgreementSigned,
		"carbonCopies": esign.AgreementUpdated, "certifiedDeliveries": esign.AgreementUpdated,
		"agents":  esign.AgreementUpdated,
		"editors": esign.AgreementUpdated, "intermediaries": esign.AgreementUpdated, "novelties": esign.AgreementUpdated,
	} {
		recipients := fmt.Sprintf(`"recipients":{"recipientCount":"1","errorDetails":{},"signers":[null,7,{}],%q:[{"recipientId":"7","status":"completed"}]}`, list)
		e := normalize(t, about("recipient-completed", `"recipientId":"7",`+summary(recipients)))
		if e.Type != want || e.Participant != "7" {
			t.Errorf("completed by one of %s: %q of %q, want %q", list, e.Type, e.Participant, want)
		}
		if listed := len(e.Participants) == 1; listed != (want == esign.AgreementSigned) {
			t.Errorf("participants from %s: %v", list, e.Participants)
		}
	}
	stranger := about("recipient-completed", `"recipientId":"8",`+signer("7", `"status":"sent"`))
	if e := normalize(t, stranger); e.Type != esign.AgreementSigned {
		t.Errorf("completed by one that the summary leaves out: %q", e.Type)
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestOccurredAt(t *testing.T) {
	full := summary(`"status":"completed","statusChangedDateTime":"2026-11-02T07:00:09.5Z","completedDateTime":"2026-11-02T07:00:09Z",` +
		`"sentDateTime":"2026-11-02T07:00:03Z","deliveredDateTime":"2026-11-02T07:00:05Z","createdDateTime":"2026-11-02T07:00:01Z",` +
		`"recipients":{"signers":[{"recipientId":"1","sentDateTime":"2026-11-02T07:00:04Z","signedDateTime":"2026-11-02T07:00:08Z"}]}`)
	const made = "2026-11-02T08:00:05.547Z"
	for name, tt := range map[string]struct {
		body        string
		want        string
		approximate bool
	}{
		"no summary: not later than the message": {about("envelope-completed", ""), made, true},
		"the summary's status is the event's": {
			about("envelope-completed", full), "2026-11-02T07:00:09.5Z", false,
		},
		"a later status: the step's own time": {about("envelope-sent", full), "2026-11-02T07:00:03Z", false},
		"a later status, viewed":              {about("envelope-delivered", full), "2026-11-02T07:00:05Z", false},
		"a later status, created":             {about("envelope-created", full), "2026-11-02T07:00:01Z", false},
		"a correction has no time of its own": {about("envelope-corrected", full), made, true},
		"the recipient's own time": {
			about("recipient-completed", `"recipientId":"1",`+full), "2026-11-02T07:00:08Z", false,
		},
		"a recipient's step that the summary leaves out": {
			about("recipient-declined", `"recipientId":"1",`+full), made, true,
		},
		"a recipient that the summary leaves out": {about("recipient-sent", `"recipientId":"2",`+full), made, true},
		"a summary without readable times": {
			about("envelope-sent", summary(`"status":"sent","statusChangedDateTime":"soon","sentDateTime":7`)), made, true,
		},
		"a time without a zone": {
			about("envelope-sent", summary(`"sentDateTime":"2026-11-02T07:00:03"`)), "2026-11-02T07:00:03Z", true,
		},
		"a click": {
			sim("click-agreed", `"agreementId":"1"`, `"generatedDateTime":"`+generated+`"`), made, true,
		},
		"no time at all": {
			sim("envelope-completed", `"envelopeId":"e"`), "0001-01-01T00:00:00Z", false,
		},
		"an aggregate": {
			`{"envelopeId":"e","status":"correct","statusChangedDateTime":"2026-11-02T07:00:03.25Z"}`, "2026-11-02T07:00:03.25Z",
			false,
		},
		"XML, zone unknown": {
			legacy("<Status>Sent</Status><Sent>2026-11-02T07:00:03.25</Sent>", ""), "2026-11-02T07:00:03.25Z", true,
		},
		"XML, zone in another field": {
			legacy("<Status>Sent</Status><Sent>2026-11-02T07:00:03.25</Sent>", "<TimeZoneOffset> -7 </TimeZoneOffset>"),
			"2026-11-02T14:00:03.25Z", false,
		},
		"XML, zone east and not of full hours": {
			legacy("<Status>Sent</Status><Sent>2026-11-02T07:00:03.25</Sent>", "<TimeZoneOffset>5.5</TimeZoneOffset>"),
			"2026-11-02T01:30:03.25Z", false,
		},
		"XML, an invalid zone": {
			legacy("<Status>Sent</Status><Sent>2026-11-02T07:00:03.25</Sent>", "<TimeZoneOffset>NaN</TimeZoneOffset>"),
			"2026-11-02T07:00:03.25Z", true,
		},
		"XML, Greenwich": {
			legacy("<Status>Sent</Status><Sent>2026-11-02T07:00:03.25</Sent>", "<TimeZoneOffset>0</TimeZoneOffset>"),
			"2026-11-02T07:00:03.25Z", false,
		},
		"XML, zone in the time": {
			legacy("<Status>Sent</Status><Sent>2014-11-02T07:00:03.25-07:00</Sent>", "<TimeZoneOffset>-8</TimeZoneOffset>"),
			"2014-11-02T14:00:03.25Z", false,
		},
		"XML, only the message's time": {
			legacy("<TimeGenerated>2026-11-02T07:00:20.1085476</TimeGenerated><Status>Voided</Status>",
				"<TimeZoneOffset>0</TimeZoneOffset>"), "2026-11-02T07:00:20.1085476Z", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := normalize(t, tt.body)
			if !e.OccurredAt.Equal(at(tt.want)) || e.Approximate != tt.approximate {
				t.Errorf("got %v, %v, want %v, %v", e.OccurredAt, e.Approximate, tt.want, tt.approximate)
			}
			if id := identify(t, tt.body); !id.OccurredAt.Equal(e.OccurredAt) {
				t.Errorf("identified at %v", id.OccurredAt)
			}
		})
	}
}

// progress returns what an event states about people, without roles, turns and problems.
func progress(e esign.Event) (all []esign.Participant) {
	for _, p := range e.Participants {
		all = append(all, esign.Participant{ID: p.ID, Aliases: p.Aliases, Status: p.Status, At: p.At,
			Approximate: p.Approximate, Replaced: p.Replaced})
	}
	return all
}

func TestParticipants(t *testing.T) {
	recipients := `"recipients":{
		"signers":[
			{"recipientId":"9","status":"Completed","sentDateTime":"2026-11-02T07:00:01Z","signedDateTime":"2026-11-02T07:00:08Z"},
			{"recipientId":2,"status":"sent","sentDateTime":"2026-11-02T07:00:02Z"},
			{"recipientId":"3","status":"delivered","deliveredDateTime":"2026-11-02T07:00:03Z"},
			{"recipientId":"4","status":"signed","signedDateTime":"2026-11-02T07:00:04Z"},
			{"recipientId":"5","status":"created"},{"status":"sent"},
			{"recipientId":"6","status":"AutoResponded","sentDateTime":"2026-11-02T07:00:06Z"},
			{"recipientId":"7","status":"faxPending","signedDateTime":"2026-11-02T07:00:07Z"},
			{"recipientId":"someone@example.com","status":"sent"}],
		"inPersonSigners":[{"recipientId":"1","status":"declined","declinedDateTime":"2026-11-02T07:00:05Z","declinedReason":"no"}],
		"carbonCopies":[{"recipientId":"8","status":"completed"}]}`
	want := []esign.Participant{
		{ID: "1", Status: esign.Declined, At: at("2026-11-02T07:00:05Z")},
		{ID: "2", Status: esign.Sent, At: at("2026-11-02T07:00:02Z")},
		{ID: "3", Status: esign.Viewed, At: at("2026-11-02T07:00:03Z")},
		{ID: "4", Status: esign.Signed, At: at("2026-11-02T07:00:04Z")},
		{ID: "6", Status: esign.Sent, At: at("2026-11-02T07:00:06Z")},
		{ID: "7", Status: esign.Signed, At: at("2026-11-02T07:00:07Z")},
		{ID: "9", Status: esign.Signed, At: at("2026-11-02T07:00:08Z")},
		{ID: "sha256:72497f475e4f76d0b28f57c73a084ece576d170874eba3ee2609d9afe4b71aab", Status: esign.Sent},
	}
	for name, body := range map[string]string{
		"sim":       about("envelope-sent", summary(recipients)),
		"aggregate": `{"envelopeId":"e","status":"sent",` + recipients + `}`,
	} {
		if diff := cmp.Diff(want, progress(normalize(t, body))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParticipantsOfXML(t *testing.T) {
	recipient := func(kind, id, status, times string) string {
		return "<RecipientStatus><Type>" + kind + "</Type>" + times + "<Status>" + status + "</Status><RecipientId>" + id +
			"</RecipientId></RecipientStatus>"
	}
	body := legacy("<RecipientStatuses>"+
		recipient("Signer", "b", "Completed", "<Sent>2026-11-02T00:00:01</Sent><Signed>2026-11-02T00:00:02</Signed>")+
		recipient("InPersonSigner", "a", "Delivered", "<Delivered>2026-11-02T00:00:03</Delivered>")+
		recipient("CarbonCopy", "c", "Completed", "<Sent>2026-11-02T00:00:01</Sent>")+
		"</RecipientStatuses><Status>Sent</Status>", "<TimeZoneOffset>-8</TimeZoneOffset>")
	want := []esign.Participant{
		{ID: "a", Status: esign.Viewed, At: at("2026-11-02T08:00:03Z")},
		{ID: "b", Status: esign.Signed, At: at("2026-11-02T08:00:02Z")},
	}
	if diff := cmp.Diff(want, progress(normalize(t, body))); diff != "" {
		t.Error(diff)
	}
}

func TestParticipantsAreLimited(t *testing.T) {
	var signers []string
	for i := range esign.MaxParticipants + 50 {
		signers = append(signers, fmt.Sprintf(`{"recipientId":"%04d","status":"sent"}`, esign.MaxParticipants+50-i))
	}
	got := normalize(t, about("envelope-sent",
		summary(`"recipients":{"signers":[`+strings.Join(signers, ",")+`]}`))).Participants
	if len(got) != esign.MaxParticipants || got[0].ID != "0001" ||
		got[len(got)-1].ID != fmt.Sprintf("%04d", esign.MaxParticipants) {
		t.Errorf("%d participants from %v", len(got), got[0])
	}
}

func TestAccount(t *testing.T) {
	field := func(name, value string) string {
		return "<CustomFields><CustomField><Name>Project</Name><Value>1</Value></CustomField><CustomField><Name>" + name +
			"</Name><Value>" + value + "</Value></CustomField></CustomFields><Status>Sent</Status>"
	}
	for body, want := range map[string]string{
		about("envelope-sent", `"accountId":"`+strings.ToUpper(accountID)+`"`):                               accountID,
		sim("envelope-sent", `"envelopeId":"e"`, `"uri":"/restapi/v2.1/accounts/`+accountID+`/envelopes/e"`): accountID,
		about("envelope-sent", ""):                                  "",
		legacy(field("AccountId", " 123 "), ""):                     "123",
		legacy(field("AccountId", "Ada Example"), ""):               "",
		legacy(field("AccountId", "7")+field("AccountId", "7"), ""): "7",
		legacy(field("AccountId", "7")+field("AccountId", "8"), ""): "", // a sender's own field
		legacy(field("AccountName", "456"), ""):                     "",
		sim("template-created", `"accountId":"`+accountID+`"`):      accountID,
	} {
		if got := normalize(t, body).AccountID; got != want {
			t.Errorf("%s: account %q, want %q", body, got, want)
		}
	}
}

func TestAttributes(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want map[string]string
	}{
		"a bare message": {about("envelope-sent", ""), map[string]string{"format": "sim"}},
		"a summary": {
			about("recipient-sent", `"recipientId":"1",`+
				summary(`"status":"sent","recipients":{"signers":[{"recipientId":"1","recipientType":"signer"}]}`)),
			map[string]string{"format": "sim", "envelopeStatus": "sent", "recipientType": "signer"},
		},
		"documents listed": {
			about("envelope-completed", summary(`"envelopeDocuments":[{"documentId":"1","PDFBytes":""},{"PDFBytes":null},{}]`)),
			map[string]string{"format": "sim"},
		},
		"documents included": {
			about("envelope-completed", summary(`"envelopeDocuments":[{"documentId":"1"},{"PDFBytes":"JVBERg=="}]`)),
			map[string]string{"format": "sim", "documentsIncluded": "true"},
		},
		"documents included in an aggregate": {
			`{"envelopeId":"e","status":"sent","envelopeDocuments":[{"PDFBytes":"JVBERg=="}]}`,
			map[string]string{"format": "aggregate", "envelopeStatus": "sent", "documentsIncluded": "true"},
		},
		"documents included in XML": {
			legacy("<Status>Sent</Status>",
				"<DocumentPDFs><DocumentPDF><Name>x</Name><PDFBytes>JVBERg==</PDFBytes></DocumentPDF></DocumentPDFs>"),
			map[string]string{"format": "xml", "envelopeStatus": "Sent", "documentsIncluded": "true"},
		},
		"no documents in XML": {
			legacy("<Status>Sent</Status>", "<DocumentPDFs />"), map[string]string{"format": "xml", "envelopeStatus": "Sent"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, normalize(t, tt.body).Attributes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNothingPersonalIsKept looks for the personal data of the examples.
func TestNothingPersonalIsKept(t *testing.T) {
	for name, r := range webhooktest.Examples(t, "docusign") {
		b, _ := json.Marshal(esign.Policy{}.Apply(normalize(t, string(r.Body)), provider.Info().PersonReference))
		for _, word := range []string{
			"Example", "example.com", "Sam", "192.0.2.", "lease", "rent", "version", "http", "/envelopes/",
		} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s contains %q: %s", name, word, b)
			}
		}
	}
}

// TestFolded folds the examples about one envelope.
func TestFolded(t *testing.T) {
	examples := webhooktest.Examples(t, "docusign")
	var a esign.Agreement
	for _, name := range []string{
		"recipient-completed-second", "envelope-completed", "unknown-event", "envelope-created", "envelope-sent",
		"envelope-delivered", "recipient-completed", "envelope-completed-minimal", "recipient-autoresponded",
	} {
		a = esign.Fold(a, normalize(t, string(examples[name].Body)))
	}
	if a.Status != esign.Completed || a.Conflict || len(a.Participants) != 2 {
		t.Errorf("folded to %+v", a)
	}
	for id, p := range a.Participants {
		if p.Status != esign.Signed || p.Replaced || len(id) != len(envelopeID) || len(p.Aliases) != 1 {
			t.Errorf("%s is folded to %+v", id, p)
		}
	}
}
