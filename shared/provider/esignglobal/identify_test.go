package esignglobal_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// Signers in the JSON of a body.
const (
	ada      = `"businessId":"emp-1","userEmail":"ada@example.com","phoneNumber":{"countryCode":"44","number":"7700900101"},"signOrder":1`
	ben      = `"businessId":"emp-2","userEmail":"ben@example.com","signOrder":1`
	nameless = `"userName":"Ada Example","signOrder":1`
)

func v1(desc, fields string) string {
	return fmt.Sprintf(`{"callBackEnum":"ENVELOPE_UPDATE","callBackDesc":%q,"callBackEnvelopeVO":{"envelopeId":"env-1"%s}}`,
		desc, fields)
}

func v2(event, fields string) string {
	return fmt.Sprintf(`{"event":%q,"eventPayload":{"envelopeId":"env-1"%s}}`, event, fields)
}

func template(task, status string) string {
	return fmt.Sprintf(`{"callBackEnum":"TEMPLATE","callBackDesc":"TEMPLATE_FILL_RESULT","callBackTemplateVO":{"taskId":%s,"taskStatus":%s}}`,
		task, status)
}

func signerInfo(signer string) string { return `,"signerInfo":{` + signer + `}` }

func signed(signers ...string) string {
	return `,"signedSignerList":[{` + strings.Join(signers, `},{`) + `}]`
}

func TestOneEvent(t *testing.T) {
	cases := map[string][2]string{
		"START with and without callBackDesc": {
			v1("ENVELOPE_START", ""), `{"callBackEnum":"ENVELOPE_START","callBackEnvelopeVO":{"envelopeId":"env-1"}}`,
		},
		"retried with another status, times and signers": {
			v1("ENVELOPE_FINISH", `,"envelopeStatus":2,"envelopeEndTime":1`), v1("ENVELOPE_FINISH", signed(ada)),
		},
		"one signer signed, as v1 and as v2": {
			v1("ENVELOPE_SIGNER_SIGNED", signerInfo(ada+`,"signDate":1793607910000`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada+`,"userType":1`)),
		},
		"the first signer, as a list and as an object": {
			v1("ENVELOPE_SIGNER_SIGNED", signed(ada)), v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)),
		},
		"a list of signers in another order, one of them twice": {
			v1("ENVELOPE_SIGNER_SIGNED", signed(ada, ben)), v1("ENVELOPE_SIGNER_SIGNED", signed(ben, ada, ben)),
		},
		"signOrder as number and as string, white space around": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"7","userEmail":"ada@example.com","signOrder":1`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":7,"userEmail":" ada@example.com ","signOrder":" 1"`)),
		},
		"declined, as v1 and as v2": {
			v1("ENVELOPE_DECLINED", signed(ben)+`,"declineSigner":{"userEmail":"ada@example.com","signerMessage":"no"}`),
			v2("SIGNER_DECLINED", `,"signerList":[{`+ben+`,"signerStatus":2},{`+ada+`,"signerStatus":3}]`),
		},
		"declined, with the status as a string": {
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":"3"}]`),
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3}]`),
		},
		"a viewing with its time as a number and as a string": {
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"viewedTime":1793607600000`)),
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"viewedTime":"1793607600000"`)),
		},
		"a template's task with its fields filled differently": {
			template(`"task-1"`, `"2"`),
			strings.Replace(template(`"task-1"`, `2`), `}}`, `,"downloadUrl":"https://x.example"}}`, 1),
		},
		"an envelope ID with white space around": {
			v2("ENVELOPE_FINISH", ""), strings.Replace(finish, "env-1", ` env-1\t`, 1),
		},
		"a byte order mark": {finish, "\xef\xbb\xbf" + finish},
		"keys in another case and with spaces": {
			v1("ENVELOPE_FINISH", ""), `{"Call Back Desc":"ENVELOPE_FINISH","CallBack EnvelopeVO":{"ENVELOPE ID":"env-1"}}`,
		},
		"a signer's keys with spaces": {
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3}]`),
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"Signer status":3}]`),
		},
		"unknown fields": {
			finish, strings.Replace(finish, `{"event"`, `{"x":[{"y":null}],"event"`, 1),
		},
		"of duplicate keys the last one counts": {
			finish,
			strings.Replace(finish, `{"event"`, `{"event":"ENVELOPE_START","eventPayload":{"envelopeId":"other"},"event"`, 1),
		},
		"of duplicate objects the last one replaces all": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ben)), v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)+signerInfo(ben)),
		},
		"of keys that differ in case and spaces the last one counts": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ben)),
			v2("ENVELOPE_SIGNER_SIGNED", `,"Signer Info":{`+ada+`}`+signerInfo(ben)),
		},
		"an object whose key is repeated with another type": {
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3}]`),
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3}],"declineSigner":{`+ben+`},"decline signer":null`),
		},
		"of a signer's two telephones the last one replaces the first": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"phoneNumber":{"number":"1"}`)),
			v2("ENVELOPE_SIGNER_SIGNED",
				signerInfo(`"phoneNumber":{"countryCode":"44","number":"2"},"phone number":{"number":"1"}`)),
		},
		"keys with escapes, and spaces beyond ASCII": {
			v1("ENVELOPE_FINISH", ""),
			`{"Call\u00a0Back\u2003Desc":"ENVELOPE_FINISH","call\u0042ackEnvelopeVO":{"\tenvelopeId\n":"env-1"}}`,
		},
		"keys with spaces, and white space after them": {
			v1("ENVELOPE_FINISH", ""),
			"{\"Call Back Desc\" :\"ENVELOPE_FINISH\",\"CallBack EnvelopeVO\"\r\n\t:{\"envelope Id\":\"env-1\"}}",
		},
		"keys with spaces behind an escaped quote": {
			v1("ENVELOPE_FINISH", ""),
			`{"x":"\"","Call Back Desc":"ENVELOPE_FINISH","y\\":"\\","CallBack EnvelopeVO":{"envelopeId":"env-1"}}`,
		},
		"a key with a letter that folds to another's is unknown": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)+`,"\u017figner Info":{`+ben+`},"ſignerInfo":{`+ben+`}`),
		},
		"a value that looks like a key with spaces": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)),
			v2("ENVELOPE_SIGNER_SIGNED", `,"x":"\"signer Info\":","y":["signer Info",{"z":"\\"}]`+signerInfo(ada)),
		},
		"not delivered, as v1 and as v2": {
			v1("ENVELOPE_DELIVERY_FAILED", signerInfo(ada+`,"signerStatus":9`)),
			v2("ENVELOPE_DELIVERY_FAILED", `,"signerList":[{`+ben+`,"signerStatus":2},{`+ada+`,"signerStatus":9}],"ccList":[]`),
		},
		"a copy not delivered, as v1 and as v2": {
			v1("ENVELOPE_DELIVERY_FAILED", `,"ccInfo":{"userEmail":"eve@example.com","ccStatus":1}`),
			v2("ENVELOPE_DELIVERY_FAILED", `,"signerList":[],"ccList":[{"userEmail":" eve@example.com","ccStatus":1}]`),
		},
		"two not reached, in another order": {
			v2("ENVELOPE_DELIVERY_FAILED", unreached(ada, ben)), v2("ENVELOPE_DELIVERY_FAILED", unreached(ben, ada)),
		},
		"a country code with and without a plus sign": {
			v1("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(strings.Replace(ada, `"44"`, `"+44"`, 1))),
		},
		"an unknown event, byte by byte": {v2("ENVELOPE_PAUSED", ""), v2("ENVELOPE_PAUSED", "")},
	}
	for _, event := range []string{"START", "ALL_SIGNER_SIGNED", "FINISH", "CANCEL", "EXPIRED", "SIGNER_FAILED"} {
		cases[event+" as v1 and as v2"] = [2]string{v1("ENVELOPE_"+event, signed(ada)), v2("ENVELOPE_"+event, "")}
	}
	for name, bodies := range cases {
		t.Run(name, func(t *testing.T) {
			one, other := identify(t, bodies[0]), identify(t, bodies[1])
			if one.EventID != other.EventID || one.Subject != other.Subject {
				t.Errorf("two events: %+v and %+v", one, other)
			}
		})
	}
}

func TestTwoEvents(t *testing.T) {
	for name, bodies := range map[string][2]string{
		"two events of an envelope":  {v2("ENVELOPE_FINISH", ""), v2("ENVELOPE_ALL_SIGNER_SIGNED", "")},
		"one event of two envelopes": {finish, strings.Replace(finish, "env-1", "env-2", 1)},
		"envelope IDs in two cases":  {finish, strings.Replace(finish, "env-1", "ENV-1", 1)},
		"two signers": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)), v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ben)),
		},
		"a growing list of signers": {
			v1("ENVELOPE_SIGNER_SIGNED", signed(ada)), v1("ENVELOPE_SIGNER_SIGNED", signed(ada, ben)),
		},
		"signers with one e-mail address and two business IDs": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"userEmail":"ada@example.com","businessId":"1"`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"userEmail":"ada@example.com","businessId":"2"`)),
		},
		"signers with a telephone only": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"phoneNumber":{"countryCode":"44","number":"7700900101"}`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"phoneNumber":{"countryCode":"44","number":"7700900102"}`)),
		},
		"one person in two places of the order": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"emp-1","signOrder":1`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"emp-1","signOrder":2`)),
		},
		"a character at the end of one field or at the start of the next": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"a","userEmail":"b@example.com"`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"ab","userEmail":"@example.com"`)),
		},
		"signers of whom only the order is known": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(nameless)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(strings.Replace(nameless, "Ada", "Ben", 1))),
		},
		"lists with a signer who is not known": {
			v1("ENVELOPE_SIGNER_SIGNED", signed(ada)), v1("ENVELOPE_SIGNER_SIGNED", signed(ada, nameless)),
		},
		"SIGNER_SIGNED without a signer": {
			v2("ENVELOPE_SIGNER_SIGNED", ""), v2("ENVELOPE_SIGNER_SIGNED", `,"envelopeStatus":1`),
		},
		"two viewings of one signer": {
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"viewedTime":1793607600000`)),
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"viewedTime":1793607600001`)),
		},
		"a viewing and a signature of one signer": {
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada)), v1("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)),
		},
		"two who decline": {
			v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ada@example.com"}`),
			v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ben@example.com"}`),
		},
		"declined, without the signer": {
			v2("SIGNER_DECLINED", `,"signerList":[{"userName":"Ada","signerStatus":3}]`),
			v2("SIGNER_DECLINED", `,"signerList":[{"userName":"Ben","signerStatus":3}]`),
		},
		"two who were not reached": {
			v2("ENVELOPE_DELIVERY_FAILED", unreached(ada)), v2("ENVELOPE_DELIVERY_FAILED", unreached(ben)),
		},
		"a signer and a copy of one address": {
			v2("ENVELOPE_DELIVERY_FAILED", unreached(`"userEmail":"ada@example.com"`)),
			v2("ENVELOPE_DELIVERY_FAILED", `,"ccList":[{"userEmail":"ada@example.com"}]`),
		},
		"a signer, and the signer and a copy": {
			v1("ENVELOPE_DELIVERY_FAILED", signerInfo(ada)),
			v1("ENVELOPE_DELIVERY_FAILED", signerInfo(ada)+`,"ccInfo":{"userEmail":"eve@example.com"}`),
		},
		"unreached signers of whom only the order is known": {
			v1("ENVELOPE_DELIVERY_FAILED", signerInfo(nameless)),
			v1("ENVELOPE_DELIVERY_FAILED", signerInfo(strings.Replace(nameless, "Ada", "Ben", 1))),
		},
		"two statuses of a template's task":       {template(`"task-1"`, `"1"`), template(`"task-1"`, `"2"`)},
		"two tasks":                               {template(`"task-1"`, `"2"`), template(`"task-2"`, `"2"`)},
		"a task without ID":                       {template(`null`, `"2"`), template(`{}`, `"2"`)},
		"a task without status":                   {template(`"task-1"`, `null`), template(`"task-1"`, `[]`)},
		"a task and an envelope with its ID":      {template(`"env-1"`, `"ENVELOPE_FINISH"`), finish},
		"an unknown event with two bodies":        {v2("ENVELOPE_PAUSED", ""), v2("ENVELOPE_PAUSED", `,"x":1`)},
		"ENVELOPE_UPDATE alone, with two bodies":  {`{"callBackEnum":"ENVELOPE_UPDATE","callBackEnvelopeVO":{"envelopeId":"env-1"}}`, `{"callBackEnum":"ENVELOPE_UPDATE","callBackEnvelopeVO":{"envelopeId":"env-1"} }`},
		"no envelope ID":                          {`{"event":"ENVELOPE_FINISH"}`, `{"event":"ENVELOPE_FINISH" }`},
		"a readable body and the same unreadable": {`{"event":"X"}`, "unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			one := identify(t, bodies[0])
			other := webhook.Unreadable("esignglobal", []byte(bodies[0]))
			if bodies[1] != "unreadable" {
				other = identify(t, bodies[1])
			}
			if one.EventID == other.EventID {
				t.Errorf("one event: %+v and %+v", one, other)
			}
		})
	}
}

func TestIdentify(t *testing.T) {
	long := strings.Repeat("x", 600)
	for name, tt := range map[string]struct {
		body string
		want webhook.Identity // but the event ID
	}{
		"v1": {
			v1("ENVELOPE_CANCEL", `,"envelopeEndTime":1793608800000`),
			webhook.Identity{
				Subject: "esignglobal#env-1", AgreementID: "env-1", VendorType: "ENVELOPE_CANCEL",
				OccurredAt: time.Date(2026, 11, 2, 8, 40, 0, 0, time.UTC), Via: "v1",
			},
		},
		"v1 without callBackDesc": {
			`{"callBackEnum":"ENVELOPE_START","callBackEnvelopeVO":{"envelopeId":"env-1"}}`,
			webhook.Identity{Subject: "esignglobal#env-1", AgreementID: "env-1", VendorType: "ENVELOPE_START", Via: "v1"},
		},
		"v2": {
			v2("SIGNER_DECLINED", ""),
			webhook.Identity{Subject: "esignglobal#env-1", AgreementID: "env-1", VendorType: "SIGNER_DECLINED", Via: "v2"},
		},
		"callBackDesc counts before callBackEnum, and both before event": {
			`{"event":"C","callBackEnum":"B","callBackDesc":"A","callBackEnvelopeVO":{"envelopeId":"env-1"},"eventPayload":{"envelopeId":"env-2"}}`,
			webhook.Identity{Subject: "esignglobal#env-1", AgreementID: "env-1", VendorType: "A", Via: "v1"},
		},
		"an empty callBackDesc": {
			`{"callBackEnum":"B","callBackDesc":" ","callBackEnvelopeVO":{"envelopeId":"env-1"}}`,
			webhook.Identity{Subject: "esignglobal#env-1", AgreementID: "env-1", VendorType: "B", Via: "v1"},
		},
		"a template's task": {
			template(`"task-1"`, `"2"`),
			webhook.Identity{Subject: "esignglobal#template:task-1", VendorType: "TEMPLATE_FILL_RESULT", Via: "v1"},
		},
		"a template's task without ID": {
			template(`null`, `"2"`),
			webhook.Identity{Subject: "esignglobal#template:", VendorType: "TEMPLATE_FILL_RESULT", Via: "v1"},
		},
		"no envelope": {
			`{"event":"ENVELOPE_FINISH","eventPayload":"env-1"}`,
			webhook.Identity{Subject: "esignglobal#other:", VendorType: "ENVELOPE_FINISH", Via: "v2"},
		},
		"no name":         {`{"code":200}`, webhook.Identity{Subject: "esignglobal#other:"}},
		"an empty object": {`{}`, webhook.Identity{Subject: "esignglobal#other:"}},
		"an envelope ID as a number": {
			`{"event":"ENVELOPE_FINISH","eventPayload":{"envelopeId":12345678901234567890}}`,
			webhook.Identity{
				Subject: "esignglobal#12345678901234567890", AgreementID: "12345678901234567890",
				VendorType: "ENVELOPE_FINISH", Via: "v2",
			},
		},
		"an absurdly long envelope ID": {
			strings.Replace(finish, "env-1", long, 1),
			webhook.Identity{
				Subject:     webhook.AgreementSubject("esignglobal", webhook.AgreementID(long)),
				AgreementID: webhook.AgreementID(long), VendorType: "ENVELOPE_FINISH", Via: "v2",
			},
		},
		"an unprintable name": {
			v2("签署完成", ""),
			webhook.Identity{
				Subject: "esignglobal#env-1", AgreementID: "env-1", VendorType: webhook.Label("签署完成"), Via: "v2",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := identify(t, tt.body)
			got.EventID = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExamplesOfOneEvent(t *testing.T) {
	examples := webhooktest.Examples(t, "esignglobal")
	ids := map[string][]string{}
	for name, r := range examples {
		id := identify(t, string(r.Body)).EventID
		ids[id] = append(ids[id], name)
	}
	for _, pair := range [][2]string{
		{"envelope-start", "envelope-start-enum-only"},
		{"envelope-finish", "envelope-finish-v2"},
		{"envelope-declined", "signer-declined"},
		{"envelope-delivery-failed", "envelope-delivery-failed-v2"},
	} {
		if id := identify(t, string(examples[pair[0]].Body)).EventID; id != identify(t,
			string(examples[pair[1]].Body)).EventID {
			t.Errorf("two events: %s", pair)
		}
	}
	if len(ids) != len(examples)-4 {
		t.Errorf("%d examples are %d events: %v", len(examples), len(ids), ids)
	}
}

var hexID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// FuzzIdentify checks that the only error is ErrUnreadable, identities are well formed and do not change, and Normalize
// agrees.
func FuzzIdentify(f *testing.F) {
	for _, r := range webhooktest.Examples(f, "esignglobal") {
		f.Add(r.Body)
	}
	for _, body := range []string{"", "null", "[]", "\xef\xbb\xbf{}", finish + "x", `{"event":1e999,"event payload":[]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &webhook.Request{Method: "POST", Body: body}
		ids, err := provider.Identify(r)
		event, normalizeErr := provider.Normalize(&webhook.Delivery{Payload: body})
		if err != nil || normalizeErr != nil {
			if !errors.Is(err, webhook.ErrUnreadable) || !errors.Is(normalizeErr, webhook.ErrUnreadable) {
				t.Fatalf("identified: %v, normalised: %v", err, normalizeErr)
			}
			return
		}
		again, _ := provider.Identify(r)
		if diff := cmp.Diff(ids, again); diff != "" || len(ids) != 1 {
			t.Fatalf("%d identities, and then: %s", len(ids), diff)
		}
		id := ids[0]
		if !hexID.MatchString(id.EventID) || !strings.HasPrefix(id.Subject, "esignglobal#") || len(id.Subject) > 128 {
			t.Fatalf("%+v", id)
		}
		if id.AgreementID != event.AgreementID || id.VendorType != event.VendorType ||
			!id.OccurredAt.Equal(event.OccurredAt) {
			t.Fatalf("identified as %+v, normalised as %+v", id, event)
		}
		if strings.HasPrefix(string(event.Type), "agreement.") && event.AgreementID == "" {
			t.Fatalf("no agreement: %+v", event)
		}
		for _, p := range event.Participants {
			if p.ID == "" || p.Status == "" || strings.Contains(p.ID, "@") {
				t.Fatalf("participant %+v", p)
			}
		}
	})
}

func TestViewsWithoutATimeAreTwoEvents(t *testing.T) {
	info := signerInfo(`"businessId":"b1"`)
	if identify(t, v1("ENVELOPE_SIGNER_VIEWED", info)).EventID == identify(t,
		v1("ENVELOPE_SIGNER_VIEWED", info+`,"expireTime":1`)).EventID {
		t.Error("two views are one")
	}
}
