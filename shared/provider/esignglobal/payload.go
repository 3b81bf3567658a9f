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
	envelopeDeliveryFailed  = "ENVELOPE_DELIVERY_FAILED"
	templateFillResult      = "TEMPLATE_FILL_RESULT"
)

// payload is a request's body: v1 above, v2 below. It leaves out personal data that is not needed.
//
// SPEC: https://www.esignglobal.com/developer-center/api/oqef89swtse7xva7ihxd4eah (v1) and
// https://www.esignglobal.com/developer-center/document/fznrramnzm5xmc8xs34bqck1 (v2) are the pages of one event each;
// read 2026-11-22. Their types contradict each other, so every scalar is a [webhook.Text].
type payload struct {
	Enum     webhook.Text   `json:"callBackEnum"` // the action, if there is no callBackDesc
	Desc     webhook.Text   `json:"callBackDesc"`
	Error    webhook.Text   `json:"description"` // of ENVELOPE_SIGNER_FAILED
	Envelope last[envelope] `json:"callBackEnvelopeVO"`
	Template last[template] `json:"callBackTemplateVO"`

	Event        webhook.Text   `json:"event"`
	EventPayload last[envelope] `json:"eventPayload"`
}

type template struct {
	TaskID webhook.Text `json:"taskId"`
	Status webhook.Text `json:"taskStatus"`
	Error  webhook.Text `json:"description"`
}

type envelope struct {
	ID            webhook.Text         `json:"envelopeId"`
	Status        webhook.Text         `json:"envelopeStatus"`
	CreateTime    webhook.Text         `json:"envelopeCreateTime"` // v1
	StartTime     webhook.Text         `json:"envelopeStartTime"`  // v2
	EndTime       webhook.Text         `json:"envelopeEndTime"`
	SignerInfo    last[Signer]         `json:"signerInfo"`
	DeclineSigner last[Signer]         `json:"declineSigner"`
	NextSigners   webhook.List[Signer] `json:"nextSignerList"`   // v1
	SignedSigners webhook.List[Signer] `json:"signedSignerList"` // v1, cumulative
	Signers       webhook.List[Signer] `json:"signerList"`       // v2
	CC            last[copied]         `json:"ccInfo"`           // v1, of ENVELOPE_DELIVERY_FAILED
	CCs           webhook.List[copied] `json:"ccList"`           // v2
	CancelInfo    last[cancelled]      `json:"cancelInfo"`
}

type cancelled struct {
	Reason webhook.Text `json:"reason"`
}

// copied is somebody who only gets a copy.
type copied struct {
	Email webhook.Text `json:"userEmail"`
}

// Signer is a signer, as callbacks and the API state one. It leaves out the name and the access code.
type Signer struct {
	BusinessID    webhook.Text `json:"businessId"` // the sender's own ID
	Email         webhook.Text `json:"userEmail"`
	Phone         last[phone]  `json:"phoneNumber"`
	Order         webhook.Text `json:"signOrder"`
	Status        webhook.Text `json:"signerStatus"`
	SignDate      webhook.Text `json:"signDate"`
	ViewedTime    webhook.Text `json:"viewedTime"`
	Message       webhook.Text `json:"signerMessage"` // v1, why the signer declined
	DeclineReason webhook.Text `json:"declineReason"` // v2
}

type phone struct {
	CountryCode webhook.Text `json:"countryCode"`
	Number      webhook.Text `json:"number"`
}

// The values of envelopeStatus, signerStatus and taskStatus that the code uses.
const (
	envelopeInProgress = "1"
	envelopeCompleted  = "2"

	signerPending     = "0"
	signerInProgress  = "1"
	signerSigned      = "2"
	signerHasDeclined = "3"
	signerInterrupted = "5"
	signerViewed      = "8"
	signerUndelivered = "9"

	taskSucceeded = "2"
	taskFailed    = "3"
)

// parse reads a body, and returns ErrUnreadable if it is not a JSON object.
func parse(body []byte) (*payload, error) {
	p := &payload{}
	if err := webhook.DecodeJSON(foldKeys(body), p); err != nil {
		return nil, err
	}
	return p, nil
}

// last is the object under a key. If the key is repeated, the last object replaces the earlier ones completely.
type last[T any] struct{ object T }

// UnmarshalJSON implements [json.Unmarshaler].
func (l *last[T]) UnmarshalJSON(b []byte) error {
	*l = last[T]{}
	_ = webhook.DecodeJSON(b, &l.object) // a value of another type has no fields
	return nil
}

// foldKeys removes the spaces from JSON keys, because the vendor's pages also print "CallBack EnvelopeVO" and "Signer
// status". Invalid JSON stays invalid.
func foldKeys(body []byte) []byte {
	var folded []byte
	done := 0 // bytes of body that are copied
	for i := 0; i < len(body); i++ {
		if body[i] != '"' {
			continue
		}
		end := stringEnd(body, i)
		if key := body[i:end]; isKey(body[end:]) && !plain(key) {
			folded = append(append(folded, body[done:i]...), fold(key)...)
			done = end
		}
		i = end - 1
	}
	if done == 0 {
		return body
	}
	return append(folded, body[done:]...)
}

// stringEnd returns the index after the string that begins at start.
func stringEnd(text []byte, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// isKey reports whether a string is a key, given the text after it.
func isKey(after []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte(":"))
}

// plain reports whether a key is ASCII without spaces and escapes. encoding/json ignores its case.
func plain(key []byte) bool {
	return !bytes.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' })
}

// fold returns a key in lower case and without spaces. A key with anything but letters becomes empty, and so is
// ignored, because encoding/json would match "ſ" with "s".
func fold(key []byte) []byte {
	var name string
	if json.Unmarshal(key, &name) != nil {
		return key
	}
	name = strings.ToLower(strings.Join(strings.Fields(name), ""))
	if strings.ContainsFunc(name, func(c rune) bool { return c < 'a' || c > 'z' }) {
		name = ""
	}
	return []byte(`"` + name + `"`)
}

// event is the vendor's name of the event. It is never derived from a status, not even for ENVELOPE_UPDATE without
// callBackDesc.
func (p *payload) event() string { return string(cmp.Or(p.Desc, p.Enum, p.Event)) }

// via is the version of the callback, v1 or v2, which depends on the subscription.
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
	if p.Envelope.object.ID == "" {
		return &p.EventPayload.object
	}
	return &p.Envelope.object
}

// about returns the signers that the event is about: one signer, or several if the payload has only a list.
func (p *payload) about() []Signer {
	e := p.envelope()
	switch p.event() {
	case envelopeSignerSigned:
		if e.SignerInfo.object.identity() == "" {
			return e.SignedSigners
		}
	case envelopeDeclined, signerDeclined:
		if e.DeclineSigner.object.id() == "" {
			return e.having(signerHasDeclined)
		}
		return []Signer{e.DeclineSigner.object}
	case envelopeSignerFailed:
		return e.having(signerInterrupted)
	case envelopeDeliveryFailed:
		if unreached := e.having(signerUndelivered); len(unreached) > 0 {
			return unreached
		}
	}
	return []Signer{e.SignerInfo.object}
}

func (e *envelope) listed() []Signer { return slices.Concat(e.NextSigners, e.SignedSigners, e.Signers) }

func (e *envelope) having(status webhook.Text) []Signer {
	return slices.DeleteFunc(e.listed(), func(s Signer) bool { return s.Status != status })
}

// copies returns the recipients of copies who were not reached.
func (e *envelope) copies() []copied {
	return slices.DeleteFunc(append(slices.Clone(e.CCs), e.CC.object), func(c copied) bool { return c.Email == "" })
}

// id identifies the signer. It is empty if the payload has neither kind of ID.
func (s Signer) id() string { return string(cmp.Or(s.BusinessID, s.Email)) }

// contact is how the signer is reached: the e-mail address, or else the telephone number.
func (s Signer) contact() string { return cmp.Or(string(s.Email), s.Phone.object.String()) }

// String returns the number with its country code, which some of the vendor's pages print with a plus sign.
func (p phone) String() string {
	return strings.TrimPrefix(string(p.CountryCode), "+") + string(p.Number)
}

// moment reads a time, which the vendor sends as a long, a "timestamp" or a string.
func moment(t webhook.Text) time.Time {
	if at := webhook.UnixTime(string(t)); !at.IsZero() {
		return at
	}
	return webhook.Time(string(t))
}
