package adobesign_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func TestTypeOfAgreement(t *testing.T) {
	want := map[string]esign.Type{
		"AGREEMENT_CREATED":                                 esign.AgreementCreated,
		"AGREEMENT_ACTION_REQUESTED":                        esign.AgreementSent,
		"AGREEMENT_DOCUMENTS_VIEWED":                        esign.AgreementViewed,
		"AGREEMENT_DOCUMENTS_VIEWED_PASSWORD_PROTECTED":     esign.AgreementViewed,
		"AGREEMENT_EMAIL_VIEWED":                            esign.AgreementViewed,
		"AGREEMENT_ACTION_COMPLETED":                        esign.AgreementSigned,
		"AGREEMENT_WORKFLOW_COMPLETED":                      esign.AgreementCompleted,
		"AGREEMENT_REJECTED":                                esign.AgreementDeclined,
		"AGREEMENT_RECALLED":                                esign.AgreementCancelled,
		"AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": esign.AgreementCancelled,
		"AGREEMENT_EXPIRED":                                 esign.AgreementExpired,
		"AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM":       esign.AgreementFailed,
		// Events that are not an agreement's, of an agreement.
		"WIDGET_CREATED": esign.Other, "SOMETHING_NEW": esign.Other, "": esign.Other,
		"AGREEMENT": esign.Other, "XAGREEMENT_CREATED": esign.Other,
	}
	for _, event := range strings.Fields(`PARTICIPANT_COMPLETED RESTARTED SHARED UNSHARED UNSHARED_AUTO MODIFIED
		PARTICIPANT_REPLACED ACTION_REPLACED_SIGNER ACTION_DELEGATED DOCUMENTS_DELETED DELETED EMAIL_BOUNCED
		EMAIL_OTP_AUTHENTICATED REMINDER_INITIATED REMINDER_SENT OFFLINE_SYNC WEB_IDENTITY_AUTHENTICATED KBA_AUTHENTICATED
		READY_TO_NOTARIZE USER_ACK_AGREEMENT_MODIFIED READY_TO_VAULT VAULTED SIGNER_NAME_CHANGED_BY_SIGNER
		EXPIRATION_UPDATED UPLOADED_BY_SENDER SEALED_WITH_WAX`) {
		want["AGREEMENT_"+event] = esign.AgreementUpdated
	}
	for event, want := range want {
		body := with(t, `{"agreement":{"id":"a1"}}`, map[string]any{"event": event})
		if got := normalize(t, body).Type; got != want {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
		withoutID := with(t, body, map[string]any{"agreement": map[string]any{"name": "Loan", "status": "SIGNED"}})
		if got := normalize(t, withoutID).Type; got != esign.Other {
			t.Errorf("%s of no agreement: %s", event, got)
		}
		ofWidget := with(t, body, map[string]any{"agreement": nil, "widget": map[string]any{"id": "w1"}})
		if got := normalize(t, ofWidget).Type; got != esign.Other {
			t.Errorf("%s of a widget: %s", event, got)
		}
	}
}

func TestTypeOfOtherResources(t *testing.T) {
	want := map[string]esign.Type{
		"LIBRARY_DOCUMENT_CREATED":                           esign.TemplateCreated,
		"LIBRARY_DOCUMENT_MODIFIED":                          esign.TemplateUpdated,
		"LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": esign.TemplateFailed,
		"LIBRARY_DOCUMENT_BURNT":                             esign.Other,
	}
	for _, event := range strings.Fields(`WIDGET_CREATED WIDGET_MODIFIED WIDGET_SHARED WIDGET_ENABLED WIDGET_DISABLED
		WIDGET_AUTO_CANCELLED_CONVERSION_PROBLEM MEGASIGN_CREATED MEGASIGN_RECALLED MEGASIGN_SHARED
		MEGASIGN_REMINDER_INITIATED MEGASIGN_REMINDER_SENT`) {
		want[event] = esign.Other
	}
	for event, want := range want {
		body := with(t, `{"libraryDocument":{"id":"l1"}}`, map[string]any{"event": event})
		if got := normalize(t, body); got.Type != want || got.AgreementID != "" {
			t.Errorf("%s: %s of agreement %q, want %s", event, got.Type, got.AgreementID, want)
		}
	}
}

func TestActionTypes(t *testing.T) {
	for actionType, want := range map[any]esign.Type{
		"ESIGNED": esign.AgreementSigned, "DIGSIGNED": esign.AgreementSigned, "WRITTEN_SIGNED": esign.AgreementSigned,
		"PRESIGNED": esign.AgreementSigned, "SIGNED": esign.AgreementSigned, "": esign.AgreementSigned,
		nil:                                 esign.AgreementSigned,
		"DIGITAL_SIGN_UIDAI_SIGNER_CONSENT": esign.AgreementSigned,
		"ACCEPTED":                          esign.AgreementUpdated, "APPROVED": esign.AgreementUpdated,
		"DELIVERED":   esign.AgreementUpdated,
		"FORM_FILLED": esign.AgreementUpdated, "ACKNOWLEDGED": esign.AgreementUpdated,
		"SOMETHING_NEW": esign.AgreementUpdated,
	} {
		if got := normalize(t, with(t, signed, map[string]any{"actionType": actionType})).Type; got != want {
			t.Errorf("%v: %s, want %s", actionType, got, want)
		}
		viewed := with(t, signed, map[string]any{"actionType": actionType, "event": "AGREEMENT_DOCUMENTS_VIEWED"})
		if got := normalize(t, viewed).Type; got != esign.AgreementViewed {
			t.Errorf("%v of another event: %s", actionType, got)
		}
	}
}

func TestNormalize(t *testing.T) {
	got := normalize(t, `{
		"webhookId": "w1", "webhookNotificationId": "n1", "webhookScope": "GROUP", "webhookUrlInfo": {"url": "https://secret.example.com"},
		"event": "AGREEMENT_RECALLED", "subEvent": "MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED", "eventDate": "2026-11-02T08:15:03Z",
		"eventResourceType": "AGREEMENT", "eventResourceParentType": "MEGASIGN", "eventResourceParentId": "m1",
		"participantRole": "SIGNER", "actionType": "X", "participantUserId": "u1", "participantUserEmail": "ada@example.com",
		"accountId": "c1", "agreementCancellationInfo": {"comment": "secret", "notifyOthers": true},
		"agreement": {"id": "a1", "name": "secret", "status": "CANCELLED", "message": "secret", "senderEmail": "grace@example.com"},
		"conditionalParametersTrimmed": ["includeSignedDocuments", "", null, "includeParticipantsInfo"]
	}`)
	want := esign.Event{
		Type: esign.AgreementCancelled, VendorType: "AGREEMENT_RECALLED", AgreementID: "a1", AccountID: "c1",
		OccurredAt: webhook.Time("2026-11-02T08:15:03Z"), Participant: "u1",
		Attributes: map[string]string{
			"webhookNotificationId": "n1", "webhookScope": "GROUP", "subEvent": "MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED",
			"parentType": "MEGASIGN", "parentId": "m1", "participantRole": "SIGNER", "actionType": "X",
			"agreementStatus":              "CANCELLED",
			"conditionalParametersTrimmed": "includeSignedDocuments,includeParticipantsInfo",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAttributes(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want map[string]string
	}{
		"a widget": {
			`{"widget":{"id":"w1","status":"ACTIVE"}}`,
			map[string]string{"resourceType": "widget", "resourceId": "w1", "resourceStatus": "ACTIVE"},
		},
		"no resource, a type in capitals": {
			`{"eventResourceType":"LIBRARY_DOCUMENT"}`, map[string]string{"resourceType": "librarydocument"},
		},
		"no resource, an unknown type": {`{"eventResourceType":"Sonnet"}`, map[string]string{"resourceType": "sonnet"}},
		"no resource, an agreement":    {`{"eventResourceType":"agreement"}`, map[string]string{}},
		"trimmed, listed next to the resource": {
			`{"agreement":{"id":"a1"},"conditionalParametersTrimmed":["includeSignedDocuments"]}`,
			map[string]string{"conditionalParametersTrimmed": "includeSignedDocuments"},
		},
		"trimmed, listed inside the resource": {
			`{"agreement":{"id":"a1","conditionalParametersTrimmed":["includeSignedDocuments"]}}`,
			map[string]string{"conditionalParametersTrimmed": "includeSignedDocuments"},
		},
		"everything trimmed": {
			`{"conditionalParametersTrimmed":["includeSignedDocuments","includeParticipantsInfo","includeDocumentsInfo","includeDetailedInfo"]}`,
			map[string]string{"conditionalParametersTrimmed": "includeSignedDocuments,includeParticipantsInfo,includeDocumentsInfo,includeDetailedInfo"},
		},
		"a single word trimmed": {
			`{"conditionalParametersTrimmed":"includeSignedDocuments"}`,
			map[string]string{"conditionalParametersTrimmed": "includeSignedDocuments"},
		},
		"nothing trimmed": {`{"conditionalParametersTrimmed":[""]}`, map[string]string{}},
		"not printable": {
			`{"subEvent":"A\nB` + strings.Repeat("C", 200) + `"}`,
			map[string]string{"subEvent": "A?B" + strings.Repeat("C", 97)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, normalize(t, tt.body).Attributes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParticipant(t *testing.T) {
	email := webhook.ParticipantKey("ada@example.com")
	for name, tt := range map[string]struct{ id, email, want any }{
		"an ID and an e-mail address": {"u1", "ada@example.com", "u1"},
		"only an e-mail address":      {"", "ada@example.com", email},
		"an e-mail address as the ID": {"ada@example.com", "", email},
		"nobody":                      {nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := with(t, signed, map[string]any{"participantUserId": tt.id, "participantUserEmail": tt.email})
			if got := normalize(t, body).Participant; got != tt.want || strings.Contains(got, "@") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParticipants(t *testing.T) {
	const member = `{"id":"m1","email":"ada@example.com","name":"Ada Example","userId":"u1"}`
	for name, tt := range map[string]struct {
		set  string
		want esign.Status
	}{
		"has signed": {`{"role":"SIGNER","status":"COMPLETED","memberInfos":[` + member + `]}`, esign.Signed},
		"is asked to sign": {
			`{"role":"SIGNER","status":"WAITING_FOR_MY_SIGNATURE","memberInfos":[` + member + `]}`, esign.Sent,
		},
		"is asked to prove identity": {
			`{"role":"SIGNER","status":"WAITING_FOR_MY_VERIFICATION","memberInfos":[` + member + `]}`, esign.Sent,
		},
		"is not asked yet": {`{"role":"SIGNER","status":"NOT_YET_VISIBLE","memberInfos":[` + member + `]}`, ""},
		"waits for others": {`{"role":"SIGNER","status":"WAITING_FOR_OTHERS","memberInfos":[` + member + `]}`, ""},
		"is asked no more": {`{"role":"SIGNER","status":"CANCELLED","memberInfos":[` + member + `]}`, ""},
		"is too late":      {`{"role":"SIGNER","status":"EXPIRED","memberInfos":[` + member + `]}`, ""},
		"has approved":     {`{"role":"APPROVER","status":"COMPLETED","memberInfos":[` + member + `]}`, ""},
		"has no user ID":   {`{"role":"SIGNER","status":"COMPLETED","memberInfos":[{"id":"m1"}]}`, ""},
		"is one of a group": {
			`{"role":"SIGNER","status":"COMPLETED","memberInfos":[` + member + `,{"userId":"u2"}]}`, "",
		},
		"is nobody":          {`{"role":"SIGNER","status":"COMPLETED","memberInfos":[]}`, ""},
		"is of a wrong type": {`{"role":"SIGNER","status":"COMPLETED","memberInfos":{"userId":"u1"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var want []esign.Participant
			if tt.want != "" {
				want = []esign.Participant{{ID: "u1", Status: tt.want}}
			}
			body := fmt.Sprintf(`{"agreement":{"id":"a1","participantSetsInfo":{"participantSets":[%s]}}}`, tt.set)
			if diff := cmp.Diff(want, normalize(t, body).Participants); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestExamplesFoldToACompletedAgreement folds the examples of one agreement.
func TestExamplesFoldToACompletedAgreement(t *testing.T) {
	var agreement esign.Agreement
	for _, r := range webhooktest.Examples(t, "adobesign") {
		ids, read, err := webhooktest.Read(adobesign.Provider{}, r, webhooktest.DevelopmentKeys(adobesign.Provider{}))
		if r.Method == "POST" && err == nil && ids[0].AgreementID == "CBJCHBCAABAAexampleAgreement0001" {
			agreement = esign.Fold(agreement, read[0])
		}
	}
	want := map[string]esign.Status{"CBJCHBCAABAAexampleUser0002": esign.Signed} // the other one approves
	got := map[string]esign.Status{}
	for id, progress := range agreement.Participants {
		got[id] = progress.Status
	}
	if diff := cmp.Diff(want, got); diff != "" || agreement.Status != esign.Completed || agreement.Conflict {
		t.Errorf("%+v %s", agreement, diff)
	}
}

func TestExamplesKeepNothingPersonal(t *testing.T) {
	for name, r := range webhooktest.Examples(t, "adobesign") {
		if r.Method != "POST" {
			continue
		}
		ids, read, err := webhooktest.Read(adobesign.Provider{}, r, webhooktest.DevelopmentKeys(adobesign.Provider{}))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := json.Marshal(map[string]any{"identities": ids, "events": read})
		if err != nil {
			t.Fatal(err)
		}
		for _, personal := range []string{
			"@", "192.0.2", "https:", "Example Ltd", "Ada ", "Alan ", "Loan", "price", "Visitor",
		} {
			if strings.Contains(string(kept), personal) {
				t.Errorf("%s keeps %q: %s", name, personal, kept)
			}
		}
	}
}

func TestRecordings(t *testing.T) {
	for file, want := range map[string]struct {
		Type       esign.Type
		occurredAt string
		signers    int
		status     string
	}{
		"01_AGREEMENT_CREATED.json": {
			esign.AgreementCreated, "2024-05-30T22:57:28Z", 1, "OUT_FOR_SIGNATURE",
		},
		"02_AGREEMENT_REJECTED.json": {
			esign.AgreementDeclined, "2024-04-25T20:53:36Z", 0, "CANCELLED",
		},
		"05_AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM.json": {
			esign.AgreementFailed, "2024-04-25T22:58:51Z", 0, "CANCELLED",
		},
		"06_AGREEMENT_WORKFLOW_COMPLETED.template.json": {esign.Other, "", 0, ""},
	} {
		t.Run(file, func(t *testing.T) {
			body := webhooktest.Fixture(t, "adobesign/"+file)
			id, event := identify(t, string(body)), normalize(t, string(body))
			if event.Type != want.Type || !event.OccurredAt.Equal(webhook.Time(want.occurredAt)) ||
				len(event.Participants) != want.signers || event.Attributes["agreementStatus"] != want.status {
				t.Errorf("got %+v, want %+v", event, want)
			}
			if (event.AgreementID == "") != (want.Type == esign.Other) || event.AgreementID != id.AgreementID {
				t.Errorf("agreement %q, %q", id.AgreementID, event.AgreementID)
			}
			for _, signer := range event.Participants { // in this recording the sender signs first
				if signer.ID != event.Participant {
					t.Errorf("signer %q is not the participant %q", signer.ID, event.Participant)
				}
			}
		})
	}
}

func TestTemplateIsIdentifiedByItsBytes(t *testing.T) {
	body := webhooktest.Fixture(t, "adobesign/06_AGREEMENT_WORKFLOW_COMPLETED.template.json")
	want := webhook.Identity{
		EventID: webhook.EventID("adobesign", "body", string(body)), Subject: "adobesign#other:", Via: "/" + documentationID,
	}
	if diff := cmp.Diff(want, identify(t, string(body))); diff != "" {
		t.Error(diff)
	}
	if event := normalize(t, string(body)); len(event.Attributes) != 0 {
		t.Errorf("attributes %v", event.Attributes)
	}
}
