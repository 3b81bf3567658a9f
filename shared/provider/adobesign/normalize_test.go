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
		"AGREEMENT_EMAIL_BOUNCED":                           esign.AgreementUndeliverable,
		// Names that nobody knows yet.
		"AGREEMENT_SMS_DELIVERY_FAILED": esign.AgreementUndeliverable, "AGREEMENT_SMS_BOUNCED": esign.AgreementUndeliverable,
		"AGREEMENT_ACTION_REQUESTED_SMS_UNDELIVERED": esign.AgreementUndeliverable,
		"AGREEMENT_SMS_SENT":                         esign.AgreementUpdated,
		"AGREEMENT_UPLOAD_FAILED":                    esign.AgreementUpdated,
		// Events that are not an agreement's, of an agreement.
		"WIDGET_CREATED": esign.AgreementUpdated, "SOMETHING_NEW": esign.AgreementUpdated, "": esign.AgreementUpdated,
		"AGREEMENT": esign.AgreementUpdated, "XAGREEMENT_CREATED": esign.AgreementUpdated,
		"SMS_FAILED": esign.AgreementUpdated,
	}
	for _, event := range strings.Fields(`PARTICIPANT_COMPLETED RESTARTED SHARED UNSHARED UNSHARED_AUTO MODIFIED
		PARTICIPANT_REPLACED ACTION_REPLACED_SIGNER ACTION_DELEGATED DOCUMENTS_DELETED DELETED
		EMAIL_OTP_AUTHENTICATED REMINDER_INITIATED REMINDER_SENT OFFLINE_SYNC WEB_IDENTITY_AUTHENTICATED KBA_AUTHENTICATED
		READY_TO_NOTARIZE USER_ACK_AGREEMENT_MODIFIED READY_TO_VAULT VAULTED SIGNER_NAME_CHANGED_BY_SIGNER
		EXPIRATION_UPDATED UPLOADED_BY_SENDER SEALED_WITH_WAX`) {
		want["AGREEMENT_"+event] = esign.AgreementUpdated
	}
	causes := map[string]esign.Cause{
		"AGREEMENT_EMAIL_BOUNCED": esign.CauseBounced, "AGREEMENT_SMS_BOUNCED": esign.CauseSMS,
	}
	for event, want := range want {
		body := with(t, `{"agreement":{"id":"a1"},"participantUserId":"u1"}`, map[string]any{"event": event})
		got := normalize(t, body)
		if got.Type != want {
			t.Errorf("%s: %s, want %s", event, got.Type, want)
		}
		if want := causes[event]; got.Cause != want && want != "" ||
			(got.Cause != "") != (got.Type == esign.AgreementUndeliverable) {
			t.Errorf("%s: cause %q", event, got.Cause)
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

func TestTheRoleDecidesWithoutAnActionType(t *testing.T) {
	for role, want := range map[any]esign.Type{
		nil: esign.AgreementSigned, "": esign.AgreementSigned, "SIGNER": esign.AgreementSigned,
		"NOTARY_SIGNER": esign.AgreementSigned, "ELECTRONIC_SEALER": esign.AgreementSigned,
		"APPROVER": esign.AgreementUpdated, "ACCEPTOR": esign.AgreementUpdated, "FORM_FILLER": esign.AgreementUpdated,
		"CERTIFIED_RECIPIENT": esign.AgreementUpdated, "DELEGATE_TO_SIGNER": esign.AgreementUpdated,
		"DELEGATE_TO_APPROVER": esign.AgreementUpdated, "SHARE": esign.AgreementUpdated, "WITNESS": esign.AgreementUpdated,
	} {
		for _, actionType := range []any{nil, ""} {
			body := with(t, signed, map[string]any{"actionType": actionType, "participantRole": role})
			if got := normalize(t, body).Type; got != want {
				t.Errorf("%v: %s, want %s", role, got, want)
			}
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
		"agreement": {"id": "a1", "name": "secret", "status": "CANCELLED", "message": "secret", "senderEmail": "grace@example.com",
			"externalId": {"id": "deal-7|a,b"}},
		"conditionalParametersTrimmed": ["includeSignedDocuments", "", null, "includeParticipantsInfo"]
	}`)
	want := esign.Event{
		Type: esign.AgreementCancelled, VendorType: "AGREEMENT_RECALLED", AgreementID: "a1", AccountID: "c1",
		OccurredAt: webhook.Time("2026-11-02T08:15:03Z"), Participant: "u1", Reason: "secret",
		References: map[string]string{"externalId": "deal-7|a,b"},
		Participants: []esign.Participant{{
			ID: "u1", Aliases: []string{webhook.ParticipantKey("ada@example.com")}, Status: esign.Sent,
			Problem: esign.CauseIdentification,
		}},
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

// TestReferences passes the sender's key on as it is.
func TestReferences(t *testing.T) {
	for externalID, want := range map[string]map[string]string{
		`{"id":"deal-7|a,b; c=d"}`:     {"externalId": "deal-7|a,b; c=d"},
		`{"id":"7","group":"CRM"}`:     {"externalId": "7", "externalId.group": "CRM"},
		`{"group":"CRM"}`:              {"externalId.group": "CRM"},
		`{"id":7}`:                     {"externalId": "7"},
		`{"id":7,"namespace":"x"}`:     {"externalId": "7"},
		`{"id":""}`:                    nil,
		`{"id":null,"group":{"id":1}}`: nil,
		`{}`:                           nil,
		`null`:                         nil,
		`["deal-7"]`:                   nil,
	} {
		for _, resource := range []string{"agreement", "megaSign"} {
			body := `{"event":"AGREEMENT_CREATED",%q:{"id":"a1","externalId":%s}}`
			e := normalize(t, fmt.Sprintf(body, resource, externalID))
			if diff := cmp.Diff(want, e.References); diff != "" {
				t.Errorf("%s of %s: %s", externalID, resource, diff)
			}
		}
	}
	if name := (adobesign.Provider{}).Info().PersonReference; name != "" {
		t.Errorf("the sender's IDs of people: %s", name)
	}
}

func TestReasons(t *testing.T) {
	const info, plain = `"agreementCancellationInfo":{"comment":"Too dear","notifyOthers":true}`, `"comment":"Too late"`
	const bySigner, bySender = "Signer canceled without providing a reason.", "Sender canceled without providing a reason."
	for fields, want := range map[string]string{
		info: "Too dear", plain: "Too late", info + "," + plain: "Too dear", `"comment":null`: "", `"comment":" "`: "",
		`"agreementCancellationInfo":{"comment":"` + bySigner + `"}`:              "",
		`"agreementCancellationInfo":{"comment":"` + bySender + `"}`:              "",
		`"agreementCancellationInfo":{"comment":"` + bySigner + `"},` + plain:     "Too late",
		`"comment":"` + bySender + `"`:                                            "",
		`"agreementCancellationInfo":"Too dear"`:                                  "",
		`"agreementExpirationInfo":{"comment":"Sender set a deadline of 2 days"}`: "",
	} {
		for event, ends := range map[string]bool{
			"AGREEMENT_REJECTED": true, "AGREEMENT_RECALLED": true, "AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": true,
			"AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": true,
			"AGREEMENT_EXPIRED": false, "AGREEMENT_WORKFLOW_COMPLETED": false, "AGREEMENT_MODIFIED": false,
		} {
			want := want
			if !ends {
				want = ""
			}
			if got := normalize(t, `{"event":"`+event+`",`+fields+`,"agreement":{"id":"a1"}}`).Reason; got != want {
				t.Errorf("%s of %s: %q, want %q", fields, event, got, want)
			}
		}
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

// TestPeople tests who is who in a notification, and who was replaced.
func TestPeople(t *testing.T) {
	ada, alan := webhook.ParticipantKey("ada@example.com"), webhook.ParticipantKey("alan@example.com")
	grace := webhook.ParticipantKey("grace@example.com")
	const asked, sender = "WAITING_FOR_MY_SIGNATURE", `,"senderEmail":"grace@example.com"`
	set := func(status, members string) string {
		return `{"role":"SIGNER","status":"` + status + `","memberInfos":[` + members + `]}`
	}
	one := `{"id":"m1","email":"ada@example.com","userId":"u1","status":"ACTIVE"}`
	two := `{"id":"m2","email":"alan@example.com","userId":"u2","status":"ACTIVE"}`
	gone := strings.Replace(one, "ACTIVE", "REPLACED", 1)
	all := []string{"u1", ada, "u2", alan, grace}
	u1 := esign.Participant{ID: "u1", Aliases: []string{ada}, Status: esign.Sent}
	u2 := esign.Participant{ID: "u2", Aliases: []string{alan}, Status: esign.Sent}
	was := esign.Participant{ID: "u1", Aliases: []string{ada}, Status: esign.Sent, Replaced: true, ReplacedBy: "u2"}
	for name, tt := range map[string]struct {
		event   string
		info    string
		said    []esign.Participant
		present []string
	}{
		"a group is asked": {"", `{"participantSets":[` + set(asked, one+","+two) + `]}` + sender,
			[]esign.Participant{u1, u2}, all},
		"one of them has signed": {"", `{"participantSets":[` + set("COMPLETED", one+","+two) + `]}` + sender,
			[]esign.Participant{u1, u2}, all},
		"later sets are apart": {
			"", `{"participantSets":[` + set(asked, one) + `],"nextParticipantSets":[` + set("NOT_YET_VISIBLE", two) + `]}` +
				sender,
			[]esign.Participant{u1}, all,
		},
		"one was replaced": {
			"", `{"participantSets":[` + set(asked, gone+","+two) + `]}` + sender, []esign.Participant{u2, was},
			[]string{"u2", alan, grace},
		},
		"one was replaced before being asked": {
			"", `{"participantSets":[` + set("NOT_YET_VISIBLE", gone+","+two) + `]}` + sender, nil,
			[]string{"u2", alan, grace},
		},
		"the one who is left of two has signed": {
			"", `{"participantSets":[` + set("COMPLETED", gone+","+two) + `]}` + sender,
			[]esign.Participant{{ID: "u2", Aliases: u2.Aliases, Status: esign.Signed}, was}, []string{"u2", alan, grace},
		},
		"a member has no user ID": {
			"", `{"participantSets":[` + set(asked, `{"id":"m1","email":"ada@example.com"}`) + `]}` + sender,
			[]esign.Participant{{ID: ada, Status: esign.Sent}}, nil,
		},
		"a member has nothing but an ID": {
			"", `{"participantSets":[` + set(asked, `{"id":"m1"}`) + `]}` + sender,
			[]esign.Participant{{ID: "m1", Status: esign.Sent}}, nil,
		},
		"a set has no members": {
			"", `{"participantSets":[` + set(asked, one) + `,` + set(asked, "") + `]}` + sender, []esign.Participant{u1}, nil,
		},
		"the sender is not named": {"", `{"participantSets":[` + set(asked, one) + `]}`, []esign.Participant{u1}, nil},
		"no sets":                 {"", `{}` + sender, nil, nil},
		"replaced in one set, asked in another": {
			"", `{"participantSets":[` + set(asked, gone) + `,` + set(asked, one) + `]}` + sender,
			[]esign.Participant{u1}, []string{"u1", ada, grace},
		},
		"delegated to somebody, and back": {
			"", `{"participantSets":[` + set(asked, gone+","+strings.Replace(two, "ACTIVE", "REPLACED", 1)+","+one) + `]}` +
				sender,
			[]esign.Participant{u1, {ID: "u2", Aliases: []string{alan}, Status: esign.Sent, Replaced: true, ReplacedBy: "u1"}},
			[]string{"u1", ada, grace},
		},
		"replaced under an e-mail address, active under an ID": {
			"", `{"participantSets":[` + set("COMPLETED", one) + `,` +
				set(asked, `{"email":"ada@example.com","status":"REPLACED"}`) + `]}` + sender,
			[]esign.Participant{{ID: "u1", Aliases: []string{ada}, Status: esign.Signed}, {ID: ada, Status: esign.Sent}},
			[]string{"u1", ada, grace},
		},
		"in two sets": {
			"", `{"participantSets":[` + set("COMPLETED", one) + `,` + set(asked, strings.Replace(one, "m1", "m2", 1)) + `]}` +
				sender,
			[]esign.Participant{{ID: "u1", Aliases: []string{ada}, Status: esign.Signed}},
			[]string{"u1", ada, "u1", ada, grace},
		},
		"copies": {
			"", `{"participantSets":[` + set(asked, one) + `]},"ccs":["alan@example.com"]` + sender,
			[]esign.Participant{u1}, []string{"u1", ada, alan, grace},
		},
		"copies as objects": {
			"", `{"participantSets":[` + set(asked, one) + `]},"ccs":[{"email":"alan@example.com","label":"L"}]` + sender,
			[]esign.Participant{u1}, []string{"u1", ada, alan, grace},
		},
		"a copy without an address": {
			"", `{"participantSets":[` + set(asked, one) + `]},"ccs":[null]` + sender, []esign.Participant{u1}, nil,
		},
		"one with whom it was shared by a set": {
			"", `{"participantSets":[` + set(asked, one) + `,{"role":"SHARE","memberInfos":[` + two + `]}]}` + sender,
			[]esign.Participant{u1}, all,
		},
		"who delegates one of two tasks": {
			`"event":"AGREEMENT_ACTION_DELEGATED","participantUserId":"u2","actingUserId":"u1",`,
			`{"participantSets":[` + set(asked, gone+","+two) + `,` + set(asked, one) + `]}`, []esign.Participant{u2, u1}, nil,
		},
		"who delegates and has no task left": {
			`"event":"AGREEMENT_ACTION_DELEGATED","participantUserId":"u2","actingUserId":"u1",`,
			`{"participantSets":[` + set("COMPLETED", one) + `,` + set(asked, two) + `]}`, []esign.Participant{
				{ID: "u1", Aliases: []string{ada}, Status: esign.Signed, Replaced: true, ReplacedBy: "u2"}, u2}, nil,
		},
		"who is asked": {
			`"event":"AGREEMENT_ACTION_REQUESTED","participantUserId":"u1","participantUserEmail":"ada@example.com",`, `{}`,
			[]esign.Participant{{ID: "u1", Aliases: []string{ada}, Status: esign.Sent}}, nil,
		},
		"who has delegated": {
			`"event":"AGREEMENT_ACTION_DELEGATED","participantUserId":"u2","actingUserId":"u1",` +
				`"actingUserEmail":"ada@example.com",`, `{}`,
			[]esign.Participant{was}, nil,
		},
		"who has delegated to nobody else": {
			`"event":"AGREEMENT_ACTION_DELEGATED","participantUserId":"u1","actingUserId":"u1",`, `{}`, nil, nil,
		},
	} {
		e := normalize(t, `{`+tt.event+`"agreement":{"id":"a1","participantSetsInfo":`+tt.info+`}}`)
		for i := range e.Participants { // see TestTasks
			e.Participants[i].Role, e.Participants[i].Waiting = "", nil
		}
		if diff := cmp.Diff(tt.said, e.Participants) + cmp.Diff(tt.present, e.Present); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestABounceOfNobodyIsAnUpdate(t *testing.T) {
	if e := normalize(t, `{"event":"AGREEMENT_EMAIL_BOUNCED","agreement":{"id":"a1"}}`); e.Type != esign.AgreementUpdated {
		t.Error(e.Type)
	}
}

func TestABounceNamesThePersonWhoActs(t *testing.T) {
	const bounce = `{"event":"AGREEMENT_EMAIL_BOUNCED","agreement":{"id":"a1"},`
	ada := webhook.ParticipantKey("ada@example.com")
	for fields, want := range map[string]string{
		`"actingUserId":"u1","actingUserEmail":"ada@example.com"}`: "u1",
		`"actingUserEmail":"ada@example.com"}`:                     ada,
		`"participantUserId":"u2","actingUserId":"u1"}`:            "u2",
	} {
		e := normalize(t, bounce+fields)
		if e.Type != esign.AgreementUndeliverable || e.Cause != esign.CauseBounced || e.Participant != want {
			t.Errorf("%s: %s of %q", fields, e.Type, e.Participant)
		}
	}
}

// TestViewersAreNotReplaced lets everybody view an agreement whose complete list follows. Whom the list must leave out
// is no participant.
func TestViewersAreNotReplaced(t *testing.T) {
	const full = `"agreement":{"id":"a1","senderEmail":"grace@example.com","ccs":["alan@example.com"],` +
		`"participantSetsInfo":{"participantSets":[{"role":"SIGNER","status":"WAITING_FOR_MY_SIGNATURE","memberInfos":[` +
		`{"userId":"u1","email":"ada@example.com","status":"ACTIVE"},` +
		`{"userId":"u2","email":"joan@example.com","status":"REPLACED"}]}]}}}`
	var agreement esign.Agreement
	for i, who := range []string{"u1 ada", "u2 joan", "u3 alan", "u4 grace", "u5 shared"} {
		id, name, _ := strings.Cut(who, " ")
		for j, event := range []string{"AGREEMENT_EMAIL_VIEWED", "AGREEMENT_DOCUMENTS_VIEWED"} {
			e := normalize(t, fmt.Sprintf(`{"event":%q,"eventDate":"2026-11-02T08:0%d:0%dZ","participantUserId":%q,`+
				`"participantUserEmail":"%s@example.com",%s`, event, i, j, id, name, full))
			if e.Type != esign.AgreementViewed || (e.Participant == "") != (id == "u5") {
				t.Errorf("%s of %s: %s of %q", event, who, e.Type, e.Participant)
			}
			agreement = esign.Fold(agreement, e)
		}
	}
	got := map[string]bool{}
	for id, progress := range agreement.Participants {
		got[id] = progress.Replaced
	}
	want := map[string]bool{"u1": false, "u2": true, "u3": false, "u4": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestATruncatedListIsNotComplete lists more members than are read, and more than an agreement keeps.
func TestATruncatedListIsNotComplete(t *testing.T) {
	for n, complete := range map[int]bool{1: true, esign.MaxParticipants: false, 2 * webhook.MaxList: false} {
		set := `{"memberInfos":[` + strings.Repeat(`{"userId":"u1"},`, min(n, webhook.MaxList)-1) + `{"userId":"u1"}]}`
		sets := strings.Repeat(set+",", (n-1)/webhook.MaxList) + set
		e := normalize(t, `{"agreement":{"id":"a1","senderEmail":"grace@example.com",`+
			`"participantSetsInfo":{"participantSets":[`+sets+`]}}}`)
		if (e.Present != nil) != complete {
			t.Errorf("%d members: %d are present", n, len(e.Present))
		}
	}
}

func TestAnExpiryNamesNobody(t *testing.T) {
	if e := normalize(t, with(t, signed, map[string]any{"event": "AGREEMENT_EXPIRED"})); e.Participant != "" {
		t.Errorf("%q", e.Participant)
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
	want := map[string]esign.Status{
		"CBJCHBCAABAAexampleUser0002": esign.Signed, "CBJCHBCAABAAexampleUser0003": esign.Sent, // who approves
	}
	got := map[string]esign.Status{}
	for id, progress := range agreement.Participants {
		got[id] = progress.Status
		if progress.Waiting || progress.Role == "" || progress.Order == 0 {
			t.Errorf("%s: %+v", id, progress)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || agreement.Status != esign.Completed || agreement.Conflict {
		t.Errorf("%+v %s", agreement, diff)
	}
}

// TestExamplesKeepNothingPersonal reads them for an operator who has no reasons carried.
func TestExamplesKeepNothingPersonal(t *testing.T) {
	for name, r := range webhooktest.Examples(t, "adobesign") {
		if r.Method != "POST" {
			continue
		}
		ids, read, err := webhooktest.Read(adobesign.Provider{}, r, webhooktest.DevelopmentKeys(adobesign.Provider{}))
		if err != nil {
			t.Fatal(err)
		}
		for i := range read {
			read[i] = esign.Policy{References: []string{"*"}}.Apply(read[i], "")
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
		facts      string // without the ID
		status     string
	}{
		"01_AGREEMENT_CREATED.json": {
			esign.AgreementCreated, "2024-05-30T22:57:28Z", "sent signer 1 waits", "OUT_FOR_SIGNATURE",
		},
		"02_AGREEMENT_REJECTED.json": {
			esign.AgreementDeclined, "2024-04-25T20:53:36Z", "declined signer 1", "CANCELLED",
		},
		"05_AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM.json": {
			esign.AgreementFailed, "2024-04-25T22:58:51Z", "", "CANCELLED",
		},
		"06_AGREEMENT_WORKFLOW_COMPLETED.template.json": {esign.Other, "", "", ""},
	} {
		t.Run(file, func(t *testing.T) {
			body := webhooktest.Fixture(t, "adobesign/"+file)
			id, event := identify(t, string(body)), normalize(t, string(body))
			if event.Type != want.Type || !event.OccurredAt.Equal(webhook.Time(want.occurredAt)) ||
				strings.TrimPrefix(facts(event), event.Participant+" ") != want.facts ||
				event.Attributes["agreementStatus"] != want.status {
				t.Errorf("got %+v, want %+v", event, want)
			}
			if (event.AgreementID == "") != (want.Type == esign.Other) || event.AgreementID != id.AgreementID {
				t.Errorf("agreement %q, %q", id.AgreementID, event.AgreementID)
			}
			if ended := event.Type.Status().Terminal(); ended != (event.Reason != "") {
				t.Errorf("reason %q", event.Reason)
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
