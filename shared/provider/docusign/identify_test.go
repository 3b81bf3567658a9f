package docusign_test

import (
	"strings"
	"testing"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// summary is an envelopeSummary with these members, at some state of the envelope.
func summary(members string) string { return `"envelopeSummary":{` + members + `}` }

func signer(id, members string) string {
	return summary(`"recipients":{"signers":[{"recipientId":"` + id + `",` + members + `}]}`)
}

// later returns the same message, regenerated at a later time for a retry.
func later(body string) string {
	body = strings.Replace(body, generated, "2026-11-03T09:11:12.0000000Z", 1)
	return strings.TrimSuffix(body, "}") + `,"retryCount":3}`
}

func TestSameEventHasOneID(t *testing.T) {
	once := []string{
		"envelope-created", "envelope-completed", "envelope-declined", "envelope-voided",
	}
	type pair struct{ a, b string }
	tests := map[string]pair{
		"recipient-completed regenerated for a retry": {
			about("recipient-completed", `"recipientId":"1"`), later(about("recipient-completed", `"recipientId":"1"`)),
		},
		"recipient-declined regenerated for a retry": {
			about("recipient-declined", `"recipientId":"1"`), later(about("recipient-declined", `"recipientId":"1"`)),
		},
		"a retry that changes nothing but its count": {
			about("envelope-corrected", ""), strings.TrimSuffix(about("envelope-corrected", ""), "}") + `,"retryCount":7}`,
		},
		"envelope-sent through two configurations": {
			sim("envelope-sent", `"envelopeId":"e"`, `"generatedDateTime":"`+generated+`"`, `"configurationId":1`),
			sim("envelope-sent", `"envelopeId":"e"`, `"generatedDateTime":"`+generated+`"`, `"configurationId":"2"`),
		},
		"envelope-sent of two accounts, the sender's and the recipient's": {
			about("envelope-sent", `"accountId":"a","userId":"u"`), about("envelope-sent", `"accountId":"b","userId":"v"`),
		},
		"envelope-sent regenerated, with the time of the step": {
			about("envelope-sent", summary(`"status":"sent","sentDateTime":"2026-11-02T08:00:03Z"`)),
			later(about("envelope-sent", summary(`"status":"completed","sentDateTime":"2026-11-02T08:00:03Z"`))),
		},
		"envelope-sent regenerated, with the time that the status changed": {
			about("envelope-sent", summary(`"status":"sent","statusChangedDateTime":"2026-11-02T08:00:03Z"`)),
			later(about("envelope-sent", summary(`"status":"sent","statusChangedDateTime":"2026-11-02T08:00:03Z"`))),
		},
		"envelope-sent with the same time in another notation": {
			about("envelope-sent", summary(`"sentDateTime":"2026-11-02T08:00:03.5Z"`)),
			later(about("envelope-sent", summary(`"sentDateTime":"2026-11-02T08:00:03.5000000Z"`))),
		},
		"the envelope named in the data, or in the summary alone": {
			sim("envelope-completed", `"envelopeId":"e"`), sim("envelope-completed", `"envelopeSummary":{"envelopeId":"E"}`),
		},
		"envelope-delivered regenerated, with the time of the step": {
			about("envelope-delivered", summary(`"deliveredDateTime":"2026-11-02T08:00:03Z"`)),
			later(about("envelope-delivered", summary(`"deliveredDateTime":"2026-11-02T08:00:03Z"`))),
		},
		"recipient-sent regenerated, with the recipient's time": {
			about("recipient-sent", `"recipientId":"1",`+signer("1", `"sentDateTime":"2026-11-02T08:00:03Z"`)),
			later(about("recipient-sent", `"recipientId":"1",`+signer("1", `"sentDateTime":"2026-11-02T08:00:03Z"`))),
		},
		"recipient-delivered regenerated, with the recipient's time": {
			about("recipient-delivered", `"recipientId":"1",`+signer("1", `"deliveredDateTime":"2026-11-02T08:00:03Z"`)),
			later(about("recipient-delivered", `"recipientId":1,`+signer("1", `"deliveredDateTime":"2026-11-02T08:00:03Z"`))),
		},
		"an ID in upper case": {
			about("envelope-completed", ""),
			strings.Replace(about("envelope-completed", ""), envelopeID, strings.ToUpper(envelopeID), 1),
		},
		"an ID with white space around": {
			about("envelope-completed", ""),
			strings.Replace(about("envelope-completed", ""), envelopeID, " "+envelopeID+"\\n", 1),
		},
		"an ID that is only in the URI": {
			about("envelope-completed", ""),
			sim("envelope-completed", "", `"uri":"/restapi/v2.1/accounts/`+accountID+`/envelopes/`+envelopeID+`"`),
		},
		"a template regenerated for a retry, with the same time": {
			sim("template-created", `"templateId":"T1"`, `"generatedDateTime":"`+generated+`"`, `"retryCount":0`),
			sim("template-created", `"templateId":"t1"`, `"generatedDateTime":"`+generated+`"`, `"retryCount":1`),
		},
		"a click sent again": {
			sim("click-agreed", `"agreementId":"A1"`, `"generatedDateTime":"`+generated+`"`, `"retryCount":0`),
			sim("click-agreed", `"agreementId":"a1"`, `"generatedDateTime":"`+generated+`"`, `"retryCount":1`),
		},
		"a regenerated aggregate": {
			`{"envelopeId":"e","status":"sent","sentDateTime":"2026-11-02T08:00:03Z","generatedDateTime":"2026-11-02T08:00:04Z"}`,
			`{"envelopeId":"E","status":"Sent","sentDateTime":"2026-11-02T08:00:03Z","generatedDateTime":"2026-11-02T08:09:04Z"}`,
		},
		"regenerated XML": {
			legacy(`<TimeGenerated>2026-11-02T00:00:20.1</TimeGenerated><Status>Sent</Status><Sent>2026-11-02T00:00:01.5</Sent>`,
				""),
			legacy(`<TimeGenerated>2026-11-03T00:00:20.1</TimeGenerated><Status>Sent</Status><Sent>2026-11-02T00:00:01.5</Sent>`,
				""),
		},
		"regenerated XML with recipients": {
			legacy(`<TimeGenerated>2026-11-02T00:00:20.1</TimeGenerated>`+recipientStatuses("1", "Completed"), ""),
			legacy(`<TimeGenerated>2026-11-03T00:00:20.1</TimeGenerated>`+recipientStatuses("1", "Completed"), ""),
		},
		"XML with its zone and without": {
			legacy(`<Status>Sent</Status><Sent>2026-11-02T00:00:01.5</Sent>`, ""),
			legacy(`<Status>Sent</Status><Sent>2026-11-02T00:00:01.5</Sent>`, "<TimeZoneOffset>-8</TimeZoneOffset>"),
		},
	}
	for _, event := range once {
		tests[event+" regenerated for a retry"] = pair{about(event, ""), later(about(event, ""))}
	}
	for _, status := range []string{"Created", "Completed", "Declined", "Voided"} {
		event := about("envelope-"+strings.ToLower(status), "")
		tests[status+" in XML and in SIM"] = pair{
			event, legacy("<Status>"+status+"</Status><TimeGenerated>2026-11-02T00:00:20.1</TimeGenerated>", ""),
		}
		tests[status+" in an aggregate and in SIM"] = pair{
			event, `{"envelopeId":"` + envelopeID + `","status":"` + strings.ToLower(status) + `"}`,
		}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := identify(t, tt.a), identify(t, tt.b)
			if a.EventID != b.EventID || a.Subject != b.Subject || a.AgreementID != b.AgreementID {
				t.Errorf("%+v and %+v", a, b)
			}
		})
	}
}

// recipientStatuses is a sent envelope, with recipients' IDs and statuses.
func recipientStatuses(recipients ...string) string {
	s := "<Status>Sent</Status><Sent>2026-11-02T00:00:01</Sent><RecipientStatuses>"
	for i := 0; i < len(recipients); i += 2 {
		s += "<RecipientStatus><RecipientId>" + recipients[i] + "</RecipientId><Status>" + recipients[i+1] +
			"</Status></RecipientStatus>"
	}
	return s + "</RecipientStatuses>"
}

func TestDifferentEventsHaveDifferentIDs(t *testing.T) {
	recipient := func(event, id string) string { return about(event, `"recipientId":"`+id+`"`) }
	for name, tt := range map[string]struct{ a, b string }{
		"two recipients complete":          {recipient("recipient-completed", "1"), recipient("recipient-completed", "2")},
		"two recipients decline":           {recipient("recipient-declined", "1"), recipient("recipient-declined", "2")},
		"sent to two recipients":           {recipient("recipient-sent", "1"), recipient("recipient-sent", "2")},
		"a named and an unnamed recipient": {recipient("recipient-completed", "1"), about("recipient-completed", "")},
		"unnamed recipients at two times":  {about("recipient-completed", ""), later(about("recipient-completed", ""))},
		"two envelopes": {
			sim("envelope-completed", `"envelopeId":"e1"`), sim("envelope-completed", `"envelopeId":"e2"`),
		},
		"two events of one envelope": {about("envelope-completed", ""), about("envelope-purge", "")},
		"two corrections":            {about("envelope-corrected", ""), later(about("envelope-corrected", ""))},
		"two corrections, the summary the same": {
			about("envelope-corrected",
				summary(`"status":"sent","sentDateTime":"2026-11-02T07:00:00Z","statusChangedDateTime":"2026-11-02T07:00:00Z","lastModifiedDateTime":"2026-11-02T07:00:00Z"`)),
			later(about("envelope-corrected",
				summary(`"status":"sent","sentDateTime":"2026-11-02T07:00:00Z","statusChangedDateTime":"2026-11-02T07:00:00Z","lastModifiedDateTime":"2026-11-02T07:00:00Z"`))),
		},
		"two resendings, the summary the same": {
			about("envelope-resent", summary(`"status":"sent","sentDateTime":"2026-11-02T07:00:00Z"`)),
			later(about("envelope-resent", summary(`"status":"sent","sentDateTime":"2026-11-02T07:00:00Z"`))),
		},
		"two resendings to one recipient, the summary the same": {
			about("recipient-resent", `"recipientId":"1",`+signer("1", `"sentDateTime":"2026-11-02T07:00:00Z"`)),
			later(about("recipient-resent", `"recipientId":"1",`+signer("1", `"sentDateTime":"2026-11-02T07:00:00Z"`))),
		},
		"two sendings, by the summary": {
			about("envelope-sent", summary(`"sentDateTime":"2026-11-02T07:00:00Z"`)),
			about("envelope-sent", summary(`"sentDateTime":"2026-11-02T08:00:00Z"`)),
		},
		"two sendings, the summary without a readable time": {
			about("envelope-sent", summary(`"sentDateTime":"0001-01-01T00:00:00Z"`)),
			later(about("envelope-sent", summary(`"sentDateTime":"0001-01-01T00:00:00Z"`))),
		},
		"a recipient's step by another recipient's time": {
			about("recipient-sent", `"recipientId":"2",`+signer("1", `"sentDateTime":"2026-11-02T07:00:00Z"`)),
			later(about("recipient-sent", `"recipientId":"2",`+signer("1", `"sentDateTime":"2026-11-02T07:00:00Z"`))),
		},
		"two failed authentications": {
			recipient("recipient-authenticationfailed", "1"), later(recipient("recipient-authenticationfailed", "1")),
		},
		"two purges":    {about("envelope-purge", ""), later(about("envelope-purge", ""))},
		"two deletions": {about("envelope-deleted", ""), later(about("envelope-deleted", ""))},
		"two deletions, by the summary": {
			about("envelope-deleted", summary(`"deletedDateTime":"2026-11-02T07:00:00Z"`)),
			about("envelope-deleted", summary(`"deletedDateTime":"2026-11-02T08:00:00Z"`)),
		},
		"two discarded drafts": {about("envelope-discard", ""), later(about("envelope-discard", ""))},
		"two reminders":        {about("envelope-reminder-sent", ""), later(about("envelope-reminder-sent", ""))},
		"two removals":         {about("envelope-removed", ""), later(about("envelope-removed", ""))},
		"two unknown events":   {about("envelope-novelty", ""), later(about("envelope-novelty", ""))},
		"two events without a time": {
			sim("envelope-corrected", `"envelopeId":"e"`), sim("envelope-corrected", `"envelopeId":"e","more":1`),
		},
		"an envelope that has no ID": {
			sim("envelope-completed", `"accountId":"a","n":1`), sim("envelope-completed", `"accountId":"a","n":2`),
		},
		"two templates": {
			sim("template-created", `"templateId":"1"`), sim("template-created", `"templateId":"2"`),
		},
		"two changes of one template": {
			sim("template-modified", `"templateId":"1"`, `"generatedDateTime":"2026-11-02T08:00:03Z"`),
			sim("template-modified", `"templateId":"1"`, `"generatedDateTime":"2026-11-02T08:00:04Z"`),
		},
		"a template and a click": {
			sim("template-created", `"templateId":"1","agreementId":"1"`),
			sim("click-agreed", `"templateId":"1","agreementId":"1"`),
		},
		"two clicks of one agreement": {
			sim("click-agreed", `"agreementId":"1"`, `"generatedDateTime":"2026-11-02T08:00:03Z"`),
			sim("click-agreed", `"agreementId":"1"`, `"generatedDateTime":"2026-11-02T08:00:04Z"`),
		},
		"opt-ins of two accounts":   {sim("sms-opt-in", `"accountId":"a"`), sim("sms-opt-in", `"accountId":"b"`)},
		"Deleted in XML and in SIM": {about("envelope-deleted", ""), legacy("<Status>Deleted</Status>", "")},
		"Sent at two times in XML": {
			legacy("<Status>Sent</Status><Sent>2026-11-02T00:00:01</Sent>", ""),
			legacy("<Status>Sent</Status><Sent>2026-11-02T00:00:02</Sent>", ""),
		},
		"two bounces in XML": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "AutoResponded", sentAt)),
			snapshot("Sent", nextAt, xmlRecipient("Signer", guidA, "AutoResponded", nextAt)),
		},
		"Sent and Delivered in XML": {legacy("<Status>Sent</Status>", ""), legacy("<Status>Delivered</Status>", "")},
		"a signer's progress in XML": {
			legacy(recipientStatuses("1", "Sent", "2", "Sent"), ""),
			legacy(recipientStatuses("1", "Completed", "2", "Sent"), ""),
		},
		"another signer's progress in XML": {
			legacy(recipientStatuses("1", "Completed", "2", "Sent"), ""),
			legacy(recipientStatuses("1", "Sent", "2", "Completed"), ""),
		},
		"a signer's progress in an aggregate": {
			`{"envelopeId":"e","status":"sent","sentDateTime":"2026-11-02T00:00:01Z","recipients":{"signers":[{"recipientId":"1","status":"sent"}]}}`,
			`{"envelopeId":"e","status":"sent","sentDateTime":"2026-11-02T00:00:01Z","recipients":{"signers":[{"recipientId":"1","status":"completed"}]}}`,
		},
		"two changes in aggregates": {
			`{"envelopeId":"e","status":"correct","statusChangedDateTime":"2026-11-02T00:00:01Z"}`,
			`{"envelopeId":"e","status":"correct","statusChangedDateTime":"2026-11-02T00:00:02Z"}`,
		},
		"two fields that join to the same text": {
			sim("x", `"envelopeId":"e","recipientId":"11"`), sim("x", `"envelopeId":"e1","recipientId":"1"`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if a, b := identify(t, tt.a), identify(t, tt.b); a.EventID == b.EventID {
				t.Errorf("one event: %+v and %+v", a, b)
			}
		})
	}
}

func TestSubject(t *testing.T) {
	long := strings.Repeat("e", 600)
	for name, tt := range map[string]struct{ body, subject, agreementID string }{
		"an envelope":                     {about("envelope-sent", ""), "docusign#" + envelopeID, envelopeID},
		"an unknown event of an envelope": {about("novelty", ""), "docusign#" + envelopeID, envelopeID},
		"an envelope by its URI": {
			sim("envelope-sent", "", `"uri":"/restapi/v2.1/accounts/a/envelopes/E1/"`), "docusign#e1", "e1",
		},
		"an envelope with an absurd ID": {
			sim("envelope-sent", `"envelopeId":"`+long+`"`), webhook.AgreementSubject("docusign", webhook.AgreementID(long)),
			webhook.AgreementID(long),
		},
		"XML":          {legacy("<Status>Sent</Status>", ""), "docusign#" + envelopeID, envelopeID},
		"an aggregate": {`{"envelopeId":"E1","status":"sent"}`, "docusign#e1", "e1"},
		"a template":   {sim("template-created", `"templateId":"T1"`), "docusign#template:t1", ""},
		"a template by its URI": {
			sim("template-created", "", `"uri":"/restapi/v2.1/accounts/a/templates/T1"`), "docusign#template:t1", "",
		},
		"a template called an envelope": {sim("template-created", `"envelopeId":"T1"`), "docusign#template:t1", ""},
		"a click":                       {sim("click-agreed", `"agreementId":"A1"`), "docusign#click:a1", ""},
		"an opt-in":                     {sim("sms-opt-in", `"accountId":"C1"`), "docusign#account:c1", ""},
		"an event of nothing":           {sim("novelty", ""), "docusign#account:", ""},
		"an envelope that has no ID":    {sim("envelope-completed", `"accountId":"C1"`), "docusign#account:c1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if id := identify(t, tt.body); id.Subject != tt.subject || id.AgreementID != tt.agreementID {
				t.Errorf("got %q, %q, want %q, %q", id.Subject, id.AgreementID, tt.subject, tt.agreementID)
			}
		})
	}
}

func TestViaNamesTheConfigurationOrTheFormat(t *testing.T) {
	for body, want := range map[string]string{
		sim("x", "", `"configurationId":123`):    "configuration/123",
		sim("x", "", `"configurationId":"123"`):  "configuration/123",
		sim("x", "", `"configurationId":null`):   "sim",
		sim("x", "", `"configurationId":[1]`):    "sim",
		sim("x", ""):                             "sim",
		`{"envelopeId":"e","status":"sent"}`:     "aggregate",
		legacy("<Status>Sent</Status>", ""):      "xml",
		sim("x", "", `"configurationId":"é@\n"`): "configuration/??@",
	} {
		if got := identify(t, body).Via; got != want {
			t.Errorf("%s: via %q, want %q", body, got, want)
		}
	}
}

func TestExamplesAreAboutOneEnvelope(t *testing.T) {
	id := map[string]webhook.Identity{}
	for name, r := range webhooktest.Examples(t, "docusign") {
		id[name] = identify(t, string(r.Body))
	}
	for _, name := range []string{
		"envelope-sent", "envelope-delivered", "recipient-completed", "recipient-completed-second", "envelope-completed",
		"envelope-completed-minimal", "unknown-event",
	} {
		if id[name].Subject != id["envelope-created"].Subject {
			t.Errorf("%s is about another envelope", name)
		}
	}
	if id["envelope-completed"].EventID != id["envelope-completed-minimal"].EventID {
		t.Error("the completion through a second configuration is a second event")
	}
	if id["recipient-completed"].EventID == id["recipient-completed-second"].EventID {
		t.Error("the second signer's event has the first one's ID")
	}
	if id["xml-sent"].Subject != id["xml-completed"].Subject {
		t.Error("the XML examples are about two envelopes")
	}
}
