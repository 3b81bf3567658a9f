package adobesign_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// signed is a notification of which the tests change one field at a time.
const signed = `{
	"webhookId": "w1", "webhookNotificationId": "n1", "webhookScope": "ACCOUNT",
	"event": "AGREEMENT_ACTION_COMPLETED", "subEvent": "", "eventDate": "2026-11-02T08:15:03Z",
	"eventResourceType": "agreement", "participantRole": "SIGNER", "actionType": "ESIGNED",
	"participantUserId": "u1", "participantUserEmail": "ada@example.com",
	"actingUserId": "u1", "actingUserEmail": "ada@example.com",
	"agreement": {"id": "a1", "name": "Loan", "status": "OUT_FOR_SIGNATURE"}
}`

// with returns body with fields set; nil takes one away.
func with(t testing.TB, body string, fields map[string]any) string {
	t.Helper()
	object := map[string]any{}
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		object[name] = value
		if value == nil {
			delete(object, name)
		}
	}
	b, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func identify(t testing.TB, body string) webhook.Identity {
	t.Helper()
	ids, err := adobesign.Provider{}.Identify(post(body, documentationID))
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	return ids[0]
}

func normalize(t testing.TB, body string) esign.Event {
	t.Helper()
	event, err := adobesign.Provider{}.Normalize(&webhook.Delivery{Provider: "adobesign", Payload: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func TestOneEvent(t *testing.T) {
	want := identify(t, signed).EventID
	for name, body := range map[string]string{
		"sent again": signed,
		"through another webhook": with(t, signed,
			map[string]any{"webhookId": "w2", "webhookNotificationId": "n2", "webhookName": "B"}),
		"through a webhook of another scope": with(t, signed, map[string]any{"webhookScope": "GROUP"}),
		"resource type in capitals":          with(t, signed, map[string]any{"eventResourceType": "AGREEMENT"}),
		"through a webhook with more detail": with(t, signed,
			map[string]any{"agreement": map[string]any{"id": "a1", "locale": "en_GB"}, "accountId": "c1"}),
		"trimmed": with(t, signed,
			map[string]any{"conditionalParametersTrimmed": []string{"includeSignedDocuments"}}),
		"with white space around values": with(t, signed,
			map[string]any{"event": " AGREEMENT_ACTION_COMPLETED ", "agreement": map[string]any{"id": " a1\n"}}),
		"after a byte order mark": "\xef\xbb\xbf" + signed,
		"people's addresses left out": with(t, signed,
			map[string]any{"participantUserEmail": nil, "actingUserEmail": nil}),
		"an empty field left out":            with(t, signed, map[string]any{"subEvent": nil}),
		"a role next to an action":           with(t, signed, map[string]any{"participantRole": "APPROVER"}),
		"an event given twice: the last one": `{"event": "AGREEMENT_CREATED",` + signed[1:],
	} {
		t.Run(name, func(t *testing.T) {
			if got := identify(t, body).EventID; got != want {
				t.Errorf("another event: %s", body)
			}
		})
	}
}

func TestTwoEvents(t *testing.T) {
	anonymous := with(t, signed, map[string]any{"participantUserId": nil, "actingUserId": nil})
	bodies := map[string]string{
		"original":          signed,
		"another agreement": with(t, signed, map[string]any{"agreement": map[string]any{"id": "a2"}}),
		"a widget of that ID": with(t, signed,
			map[string]any{"agreement": nil, "widget": map[string]any{"id": "a1"}}),
		"a bulk send of that ID": with(t, signed,
			map[string]any{"agreement": nil, "megaSign": map[string]any{"id": "a1"}}),
		"a template of that ID": with(t, signed,
			map[string]any{"agreement": nil, "libraryDocument": map[string]any{"id": "a1"}}),
		"another event":                with(t, signed, map[string]any{"event": "AGREEMENT_PARTICIPANT_COMPLETED"}),
		"another sub-event":            with(t, signed, map[string]any{"subEvent": "RECALLED"}),
		"a second later":               with(t, signed, map[string]any{"eventDate": "2026-11-02T08:15:04Z"}),
		"another participant":          with(t, signed, map[string]any{"participantUserId": "u2"}),
		"somebody else acted":          with(t, signed, map[string]any{"actingUserId": "u2"}),
		"another action":               with(t, signed, map[string]any{"actionType": "APPROVED"}),
		"people without IDs":           anonymous,
		"another participant's e-mail": with(t, anonymous, map[string]any{"participantUserEmail": "alan@example.com"}),
		"another actor's e-mail":       with(t, anonymous, map[string]any{"actingUserEmail": "alan@example.com"}),
		"no date":                      with(t, signed, map[string]any{"eventDate": nil}),
		"no date, another notification": with(t, signed, map[string]any{
			"eventDate": nil, "webhookNotificationId": "n2"}),
		"no date and no notification": with(t, signed,
			map[string]any{"eventDate": "", "webhookNotificationId": ""}),
		"no date and no notification, other bytes": with(t, signed,
			map[string]any{"eventDate": nil, "webhookNotificationId": nil}),
	}
	seen := map[string]string{}
	for name, body := range bodies {
		id := identify(t, body).EventID
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q are one event", name, other)
		}
		seen[id] = name
	}
}

// TestCopies checks that each of these is one event, however it is reported, and that no two are the same.
func TestCopies(t *testing.T) {
	remind := func(reminder string) string {
		return with(t, signed, map[string]any{
			"event": "AGREEMENT_REMINDER_SENT", "actionType": nil, "participantRole": nil, "participantUserId": "sender",
			"reminderInfo": json.RawMessage(reminder),
		})
	}
	copied := func(body string) string {
		return with(t, body, map[string]any{
			"webhookId": "w2", "webhookNotificationId": "n2",
			"agreement": map[string]any{"id": "a1", "senderEmail": "ada@example.com"},
		})
	}
	role := func(event, role string) string {
		return with(t, signed, map[string]any{"event": event, "actionType": nil, "participantRole": role})
	}
	expiry := with(t, signed, map[string]any{"event": "AGREEMENT_EXPIRED", "actionType": nil, "participantRole": nil})
	seen := map[string]string{}
	for name, bodies := range map[string][]string{
		"a reminder": {
			remind(`{"id":"r1","note":"x","participantList":[{"participantUserId":"u1"}]}`),
			remind(`{"id":"r1","participantList":[{"participantUserId":"u1","email":"ada@example.com"}]}`),
		},
		"another reminder":                   {remind(`{"id":"r2","participantList":[{"participantUserId":"u1"}]}`)},
		"the same reminder of somebody else": {remind(`{"id":"r1","participantList":[{"participantUserId":"u2"}]}`)},
		"a reminder without an ID": {
			remind(`{"participantList":[{"participantUserId":"u1"},{"participantUserId":"u2"}]}`),
			remind(`{"id":"","participantList":[{"participantUserId":"u2"},{"participantUserId":"u1"}]}`),
		},
		"a reminder of an e-mail address":     {remind(`{"participantList":[{"email":"ada@example.com"}]}`)},
		"a reminder of a participant":         {remind(`{"participantList":[{"id":"p1","email":"ada@example.com"}]}`)},
		"a reminder that says nothing":        {remind(`{"id":"","participantList":[{"id":""}]}`), remind(`null`)},
		"a signer is asked":                   {role("AGREEMENT_ACTION_REQUESTED", "SIGNER")},
		"the same person is asked to approve": {role("AGREEMENT_ACTION_REQUESTED", "APPROVER")},
		"a signer has acted":                  {role("AGREEMENT_ACTION_COMPLETED", "SIGNER")},
		"the same person has approved":        {role("AGREEMENT_ACTION_COMPLETED", "APPROVER")},
		"an expiry, reported for each recipient": {
			expiry, with(t, expiry, map[string]any{
				"participantUserId": "u2", "actingUserId": "u2", "subEvent": "EXPIRED_AUTOMATICALLY",
				"eventDate": "2026-11-02T08:15:04Z",
			}), with(t, expiry, map[string]any{"eventDate": nil}),
		},
	} {
		want := identify(t, bodies[0]).EventID
		for _, body := range bodies {
			for _, body := range []string{body, copied(body)} {
				if got := identify(t, body).EventID; got != want {
					t.Errorf("%s: another event: %s", name, body)
				}
			}
		}
		if other, ok := seen[want]; ok {
			t.Errorf("%s and %s are one event", name, other)
		}
		seen[want] = name
	}
}

// TestFormerIDs checks the IDs that releases before 2026-12 gave to events whose ID has changed.
func TestFormerIDs(t *testing.T) {
	const date = "2026-11-02T08:15:03Z"
	at := webhook.Time(date)
	former := func(event, date, participant string) string {
		return webhook.EventID("adobesign", "event", "agreement", "a1", event, "", date, participant, "u1", "")
	}
	for name, tt := range map[string]struct {
		change map[string]any
		want   []webhook.FormerID
	}{
		"a signature": {map[string]any{"actionType": "ESIGNED"}, nil},
		"a reminder": {
			map[string]any{"event": "AGREEMENT_REMINDER_SENT", "reminderInfo": map[string]any{"id": "r1"}},
			[]webhook.FormerID{{ID: former("AGREEMENT_REMINDER_SENT", date, "u1"), OccurredAt: at}},
		},
		"a request": {
			map[string]any{"event": "AGREEMENT_ACTION_REQUESTED"},
			[]webhook.FormerID{{ID: former("AGREEMENT_ACTION_REQUESTED", date, "u1"), OccurredAt: at}},
		},
		"an expiry": {
			map[string]any{"event": "AGREEMENT_EXPIRED", "participantUserId": "u2"},
			[]webhook.FormerID{{ID: former("AGREEMENT_EXPIRED", date, "u2")}},
		},
		"an expiry without a date": {
			map[string]any{"event": "AGREEMENT_EXPIRED", "eventDate": nil},
			[]webhook.FormerID{{ID: webhook.EventID("adobesign", "notification", "n1")}},
		},
		"no agreement": {map[string]any{"event": "AGREEMENT_EXPIRED", "agreement": nil}, nil},
	} {
		body := with(t, with(t, signed, map[string]any{"actionType": nil}), tt.change)
		if diff := cmp.Diff(tt.want, identify(t, body).FormerIDs); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestIdentityWithoutMeaning(t *testing.T) {
	for name, missing := range map[string]map[string]any{
		"no resource":     {"agreement": nil},
		"no resource ID":  {"agreement": map[string]any{"name": "Loan"}},
		"a null resource": {"agreement": json.RawMessage("null")},
		"no event":        {"event": ""},
		"no date":         {"eventDate": " "},
	} {
		t.Run(name+": the notification", func(t *testing.T) {
			body := with(t, signed, missing)
			want := webhook.EventID("adobesign", "notification", "n1")
			if got := identify(t, body).EventID; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
		t.Run(name+" and no notification: the body", func(t *testing.T) {
			body := with(t, with(t, signed, missing), map[string]any{"webhookNotificationId": nil})
			want := webhook.EventID("adobesign", "body", body)
			if got := identify(t, body).EventID; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestEventIDByOpenSSL compares the event ID of agreement-sent with openssl's, since Adobe signs nothing:
//
//	f() { for s; do printf "$(printf %016x ${#s} | sed 's/../\\x&/g')%s" "$s"; done; }
//	f adobesign event agreement CBJCHBCAABAAexampleAgreement0001 AGREEMENT_ACTION_REQUESTED '' 2026-11-02T08:00:02Z \
//	  CBJCHBCAABAAexampleUser0002 CBJCHBCAABAAexampleUser0001 '' role SIGNER | openssl dgst -sha256
func TestEventIDByOpenSSL(t *testing.T) {
	const want = "13bfff4bf6a4e34f2e1a379b3eb213a4addc0a3a2c870a311fdcc99301256271"
	r := webhooktest.Examples(t, "adobesign")["agreement-sent"]
	ids, err := adobesign.Provider{}.Identify(r)
	if err != nil || ids[0].EventID != want {
		t.Errorf("got %v, %v, want %s", ids, err, want)
	}
}

func TestIdentity(t *testing.T) {
	for name, tt := range map[string]struct {
		body                                         string
		subject, agreementID, vendorType, occurredAt string
	}{
		"an agreement": {signed, "adobesign#a1", "a1", "AGREEMENT_ACTION_COMPLETED", "2026-11-02T08:15:03Z"},
		"a widget": {
			`{"event":"WIDGET_CREATED","widget":{"id":"w"}}`, "adobesign#widget:w", "", "WIDGET_CREATED", ""},
		"a bulk send": {
			`{"event":"MEGASIGN_CREATED","megaSign":{"id":"m"}}`, "adobesign#megasign:m", "", "MEGASIGN_CREATED", ""},
		"a bulk send in small letters": {
			`{"event":"MEGASIGN_CREATED","megasign":{"id":"m"}}`, "adobesign#megasign:m", "", "MEGASIGN_CREATED", ""},
		"a library document": {
			`{"event":"LIBRARY_DOCUMENT_CREATED","libraryDocument":{"id":"l"}}`,
			"adobesign#librarydocument:l", "", "LIBRARY_DOCUMENT_CREATED", ""},
		"the resource counts, not the resource type": {
			`{"event":"WIDGET_CREATED","eventResourceType":"AGREEMENT","widget":{"id":"w"}}`,
			"adobesign#widget:w", "", "WIDGET_CREATED", ""},
		"an empty resource next to the real one": {
			`{"event":"WIDGET_CREATED","agreement":{"id":""},"widget":{"id":"w"}}`,
			"adobesign#widget:w", "", "WIDGET_CREATED", ""},
		"an agreement born from a widget": {
			with(t, signed, map[string]any{"eventResourceParentType": "WIDGET", "eventResourceParentId": "w"}),
			"adobesign#a1", "a1", "AGREEMENT_ACTION_COMPLETED", "2026-11-02T08:15:03Z"},
		"no resource": {
			`{"event":"AGREEMENT_CREATED","eventResourceType":"agreement"}`, "adobesign#other:", "", "AGREEMENT_CREATED", "",
		},
		"nothing": {`{}`, "adobesign#other:", "", "", ""},
		"a time in a zone": {
			`{"eventDate":"2026-11-02T08:15:03.25-05:00"}`, "adobesign#other:", "", "", "2026-11-02T13:15:03.25Z",
		},
		"an unusual time":   {`{"eventDate":"yesterday"}`, "adobesign#other:", "", "", ""},
		"an ID as a number": {`{"event":"E","agreement":{"id":17}}`, "adobesign#17", "17", "E", ""},
		"values of wrong types": {
			`{"event":["E"],"eventDate":{},"webhookNotificationId":false,"agreement":"a1","widget":[],"conditionalParametersTrimmed":"x"}`,
			"adobesign#other:", "", "", ""},
		"an agreement ID that looks like a widget's subject": {
			`{"agreement":{"id":"widget:w"}}`, webhook.AgreementSubject("adobesign", "widget:w"), "widget:w", "", ""},
		"a name with line breaks": {`{"event":"A\nB"}`, "adobesign#other:", "", "A?B", ""},
		"a name that is not UTF-8": {
			"{\"event\":\"A\xffB\"}", "adobesign#other:", "", "A???B", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := identify(t, tt.body)
			want := webhook.Identity{
				EventID: got.EventID, Subject: tt.subject, AgreementID: tt.agreementID, VendorType: tt.vendorType, Via: got.Via,
				FormerIDs: got.FormerIDs,
			}
			if tt.occurredAt != "" {
				want.OccurredAt, _ = time.Parse(time.RFC3339Nano, tt.occurredAt)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			event := normalize(t, tt.body)
			if event.AgreementID != got.AgreementID || event.VendorType != got.VendorType ||
				!event.OccurredAt.Equal(got.OccurredAt) {
				t.Errorf("identified as %+v, normalised as %+v", got, event)
			}
		})
	}
}

func TestVia(t *testing.T) {
	for name, tt := range map[string]struct {
		body      string
		clientIDs []string
		want      string
	}{
		"webhook and client ID":     {signed, []string{documentationID}, "w1/" + documentationID},
		"read again from the queue": {signed, nil, "w1"},
		"no webhook":                {"{}", []string{documentationID}, "/" + documentationID},
		"neither":                   {"{}", nil, ""},
		"an unprintable client ID":  {signed, []string{"A\nB"}, "w1"},
	} {
		t.Run(name, func(t *testing.T) {
			ids, err := adobesign.Provider{}.Identify(post(tt.body, tt.clientIDs...))
			if err != nil || ids[0].Via != tt.want {
				t.Errorf("got %v, %v, want %q", ids, err, tt.want)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	for name, body := range map[string]string{
		"empty":             "",
		"white space":       " \r\n",
		"a byte order mark": "\xef\xbb\xbf",
		"null":              "null",
		"an array":          "[]",
		"an array of one":   "[" + signed + "]",
		"a string":          `"AGREEMENT_CREATED"`,
		"a number":          "17",
		"cut off":           signed[:len(signed)/2],
		"two objects":       signed + signed,
		"not UTF-8":         "\xff\xfe{\x00}\x00",
		"a form":            "json=%7B%7D",
		"nested too deep":   strings.Repeat(`{"agreement":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"arrays too deep":   `{"agreement":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			if ids, err := (adobesign.Provider{}).Identify(post(body)); !errors.Is(err, webhook.ErrUnreadable) || ids != nil {
				t.Errorf("identified as %v, %v", ids, err)
			}
			_, err := adobesign.Provider{}.Normalize(&webhook.Delivery{Payload: []byte(body)})
			if !errors.Is(err, webhook.ErrUnreadable) {
				t.Errorf("normalised: %v", err)
			}
		})
	}
}

var eventID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// FuzzIdentify checks that the only error is ErrUnreadable, that Identify and Normalize agree, and that identities are
// well formed. The identity must not depend on the webhook or client of a copy.
func FuzzIdentify(f *testing.F) {
	for _, r := range webhooktest.Examples(f, "adobesign") {
		f.Add(r.Body)
	}
	f.Add([]byte(`{"event":1,"agreement":[],"widget":{"id":{}},"megasign":{"id":" "},"libraryDocument":{"id":"é:@"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, err := adobesign.Provider{}.Identify(post(string(body), documentationID))
		event, normalizeErr := adobesign.Provider{}.Normalize(&webhook.Delivery{Payload: body})
		if err != nil || normalizeErr != nil {
			if !errors.Is(err, webhook.ErrUnreadable) || !errors.Is(normalizeErr, webhook.ErrUnreadable) {
				t.Fatalf("identified: %v; normalised: %v", err, normalizeErr)
			}
			return
		}
		id := ids[0]
		again, err := adobesign.Provider{}.Identify(post(string(body), "ANOTHER"))
		if err != nil || len(ids) != 1 || again[0].EventID != id.EventID || again[0].Subject != id.Subject {
			t.Fatalf("%+v through one client, %+v, %v through another", ids, again, err)
		}
		if !eventID.MatchString(id.EventID) || !strings.HasPrefix(id.Subject, "adobesign#") || len(id.Subject) > 128 {
			t.Fatalf("%+v", id)
		}
		if event.AgreementID != id.AgreementID || event.VendorType != id.VendorType || event.OccurredAt != id.OccurredAt {
			t.Fatalf("identified as %+v, normalised as %+v", id, event)
		}
		if strings.HasPrefix(string(event.Type), "agreement.") && event.AgreementID == "" || event.Type == "" {
			t.Fatalf("type %q of agreement %q", event.Type, event.AgreementID)
		}
		for _, former := range id.FormerIDs {
			if former.ID == id.EventID {
				t.Fatalf("%+v", id)
			}
		}
		for _, person := range event.Participants {
			for _, key := range append(slices.Concat(person.Aliases, event.Present), person.ID) {
				if key == "" || strings.Contains(key, "@") || person.Status == "" {
					t.Fatalf("%+v", event)
				}
			}
		}
		for name, value := range event.Attributes {
			if value == "" || value != webhook.Label(value) {
				t.Fatalf("attribute %s is %q", name, value)
			}
		}
	})
}
