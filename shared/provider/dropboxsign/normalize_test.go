package dropboxsign_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

func TestTypes(t *testing.T) {
	for vendorType, want := range map[string]esign.Type{
		"signature_request_prepared":       esign.AgreementCreated,
		"signature_request_sent":           esign.AgreementSent,
		"signature_request_viewed":         esign.AgreementViewed,
		"signature_request_signed":         esign.AgreementSigned,
		"signature_request_all_signed":     esign.AgreementCompleted,
		"signature_request_declined":       esign.AgreementDeclined,
		"signature_request_canceled":       esign.AgreementCancelled,
		"signature_request_expired":        esign.AgreementExpired,
		"signature_request_invalid":        esign.AgreementFailed,
		"file_error":                       esign.AgreementFailed,
		"unknown_error":                    esign.AgreementFailed,
		"signature_request_downloadable":   esign.AgreementUpdated,
		"signature_request_email_bounce":   esign.AgreementUndeliverable,
		"signature_request_remind":         esign.AgreementUpdated,
		"signature_request_incomplete_qes": esign.AgreementUndeliverable,
		"signature_request_destroyed":      esign.AgreementUpdated,
		"signature_request_reassigned":     esign.AgreementUpdated,
		"signature_request_signer_removed": esign.AgreementUpdated,
		"sign_url_invalid":                 esign.AgreementUpdated,
		"template_created":                 esign.TemplateCreated,
		"template_error":                   esign.TemplateFailed,
		"account_confirmed":                esign.AccountConfirmed,
		"callback_test":                    esign.Test,
		"fax_received":                     esign.Other,
		"fax_sent":                         esign.Other,
		"fax_busy":                         esign.Other,
		"fax_no_answer":                    esign.Other,
		"fax_disconnected":                 esign.Other,
		"fax_on_hold":                      esign.Other,
		"fax_blacklisted":                  esign.Other,
		"template_shared":                  esign.TemplateUpdated,
		"account_renamed":                  esign.Other,
		"signature_request_notarized":      esign.AgreementUpdated,
		"signature_request_cancelled":      esign.AgreementUpdated, // the vendor writes one l
		"Signature_Request_Sent":           esign.AgreementUpdated,
		"bulk_send_job_finished":           esign.AgreementUpdated,
	} {
		event := meaning(t, asMultipart(callback(vendorType, at, request)))
		if event.Type != want || event.VendorType != vendorType {
			t.Errorf("%s: %q of %q, want %q", vendorType, event.Type, event.VendorType, want)
		}
		for name, rest := range map[string]string{"nothing": "", "a template": `,"template":{"template_id":"t1"}`} {
			alone := meaning(t, asMultipart(callback(vendorType, at, rest)))
			if strings.HasPrefix(string(want), "agreement.") {
				if alone.Type != esign.Other {
					t.Errorf("%s with %s: %q", vendorType, name, alone.Type)
				}
			} else if alone.Type != want {
				t.Errorf("%s with %s: %q, want %q", vendorType, name, alone.Type, want)
			}
		}
	}
}

func TestEvent(t *testing.T) {
	second := func(unix int64) time.Time { return time.Unix(unix, 0).UTC() }
	nine, yes, no := second(1793610000), true, false
	for name, tt := range map[string]struct {
		message string
		want    esign.Event
	}{
		"all there is to know": {
			withMetadata(signed, at, `{"related_signature_id":"s1","reported_for_account_id":"a1","reported_for_app_id":"p1","event_message":"m"}`,
				`,"account_guid":"a2","client_id":"p2","signature_request":{"signature_request_id":"r1","test_mode":true,"is_complete":false,
				"signatures":[{"signature_id":"s1","status_code":"signed","signed_at":1793609990,"last_viewed_at":1793609980},
				{"signature_id":"s2","status_code":"declined","last_viewed_at":1793609980},
				{"signature_id":"s3","status_code":"awaiting_signature","signed_at":null,"last_viewed_at":"1793609985"},
				{"signature_id":"s4","status_code":"awaiting_signature","signed_at":null,"last_viewed_at":null},
				{"signature_id":"s6"},{"status_code":"signed"},{"signature_id":"","status_code":"signed"}]}`),
			esign.Event{
				Type: esign.AgreementSigned, VendorType: signed, AgreementID: "r1", AccountID: "a1", OccurredAt: nine,
				Participant: "s1",
				Participants: []esign.Participant{
					{ID: "s1", Status: esign.Signed, At: second(1793609990), Role: esign.RoleSigner, Waiting: &no},
					{ID: "s2", Status: esign.Declined, Role: esign.RoleSigner, Waiting: &no},
					{ID: "s3", Status: esign.Viewed, At: second(1793609985), Role: esign.RoleSigner, Waiting: &yes},
					{ID: "s4", Status: esign.Sent, Role: esign.RoleSigner, Waiting: &yes},
				},
				Attributes: map[string]string{"callback": "app", "app_id": "p1", "test_mode": "true"},
			},
		},
		"an account callback of an app's request": {
			callback("signature_request_sent", at, request+`,"account_guid":"a2","client_id":"p2"`),
			esign.Event{
				Type: esign.AgreementSent, VendorType: "signature_request_sent", AgreementID: "r1", AccountID: "a2",
				OccurredAt: nine,
				Attributes: map[string]string{"callback": "account", "app_id": "p2"},
			},
		},
		"a copy to download": {
			callback("signature_request_downloadable", at,
				`,"signature_request":{"signature_request_id":"r1","is_complete":true,"test_mode":1}`),
			esign.Event{
				Type: esign.AgreementUpdated, VendorType: "signature_request_downloadable", AgreementID: "r1", OccurredAt: nine,
				Attributes: map[string]string{"callback": "account", "is_complete": "true", "test_mode": "true"},
			},
		},
		"signers who belong to no request": {
			callback(signed, at, `,"signature_request":{"signatures":[{"signature_id":"s1","status_code":"signed"}]}`),
			esign.Event{
				Type: esign.Other, VendorType: signed, OccurredAt: nine, Attributes: map[string]string{"callback": "account"},
			},
		},
		"values of wrong types": {
			withMetadata(signed, at, `[]`, `,"account_guid":{},"client_id":[],"template":[],"account":"x","transmission":1,"signature_request":
				{"signature_request_id":"r1","metadata":[],"test_mode":"no","is_complete":{},"signatures":{"signature_id":"s1","status_code":"signed"}}`),
			esign.Event{
				Type: esign.AgreementSigned, VendorType: signed, AgreementID: "r1", OccurredAt: nine,
				Attributes: map[string]string{"callback": "account"},
			},
		},
		"one signer of a wrong type among others": {
			callback(signed, at, `,"signature_request":{"signature_request_id":"r1","signatures":[null,1,"s",[],{"signature_id":7,"status_code":"signed","signed_at":{}}]}`),
			esign.Event{
				Type: esign.AgreementSigned, VendorType: signed, AgreementID: "r1", OccurredAt: nine,
				Attributes:   map[string]string{"callback": "account"},
				Participants: []esign.Participant{{ID: "7", Status: esign.Signed, Role: esign.RoleSigner, Waiting: &no}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, meaning(t, asURLEncoded(tt.message))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothingPersonalInTheEvent(t *testing.T) {
	r := asJSON(withMetadata("signature_request_declined", at,
		`{"related_signature_id":"private@example.com","event_message":"private"}`,
		`,"signature_request":{"signature_request_id":"r1","title":"private","original_title":"private","subject":"private","message":"private",
		"metadata":{"private":"private"},"custom_fields":[{"value":"private"}],"response_data":[{"value":"private"}],"signing_url":"https://private",
		"files_url":"https://private","details_url":"https://private","final_copy_uri":"/private","requester_email_address":"private@example.com",
		"cc_email_addresses":["private@example.com"],"signatures":[{"signature_id":"private@example.com","status_code":"signed",
		"signer_email_address":"private@example.com","signer_name":"private","signer_role":"private","decline_reason":"private"}]},
		"transmission":{"files_url":"https://private","from":"private"},"account":{"email_address":"private@example.com"},"template":{"title":"private"}`))
	// References and reasons are the sender's and the signer's own words: the operator must want them.
	event := esign.Policy{}.Apply(meaning(t, r), provider.Info().PersonReference)
	both, err := json.Marshal([]any{only(t, r), event})
	if err != nil || strings.Contains(string(both), "private") {
		t.Errorf("%s, %v", both, err)
	}
	fax := only(t, asJSON(callback("fax_received", at, `,"transmission":{"files_url":"https://private"}`)))
	if strings.Contains(fax.Subject, "private") {
		t.Errorf("an address in the subject %q", fax.Subject)
	}
}

func TestUndeliverable(t *testing.T) {
	const (
		bounce, qes = "signature_request_email_bounce", "signature_request_incomplete_qes"
		invalid     = "signature_request_invalid"
		awaiting    = "awaiting_signature"
	)
	request := func(statuses ...string) string {
		var signatures []string
		for i, status := range statuses {
			signatures = append(signatures, fmt.Sprintf(`{"signature_id":"s%d","status_code":%q}`, i+1, status))
		}
		return `,"signature_request":{"signature_request_id":"r1","signatures":[` + strings.Join(signatures, ",") + `]}`
	}
	const undeliverable = esign.AgreementUndeliverable
	for name, tt := range map[string]struct {
		message     string
		typ         esign.Type
		cause       esign.Cause
		participant string
	}{
		"an e-mail that came back": {
			withMetadata(bounce, at, related("s2"), request(awaiting, awaiting)), undeliverable, esign.CauseBounced, "s2",
		},
		"an e-mail that came back, told by the status": {
			callback(bounce, at, request(awaiting, "error_invalid_email")), undeliverable, esign.CauseBounced, "s2",
		},
		"an e-mail that came back, to somebody not asked yet": {
			withMetadata(bounce, at, related("s2"), request(awaiting, "on_hold")), undeliverable, esign.CauseBounced, "s2",
		},
		"an e-mail that came back, without a list": {
			withMetadata(bounce, at, related("s2"), request()), undeliverable, esign.CauseBounced, "s2",
		},
		"two e-mails that came back": {
			callback(bounce, at, request("error_invalid_email", "error_invalid_email")), undeliverable, esign.CauseBounced, "",
		},
		"a signer who was not identified": {
			withMetadata(qes, at, related("s1"), request(awaiting)), undeliverable, esign.CauseIdentification, "s1",
		},
		"an invalid request with nothing but a bad address": {
			callback(invalid, at, request("error_invalid_email", awaiting)), undeliverable, esign.CauseBounced, "s1",
		},
		"an invalid request with another error too": {
			callback(invalid, at, request("error_invalid_email", "error_file")), esign.AgreementFailed, "", "",
		},
		"an invalid request": {callback(invalid, at, request("error_file")), esign.AgreementFailed, "", ""},
		"an event of another signer": {
			withMetadata(signed, at, related("s1"), request("signed", "error_invalid_email")), esign.AgreementSigned, "", "s1",
		},
		"no request": {callback(bounce, at, ""), esign.Other, "", ""},
	} {
		e := meaning(t, asJSON(tt.message))
		if e.Type != tt.typ || e.Cause != tt.cause || e.Participant != tt.participant {
			t.Errorf("%s: %s, %q, of %q", name, e.Type, e.Cause, e.Participant)
		}
		problem := esign.Cause("")
		for _, p := range e.Participants {
			if p.ID == e.Participant {
				problem = p.Problem
			}
		}
		if problem != tt.cause && tt.participant != "" {
			t.Errorf("%s: the problem of %s is %q", name, e.Participant, problem)
		}
	}
}

func TestParticipants(t *testing.T) {
	yes, no := true, false
	asked := func(id string, waiting *bool) esign.Participant {
		return esign.Participant{ID: id, Status: esign.Sent, Role: esign.RoleSigner, Waiting: waiting}
	}
	with := func(one esign.Participant, change func(*esign.Participant)) esign.Participant {
		change(&one)
		return one
	}
	at := func(order int, one esign.Participant) esign.Participant {
		return with(one, func(p *esign.Participant) { p.Order = order })
	}
	bounced := func(one esign.Participant) esign.Participant {
		return with(one, func(p *esign.Participant) { p.Problem = esign.CauseBounced })
	}
	replaced := func(one esign.Participant, by string) esign.Participant {
		return with(one, func(p *esign.Participant) { p.Replaced, p.ReplacedBy = true, by })
	}
	// In signatures, "=" is "status_code":"awaiting_signature".
	for name, tt := range map[string]struct {
		signatures string
		want       []esign.Participant
		present    []string
	}{
		"two": {
			`{"signature_id":"s7",=},{"signature_id":"s8",=,"order":null}`,
			[]esign.Participant{asked("s7", &yes), asked("s8", &yes)}, []string{"s7", "s8"},
		},
		"one after the other": {
			`{"signature_id":"s7",=,"order":0},{"signature_id":"s8",=,"order":"1"}`,
			[]esign.Participant{at(1, asked("s7", &yes)), at(2, asked("s8", &no))}, []string{"s7", "s8"},
		},
		"the next two": {
			`{"signature_id":"s9",=,"order":2},{"signature_id":"s7",=,"order":1},{"signature_id":"s8",=,"order":1},
			{"signature_id":"s6","status_code":"signed","order":0}`,
			[]esign.Participant{at(3, asked("s9", &no)), at(2, asked("s7", &yes)), at(2, asked("s8", &yes)),
				at(1, with(asked("s6", &no), func(p *esign.Participant) { p.Status = esign.Signed }))},
			[]string{"s9", "s7", "s8", "s6"},
		},
		"no order that can be read": {
			`{"signature_id":"s7",=,"order":-1},{"signature_id":"s8",=,"order":"first"},{"signature_id":"s9",=,"order":1e9}`,
			[]esign.Participant{asked("s7", &yes), asked("s8", &yes), asked("s9", &yes)}, []string{"s7", "s8", "s9"},
		},
		"a role": {
			`{"signature_id":"s7",=,"signer_role":"Tenant"}`,
			[]esign.Participant{with(asked("s7", &yes), func(p *esign.Participant) { p.Reference = "Tenant" })},
			[]string{"s7"},
		},
		"one is too late": {
			`{"signature_id":"s7","status_code":"expired"}`,
			[]esign.Participant{with(asked("s7", &no), func(p *esign.Participant) { p.Status = esign.Expired })},
			[]string{"s7"},
		},
		"nobody has been reached": {
			`{"signature_id":"s7","status_code":"on_hold"},{"signature_id":"s8","status_code":"on_hold_by_requester"}`,
			nil, []string{"s7", "s8"},
		},
		"on hold": {
			`{"signature_id":"s7","status_code":"on_hold_by_requester"},{"signature_id":"s8",=}`,
			[]esign.Participant{asked("s8", &no)}, []string{"s7", "s8"},
		},
		"failed": {
			`{"signature_id":"s7","status_code":"error_file"},{"signature_id":"s8",=}`,
			[]esign.Participant{asked("s8", &no)}, []string{"s7", "s8"},
		},
		"one has an invalid address": {
			`{"signature_id":"s7","status_code":"error_invalid_email"},{"signature_id":"s8",=}`,
			[]esign.Participant{bounced(asked("s7", &no)), asked("s8", &yes)}, []string{"s7", "s8"},
		},
		"the first has an invalid address": {
			`{"signature_id":"s7","status_code":"error_invalid_email","order":0},{"signature_id":"s8",=,"order":1}`,
			[]esign.Participant{at(1, bounced(asked("s7", &no))), at(2, asked("s8", &no))}, []string{"s7", "s8"},
		},
		"one was reassigned and is missing": {
			`{"signature_id":"s8",=,"reassigned_from":"s7"}`,
			[]esign.Participant{asked("s8", &yes), replaced(asked("s7", nil), "s8")}, []string{"s8"},
		},
		"one was reassigned and is still there": {
			`{"signature_id":"s7",=,"order":0},{"signature_id":"s8",=,"reassigned_from":"s7","order":1}`,
			[]esign.Participant{at(1, replaced(asked("s7", &no), "s8")), at(2, asked("s8", &yes))}, []string{"s8"},
		},
		"one was reassigned and is on hold": {
			`{"signature_id":"s7","status_code":"on_hold"},{"signature_id":"s8",=,"reassigned_from":"s7"}`,
			[]esign.Participant{asked("s8", &yes), replaced(asked("s7", nil), "s8")}, []string{"s8"},
		},
		"reassigned twice, to an ID that is an e-mail address": {
			`{"signature_id":"s8","status_code":"on_hold","reassigned_from":"s7"},
			{"signature_id":"a@b.c",=,"reassigned_from":"s8"}`,
			[]esign.Participant{asked(webhook.ParticipantKey("a@b.c"), &yes), replaced(asked("s7", nil), "s8"),
				replaced(asked("s8", nil), webhook.ParticipantKey("a@b.c"))}, []string{webhook.ParticipantKey("a@b.c")},
		},
		"reassigned from itself": {
			`{"signature_id":"s7",=,"reassigned_from":"s7"}`, []esign.Participant{asked("s7", &yes)}, []string{"s7"},
		},
		"one has no ID": {
			`{"signature_id":"s7",=},{=}`, []esign.Participant{asked("s7", &yes)}, nil,
		},
		"no list": {``, nil, nil},
		"a list that may have been cut": {
			strings.Repeat(`{"signature_id":"s"},`, webhook.MaxList) + `{"signature_id":"s7",=}`, nil, nil,
		},
	} {
		e := meaning(t, asJSON(callback("signature_request_reassigned", "1793610000",
			`,"signature_request":{"signature_request_id":"r1","signatures":[`+
				strings.ReplaceAll(tt.signatures, "=", `"status_code":"awaiting_signature"`)+`]}`)))
		if diff := cmp.Diff(tt.want, e.Participants) + cmp.Diff(tt.present, e.Present); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNobodyWaitsAtTheEnd(t *testing.T) {
	for typ, waits := range map[string]bool{
		"signature_request_remind": true, "signature_request_canceled": false, "signature_request_expired": false,
		"signature_request_invalid": false, "signature_request_declined": false, "signature_request_all_signed": false,
	} {
		e := meaning(t, asJSON(callback(typ, at, `,"signature_request":{"signature_request_id":"r1",
			"signatures":[{"signature_id":"s1","status_code":"awaiting_signature"}]}`)))
		if *e.Participants[0].Waiting != waits {
			t.Errorf("%s: %t", typ, !waits)
		}
	}
}

func TestReferences(t *testing.T) {
	for name, tt := range map[string]struct {
		rest string
		want map[string]string
	}{
		"metadata": {
			`,"signature_request":{"signature_request_id":"r1",
			"metadata":{"deal_id":7,"crm":{"deal":"D-7","open":true},"l":["a"],"n":null}}`,
			map[string]string{"deal_id": "7", "crm.deal": "D-7", "crm.open": "true", "l": `["a"]`},
		},
		"an empty list": {`,"signature_request":{"signature_request_id":"r1","metadata":[]}`, nil},
		"another shape": {`,"signature_request":{"signature_request_id":"r1","metadata":"deal_id"}`, nil},
		"none":          {`,"signature_request":{"signature_request_id":"r1"}`, nil},
		"a template's":  {`,"signature_request":{"signature_request_id":"r1"},"template":{"metadata":{"deal_id":7}}`, nil},
		"of no request": {`,"signature_request":{"metadata":{"deal_id":7}}`, nil},
	} {
		e := meaning(t, asJSON(callback("signature_request_sent", at, tt.rest)))
		if diff := cmp.Diff(tt.want, e.References); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	e := meaning(t, asJSON(callback("template_created", at, `,"template":{"template_id":"t1","metadata":{"deal_id":7}},
		"signature_request":{"signature_request_id":"r1","metadata":{"deal_id":7}}`)))
	if e.References != nil {
		t.Errorf("a template's event has %v", e.References)
	}
}

func TestReason(t *testing.T) {
	const message = `{"event_message":" The price. "}`
	request := `,"signature_request":{"signature_request_id":"r1","signatures":[{"signature_id":"s0"},
		{"signature_id":"s1","status_code":"declined","decline_reason":"Too late.","error":"Bad file.",
		"reassignment_reason":"Away."}]}`
	for typ, want := range map[string][2]string{ // with the event's message, and without
		"signature_request_declined":   {"The price.", "Too late."},
		"signature_request_invalid":    {"The price.", "Bad file."},
		"file_error":                   {"The price.", "Bad file."},
		"unknown_error":                {"The price.", "Bad file."},
		"signature_request_canceled":   {},
		"signature_request_expired":    {},
		"signature_request_reassigned": {},
		"signature_request_signed":     {},
		"template_error":               {},
	} {
		for i, metadata := range []string{message, `{"event_message":null}`} {
			if got := meaning(t, asJSON(withMetadata(typ, at, metadata, request))).Reason; got != want[i] {
				t.Errorf("%s with %s: %q", typ, metadata, got)
			}
		}
	}
}
