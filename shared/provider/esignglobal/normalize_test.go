package esignglobal_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func TestTypes(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want esign.Type
	}{
		"a view":            {v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada)), esign.AgreementViewed},
		"one signature":     {v1("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)), esign.AgreementSigned},
		"one signature, v2": {v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)), esign.AgreementSigned},
		"start":             {v1("ENVELOPE_START", ""), esign.AgreementSent},
		"start, v2":         {v2("ENVELOPE_START", ""), esign.AgreementSent},
		"all signatures complete nothing": {
			v1("ENVELOPE_ALL_SIGNER_SIGNED", `,"envelopeStatus":2`), esign.AgreementUpdated,
		},
		"finished, completed":                {v1("ENVELOPE_FINISH", `,"envelopeStatus":2`), esign.AgreementCompleted},
		"finished, completed, as a string":   {v2("ENVELOPE_FINISH", `,"envelopeStatus":"2"`), esign.AgreementCompleted},
		"finished, without a status":         {v2("ENVELOPE_FINISH", ``), esign.AgreementCompleted},
		"finished, with null as its status":  {v2("ENVELOPE_FINISH", `,"envelopeStatus":null`), esign.AgreementCompleted},
		"finished, expired":                  {v2("ENVELOPE_FINISH", `,"envelopeStatus":3`), esign.AgreementUpdated},
		"finished, cancelled":                {v1("ENVELOPE_FINISH", `,"envelopeStatus":5`), esign.AgreementUpdated},
		"cancelled":                          {v1("ENVELOPE_CANCEL", `,"envelopeStatus":5`), esign.AgreementCancelled},
		"cancelled, v2":                      {v2("ENVELOPE_CANCEL", `,"envelopeStatus":5`), esign.AgreementCancelled},
		"expired, though the status is 2":    {v1("ENVELOPE_EXPIRED", `,"envelopeStatus":2`), esign.AgreementExpired},
		"expired":                            {v2("ENVELOPE_EXPIRED", `,"envelopeStatus":3`), esign.AgreementExpired},
		"declined":                           {v1("ENVELOPE_DECLINED", `,"envelopeStatus":4`), esign.AgreementDeclined},
		"declined, v2":                       {v2("SIGNER_DECLINED", `,"envelopeStatus":4`), esign.AgreementDeclined},
		"failed":                             {v1("ENVELOPE_SIGNER_FAILED", `,"envelopeStatus":7`), esign.AgreementFailed},
		"an unknown event of an envelope":    {v2("ENVELOPE_PAUSED", `,"envelopeStatus":2`), esign.AgreementUpdated},
		"an unknown event of a signer":       {v2("SIGNER_REPLACED", ``), esign.AgreementUpdated},
		"an update without details":          {`{"callBackEnum":"ENVELOPE_UPDATE","callBackEnvelopeVO":{"envelopeId":"env-1"}}`, esign.AgreementUpdated},
		"an unknown event of something else": {v2("SEAL_CREATED", ``), esign.AgreementUpdated},
		"a message that was not delivered":   {v1("ENVELOPE_DELIVERY_FAILED", ``), esign.AgreementUndeliverable},
		"a message not delivered, v2":        {v2("ENVELOPE_DELIVERY_FAILED", ``), esign.AgreementUndeliverable},
		"not delivered, without an envelope": {`{"event":"ENVELOPE_DELIVERY_FAILED"}`, esign.Other},
		"finished, without an envelope ID": {
			`{"event":"ENVELOPE_FINISH","eventPayload":{"envelopeStatus":2}}`, esign.Other,
		},
		"the name in lower case": {v2("envelope_finish", ``), esign.AgreementUpdated},
		"no name":                {`{"eventPayload":{"envelopeId":"env-1","envelopeStatus":2}}`, esign.AgreementUpdated},
		"a name of the wrong type": {
			`{"event":["ENVELOPE_FINISH"],"eventPayload":{"envelopeId":"env-1"}}`, esign.AgreementUpdated,
		},
		"an empty object":                       {`{}`, esign.Other},
		"a template being filled":               {template(`"task-1"`, `"1"`), esign.TemplateUpdated},
		"a template filled":                     {template(`"task-1"`, `"2"`), esign.TemplateFilled},
		"a template filled, status as a number": {template(`"task-1"`, `2`), esign.TemplateFilled},
		"a template not filled":                 {template(`"task-1"`, `"3"`), esign.TemplateFailed},
		"a template without status":             {template(`"task-1"`, `null`), esign.TemplateUpdated},
		"something else of a template": {
			`{"callBackEnum":"TEMPLATE","callBackTemplateVO":{"taskId":"task-1"}}`, esign.Other,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := normalize(t, tt.body)
			if got.Type != tt.want {
				t.Errorf("got %s, want %s", got.Type, tt.want)
			}
			if undeliverable := got.Type == esign.AgreementUndeliverable; undeliverable != (got.Cause != "") {
				t.Errorf("the cause is %q", got.Cause)
			}
		})
	}
}

func TestOccurredAt(t *testing.T) {
	end := time.Date(2026, 11, 2, 9, 0, 32, 0, time.UTC)
	times := `,"envelopeCreateTime":1793606400000,"envelopeEndTime":1793610032000`
	for name, tt := range map[string]struct {
		body        string
		want        time.Time
		approximate bool
	}{
		"START has the time of creation": {
			v1("ENVELOPE_START", times), time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), true,
		},
		"FINISH":        {v1("ENVELOPE_FINISH", times), end, false},
		"CANCEL":        {v1("ENVELOPE_CANCEL", times), end, false},
		"EXPIRED":       {v1("ENVELOPE_EXPIRED", times), end, false},
		"DECLINED":      {v1("ENVELOPE_DECLINED", times), end, false},
		"SIGNER_FAILED": {v1("ENVELOPE_SIGNER_FAILED", times), end, false},
		"SIGNER_VIEWED": {
			v1("ENVELOPE_SIGNER_VIEWED", times+signerInfo(ada+`,"viewedTime":1793610032000`)), end, false,
		},
		"SIGNER_SIGNED": {
			v1("ENVELOPE_SIGNER_SIGNED", times+signerInfo(ada+`,"signDate":1793610032000`)), end, false,
		},
		"SIGNER_SIGNED has the last of list": {
			v1("ENVELOPE_SIGNER_SIGNED", signed(ada+`,"signDate":1793610032000`, ben+`,"signDate":1793610000000`)), end, false,
		},
		"ALL_SIGNER_SIGNED is when the last one signed": {
			v1("ENVELOPE_ALL_SIGNER_SIGNED", times+signed(ada+`,"signDate":1793610032000`, ben+`,"signDate":1793610000000`)),
			end, false,
		},
		"START, v2":                   {v2("ENVELOPE_START", `,"envelopeStartTime":"1793610032000"`), end, false},
		"START, v2, without its time": {v2("ENVELOPE_START", `,"envelopeStartTime":"today"`), time.Time{}, true},
		"a time as a string":          {v1("ENVELOPE_FINISH", `,"envelopeEndTime":"1793610032000"`), end, false},
		"a time in seconds":           {v1("ENVELOPE_FINISH", `,"envelopeEndTime":1793610032`), end, false},
		"a time in RFC 3339": {
			v1("ENVELOPE_FINISH", `,"envelopeEndTime":"2026-11-02T17:00:32+08:00"`), end, false,
		},
		"a time in words": {v1("ENVELOPE_FINISH", `,"envelopeEndTime":"this morning"`), time.Time{}, false},
		"a time of the wrong type": {
			v1("ENVELOPE_FINISH", `,"envelopeEndTime":{"time":1793610032000}`), time.Time{}, false,
		},
		"a time out of range": {v1("ENVELOPE_FINISH", `,"envelopeEndTime":1e300`), time.Time{}, false},
		"v2 has no time of the event": {
			v2("ENVELOPE_FINISH", `,"envelopeStartTime":"1793606400000","expireTime":"1796025600000"`), time.Time{}, false,
		},
		"v2 has no times of signatures": {v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)), time.Time{}, false},
		"templates have no time":        {template(`"task-1"`, `"2"`), time.Time{}, false},
		"unknown events have no time":   {v1("ENVELOPE_PAUSED", times), time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := normalize(t, tt.body)
			if !got.OccurredAt.Equal(tt.want) || got.Approximate != tt.approximate {
				t.Errorf("got %v, %t; want %v, %t", got.OccurredAt, got.Approximate, tt.want, tt.approximate)
			}
			if id := identify(t, tt.body); !id.OccurredAt.Equal(tt.want) {
				t.Errorf("identified at %v", id.OccurredAt)
			}
		})
	}
}

func TestParticipant(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"who viewed":                   {v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada)), "emp-1"},
		"who signed":                   {v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)), "emp-1"},
		"who signed, of a list of one": {v1("ENVELOPE_SIGNER_SIGNED", signed(ada)), "emp-1"},
		"who signed last is unknown":   {v1("ENVELOPE_SIGNER_SIGNED", signed(ada, ben)), ""},
		"who declined": {
			v1("ENVELOPE_DECLINED", signed(ben)+`,"declineSigner":{"userEmail":"ada@example.com"}`),
			"ada@example.com",
		},
		"who declined, v2": {
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3},{`+ben+`,"signerStatus":2}]`), "emp-1",
		},
		"who declined, of two": {
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3},{`+ben+`,"signerStatus":3}]`), "",
		},
		"whose signature failed": {
			v1("ENVELOPE_SIGNER_FAILED", signed(ada+`,"signerStatus":2`, ben+`,"signerStatus":5`)), "emp-2",
		},
		"an e-mail address is hashed": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"userEmail":"ada@example.com"`)), "ada@example.com",
		},
		"an e-mail address as businessId": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"ada@example.com"`)),
			"ada@example.com",
		},
		"a telephone, if there is nothing else": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"phoneNumber":{"countryCode":"+44","number":"7700900101"}`)),
			"447700900101",
		},
		"who was not reached":      {v1("ENVELOPE_DELIVERY_FAILED", signerInfo(ada+`,"signerStatus":9`)), "emp-1"},
		"who was not reached, v2":  {v2("ENVELOPE_DELIVERY_FAILED", unreached(ada)), "emp-1"},
		"two who were not reached": {v2("ENVELOPE_DELIVERY_FAILED", unreached(ada, ben)), ""},
		"whose copy was not delivered": {
			v1("ENVELOPE_DELIVERY_FAILED", `,"ccInfo":{"userEmail":"eve@example.com","ccStatus":1}`), "eve@example.com",
		},
		"whose copy was not delivered, v2": {
			v2("ENVELOPE_DELIVERY_FAILED", `,"signerList":[],"ccList":[{"userEmail":"eve@example.com","ccStatus":1}]`),
			"eve@example.com",
		},
		"a signer and a copy": {
			v1("ENVELOPE_DELIVERY_FAILED", signerInfo(ada+`,"signerStatus":9`)+`,"ccInfo":{"userEmail":"eve@example.com"}`), "",
		},
		"who was not reached is unknown":       {v1("ENVELOPE_DELIVERY_FAILED", ""), ""},
		"an envelope's end has no participant": {v1("ENVELOPE_FINISH", signed(ada)), ""},
		"a signer of the wrong type":           {v2("ENVELOPE_SIGNER_SIGNED", `,"signerInfo":"emp-1"`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := normalize(t, tt.body).Participant
			if got != webhook.SenderKey(tt.want) {
				t.Errorf("got %q, want that of %q", got, tt.want)
			}
		})
	}
}

func TestParticipants(t *testing.T) {
	body := v1("ENVELOPE_CANCEL", `,
		"signedSignerList":[{"businessId":"a","signerStatus":2,"signDate":1793610032000},{"businessId":"b","signerStatus":5},7],
		"nextSignerList":[{"businessId":"c","signerStatus":1,"signDate":1793610032000},{"businessId":"d","signerStatus":0},
			{"userEmail":"eve@example.com","Signer Status":"8","viewedTime":1793610000000}],
		"signerList":[{"businessId":"f","signerStatus":3},{"userName":"Gus","signerStatus":2},{"businessId":"h"},null,
			{"businessId":"i","signerStatus":{"code":2}},{"businessId":9,"signerStatus":2,"phoneNumber":"7700900101"}]`)
	no := false
	signer := func(reference string, status esign.Status, at time.Time) esign.Participant {
		return esign.Participant{ID: webhook.SenderKey(reference), Reference: reference, Status: status, At: at,
			Role: esign.RoleSigner, Waiting: &no}
	}
	eve := signer("eve@example.com", esign.Viewed, time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
	eve.Reference = ""
	want := []esign.Participant{
		signer("c", esign.Sent, time.Time{}), eve,
		signer("a", esign.Signed, time.Date(2026, 11, 2, 9, 0, 32, 0, time.UTC)),
		signer("f", esign.Declined, time.Time{}), signer("9", esign.Signed, time.Time{}),
	}
	if diff := cmp.Diff(want, normalize(t, body).Participants, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestPeople writes each participant of an event as the business ID, status, order, turn and problem.
func TestPeople(t *testing.T) {
	signer := func(id string, status int, order any) string {
		return fmt.Sprintf(`{"businessId":%q,"signerStatus":%d,"signOrder":%v}`, id, status, order)
	}
	list := func(name string, signers ...string) string {
		return `,"` + name + `":[` + strings.Join(signers, ",") + `]`
	}
	eve := `"ccInfo":{"userEmail":"eve@example.com","ccStatus":1}`
	for name, tt := range map[string]struct{ body, want string }{
		"one after the other": {
			v1("ENVELOPE_START", list("nextSignerList", signer("a", 1, `"1"`), signer("b", 0, 2))), "a sent 1 waits",
		},
		"whose turn it is, without a status of progress": {
			v1("ENVELOPE_START", list("nextSignerList", signer("a", 0, 1), signer("b", 0, 1))), "a sent 1 waits, b sent 1 waits",
		},
		"two at once, one of whom has viewed": {
			v1("ENVELOPE_PAUSED", list("nextSignerList", signer("a", 8, 1), signer("b", 1, 1))),
			"a viewed 1 waits, b sent 1 waits",
		},
		"the next one after a signature": {
			v1("ENVELOPE_SIGNER_SIGNED", list("signedSignerList", signer("a", 2, 1))+list("nextSignerList", signer("b", 0, 2))),
			"b sent 2 waits, a signed 1 no",
		},
		"who has signed, and nobody else": {
			v1("ENVELOPE_SIGNER_SIGNED", list("signedSignerList", signer("a", 2, 1))), "a signed 1 no",
		},
		"the first in the order, v2": {
			v2("ENVELOPE_START", list("signerList", signer("c", 0, 3), signer("b", 0, 2), signer("a", 2, 1))),
			"b sent 2 waits, a signed 1 no",
		},
		"those in progress, v2": {
			v2("ENVELOPE_PAUSED", list("signerList", signer("c", 1, 3), signer("b", 0, 2), signer("a", 3, 1),
				signer("d", 9, 3))),
			"c sent 3 waits, a declined 1 no, d sent 3 undelivered",
		},
		"no list": {
			v2("ENVELOPE_SIGNER_SIGNED", `,"signerInfo":`+signer("a", 2, 1)), "a signed 1",
		},
		"an order that cannot be read": {
			v2("ENVELOPE_PAUSED", list("signerList", signer("a", 1, `"Ada"`), signer("b", 1, -1))),
			"a sent 0 waits, b sent 0 waits",
		},
		"a draft": {
			v2("ENVELOPE_PAUSED", `,"envelopeStatus":0`+list("signerList", signer("a", 0, 1))), "",
		},
		"at the end": {
			v1("ENVELOPE_EXPIRED", list("nextSignerList", signer("a", 1, 1))), "a expired 1 no",
		},
		"at the end, by the envelope's status": {
			v2("ENVELOPE_FINISH", `,"envelopeStatus":5`+list("signerList", signer("a", 1, 1))), "a sent 1 no",
		},
		"who was not reached": {
			v1("ENVELOPE_DELIVERY_FAILED", `,"envelopeStatus":1,"signerInfo":`+signer("a", 9, `"1"`)), "a sent 1 undelivered",
		},
		"who was not reached, without the status": {
			v1("ENVELOPE_DELIVERY_FAILED", `,"signerInfo":{"businessId":"a"}`), "a sent 0 undelivered",
		},
		"who were not reached, v2": {
			v2("ENVELOPE_DELIVERY_FAILED", list("signerList", signer("a", 9, 1), signer("b", 9, 2))),
			"a sent 1 undelivered, b sent 2 undelivered",
		},
		"who was not reached at the start": {
			v2("ENVELOPE_START", list("signerList", signer("a", 9, 1), signer("b", 0, 2))), "a sent 1 waits undelivered",
		},
		"a copy that was not delivered": {v1("ENVELOPE_DELIVERY_FAILED", ","+eve), "copy sent 0 undelivered"},
		"a copy in another event":       {v1("ENVELOPE_PAUSED", ","+eve), ""},
	} {
		var said []string
		for _, p := range normalize(t, tt.body).Participants {
			one := fmt.Sprintf("%s %s %d", p.Reference, p.Status, p.Order)
			if p.Role != esign.RoleSigner {
				one = string(p.Role) + one
			}
			if p.Waiting != nil {
				one += map[bool]string{true: " waits", false: " no"}[*p.Waiting]
			}
			said = append(said, strings.TrimSpace(one+" "+string(p.Problem)))
		}
		if got := strings.Join(said, ", "); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// TestSharedBusinessID folds the events in both orders.
func TestSharedBusinessID(t *testing.T) {
	sameAsAda := strings.Replace(ben, "emp-2", "emp-1", 1)
	none := strings.Replace(ben, `"businessId":"emp-2",`, "", 1)
	cc := v1("ENVELOPE_DELIVERY_FAILED", `,"ccInfo":{"userEmail":"eve@example.com","ccStatus":1}`)
	start := func(status string, second string) string {
		return v1("ENVELOPE_START", `,"nextSignerList":[{`+ada+`,"signerStatus":1},{`+second+`,"signerStatus":`+status+`}]`)
	}
	adaSigned := v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada+`,"signerStatus":2`))
	for name, tt := range map[string]struct {
		bodies []string
		want   string
	}{
		"one signer":              {[]string{adaSigned, cc}, "emp-1"},
		"the same":                {[]string{adaSigned, start("1", sameAsAda)}, "emp-1"},
		"another":                 {[]string{adaSigned, start("1", ben)}, ""},
		"the same, not asked yet": {[]string{adaSigned, start("0", sameAsAda)}, "emp-1"},
		"another, not asked yet":  {[]string{adaSigned, start("0", ben)}, ""},
		"none, not asked yet":     {[]string{adaSigned, start("0", none)}, ""},
		"who declined, by e-mail": {
			[]string{adaSigned, v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ada@example.com"}`)}, "emp-1",
		},
		"somebody else has declined": {
			[]string{adaSigned, v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ben@example.com"}`)}, "",
		},
		"nobody has one": {[]string{v2("ENVELOPE_SIGNER_SIGNED", signerInfo(none))}, ""},
	} {
		for range 2 {
			if got := folded(t, esign.Agreement{}, tt.bodies).References["businessId"]; got != tt.want {
				t.Errorf("%s: %q", name, got)
			}
			slices.Reverse(tt.bodies)
		}
	}
	if e := normalize(t, v1("ENVELOPE_CANCEL", "")); e.SharedReference != "" {
		t.Error("an event without signers has a reference")
	}
}

func TestReason(t *testing.T) {
	declined := `,"signerList":[{` + ben + `,"signerStatus":2,"declineReason":"x"},{` + ada +
		`,"signerStatus":3,"declineReason":"No."}]`
	template := func(status string) string {
		return strings.Replace(template(`"task-1"`, status), `"taskStatus"`, `"description":"No field.","taskStatus"`, 1)
	}
	for body, want := range map[string]string{
		v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ada@example.com","signerMessage":" No. "}`): "No.",
		v2("SIGNER_DECLINED", declined):                                            "No.",
		v2("SIGNER_DECLINED", ""):                                                  "",
		v1("ENVELOPE_CANCEL", `,"cancelInfo":{"reason":"Wrong annex."}`):           "Wrong annex.",
		v2("ENVELOPE_CANCEL", `,"cancelInfo":{"reason":"Wrong annex."}`):           "Wrong annex.",
		v2("ENVELOPE_FINISH", `,"cancelInfo":{"reason":"Wrong annex."}`):           "",
		v1("ENVELOPE_EXPIRED", `,"cancelInfo":{"reason":"Wrong annex."}`):          "",
		`{"description":"No certificate.",` + v1("ENVELOPE_SIGNER_FAILED", "")[1:]: "No certificate.",
		`{"description":"No certificate.",` + v1("ENVELOPE_CANCEL", "")[1:]:        "",
		template(`"3"`): "No field.",
		template(`"2"`): "",
	} {
		if got := normalize(t, body).Reason; got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}

func unreached(signers ...string) string {
	return `,"signerList":[{` + strings.Join(signers, `,"signerStatus":9},{`) + `,"signerStatus":9}]`
}

func TestAttributes(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want map[string]string
	}{
		"an envelope's status": {
			v1("ENVELOPE_CANCEL", `,"envelopeStatus":5`), map[string]string{"envelopeStatus": "5"},
		},
		"a status as a string": {
			v2("ENVELOPE_CANCEL", `,"envelopeStatus":"5"`), map[string]string{"envelopeStatus": "5"},
		},
		"a task's status":                    {template(`"task-1"`, `"3"`), map[string]string{"taskStatus": "3"}},
		"none":                               {v1("ENVELOPE_CANCEL", ""), nil},
		"a status in words is not passed on": {v1("ENVELOPE_CANCEL", `,"envelopeStatus":"by ada@example.com"`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, normalize(t, tt.body).Attributes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothingPersonalIsKept(t *testing.T) {
	secrets := []string{
		"@", "Example", "77009", "55500", "483920", "rent", "annex", "ertificate", "lease", "https:", "file-",
	}
	for name, r := range webhooktest.Examples(t, "esignglobal") {
		event, id := normalize(t, string(r.Body)), identify(t, string(r.Body))
		// The sender's keys and the reasons are carried only if the operator wants them.
		b, err := json.Marshal([]any{esign.Policy{}.Apply(event, provider.Info().PersonReference), id})
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s: %q in %s", name, secret, b)
			}
		}
	}
}

func TestTextThatIsNotUTF8IsRead(t *testing.T) {
	event := normalize(t, v2("ENVELOPE_FINISH",
		`,"envelopeStatus":2,"signerList":[{"businessId":"emp-1","userName":"`+"\xff\xfe"+`","signerStatus":2}]`))
	if event.Type != esign.AgreementCompleted || len(event.Participants) != 1 {
		t.Errorf("got %+v", event)
	}
}

func TestWronglyTypedValuesAreRead(t *testing.T) {
	for _, wrong := range []string{`null`, `7`, `-1.5e400`, `true`, `"x"`, `""`, `[]`, `[[1]]`, `{}`, `{"a":{"b":[]}}`} {
		for _, field := range []string{
			"envelopeStatus", "envelopeCreateTime", "envelopeEndTime", "expireTime", "signerInfo", "declineSigner",
			"nextSignerList", "signedSignerList", "signerList", "cancelInfo",
		} {
			body := v1("ENVELOPE_CANCEL", `,"`+field+`":`+wrong)
			if event := normalize(t, body); event.Type != esign.AgreementCancelled || event.AgreementID != "env-1" {
				t.Errorf("%s: %s read as %+v", field, wrong, event)
			}
			identify(t, v2(`X`, `,"signerInfo":{"`+field+`":`+wrong+`}`))
		}
		for _, field := range []string{
			"callBackEnum", "callBackDesc", "callBackEnvelopeVO", "callBackTemplateVO", "event", "eventPayload",
		} {
			normalize(t, `{"`+field+`":`+wrong+`}`)
		}
	}
}

// The recorded bodies are synthetic. They prove only that the code agrees with the vendor's tables.
func TestRecorded(t *testing.T) {
	type recorded struct {
		Type        esign.Type
		Via         string
		At          bool
		Participant bool
		Said        int
	}
	for name, want := range map[string]recorded{
		"v1_ENVELOPE_START":             {esign.AgreementSent, "v1", true, false, 1},
		"v1_ENVELOPE_START_with_desc":   {esign.AgreementSent, "v1", true, false, 1},
		"v1_ENVELOPE_SIGNER_VIEWED":     {esign.AgreementViewed, "v1", true, true, 1},
		"v1_ENVELOPE_ALL_SIGNER_SIGNED": {esign.AgreementUpdated, "v1", true, false, 1},
		"v1_ENVELOPE_FINISH":            {esign.AgreementCompleted, "v1", true, false, 1},
		"v1_ENVELOPE_CANCEL":            {esign.AgreementCancelled, "v1", true, false, 0},
		"v1_ENVELOPE_EXPIRED":           {esign.AgreementExpired, "v1", true, false, 1},
		"v1_ENVELOPE_DECLINED":          {esign.AgreementDeclined, "v1", true, true, 0},
		"v2_ENVELOPE_SIGNER_SIGNED":     {esign.AgreementSigned, "v2", false, true, 1},
		"v2_ENVELOPE_FINISH":            {esign.AgreementCompleted, "v2", false, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			body := string(webhooktest.Fixture(t, "esignglobal/SYNTHETIC_"+name+".json"))
			event, id := normalize(t, body), identify(t, body)
			got := recorded{event.Type, id.Via, !event.OccurredAt.IsZero(), event.Participant != "", len(event.Participants)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if want := name[len("v1_"):]; id.VendorType != strings.TrimSuffix(want, "_with_desc") {
				t.Errorf("vendor type %s", id.VendorType)
			}
			if strings.Count(body, id.AgreementID) != 1 || id.Subject != "esignglobal#"+id.AgreementID {
				t.Errorf("subject %s of agreement %s", id.Subject, id.AgreementID)
			}
		})
	}
}

func TestRecordedOneEvent(t *testing.T) {
	for one, other := range map[string]string{
		"v1_ENVELOPE_START":  "v1_ENVELOPE_START_with_desc",
		"v1_ENVELOPE_FINISH": "v2_ENVELOPE_FINISH",
	} {
		a := identify(t, string(webhooktest.Fixture(t, "esignglobal/SYNTHETIC_"+one+".json")))
		b := identify(t, string(webhooktest.Fixture(t, "esignglobal/SYNTHETIC_"+other+".json")))
		if a.EventID != b.EventID {
			t.Errorf("%s and %s are two events", one, other)
		}
	}
}
