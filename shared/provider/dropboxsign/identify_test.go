package dropboxsign_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

const (
	at      = "1793610000" // 2026-11-02T09:00:00Z
	later   = "1793610001"
	request = `,"signature_request":{"signature_request_id":"r1"}`
	viewed  = `,"signature_request":{"signature_request_id":"r1","signatures":[{"last_viewed_at":1}]}`
	second  = `,"signature_request":{"signature_request_id":"r2"}`
	one     = `,"signature_request":{"signature_request_id":"r1","signatures":[{"signature_id":"s1"}]}`

	declined = `,"signature_request":{"signature_request_id":"r1","signatures":[
		{"signature_id":"s1","status_code":"signed"},{"signature_id":"s2","status_code":"declined"}]}`

	signed = "signature_request_signed"
	remind = "signature_request_remind"
)

func related(id string) string { return `{"related_signature_id":"` + id + `"}` }

func TestOneEvent(t *testing.T) {
	byAccount, byApp := `{"reported_for_account_id":"a1"}`, `{"reported_for_account_id":null,"reported_for_app_id":"p1"}`
	for name, pair := range map[string][2]*webhook.Request{
		"sent again in another form": {
			asMultipart(callback(signed, at, request)), asURLEncoded(callback(signed, at, request)),
		},
		"sent again with another key": {
			asJSON(callback(signed, at, request)),
			asJSON(strings.Replace(callback(signed, at, request), mac(developmentKey, at+signed), "x", 1)),
		},
		"of an unknown object, sent again with another key": {
			asJSON(callback("new", at, `,"n":1`)),
			asJSON(strings.Replace(callback("new", at, `,"n":1`), mac(developmentKey, at+"new"), "x", 1)),
		},
		"sent again with Content-Sha256": {
			asJSON(callback(signed, at, request)), withDigest(asJSON(callback(signed, at, request)), "x"),
		},
		"reported for account and app": {
			asJSON(withMetadata("signature_request_sent", at, byAccount, request)),
			asJSON(withMetadata("signature_request_sent", at, byApp, request+`,"client_id":"p1","account_guid":"a1"`)),
		},
		"of a type that names no signer, reported for account and app": {
			asJSON(withMetadata(remind, at, byAccount, request)),
			asJSON(withMetadata(remind, at, byApp, request+`,"client_id":"p1"`)),
		},
		"of an account, reported for account and app": {
			asJSON(withMetadata("account_confirmed", at, byAccount, `,"account":{"account_id":"a1"}`)),
			asJSON(withMetadata("account_confirmed", at, byApp, `,"account":{"account_id":"a1"},"client_id":"p1"`)),
		},
		"with and without empty metadata": {
			asJSON(withMetadata(signed, at, `{"related_signature_id":null,"event_message":null}`, request)),
			asJSON(callback(signed, at, request)),
		},
		"with another message": {
			asJSON(withMetadata("file_error", at, `{"event_message":"x"}`, request)),
			asJSON(withMetadata("file_error", at, `{"event_message":"y"}`, request)),
		},
		"of one signer, with a newer state": {
			asJSON(withMetadata(signed, at, related("s1"), request)), asJSON(withMetadata(signed, at, related("s1"), viewed)),
		},
		"of the request, with a newer state": {
			asJSON(callback("signature_request_all_signed", at, request)),
			asJSON(callback("signature_request_all_signed", at, viewed)),
		},
		"with white space about the IDs": {
			asJSON(withMetadata(signed, at, related("s1"), request)),
			asJSON(withMetadata(signed, at, related(` s1\t`), strings.Replace(request, `"r1"`, `" r1 "`, 1))),
		},
		"with a time that is a number": {
			asJSON(callback(signed, at, request)), asJSON(strings.Replace(callback(signed, at, request), `"`+at+`"`, at, 1)),
		},
		"reported for account and app, naming a signer only for the account": {
			asJSON(withMetadata("signature_request_all_signed", at, related("s1"), request)),
			asJSON(withMetadata("signature_request_all_signed", at, byApp, request)),
		},
		"a bounce, in copies that differ in the client, the links and the order of keys": {
			asJSON(withMetadata("signature_request_email_bounce", at, related("s1"), `,"signature_request":{
				"signature_request_id":"r1","title":"t","metadata":[],"signing_url":"https://x","client_id":null,
				"signatures":[{"signature_id":"s1","order":0}]}`)),
			asJSON(withMetadata("signature_request_email_bounce", at, byApp, `,"signature_request":{"client_id":"p1",
				"metadata":{},"signatures":[{"order":0,"signature_id":"s1"}],"signing_url":null,"title":"t",
				"signature_request_id":"r1"}`)),
		},
		"of an unknown type, naming a signer only for the account": {
			asJSON(withMetadata("signature_request_new", at, related("s1"), request)),
			asJSON(withMetadata("signature_request_new", at, byApp, request)),
		},
		"of a template, naming a signer only for the account": {
			asJSON(withMetadata("template_created", at, related("s1"), `,"template":{"template_id":"t1"}`)),
			asJSON(withMetadata("template_created", at, byApp, `,"template":{"template_id":"t1"},"client_id":"p1"`)),
		},
		"of the only signer, with and without the name": {
			asJSON(withMetadata(signed, at, related("s1"), one)), asJSON(withMetadata(signed, at, byApp, one)),
		},
		"of the signer who declined, with and without the name": {
			asJSON(withMetadata("signature_request_declined", at, related("s2"), declined)),
			asJSON(callback("signature_request_declined", at, declined)),
		},
		"two tests in one second": {
			asJSON(callback("callback_test", at, "")), asJSON(withMetadata("callback_test", at, byApp, `,"client_id":"p1"`)),
		},
	} {
		a, b := only(t, pair[0]), only(t, pair[1])
		if a.EventID != b.EventID || a.Subject != b.Subject || a.AgreementID != b.AgreementID {
			t.Errorf("%s: %+v and %+v", name, a, b)
		}
	}
}

func TestTwoEvents(t *testing.T) {
	for name, pair := range map[string][2]string{
		"two signers in one second": {
			withMetadata(signed, at, related("s1"), request), withMetadata(signed, at, related("s2"), request),
		},
		"two seconds": {callback(signed, at, request), callback(signed, later, request)},
		"two requests in one second": {
			callback("signature_request_sent", at, request), callback("signature_request_sent", at, second),
		},
		"two types in one second": {
			callback(signed, at, request), callback("signature_request_viewed", at, request),
		},
		"signers who are not named":      {callback(signed, at, request), callback(signed, at, viewed)},
		"reminders to two in one second": {callback(remind, at, request), callback(remind, at, viewed)},
		"two requests of over 256 KB": {
			callback(remind, at, strings.Replace(request, "{", `{"n":1,"x":"`+strings.Repeat("x", 300_000)+`",`, 1)),
			callback(remind, at, strings.Replace(request, "{", `{"n":2,"x":"`+strings.Repeat("x", 300_000)+`",`, 1)),
		},
		"bounces from two in one second": {
			callback("signature_request_email_bounce", at, request), callback("signature_request_email_bounce", at, viewed),
		},
		"two reassigned in one second": {
			callback("signature_request_reassigned", at, request), callback("signature_request_reassigned", at, viewed),
		},
		"two of an unknown type": {callback("new", at, request), callback("new", at, viewed)},
		"two templates": {
			callback("template_created", at, `,"template":{"template_id":"1"}`),
			callback("template_created", at, `,"template":{"template_id":"2"}`),
		},
		"two accounts": {
			callback("account_confirmed", at, `,"account":{"account_id":"1"}`),
			callback("account_confirmed", at, `,"account":{"account_id":"2"}`),
		},
		"two faxes": {
			callback("fax_sent", at, `,"transmission":{"files_url":"1"}`),
			callback("fax_sent", at, `,"transmission":{"files_url":"2"}`),
		},
		"two of an unknown object": {
			callback("bulk_send_job_finished", at, `,"bulk_send_job_id":"1"`),
			callback("bulk_send_job_finished", at, `,"bulk_send_job_id":"2"`),
		},
		"two templates without an ID": {
			callback("template_error", at, `,"template":{"title":"1"}`),
			callback("template_error", at, `,"template":{"title":"2"}`),
		},
		"two accounts without an ID": {
			callback("account_confirmed", at, `,"account":{"email_address":"1"}`),
			callback("account_confirmed", at, `,"account":{"email_address":"2"}`),
		},
		"two faxes under another name": {
			callback("fax_sent", at, `,"fax":{"fax_id":"1"}`), callback("fax_sent", at, `,"fax":{"fax_id":"2"}`),
		},
		"two errors without an object": {
			withMetadata("unknown_error", at, `{"event_message":"x"}`, ""),
			withMetadata("unknown_error", at, `{"event_message":"y"}`, ""),
		},
		"a template and an account": {
			callback("new", at, `,"template":{"template_id":"1"}`), callback("new", at, `,"account":{"account_id":"1"}`),
		},
		"an ID that moves to the signer": {
			withMetadata(signed, at, related("s1"), request),
			withMetadata(signed, at, related("1"), strings.Replace(request, "r1", "r1s", 1)),
		},
		"a digit that moves from time to ID": {callback("callback_test", at, ""), callback("callback_test", at[:9], "")},
	} {
		if a, b := only(t, asJSON(pair[0])), only(t, asJSON(pair[1])); a.EventID == b.EventID {
			t.Errorf("%s: one event", name)
		}
	}
}

func TestExamplesRepeatOneEvent(t *testing.T) {
	seen := map[string][]string{}
	for name, r := range webhooktest.Examples(t, "dropboxsign") {
		id := only(t, r).EventID
		seen[id] = append(seen[id], name)
	}
	for _, names := range seen {
		if pair := strings.Join(names, " "); len(names) > 1 && !strings.Contains(pair, "signature-request-sent-app") {
			t.Errorf("one event: %v", names)
		}
	}
	if len(seen) != len(webhooktest.Examples(t, "dropboxsign"))-1 {
		t.Errorf("%d events", len(seen))
	}
}

func TestRecordedCallbacksAreEightEvents(t *testing.T) {
	var helper map[string]json.RawMessage
	if err := json.Unmarshal(webhooktest.Fixture(t, "dropboxsign/01_EventCallbackHelper_AccountCallbacks.json"),
		&helper); err != nil {
		t.Fatal(err)
	}
	events := map[string]bool{}
	for _, message := range helper {
		events[only(t, asJSON(string(message))).EventID] = true
	}
	if len(events) != 8 {
		t.Errorf("%d events", len(events))
	}
}

func TestSubjects(t *testing.T) {
	long := strings.Repeat("r", 600)
	fax := webhook.Subject("dropboxsign", "fax", webhook.EventID("dropboxsign", "fax", "https://example.com/f"))
	for name, tt := range map[string]struct{ message, subject, agreement string }{
		"a request":                  {callback(signed, at, request), "dropboxsign#r1", "r1"},
		"a request of unknown type":  {callback("new", at, request), "dropboxsign#r1", "r1"},
		"an error of a request":      {callback("unknown_error", at, request), "dropboxsign#r1", "r1"},
		"an error without an object": {callback("unknown_error", at, ""), "dropboxsign#other:", ""},
		"a request that is missing":  {callback(signed, at, ""), "dropboxsign#other:", ""},
		"a request that is null":     {callback(signed, at, `,"signature_request":null`), "dropboxsign#other:", ""},
		"a request that is a list":   {callback(signed, at, `,"signature_request":[]`), "dropboxsign#other:", ""},
		"a request that is a string": {callback(signed, at, `,"signature_request":"r1"`), "dropboxsign#other:", ""},
		"a request whose ID is empty": {
			callback(signed, at, `,"signature_request":{"signature_request_id":" "}`), "dropboxsign#other:", "",
		},
		"an ID that is a number": {
			callback(signed, at, `,"signature_request":{"signature_request_id":12}`), "dropboxsign#12", "12",
		},
		"an ID that is a list": {
			callback(signed, at, `,"signature_request":{"signature_request_id":["r1"]}`), "dropboxsign#other:", "",
		},
		"the last of two IDs": {
			callback(signed, at, `,"signature_request":{"signature_request_id":"r0","signature_request_id":"r1"}`),
			"dropboxsign#r1", "r1",
		},
		"the last of two requests": {callback(signed, at, second+request), "dropboxsign#r1", "r1"},
		"a very long ID": {
			callback(signed, at, strings.Replace(request, "r1", long, 1)),
			webhook.AgreementSubject("dropboxsign", webhook.AgreementID(long)), webhook.AgreementID(long),
		},
		"a template": {
			callback("template_created", at, `,"template":{"template_id":"t1"}`), "dropboxsign#template:t1", "",
		},
		"a template next to a request": {
			callback("template_error", at, `,"template":{"template_id":"t1"}`+request), "dropboxsign#template:t1", "",
		},
		"a template that is missing": {callback("template_error", at, ""), "dropboxsign#template:", ""},
		"a template of unknown type": {
			callback("new", at, `,"template":{"template_id":"t1"}`), "dropboxsign#template:t1", "",
		},
		"an account": {
			callback("account_confirmed", at, `,"account":{"account_id":"a1"},"account_guid":"a2"`), "dropboxsign#account:a1",
			"",
		},
		"an account by metadata": {
			withMetadata("account_confirmed", at, `{"reported_for_account_id":"a3"}`, `,"account_guid":"a2"`),
			"dropboxsign#account:a3", "",
		},
		"an account by its GUID": {
			callback("account_confirmed", at, `,"account_guid":"a2"`), "dropboxsign#account:a2", "",
		},
		"an account of unknown type": {callback("new", at, `,"account":{"account_id":"a1"}`), "dropboxsign#account:a1", ""},
		"a fax": {
			callback("fax_received", at, `,"transmission":{"signature_request_id":"","files_url":"https://example.com/f"}`), fax,
			"",
		},
		"a fax of unknown type": {
			callback("new", at, `,"transmission":{"files_url":"https://example.com/f"}`), fax, "",
		},
		"a test":                   {callback("callback_test", at, ""), "dropboxsign#test:", ""},
		"a test next to a request": {callback("callback_test", at, request), "dropboxsign#test:", ""},
	} {
		id := only(t, asJSON(tt.message))
		if id.Subject != tt.subject || id.AgreementID != tt.agreement {
			t.Errorf("%s: subject %q, agreement %q", name, id.Subject, id.AgreementID)
		}
	}
}

func TestVia(t *testing.T) {
	for name, tt := range map[string]struct{ metadata, rest, want string }{
		"account": {
			`{"reported_for_account_id":"a1","reported_for_app_id":null}`, ``, "account/a1",
		},
		"app":                               {`{"reported_for_account_id":"a1","reported_for_app_id":"p1"}`, ``, "app/p1"},
		"an empty app is ignored":           {`{"reported_for_account_id":"a1","reported_for_app_id":""}`, ``, "account/a1"},
		"the GUID without metadata":         {`{}`, `,"account_guid":"a2"`, "account/a2"},
		"metadata before the GUID":          {`{"reported_for_account_id":"a1"}`, `,"account_guid":"a2"`, "account/a1"},
		"a client alone makes no app":       {`{}`, `,"client_id":"p1"`, ""},
		"nothing":                           {`null`, ``, ""},
		"metadata of wrong types":           {`{"reported_for_account_id":{},"reported_for_app_id":[]}`, ``, ""},
		"an unprintable ID becomes a label": {`{"reported_for_app_id":"é\n"}`, ``, "app/??"},
	} {
		if got := only(t, asJSON(withMetadata(signed, at, tt.metadata, tt.rest))).Via; got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestOccurredAt(t *testing.T) {
	nine := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for eventTime, want := range map[string]time.Time{
		`"1793610000"`: nine, `1793610000`: nine, `"0"`: {}, `""`: {}, `null`: {}, `"soon"`: {}, `{}`: {}, `"1e999"`: {},
		`"-5"`: {},
	} {
		r := asJSON(`{"event":{"event_type":"signature_request_sent","event_time":` + eventTime + `}}`)
		if id := only(t, r); !id.OccurredAt.Equal(want) || !meaning(t, r).OccurredAt.Equal(want) {
			t.Errorf("%s: %v, want %v", eventTime, id.OccurredAt, want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	for name, message := range map[string]string{
		"no event":               `{}`,
		"an event that is null":  `{"event":null}`,
		"an event that is empty": `{"event":[]}`,
		"no type":                `{"event":{"event_time":"1793610000"}}`,
		"a type of white space":  `{"event":{"event_type":"  "}}`,
		"a type that is a list":  `{"event":{"event_type":["signature_request_sent"]}}`,
		"cut off":                `{"event":{"event_type":"signature_request_sent"`,
		"too deep": `{"event":{"event_type":"x"},"x":` + strings.Repeat("[", 100_000) +
			strings.Repeat("]", 100_000) + `}`,
		"too deep, and cut off": strings.Repeat(`{"event":`, 100_000),
	} {
		if _, err := provider.Identify(asJSON(message)); !errors.Is(err, webhook.ErrUnreadable) {
			t.Errorf("%s: identified: %v", name, err)
		}
		if _, err := provider.Normalize(&webhook.Delivery{Payload: []byte(message)}); !errors.Is(err, webhook.ErrUnreadable) {
			t.Errorf("%s: normalised: %v", name, err)
		}
	}
}

// former returns the event ID that the releases before 2026-12 gave to a callback about the request r1.
func former(typ string, fields ...string) string {
	return webhook.EventID("dropboxsign", append([]string{"agreement", typ, at, "r1"}, fields...)...)
}

// TestFormerIDs checks that each copy of an event is known by the IDs that the earlier releases gave to both.
func TestFormerIDs(t *testing.T) {
	byApp := `{"reported_for_account_id":null,"reported_for_app_id":"p1"}`
	const sent, new = "signature_request_sent", "signature_request_new"
	object := func(client string) string {
		return `{"signature_request_id":"r1","signatures":[{"signature_id":"s1"},{"signature_id":"s2"}],"client_id": ` +
			client + `}`
	}
	account, app := `,"signature_request":`+object("null"), `,"signature_request":`+object(`"p1"`)
	for name, tt := range map[string]struct {
		message string
		want    []string // this copy's first
	}{
		"the account's copy": {withMetadata(sent, at, related("s1"), account), []string{former(sent, "s1")}},
		"an app's copy": {
			withMetadata(sent, at, byApp, app), []string{former(sent, "s1"), former(sent, "s2")},
		},
		"the account's copy that names nobody": {callback(sent, at, account), nil},
		"the account's copy, hashed": {
			withMetadata(new, at, related("s1"), account+`,"client_id":"p1"`), []string{
				former(new, "s1", object("null")), former(new, "s1", object(`"p1"`)),
				former(new, "", object("null")), former(new, "", object(`"p1"`)),
			},
		},
		"an app's copy, hashed": {withMetadata(new, at, byApp, app), []string{
			former(new, "", object(`"p1"`)), former(new, "", object("null")),
			former(new, "s1", object(`"p1"`)), former(new, "s1", object("null")),
			former(new, "s2", object(`"p1"`)), former(new, "s2", object("null")),
		}},
		"a signer who is named": {withMetadata(signed, at, related("s1"), account), nil},
		"the only signer, unnamed": {
			callback(signed, at, one), []string{former(signed, "", strings.TrimPrefix(one, `,"signature_request":`))},
		},
		"the signer who declined, unnamed": {
			callback("signature_request_declined", at, declined), []string{former("signature_request_declined", "")},
		},
		"a test": {callback("callback_test", at, ""), nil},
	} {
		id := only(t, asJSON(tt.message))
		var got []string
		for _, f := range id.FormerIDs {
			got = append(got, f.ID)
			if f.ID == id.EventID || !f.OccurredAt.IsZero() {
				t.Errorf("%s: %+v of %+v", name, f, id)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFormerIDsAreFew(t *testing.T) {
	many := `,"signature_request":{"signature_request_id":"r1","signatures":[`
	for i := range 40 {
		many += fmt.Sprintf(`{"signature_id":"s%d"},`, i)
	}
	id := only(t, asJSON(withMetadata(remind, at, `{"reported_for_app_id":"p1"}`, many+`{}],"client_id":"p1"}`)))
	if len(id.FormerIDs) != 10 {
		t.Errorf("%d former IDs", len(id.FormerIDs))
	}
}
