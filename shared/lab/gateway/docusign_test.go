package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// These look like base64, as DocuSign's keys do, and must not be decoded.
const (
	docusignKey    = "YmxhY2sgYm94IHRlc3Qga2V5IG51bWJlciBvbmUhISE="
	docusignSecond = "YmxhY2sgYm94IHRlc3Qga2V5IG51bWJlciB0d28hISE="
	docusignAlien  = "YW5vdGhlciBhY2NvdW50J3Mga2V5LCBub3Qgb3VycyE="
)

const docusignKeys = "DOCUSIGN_HMAC_KEYS=" + docusignKey + "," + docusignSecond

func sum(key, message string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

func docusignSignature(key, body string) string {
	return base64.StdEncoding.EncodeToString(sum(key, body))
}

// docusignBody is a message with one signature for each key; without a key, for the first configured one.
func docusignBody(body string, keys ...string) request {
	if len(keys) == 0 {
		keys = []string{docusignKey}
	}
	r := request{path: "/webhooks/docusign", body: body, header: map[string]string{
		"Content-Type": "application/json; charset=utf-8", "X-Authorization-Digest": "HMACSHA256",
	}}
	for i, key := range keys {
		r.header[fmt.Sprintf("X-DocuSign-Signature-%d", i+1)] = docusignSignature(key, body)
	}
	return r
}

// docusignMessage is a SIM message without a summary.
func docusignMessage(envelope, name string, second int, change ...object) object {
	const account = "0a1b2c3d-1111-4222-8333-444455556666"
	return merge(object{
		"event": name, "apiVersion": "v2.1", "retryCount": 0, "configurationId": 20200101,
		"uri":               "/restapi/v2.1/accounts/" + account + "/envelopes/" + envelope,
		"generatedDateTime": moment(second).Format("2006-01-02T15:04:05.0000000Z"),
		"data":              object{"accountId": account, "userId": "99998888-7777-4666-8555-444433332222", "envelopeId": envelope},
	}, change...)
}

func docusign(envelope, name string, second int, change ...object) request {
	return docusignBody(text(docusignMessage(envelope, name, second, change...)))
}

// data changes the field data of a message.
func data(envelope string, change object) object {
	return object{"data": merge(object{"accountId": "0a1b2c3d-1111-4222-8333-444455556666", "envelopeId": envelope}, change)}
}

func recipient(envelope, id string) object { return data(envelope, object{"recipientId": id}) }

func docusignXML(envelope, status string, second, generated int, siblings string) request {
	at := moment(second).Format("2006-01-02T15:04:05.00")
	body := `<?xml version="1.0" encoding="utf-8"?>` + "\r\n" +
		`<DocuSignEnvelopeInformation xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus>` +
		`<RecipientStatuses><RecipientStatus><Type>Signer</Type><Email>a@people.example</Email><Status>Sent</Status>` +
		`<RecipientId>11112222-3333-4444-8555-666677778888</RecipientId></RecipientStatus></RecipientStatuses>` +
		`<TimeGenerated>` + moment(generated).Format("2006-01-02T15:04:05.0000000") + `</TimeGenerated>` +
		`<EnvelopeID>` + envelope + `</EnvelopeID><Subject>Lease</Subject><Status>` + status + `</Status>` +
		`<` + status + `>` + at + `</` + status + `></EnvelopeStatus>` + siblings + `</DocuSignEnvelopeInformation>`
	return docusignBody(body).with("Content-Type", "text/xml")
}

func TestDocuSignAcknowledgesEverythingGenuineAlike(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	first := docusign(guid(), "envelope-sent", 1)
	g.alike(first, first, docusign(guid(), "envelope-not-yet-invented", 1), docusignBody(`{"event":`), docusignBody(""),
		docusignXML(guid(), "Completed", 1, 2, ""))
}

func TestDocuSignUnreadableBodiesAreKept(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	bodies := []string{
		"", "{", "<DocuSignEnvelopeInformation><EnvelopeStatus>", "plain text", "\xff\xfe\x80",
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body/></soap:Envelope>`,
	}
	for _, body := range bodies {
		g.accept(docusignBody(body))
	}
	g.unreadable(len(bodies))
}

func TestDocuSignRotatesKeys(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	body := text(docusignMessage(id, "envelope-sent", 1))
	r := docusignBody(body)
	g.accept(
		r,
		docusignBody(body, docusignSecond),
		docusignBody(body, docusignAlien, docusignKey),
		docusignBody(body, docusignAlien, docusignSecond),
		docusignBody(body, docusignAlien, docusignAlien, docusignAlien, docusignAlien, docusignSecond),
		r.without("X-DocuSign").with("x-docusign-signature-1", docusignSignature(docusignKey, body)),
		r.without("X-DocuSign").with("X-DOCUSIGN-SIGNATURE-2", docusignSignature(docusignKey, body)),
		r.without("X-Authorization"),
	)
	if e := g.one("docusign", id, 7); e.Proof != "signed" {
		t.Errorf("proof %q, want signed", e.Proof)
	}
}

func TestDocuSignRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	body := text(docusignMessage(guid(), "envelope-completed", 1))
	r, good := docusignBody(body), docusignSignature(docusignKey, body)
	decoded, err := base64.StdEncoding.DecodeString(docusignKey)
	if err != nil {
		t.Fatal(err)
	}
	changed := r
	changed.body = strings.Replace(body, "completed", "completee", 1)
	longer := r
	longer.body += "\n"
	g.refuse(
		r.without("X-DocuSign"), changed, longer,
		docusignBody(body, docusignAlien), docusignBody(body, docusignAlien, docusignAlien),
		docusignBody(body, string(decoded)), docusignBody(body, ""), docusignBody("", docusignAlien),
		r.with("X-DocuSign-Signature-1", ""),
		r.with("X-DocuSign-Signature-1", hex.EncodeToString(sum(docusignKey, body))),
		r.with("X-DocuSign-Signature-1", good[:20]),
		r.with("X-DocuSign-Signature-1", docusignSignature(docusignKey, "")),
		r.without("X-DocuSign").to("/webhooks/docusign?test=1"),
		r.without("X-DocuSign").to("/webhooks/docusign?X-DocuSign-Signature-1="+strings.ReplaceAll(good, "+", "%2B")),
	)
	if events := g.events(); len(events) != 0 {
		t.Errorf("refused requests left events: %s", names(events))
	}
	id := guid()
	g.accept(docusign(id, "envelope-sent", 1))
	g.refuse(docusign(id, "envelope-sent", 1).without("X-DocuSign"))
	g.one("docusign", id, 0) // nor do they count as duplicates
}

func TestDocuSignOneHappeningIsOneEvent(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	summary := func(change object) object {
		return merge(object{"status": "completed", "emailSubject": "Lease", "statusChangedDateTime": "2026-03-04T10:20:05.12Z"}, change)
	}
	delivered := object{"signers": []object{{"recipientId": "7", "status": "delivered", "deliveredDateTime": "2026-03-04T10:20:03.5Z"}}}
	for name, copies := range map[string]func(id string) []request{
		"a retry with another retryCount, a number or a string": func(id string) []request {
			return []request{
				docusign(id, "envelope-sent", 1), docusign(id, "envelope-sent", 1, object{"retryCount": 1}),
				docusign(id, "envelope-sent", 1, object{"retryCount": "2"}),
			}
		},
		"account level and envelope level": func(id string) []request {
			return []request{
				docusign(id, "envelope-completed", 1), docusign(id, "envelope-completed", 1, object{"configurationId": 7}),
				docusign(id, "envelope-completed", 1, object{"configurationId": nil}),
			}
		},
		"a terminal event generated again": func(id string) []request {
			return []request{docusign(id, "envelope-declined", 1), docusign(id, "envelope-declined", 40)}
		},
		"a recipient's completion generated again": func(id string) []request {
			return []request{
				docusign(id, "recipient-completed", 1, recipient(id, "1")), docusign(id, "recipient-completed", 40, recipient(id, "1")),
			}
		},
		"with and without a summary": func(id string) []request {
			return []request{
				docusign(id, "envelope-completed", 6), docusign(id, "envelope-completed", 7, data(id, object{"envelopeSummary": summary(nil)})),
			}
		},
		"recipient-delivered generated again, with the recipient's own time in the summary": func(id string) []request {
			change := data(id, object{"recipientId": "7", "envelopeSummary": summary(object{"status": "sent", "recipients": delivered})})
			return []request{docusign(id, "recipient-delivered", 4, change), docusign(id, "recipient-delivered", 44, change)}
		},
		"XML, aggregate and SIM of a completion, with GUIDs in any case": func(id string) []request {
			aggregate := object{"envelopeId": id, "status": "completed", "completedDateTime": "2026-03-04T10:20:05.12Z"}
			return []request{
				docusignXML(id, "Completed", 5, 25, ""), docusignXML(strings.ToUpper(id), "Completed", 5, 26, ""),
				docusign(id, "envelope-completed", 6), docusign(strings.ToUpper(id), "envelope-completed", 6),
				docusignBody(text(aggregate)), docusignBody(text(merge(aggregate, object{"envelopeId": strings.ToUpper(id)}))),
			}
		},
		"XML of a refusal and SIM of it": func(id string) []request {
			return []request{docusignXML(id, "Declined", 5, 25, ""), docusign(id, "envelope-declined", 6)}
		},
		"XML of Sent, made again later": func(id string) []request {
			return []request{docusignXML(id, "Sent", 5, 25, ""), docusignXML(id, "Sent", 5, 55, "")}
		},
		"an envelope ID in the uri only": func(id string) []request {
			return []request{
				docusign(id, "envelope-completed", 1), docusign(id, "envelope-completed", 1, data(id, object{"envelopeId": nil})),
			}
		},
		"with a byte order mark": func(id string) []request {
			body := text(docusignMessage(id, "envelope-completed", 1))
			return []request{docusignBody(body), docusignBody("\ufeff" + body), docusignBody("\ufeff\r\n " + docusignXML(id, "Completed", 1, 2, "").body)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			requests := copies(id)
			g.accept(requests...)
			g.one("docusign", id, len(requests)-1)
		})
	}
}

func TestDocuSignTellsHappeningsApart(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	for name, different := range map[string]func(id string) []request{
		"two recipients complete in one moment": func(id string) []request {
			return []request{
				docusign(id, "recipient-completed", 1, recipient(id, "1")), docusign(id, "recipient-completed", 1, recipient(id, "2")),
			}
		},
		"two recipients decline": func(id string) []request {
			return []request{
				docusign(id, "recipient-declined", 1, recipient(id, "1")), docusign(id, "recipient-declined", 1, recipient(id, "2")),
			}
		},
		"an envelope is resent twice": func(id string) []request {
			return []request{docusign(id, "envelope-resent", 1), docusign(id, "envelope-resent", 2)}
		},
		"an envelope is corrected twice": func(id string) []request {
			return []request{docusign(id, "envelope-corrected", 1), docusign(id, "envelope-corrected", 2)}
		},
		"an unknown event comes twice": func(id string) []request {
			return []request{docusign(id, "envelope-not-yet-invented", 1), docusign(id, "envelope-not-yet-invented", 2)}
		},
		"XML of Sent at two times": func(id string) []request {
			return []request{docusignXML(id, "Sent", 5, 25, ""), docusignXML(id, "Sent", 8, 25, "")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			requests := different(id)
			g.accept(requests...)
			g.many("docusign", id, len(requests))
		})
	}
}

// TestDocuSignTypes has one type per status, and one of each other format; the provider's own tests have them all.
func TestDocuSignTypes(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	type meaning struct{ kind, status string }
	for name, want := range map[string]meaning{
		"envelope-created":                 {"agreement.created", "created"},
		"envelope-sent":                    {"agreement.sent", "sent"},
		"envelope-delivered":               {"agreement.viewed", "viewed"},
		"recipient-completed":              {"agreement.signed", "signed"},
		"envelope-completed":               {"agreement.completed", "completed"},
		"envelope-declined":                {"agreement.declined", "declined"},
		"envelope-voided":                  {"agreement.cancelled", "cancelled"},
		"envelope-voided since it expired": {"agreement.expired", "expired"},
		"envelope-not-yet-invented":        {"other", ""},
		"XML TimedOut":                     {"agreement.expired", "expired"},
		"aggregate completed":              {"agreement.completed", "completed"},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			switch kind, status, _ := strings.Cut(name, " "); {
			case kind == "XML":
				g.accept(docusignXML(id, status, 3, 23, ""))
			case kind == "aggregate":
				g.accept(docusignBody(text(object{
					"envelopeId": id, "status": status, status + "DateTime": moment(3), "statusChangedDateTime": moment(3),
				})))
			case status != "":
				g.accept(docusign(id, kind, 3, data(id, object{"envelopeSummary": object{
					"status": "voided", "voidedReason": "Envelope has expired.", "statusChangedDateTime": moment(3),
				}})))
			case strings.HasPrefix(kind, "recipient-"):
				g.accept(docusign(id, kind, 3, recipient(id, "1")))
			default:
				g.accept(docusign(id, kind, 3))
			}
			if got := g.one("docusign", id, 0); got.Type != want.kind || got.AgreementID != id || !got.OccurredAt.Equal(moment(3)) {
				t.Errorf("got %+v, want %s at %v", got, want.kind, moment(3))
			}
			if a := g.agreement("docusign", id); a.Status != want.status {
				t.Errorf("got status %q, want %q", a.Status, want.status)
			}
		})
	}
}

func TestDocuSignOtherEventsAreNoAgreements(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	click := func(id, name string) request {
		return docusign("", name, 1, object{"uri": "/clickapi/v1/accounts/x", "data": object{"accountId": "a", "agreementId": id, "clickwrapId": "c"}})
	}
	one, two := guid(), guid()
	g.accept(click(one, "click-agreed"), click(two, "click-agreed"), click(one, "click-declined"), click(one, "click-agreed"))
	template := object{"uri": "/restapi/v2.1/accounts/x/templates/" + one, "data": object{"accountId": "a", "templateId": one}}
	g.accept(docusign("", "template-created", 1, template), docusign("", "template-modified", 1, template), docusign("", "template-deleted", 1, template))
	g.accept(docusign("", "sms-opt-in", 1, object{"uri": "/", "data": object{"accountId": "a"}}))
	got := map[string]int{}
	for _, e := range g.events() {
		got[e.VendorType+" "+e.Type]++
		if e.State != "processed" || e.AgreementID != "" {
			t.Errorf("%s: state %s, agreement %q", e.VendorType, e.State, e.AgreementID)
		}
	}
	for what, n := range map[string]int{
		"click-agreed other": 2, "click-declined other": 1, "template-created template.created": 1,
		"template-modified template.updated": 1, "template-deleted template.deleted": 1, "sms-opt-in other": 1,
	} {
		if got[what] != n {
			t.Errorf("got %d of %q, want %d; all: %v", got[what], what, n, got)
		}
	}
	if agreements := g.agreements(); len(agreements) != 0 {
		t.Errorf("got agreements %+v, want none", agreements)
	}
}

func TestDocuSignTimes(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	for name, tt := range map[string]struct {
		request func(id string) request
		want    time.Time
	}{
		"of an envelope event is the summary's": {func(id string) request {
			return docusign(id, "envelope-completed", 30, data(id, object{"envelopeSummary": object{
				"status": "completed", "statusChangedDateTime": "2026-03-04T10:20:05.1200000Z",
			}}))
		}, moment(5).Add(120 * time.Millisecond)},
		"without a summary is when the message was made": {func(id string) request {
			return docusign(id, "envelope-completed", 30)
		}, moment(30)},
		"of XML is the status's own, in the zone of its sibling": {func(id string) request {
			return docusignXML(id, "Completed", 5, 25, "<TimeZone>Pacific Standard Time</TimeZone><TimeZoneOffset>-7</TimeZoneOffset>")
		}, moment(5).Add(7 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			g.accept(tt.request(id))
			if e := g.one("docusign", id, 0); !e.OccurredAt.Equal(tt.want) {
				t.Errorf("got %v, want %v", e.OccurredAt, tt.want)
			}
		})
	}
}

func TestDocuSignSignsTheBytesAsTheyCome(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	pretty, err := json.MarshalIndent(docusignMessage(guid(), "envelope-sent", 1, object{"note": "é 🦀 \u2028"}), "\t", "  ")
	if err != nil {
		t.Fatal(err)
	}
	latin := text(docusignMessage(guid(), "envelope-sent", 1, object{"note": "XX"}))
	for _, body := range []string{
		"\r\n" + strings.ReplaceAll(string(pretty), "\n", "\r\n") + "\r\n",
		strings.Replace(latin, "XX", "caf\xe9 \xff", 1), // not UTF-8
	} {
		g.accept(docusignBody(body), docusignBody(body).with("Content-Type", "text/plain"), docusignBody(body).with("Content-Type", "application/octet-stream"))
	}
	for _, e := range g.events() {
		if e.Duplicates != 2 || e.State == "received" {
			t.Errorf("got %+v, want two duplicates", e)
		}
	}
	if n := len(g.events()); n != 2 {
		t.Errorf("got %d events, want 2", n)
	}
}

func TestDocuSignLargeBodiesAreTaken(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	change := data(id, object{"envelopeSummary": object{"status": "completed", "envelopeDocuments": []object{
		{"documentId": "1", "name": "lease.pdf", "type": "content", "PDFBytes": strings.Repeat("JVBERi0x", 3<<20/8)},
	}}})
	g.accept(docusign(id, "envelope-completed", 1, change), docusign(id, "envelope-completed", 2, change))
	if e := g.one("docusign", id, 1); e.Type != "agreement.completed" {
		t.Errorf("got %s, want agreement.completed", e.Type)
	}
}

func TestDocuSignFixtures(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	for name, kind := range map[string]string{
		"wild_json_sim_envelope_completed_full.json": "agreement.completed",
		"wild_json_sim_envelope_completed_min.json":  "agreement.completed",
		"wild_json_sim_recipient_completed_min.json": "agreement.signed",
	} {
		t.Run(name, func(t *testing.T) {
			g, body := g.in(t), fixture(t, "docusign/"+name)
			var sent struct{ Data struct{ EnvelopeID string } }
			if err := json.Unmarshal([]byte(body), &sent); err != nil {
				t.Fatal(err)
			}
			g.accept(docusignBody(body), docusignBody(body))
			found := 0
			for _, e := range g.agreement("docusign", sent.Data.EnvelopeID).Events {
				if e.Type == kind && e.Duplicates == 1 && e.State == "processed" {
					found++
				}
			}
			if found != 1 {
				t.Errorf("got %d events %s, want one", found, kind)
			}
		})
	}
	t.Run("official_xml_envelope_completed.xml", func(t *testing.T) {
		g, body := g.in(t), fixture(t, "docusign/official_xml_envelope_completed.xml")
		between := func(a, b string) string {
			_, rest, _ := strings.Cut(body, a)
			inner, _, _ := strings.Cut(rest, b)
			return inner
		}
		at, err := time.Parse("2006-01-02T15:04:05.99-07", between("<Completed>", "</Completed>")+"-07")
		if err != nil {
			t.Fatal(err)
		}
		id := between("<EnvelopeID>", "</EnvelopeID>")
		g.accept(docusignBody(body), docusign(id, "envelope-completed", 1))
		e := g.one("docusign", id, 1)
		if a := g.agreement("docusign", id); a.Status != "completed" || !e.OccurredAt.Equal(at) {
			t.Errorf("got %s at %v, want completed at %v", a.Status, e.OccurredAt, at)
		}
	})
	t.Run("schema_sample.json", func(t *testing.T) {
		g := g.in(t)
		before := len(g.events())
		g.accept(docusignBody(fixture(t, "docusign/schema_sample.json")))
		if events := g.events(); len(events) != before+1 || events[0].State != "processed" {
			t.Errorf("got %d events, the newest %+v; want one more, processed", len(events)-before, events[0])
		}
	})
}
