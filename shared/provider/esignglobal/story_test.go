package esignglobal_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// person is a signer of a life, in the vendor's fields.
type person map[string]any

// with returns the signer with more fields, given as names and values in turn.
func (p person) with(fields ...any) person {
	made := person{}
	for name, value := range p {
		made[name] = value
	}
	for i := 0; i < len(fields); i += 2 {
		made[fields[i].(string)] = fields[i+1]
	}
	return made
}

// life is the life of an envelope so far, as v1 reports it, and as v2 does.
type life struct {
	*rand.Rand
	now             int64
	signers, signed []person
	v1, v2          []webhooktest.Happening
}

// fields are the fields of a callback.
type fields map[string]any

// happens adds an event in both formats. Nil means that a format does not have it.
func (l *life) happens(v1Event, v2Event string, v1, v2 fields) {
	l.now += 1 + l.Int64N(5000)
	if v1 != nil {
		v1["envelopeId"], v1["envelopeCreateTime"] = "env-1", int64(1793600000000)
		ways := webhooktest.Happening{
			post(text(fields{"callBackEnum": "ENVELOPE_UPDATE", "callBackDesc": v1Event, "callBackEnvelopeVO": v1})),
			post(text(fields{"callBackEnum": v1Event, "CallBack EnvelopeVO": v1})),
		}
		l.v1 = append(l.v1, ways)
	}
	if v2 != nil {
		v2["envelopeId"], v2["envelopeStartTime"] = "env-1", "1793600000000"
		l.v2 = append(l.v2, webhooktest.Happening{post(text(fields{"event": v2Event, "eventPayload": v2}))})
	}
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// newPerson returns a signer with some of the vendor's IDs.
func (l *life) newPerson(i int) person {
	p := person{"signOrder": i, "userName": "x"}
	if l.IntN(3) > 0 {
		p["userEmail"] = fmt.Sprintf("signer-%d@example.com", i)
	}
	if p["userEmail"] == nil || l.IntN(2) == 0 {
		p["phoneNumber"] = map[string]any{"countryCode": "44", "number": fmt.Sprintf("770090010%d", i)}
	}
	if l.IntN(3) > 0 {
		p["businessId"] = fmt.Sprintf("emp-%d", i)
	}
	return p
}

// list returns all signers, as v2 lists them. A signer who has not signed has the given status.
func (l *life) list(status int) (all []person) {
	for _, p := range l.signers {
		all = append(all, p.with("signerStatus", status))
	}
	for _, p := range l.signed {
		all = append(all, p.with("signerStatus", 2, "signDate", nil))
	}
	return all
}

func (l *life) begin() {
	for i := range 1 + l.IntN(3) {
		l.signers = append(l.signers, l.newPerson(i+1))
	}
	turn := []person{l.signers[0].with("signerStatus", 1)}
	l.happens("ENVELOPE_START", "ENVELOPE_START", fields{"nextSignerList": turn}, fields{"signerList": turn})
}

func (l *life) step() {
	i := l.IntN(len(l.signers))
	p := l.signers[i]
	switch l.IntN(6) {
	case 0:
		l.happens("ENVELOPE_SIGNER_VIEWED", "", fields{"signerInfo": p.with("signerStatus", 8, "viewedTime", l.now)}, nil)
	case 1, 2:
		l.signers = slices.Delete(slices.Clone(l.signers), i, i+1)
		done := p.with("signerStatus", 2, "signDate", l.now)
		l.signed = append(l.signed, done)
		l.happens("ENVELOPE_SIGNER_SIGNED", "ENVELOPE_SIGNER_SIGNED", fields{"signerInfo": done},
			fields{"signerInfo": p.with("signerStatus", 2)})
	case 3:
		unreached := p.with("signerStatus", 9)
		l.happens("ENVELOPE_DELIVERY_FAILED", "ENVELOPE_DELIVERY_FAILED", fields{"signerInfo": unreached},
			fields{"signerList": []person{unreached}, "ccList": []person{}})
	case 4:
		cc := person{"userEmail": "copy@example.com", "ccStatus": 1}
		l.happens("ENVELOPE_DELIVERY_FAILED", "ENVELOPE_DELIVERY_FAILED", fields{"ccInfo": cc},
			fields{"signerList": []person{}, "ccList": []person{cc}})
	case 5: // to somebody else, which no event reports
		if l.IntN(4) == 0 {
			l.signers[i] = l.newPerson(len(l.signers) + len(l.signed) + 3)
		}
	}
}

func (l *life) end() {
	l.now += 1 + l.Int64N(5000)
	v1 := fields{"envelopeEndTime": l.now, "signedSignerList": l.signed}
	end := func(v1Event, v2Event string, status int, list []person) {
		v1["envelopeStatus"] = status
		l.happens(v1Event, v2Event, v1, fields{"envelopeStatus": status, "signerList": list})
	}
	if len(l.signers) == 0 {
		l.happens("ENVELOPE_ALL_SIGNER_SIGNED", "ENVELOPE_ALL_SIGNER_SIGNED", fields{"signedSignerList": l.signed}, fields{})
		end("ENVELOPE_FINISH", "ENVELOPE_FINISH", 2, l.list(2))
		return
	}
	first := l.signers[0]
	switch l.IntN(4) {
	case 0:
		if first["userEmail"] == nil { // v1 then does not tell who it was
			return
		}
		v1["declineSigner"] = person{"userEmail": first["userEmail"]}
		list := l.list(1)
		list[0]["signerStatus"] = 3
		end("ENVELOPE_DECLINED", "SIGNER_DECLINED", 4, list)
	case 1:
		end("ENVELOPE_CANCEL", "ENVELOPE_CANCEL", 5, l.list(0))
	case 2:
		v1["nextSignerList"] = l.list(1)[:len(l.signers)]
		end("ENVELOPE_EXPIRED", "ENVELOPE_EXPIRED", 3, l.list(0))
	case 3:
		v1["signedSignerList"] = append(slices.Clone(l.signed), first.with("signerStatus", 5))
		end("ENVELOPE_SIGNER_FAILED", "ENVELOPE_SIGNER_FAILED", 7, l.list(1))
	}
}

func newLife(r *rand.Rand) *life {
	l := &life{Rand: r, now: 1793600000000}
	l.begin()
	for range r.IntN(9) {
		if len(l.signers) > 0 {
			l.step()
		}
	}
	l.end()
	return l
}

// Of the copies of one event only that of v1 states the time. So v2 adds nothing to a life that v1 reports, whatever
// comes first.
func TestAnyStory(t *testing.T) {
	webhooktest.Tell(t, provider, func(r *rand.Rand) [][]webhooktest.Happening {
		l := newLife(r)
		return [][]webhooktest.Happening{l.v1, slices.Concat(l.v1, l.v2)}
	})
}

func TestAnyStoryOfV2(t *testing.T) {
	webhooktest.Tell(t, provider, func(r *rand.Rand) [][]webhooktest.Happening {
		return [][]webhooktest.Happening{newLife(r).v2}
	})
}

// TestOnePerson checks who is one participant, in messages that name signers by different IDs.
func TestOnePerson(t *testing.T) {
	const eve = `"businessId":"emp-1","userEmail":"eve@example.com","signOrder":2` // shares Ada's businessId
	for name, tt := range map[string]struct {
		bodies []string
		want   string
	}{
		"who declined, in v1": {[]string{
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"signerStatus":8,"viewedTime":1793610000000`)),
			v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ada@example.com"}`),
		}, "declined"},
		"who declined, in v2 and v1": {[]string{
			v2("SIGNER_DECLINED", `,"signerList":[{`+ada+`,"signerStatus":3}]`),
			v1("ENVELOPE_DECLINED", `,"declineSigner":{"userEmail":"ada@example.com"}`),
		}, "declined"},
		"a telephone number with a plus sign": {[]string{
			v1("ENVELOPE_SIGNER_SIGNED", signerInfo(`"phoneNumber":{"countryCode":"+44","number":"1"},"signerStatus":2`)),
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"phoneNumber":{"countryCode":44,"number":1},"signerStatus":2`)),
		}, "signed"},
		"two with one businessId": {[]string{
			v1("ENVELOPE_START", `,"nextSignerList":[{`+ada+`,"signerStatus":1},{`+eve+`,"signerStatus":1}]`),
			v2("ENVELOPE_FINISH", `,"signerList":[{`+ada+`,"signerStatus":2},{`+eve+`,"signerStatus":2}]`),
		}, "signed signed"},
		"one in two places of the order": {[]string{
			v2("ENVELOPE_FINISH", `,"signerList":[{`+ada+`,"signerStatus":2},{`+strings.Replace(ada, `"signOrder":1`,
				`"signOrder":2`, 1)+`,"signerStatus":2}]`),
		}, "signed"},
		"two with one e-mail address": {[]string{
			v2("ENVELOPE_FINISH", `,"signerList":[{`+ada+`,"signerStatus":2},{`+strings.Replace(ada, "emp-1",
				"emp-9", 1)+`,"signerStatus":2}]`),
		}, "signed signed"},
		"two who share all they have": {[]string{
			v2("ENVELOPE_FINISH", `,"signerList":[{"businessId":"deal-7","signOrder":1,"signerStatus":2},`+
				`{"businessId":"deal-7","signOrder":2,"signerStatus":2}]`),
		}, "signed"},
		"who had not signed when the envelope expired": {[]string{
			v1("ENVELOPE_EXPIRED", `,"envelopeEndTime":1793610000000,"nextSignerList":[{`+ada+`,"signerStatus":1}],`+
				`"signedSignerList":[{`+ben+`,"signerStatus":2}]`),
		}, "expired signed"},
		"who had not signed when it expired, in v2": {[]string{
			v2("ENVELOPE_EXPIRED", `,"signerList":[{`+ada+`,"signerStatus":0},{`+ben+`,"signerStatus":2}]`),
		}, "expired signed"},
		"who was pending when it was cancelled": {[]string{
			v2("ENVELOPE_CANCEL", `,"signerList":[{`+ada+`,"signerStatus":1},{`+ben+`,"signerStatus":2}]`),
		}, "sent signed"},
		"somebody else took over": {[]string{
			v1("ENVELOPE_START", `,"envelopeCreateTime":1793600000000,"nextSignerList":[{`+ada+`,"signerStatus":1}]`),
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"signerStatus":8,"viewedTime":1793610000000`)),
			v1("ENVELOPE_ALL_SIGNER_SIGNED", signed(ben+`,"signerStatus":2,"signDate":1793620000000`)),
		}, "signed viewed:replaced"},
		"a list whose signers are not all known": {[]string{
			v1("ENVELOPE_SIGNER_VIEWED", signerInfo(ada+`,"signerStatus":8,"viewedTime":1793610000000`)),
			v1("ENVELOPE_ALL_SIGNER_SIGNED", signed(ben+`,"signerStatus":2,"signDate":1793620000000`, nameless)),
		}, "signed viewed"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				if got := fold(t, esign.Agreement{}, tt.bodies); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				slices.Reverse(tt.bodies)
			}
		})
	}
}

// folded returns the agreement after these messages.
func folded(t *testing.T, a esign.Agreement, bodies []string) esign.Agreement {
	t.Helper()
	for _, body := range bodies {
		event := normalize(t, body)
		if event.OccurredAt.IsZero() {
			event.OccurredAt, event.Approximate = webhooktest.ReceivedAt, true
		}
		a = esign.Fold(a, event)
	}
	return a
}

// fold returns the participants' statuses after these messages, sorted.
func fold(t *testing.T, a esign.Agreement, bodies []string) string {
	t.Helper()
	var people []string
	for id, p := range folded(t, a, bodies).Participants {
		if !strings.HasPrefix(id, "sha256:") {
			t.Errorf("participant %q", id)
		}
		status := string(p.Status)
		if p.Replaced {
			status += ":replaced"
		}
		people = append(people, status)
	}
	slices.Sort(people)
	return strings.Join(people, " ")
}

// Earlier releases stored a businessId as it is.
func TestAStoredBusinessIDIsTheSamePerson(t *testing.T) {
	stored := esign.Agreement{Participants: map[string]esign.Progress{
		"emp-1": {Status: esign.Sent, At: webhooktest.ReceivedAt},
		webhook.ParticipantKey("ben@example.com"): {Status: esign.Sent, At: webhooktest.ReceivedAt},
	}}
	got := fold(t, stored, []string{
		v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada+`,"signerStatus":2`)),
		v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ben+`,"signerStatus":2`)),
	})
	if got != "signed signed" {
		t.Errorf("got %q", got)
	}
}

// TestFormerIDs checks the IDs of earlier releases.
func TestFormerIDs(t *testing.T) {
	failed := v1("ENVELOPE_DELIVERY_FAILED", signerInfo(ada+`,"signerStatus":9`))
	for name, tt := range map[string]struct {
		body   string
		former []string // the fields of the former ID
	}{
		"no failed delivery was known":                                     {failed, []string{"body", failed}},
		"a failed delivery without people is still identified by its body": {v1("ENVELOPE_DELIVERY_FAILED", ""), nil},
		"a country code had a plus sign": {
			v2("ENVELOPE_SIGNER_SIGNED", signerInfo(`"businessId":"b","phoneNumber":{"countryCode":"+44","number":"1"}`)),
			[]string{"signed", "env-1", webhook.EventID("esignglobal", "b", "", "+441", "")},
		},
		"a country code without a plus sign": {v2("ENVELOPE_SIGNER_SIGNED", signerInfo(ada)), nil},
		"an unknown event":                   {v2("ENVELOPE_PAUSED", ""), nil},
		"a template's task":                  {template(`"task-1"`, `"2"`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var want []webhook.FormerID
			if tt.former != nil {
				want = []webhook.FormerID{{ID: webhook.EventID("esignglobal", tt.former...)}}
			}
			if got := identify(t, tt.body).FormerIDs; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
