package esignglobal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/webhook"
)

// The vendor's names of events, callBackDesc in v1 and event in v2.
const (
	envelopeStart           = "ENVELOPE_START"
	envelopeSignerViewed    = "ENVELOPE_SIGNER_VIEWED"
	envelopeSignerSigned    = "ENVELOPE_SIGNER_SIGNED"
	envelopeAllSignerSigned = "ENVELOPE_ALL_SIGNER_SIGNED"
	envelopeFinish          = "ENVELOPE_FINISH"
	envelopeCancel          = "ENVELOPE_CANCEL"
	envelopeExpired         = "ENVELOPE_EXPIRED"
	envelopeDeclined        = "ENVELOPE_DECLINED" // v1
	signerDeclined          = "SIGNER_DECLINED"   // v2
	envelopeSignerFailed    = "ENVELOPE_SIGNER_FAILED"
	templateFillResult      = "TEMPLATE_FILL_RESULT"
)

// payload is a request's body: v1 above, v2 below. It leaves out what is personal and not needed.
//
// SPEC: https://www.esignglobal.com/developer-center/api/oqef89swtse7xva7ihxd4eah (v1) and
// https://www.esignglobal.com/developer-center/document/fznrramnzm5xmc8xs34bqck1 (v2) are the pages of one event each;
// read 2026-11-22. They agree on no type, so a scalar is a [webhook.Text].
type payload struct {
	Enum     webhook.Text `json:"callBackEnum"` // the action itself only where there is no callBackDesc
	Desc     webhook.Text `json:"callBackDesc"`
	Envelope envelope     `json:"callBackEnvelopeVO"`
	Template struct {
		TaskID webhook.Text `json:"taskId"`
		Status webhook.Text `json:"taskStatus"`
	} `json:"callBackTemplateVO"`

	Event        webhook.Text `json:"event"`
	EventPayload envelope     `json:"eventPayload"`
}

type envelope struct {
	ID            webhook.Text         `json:"envelopeId"`
	Status        webhook.Text         `json:"envelopeStatus"`
	CreateTime    webhook.Text         `json:"envelopeCreateTime"`
	EndTime       webhook.Text         `json:"envelopeEndTime"`
	SignerInfo    signer               `json:"signerInfo"`
	DeclineSigner signer               `json:"declineSigner"`
	NextSigners   webhook.List[signer] `json:"nextSignerList"`   // v1
	SignedSigners webhook.List[signer] `json:"signedSignerList"` // v1, cumulative
	Signers       webhook.List[signer] `json:"signerList"`       // v2
}

type signer struct {
	BusinessID webhook.Text `json:"businessId"` // the integrator's own ID
	Email      webhook.Text `json:"userEmail"`
	Phone      struct {
		CountryCode webhook.Text `json:"countryCode"`
		Number      webhook.Text `json:"number"`
	} `json:"phoneNumber"`
	Order      webhook.Text `json:"signOrder"`
	Status     webhook.Text `json:"signerStatus"`
	SignDate   webhook.Text `json:"signDate"`
	ViewedTime webhook.Text `json:"viewedTime"`
}

// The values of envelopeStatus, signerStatus and taskStatus that mean something here.
const (
	envelopeCompleted = "2"

	signerInProgress  = "1"
	signerSigned      = "2"
	signerHasDeclined = "3"
	signerInterrupted = "5"
	signerViewed      = "8"

	taskSucceeded = "2"
	taskFailed    = "3"
)

// parse reads a body, and returns ErrUnreadable if it is not a JSON object.
func parse(body []byte) (*payload, error) {
	if err := webhook.DecodeJSON(body, &struct{}{}); err != nil { // bounds the depth as well
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(webhook.TrimBOM(body)))
	d.UseNumber()
	folded, _ := json.Marshal(foldKeys(d)) // of what was JSON
	p := &payload{}
	if err := webhook.DecodeJSON(folded, p); err != nil {
		return nil, err
	}
	return p, nil
}

// known are the keys that are read, as foldKeys writes them.
var known = map[string]bool{
	"callbackenum": true, "callbackdesc": true, "callbackenvelopevo": true, "callbacktemplatevo": true, "taskid": true,
	"taskstatus": true, "event": true, "eventpayload": true, "envelopeid": true, "envelopestatus": true,
	"envelopecreatetime": true, "envelopeendtime": true, "signerinfo": true, "declinesigner": true, "nextsignerlist": true,
	"signedsignerlist": true, "signerlist": true, "businessid": true, "useremail": true, "phonenumber": true,
	"countrycode": true, "number": true, "signorder": true, "signerstatus": true, "signdate": true, "viewedtime": true,
}

// foldKeys reads a value of JSON that is known to be valid. The keys of its objects become lower case and lose their
// spaces, because the vendor's pages also print "CallBack EnvelopeVO" and "Signer status". Of equal keys the last one
// counts. What nobody reads is passed over.
func foldKeys(d *json.Decoder) any {
	token, _ := d.Token()
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			token, _ := d.Token()
			key, _ := token.(string)
			if key = strings.ToLower(strings.Join(strings.Fields(key), "")); known[key] {
				object[key] = foldKeys(d)
			} else {
				d.Decode(&skipped{})
			}
		}
		d.Token()
		return object
	case json.Delim('['):
		list := []any{}
		for d.More() {
			if len(list) < webhook.MaxList {
				list = append(list, foldKeys(d))
			} else {
				d.Decode(&skipped{})
			}
		}
		d.Token()
		return list
	}
	return token
}

// skipped is a value that is not kept.
type skipped struct{}

// UnmarshalJSON implements [json.Unmarshaler].
func (*skipped) UnmarshalJSON([]byte) error { return nil }

// event is the vendor's name of the event, never derived from a status. ENVELOPE_UPDATE without callBackDesc stays that.
func (p *payload) event() string { return string(cmp.Or(p.Desc, p.Enum, p.Event)) }

// via is the shape that the callback has, and so the kind of subscription.
func (p *payload) via() string {
	switch {
	case p.Desc != "" || p.Enum != "":
		return "v1"
	case p.Event != "":
		return "v2"
	}
	return ""
}

func (p *payload) envelope() *envelope {
	if p.Envelope.ID == "" {
		return &p.EventPayload
	}
	return &p.Envelope
}

// about returns the signers whom the event is about: one, unless there is nothing but a list.
func (p *payload) about() []signer {
	e := p.envelope()
	switch p.event() {
	case envelopeSignerSigned:
		if e.SignerInfo.identity() == "" {
			return e.SignedSigners
		}
	case envelopeDeclined, signerDeclined:
		if e.DeclineSigner.id() == "" {
			return e.having(signerHasDeclined)
		}
		return []signer{e.DeclineSigner}
	case envelopeSignerFailed:
		return e.having(signerInterrupted)
	}
	return []signer{e.SignerInfo}
}

func (e *envelope) listed() []signer { return slices.Concat(e.NextSigners, e.SignedSigners, e.Signers) }

func (e *envelope) having(status webhook.Text) []signer {
	return slices.DeleteFunc(e.listed(), func(s signer) bool { return s.Status != status })
}

// id is what the signer is known by; empty if by neither.
func (s signer) id() string { return string(cmp.Or(s.BusinessID, s.Email)) }

// moment reads a time, which comes as a long, a "timestamp" or a string.
func moment(t webhook.Text) time.Time {
	if at := webhook.UnixTime(string(t)); !at.IsZero() {
		return at
	}
	return webhook.Time(string(t))
}
