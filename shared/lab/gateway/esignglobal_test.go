package gateway

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
)

const (
	esignSecret = "black-box-esignglobal-secret-3fa9"
	esignSecond = "black-box-esignglobal-secret-c210"
	esignAlien  = "black-box-esignglobal-secret-of-nobody"
	esignTime   = "1772619600123"
)

const esignKeys = "ESIGNGLOBAL_SECRETS=" + esignSecret + "," + esignSecond

// esignSigned signs a body; values are those of the query, sorted by key.
func esignSigned(secret, body, query, values string) request {
	path := "/webhooks/esignglobal"
	if query != "" {
		path += "?" + query
	}
	return request{path: path, body: body, header: map[string]string{
		"Content-Type": "application/json", "X-Tsign-Open-App-Id": "7400000099",
		"X-Tsign-Open-TIMESTAMP": esignTime, "X-Tsign-Open-SIGNATURE-ALGORITHM": "hmac-sha256",
		"X-Tsign-Open-SIGNATURE": hex.EncodeToString(sum(secret, esignTime+values+body)),
	}}
}

func esign(body object) request { return esignSigned(esignSecret, text(body), "", "") }

func esignV1(id, name string, change object) object {
	return object{"callBackEnum": "ENVELOPE_UPDATE", "callBackDesc": name, "callBackEnvelopeVO": merge(object{
		"envelopeId": id, "envelopeStatus": 1, "envelopeCreateTime": moment(0).UnixMilli(), "expireTime": moment(59).UnixMilli(),
	}, change)}
}

func esignV2(id, name string, change object) object {
	return object{"event": name, "eventPayload": merge(object{
		"envelopeId": id, "envelopeStatus": 1, "envelopeStartTime": "2026-03-04 10:20:00", "expireTime": "1772620000000",
	}, change)}
}

// signer is one signer as v1 shows it; order is a number or a string.
func signer(name string, order any, change object) object {
	return merge(object{
		"businessId": "biz-" + name, "userEmail": name + "@people.example", "userName": name, "signOrder": order,
		"phoneNumber": object{"countryCode": "49", "number": "15550" + name}, "accessCode": "",
	}, change)
}

func TestESignGlobalAcknowledgesEverythingGenuineAlike(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	first := esign(esignV1(guid(), "ENVELOPE_START", nil))
	g.alike(first, first, esign(esignV2(guid(), "ENVELOPE_FINISH", nil)), esign(esignV1(guid(), "NOT_YET_INVENTED", nil)),
		esignSigned(esignSecret, "{", "", ""), esignSigned(esignSecret, "", "", ""))
}

func TestESignGlobalUnreadableBodiesAreKept(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	bodies := []string{"", "{", "<xml/>", "\xff\xfe\x00", `"text"`}
	for _, body := range bodies {
		g.accept(esignSigned(esignSecret, body, "", ""))
	}
	g.unreadable(len(bodies))
}

func TestESignGlobalSignature(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	id := guid()
	body := text(esignV1(id, "ENVELOPE_FINISH", object{"envelopeStatus": 2, "note": "你好"}))
	r := esignSigned(esignSecret, body, "", "")
	lower := r.without("X-Tsign-Open-SIGNATURE").without("X-Tsign-Open-TIMESTAMP")
	g.accept(
		r,
		esignSigned(esignSecond, body, "", ""),
		esignSigned(esignSecret, body, "orderNo=001&belong=pinjie", "pinjie001"),
		esignSigned(esignSecret, body, "b=%E4%B8%AD+x&a=1%2B1&c=", "1+1中 x"),
		lower.with("x-tsign-open-signature", r.header["X-Tsign-Open-SIGNATURE"]).with("x-tsign-open-timestamp", esignTime),
		r.without("X-Tsign-Open-App-Id"),
	)
	if e := g.one("esignglobal", id, 5); e.Proof != "signed" {
		t.Errorf("got proof %q, want signed", e.Proof)
	}
}

func TestESignGlobalRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	body := text(esignV1(guid(), "ENVELOPE_FINISH", object{"envelopeStatus": 2}))
	r := esignSigned(esignSecret, body, "", "")
	changed := r
	changed.body += " "
	g.refuse(
		r.without("X-Tsign"), changed, esignSigned(esignAlien, body, "", ""), esignSigned("", body, "", ""),
		r.without("X-Tsign-Open-SIGNATURE"), r.without("X-Tsign-Open-TIMESTAMP"),
		r.with("X-Tsign-Open-SIGNATURE", ""), r.with("X-Tsign-Open-TIMESTAMP", "1772619600124"),
		r.with("X-Tsign-Open-SIGNATURE", base64.StdEncoding.EncodeToString(sum(esignSecret, esignTime+body))),
		r.to("/webhooks/esignglobal?orderNo=001"), // the query is covered
		esignSigned(esignSecret, body, "b=2&a=1", "21"),
		esignSigned(esignSecret, body, "b=2&a=1", ""),
		esignSigned(esignSecret, body, "a=1", "a1"),
	)
	if events := g.events(); len(events) != 0 {
		t.Errorf("refused requests left events: %s", names(events))
	}
}

func TestESignGlobalWithATokenAndNoSecretIgnoresTheHeaders(t *testing.T) {
	t.Parallel()
	const token = "esign-path-token-90ab"
	g := start(t, "ESIGNGLOBAL_SECRETS=", "ESIGNGLOBAL_URL_TOKENS="+token)
	id := guid()
	r := esignSigned(esignAlien, text(esignV1(id, "ENVELOPE_FINISH", object{"envelopeStatus": 2})), "", "")
	r = r.to(r.path + "/" + token)
	g.accept(r, r.without("X-Tsign"), r.without("Content-Type"))
	if e := g.one("esignglobal", id, 2); e.Proof != "url-token" {
		t.Errorf("got proof %q, want url-token", e.Proof)
	}
	for _, path := range []string{"/webhooks/esignglobal", "/webhooks/esignglobal/" + token + "x"} {
		if got := g.send(r.to(path)); got.Status != 404 {
			t.Errorf("%s: got %d, want 404", path, got.Status)
		}
	}
}

func TestESignGlobalWithATokenAndASecretChecksTheHeadersThatAreThere(t *testing.T) {
	t.Parallel()
	const token = "esign-path-token-41ce"
	g := start(t, esignKeys, "ESIGNGLOBAL_URL_TOKENS="+token)
	body := text(esignV1(guid(), "ENVELOPE_FINISH", object{"envelopeStatus": 2}))
	path := "/webhooks/esignglobal/" + token
	g.refuse(esignSigned(esignAlien, body, "", "").to(path))
	g.accept(esignSigned(esignSecret, body, "", "").to(path))
	if events := g.events(); len(events) != 1 || events[0].Proof != "signed" {
		t.Errorf("got %+v, want one signed event", events)
	}
	other := text(esignV1(guid(), "ENVELOPE_FINISH", object{"envelopeStatus": 2}))
	g.accept(esignSigned(esignAlien, other, "", "").without("X-Tsign").to(path))
	if events := g.events(); len(events) != 2 || events[0].Proof != "url-token" {
		t.Errorf("got %+v, want the newest of two events with proof url-token", events)
	}
}

func TestESignGlobalWithNeitherTokenNorSecretRefuses(t *testing.T) {
	t.Parallel()
	g := start(t, "ESIGNGLOBAL_SECRETS=")
	body := text(esignV1(guid(), "ENVELOPE_FINISH", nil))
	r := esignSigned("", body, "", "")
	g.refuse(r, r.without("X-Tsign"), esignSigned("development-esignglobal-secret", body, "", ""))
	if events := g.events(); len(events) != 0 {
		t.Errorf("refused requests left events: %s", names(events))
	}
}

func TestESignGlobalOneHappeningIsOneEvent(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	for name, copies := range map[string]func(id string) []object{
		"START with and without its name": func(id string) []object {
			bare := esignV1(id, "", object{"nextSignerList": []object{signer("ann", "1", nil)}})
			bare["callBackEnum"] = "ENVELOPE_START"
			delete(bare, "callBackDesc")
			return []object{bare, esignV1(id, "ENVELOPE_START", nil), esignV2(id, "ENVELOPE_START", nil)}
		},
		"FINISH in v1 and v2": func(id string) []object {
			return []object{
				esignV1(id, "ENVELOPE_FINISH", object{"envelopeStatus": 2, "envelopeEndTime": moment(9).UnixMilli()}),
				esignV2(id, "ENVELOPE_FINISH", object{"envelopeStatus": 2, "signerList": []object{signer("ann", 1, nil)}}),
			}
		},
		"one signer in v1 and v2, orders as text and number": func(id string) []object {
			v2 := signer("ann", 1, object{"signerStatus": 2, "userType": 1, "authModes": "0"})
			return []object{
				esignV1(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": signer("ann", "1", object{"signerStatus": 2, "signDate": moment(4).UnixMilli()})}),
				esignV2(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": v2}),
				esignV2(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": merge(v2, object{"businessId": " biz-ann "})}),
			}
		},
		"a refusal in v1 and v2, under two names": func(id string) []object {
			return []object{
				esignV1(id, "ENVELOPE_DECLINED", object{"envelopeStatus": 4, "declineSigner": object{"userEmail": "ann@people.example", "userName": "ann", "signerMessage": "no"}}),
				esignV2(id, "SIGNER_DECLINED", object{"envelopeStatus": 4, "signerList": []object{
					signer("bob", 2, object{"signerStatus": 0}), signer("ann", 1, object{"signerStatus": 3, "declineReason": "no"}),
				}}),
			}
		},
		"CANCEL in v1 and v2": func(id string) []object {
			return []object{
				esignV1(id, "ENVELOPE_CANCEL", object{"envelopeStatus": 5, "cancelInfo": object{"reason": "r"}}),
				esignV2(id, "ENVELOPE_CANCEL", object{"envelopeStatus": 5, "cancelInfo": object{"reason": "r"}, "signerList": []object{}}),
			}
		},
		"EXPIRED with either status": func(id string) []object {
			return []object{
				esignV1(id, "ENVELOPE_EXPIRED", object{"envelopeStatus": 2}), esignV1(id, "ENVELOPE_EXPIRED", object{"envelopeStatus": 3}),
				esignV2(id, "ENVELOPE_EXPIRED", object{"envelopeStatus": 3}),
			}
		},
		"keys in another case and with spaces": func(id string) []object {
			odd := esignV1(id, "ENVELOPE_FINISH", object{"envelopeStatus": 2})
			return []object{odd, {
				"callbackEnum": "ENVELOPE_UPDATE", "CallBackDesc": "ENVELOPE_FINISH",
				"CallBack EnvelopeVO": object{"EnvelopeId": id, "Envelope Status": "2"},
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			bodies := copies(id)
			for _, body := range bodies {
				g.accept(esign(body))
			}
			g.one("esignglobal", id, len(bodies)-1)
		})
	}
}

func TestESignGlobalTellsHappeningsApart(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	one := signer("ann", 1, object{"signerStatus": 2})
	for name, different := range map[string]func(id string) []object{
		"two signers": func(id string) []object {
			return []object{
				esignV2(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": one}),
				esignV2(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": signer("bob", 2, object{"signerStatus": 2})}),
			}
		},
		"two signers in a list that grows": func(id string) []object {
			return []object{
				esignV1(id, "ENVELOPE_SIGNER_SIGNED", object{"signedSignerList": []object{one}}),
				esignV1(id, "ENVELOPE_SIGNER_SIGNED", object{"signedSignerList": []object{signer("bob", 2, nil), one}}),
			}
		},
		"two views of one signer": func(id string) []object {
			return []object{
				esignV1(id, "ENVELOPE_SIGNER_VIEWED", object{"signerInfo": merge(one, object{"viewedTime": moment(1).UnixMilli()})}),
				esignV1(id, "ENVELOPE_SIGNER_VIEWED", object{"signerInfo": merge(one, object{"viewedTime": moment(2).UnixMilli()})}),
			}
		},
		"an unknown event with two bodies": func(id string) []object {
			return []object{esignV2(id, "ENVELOPE_NEW", object{"n": 1}), esignV2(id, "ENVELOPE_NEW", object{"n": 2})}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			bodies := different(id)
			for _, body := range bodies {
				g.accept(esign(body))
			}
			g.many("esignglobal", id, len(bodies))
		})
	}
}

// TestESignGlobalTypes has one type per status, and one of v2; the provider's own tests have them all.
func TestESignGlobalTypes(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	end := object{"envelopeEndTime": moment(9).UnixMilli()}
	for name, tt := range map[string]struct {
		body         func(id string) object
		kind, status string
		at           time.Time // the zero time: when it was received
	}{
		"v1 ENVELOPE_START": {func(id string) object { return esignV1(id, "ENVELOPE_START", nil) }, "agreement.sent", "sent", moment(0)},
		"v1 ENVELOPE_SIGNER_VIEWED": {func(id string) object {
			return esignV1(id, "ENVELOPE_SIGNER_VIEWED", object{"signerInfo": signer("ann", 1, object{"viewedTime": moment(2).UnixMilli()})})
		}, "agreement.viewed", "viewed", moment(2)},
		"v1 ENVELOPE_SIGNER_SIGNED": {func(id string) object {
			return esignV1(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": signer("ann", 1, object{"signDate": moment(3).UnixMilli()})})
		}, "agreement.signed", "signed", moment(3)},
		"v1 ENVELOPE_FINISH": {func(id string) object {
			return esignV1(id, "ENVELOPE_FINISH", merge(end, object{"envelopeStatus": 2}))
		}, "agreement.completed", "completed", moment(9)},
		"v1 ENVELOPE_CANCEL": {func(id string) object {
			return esignV1(id, "ENVELOPE_CANCEL", merge(end, object{"envelopeStatus": 5}))
		}, "agreement.cancelled", "cancelled", moment(9)},
		"v1 ENVELOPE_EXPIRED with status 2": {func(id string) object {
			return esignV1(id, "ENVELOPE_EXPIRED", merge(end, object{"envelopeStatus": 2}))
		}, "agreement.expired", "expired", moment(9)},
		"v1 ENVELOPE_DECLINED": {func(id string) object {
			return esignV1(id, "ENVELOPE_DECLINED", merge(end, object{"envelopeStatus": 4}))
		}, "agreement.declined", "declined", moment(9)},
		"v1 ENVELOPE_SIGNER_FAILED": {func(id string) object {
			return esignV1(id, "ENVELOPE_SIGNER_FAILED", merge(end, object{"envelopeStatus": 7}))
		}, "agreement.failed", "failed", moment(9)},
		"v1 ENVELOPE_NEW": {func(id string) object { return esignV1(id, "ENVELOPE_NEW", nil) }, "agreement.updated", "", time.Time{}},
		"v2 ENVELOPE_FINISH": {func(id string) object {
			return esignV2(id, "ENVELOPE_FINISH", object{"envelopeStatus": 2})
		}, "agreement.completed", "completed", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			g.accept(esign(tt.body(id)))
			e := g.one("esignglobal", id, 0)
			if e.Type != tt.kind || e.AgreementID != id {
				t.Errorf("got %+v, want %s", e, tt.kind)
			}
			if !tt.at.IsZero() && !e.OccurredAt.Equal(tt.at) {
				t.Errorf("got %v, want %v", e.OccurredAt, tt.at)
			}
			if strings.HasPrefix(name, "v2") && !e.OccurredAt.Equal(e.ReceivedAt) {
				t.Errorf("occurred at %v, want the time it was received, %v", e.OccurredAt, e.ReceivedAt)
			}
			if a := g.agreement("esignglobal", id); a.Status != tt.status {
				t.Errorf("got status %q, want %q", a.Status, tt.status)
			}
		})
	}
}

func TestESignGlobalTemplateTasksAreNoAgreements(t *testing.T) {
	t.Parallel()
	g := start(t, esignKeys)
	task := func(id, status string) request {
		return esign(object{"callBackEnum": "TEMPLATE", "callBackDesc": "TEMPLATE_FILL_RESULT", "callBackTemplateVO": object{
			"taskId": id, "taskStatus": status, "fields": []object{{"fieldType": 25}},
		}})
	}
	id := guid()
	g.accept(task(id, "1"), task(id, "2"), task(id, "2"), task(id, "3"), esign(object{"event": "SOMETHING_ELSE", "eventPayload": object{}}))
	got := map[string]int{}
	for _, e := range g.events() {
		got[e.Type] += 1 + e.Duplicates
		if e.AgreementID != "" || e.State != "processed" {
			t.Errorf("%s: agreement %q, state %s", e.VendorType, e.AgreementID, e.State)
		}
	}
	if want := map[string]int{"template.updated": 1, "template.filled": 2, "template.failed": 1, "other": 1}; !maps.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	if agreements := g.agreements(); len(agreements) != 0 {
		t.Errorf("got agreements %+v, want none", agreements)
	}
}

func TestESignGlobalFixtures(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			Name, Secret string
			Timestamp    string `json:"X-Tsign-Open-TIMESTAMP"`
			Query        string `json:"raw_query"`
			Body         string `json:"raw_body"`
			Signature    string `json:"X-Tsign-Open-SIGNATURE"`
		}
	}
	if err := json.Unmarshal([]byte(fixture(t, "esignglobal/esigncn_vectors_SELF_COMPUTED.json")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	g := start(t, "ESIGNGLOBAL_SECRETS="+file.Vectors[0].Secret)
	for _, v := range file.Vectors {
		t.Run("vector "+v.Name, func(t *testing.T) {
			g := g.in(t)
			r := esignSigned(v.Secret, v.Body, v.Query, "").with("X-Tsign-Open-TIMESTAMP", v.Timestamp)
			g.accept(r.with("X-Tsign-Open-SIGNATURE", v.Signature))
			g.refuse(r.with("X-Tsign-Open-SIGNATURE", strings.Repeat("0", len(v.Signature))))
		})
	}
	t.Run("the acknowledgement is the vendor's, byte for byte", func(t *testing.T) {
		g := g.in(t)
		r := esignSigned(file.Vectors[0].Secret, "{}", "", "")
		if got, want := g.send(r).Body, fixture(t, "esignglobal/ack_body.raw.json"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	for _, names := range []string{ // copies of one event, each list in a store of its own
		"v1_ENVELOPE_START v1_ENVELOPE_START_with_desc sent",
		"v1_ENVELOPE_FINISH v2_ENVELOPE_FINISH completed",
		"v1_ENVELOPE_SIGNER_VIEWED viewed",
		"v2_ENVELOPE_SIGNER_SIGNED signed",
		"v1_ENVELOPE_CANCEL cancelled",
		"v1_ENVELOPE_DECLINED declined",
		"v1_ENVELOPE_EXPIRED expired",
		"v1_ENVELOPE_ALL_SIGNER_SIGNED updated",
	} {
		t.Run(names, func(t *testing.T) {
			g := start(t, "ESIGNGLOBAL_SECRETS="+esignSecret)
			files := strings.Fields(names)
			files, status := files[:len(files)-1], files[len(files)-1]
			var sent struct {
				V1 struct{ EnvelopeID string } `json:"callBackEnvelopeVO"`
				V2 struct{ EnvelopeID string } `json:"eventPayload"`
			}
			for _, name := range files {
				body := fixture(t, "esignglobal/SYNTHETIC_"+name+".json")
				g.accept(esignSigned(esignSecret, body, "", ""))
				if err := json.Unmarshal([]byte(body), &sent); err != nil {
					t.Fatal(err)
				}
			}
			id := sent.V1.EnvelopeID + sent.V2.EnvelopeID
			if sent.V1.EnvelopeID != "" {
				id = sent.V1.EnvelopeID
			}
			if e := g.one("esignglobal", id, len(files)-1); e.Type != "agreement."+status {
				t.Errorf("got %s, want agreement.%s", e.Type, status)
			}
		})
	}
}
