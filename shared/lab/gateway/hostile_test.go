package gateway

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// sound wants that every event came to an end that is not a failure, and that what we know can still be read.
func (g *gateway) sound(atLeast int) {
	g.t.Helper()
	events := g.events()
	if len(events) < atLeast {
		g.t.Errorf("got %d events, want at least %d", len(events), atLeast)
	}
	for _, e := range events {
		if e.State != "processed" && e.State != "unreadable" {
			g.t.Errorf("%s %q is %s", e.Provider, e.VendorType, e.State)
		}
	}
	g.agreements()
	if got := g.send(request{method: "GET", path: "/"}); got.Status != 200 || !strings.HasSuffix(strings.TrimSpace(got.Body), "</html>") {
		g.t.Errorf("the page: got %d, %d bytes", got.Status, len(got.Body))
	}
}

func TestOddNamesAndIDsAreNeitherRefusedNorLost(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys, docusignKeys)
	odd := []string{
		"with space", "a#b", "a@b", "@", "a/b/../c", "%2F", "..", "a\nb", "a\x00b", "\u202eabc", "é", "🦀", "ﬀ\u0000",
		strings.Repeat("x", 129), strings.Repeat("é", 100), strings.Repeat("y", 20_000),
	}
	for i, id := range odd {
		g.accept(adobe(id, "AGREEMENT_WORKFLOW_COMPLETED"), adobe(id, "AGREEMENT_WORKFLOW_COMPLETED"))
		g.accept(adobe(fmt.Sprint("odd name ", i), "AGREEMENT_"+id), docusign(id, "envelope-"+id, 1))
	}
	g.sound(3 * len(odd))
	for _, id := range odd[:len(odd)-1] {
		if id == ".." {
			continue // a client resolves it
		}
		if a := g.agreement("adobesign", id); a.ID != id || a.Status != "completed" || len(a.Events) != 1 {
			t.Errorf("%.40q: got %.40q, %s with %d events", id, a.ID, a.Status, len(a.Events))
		}
	}
}

func TestOddIDsDoNotCollide(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	ids := []string{"@", "x", "x#@", "widget:x", "WIDGET:x", "other:x", "account:x", "template:x", "sha256:x"}
	for _, id := range ids {
		g.accept(adobe(id, "AGREEMENT_CREATED"), adobe(id, "AGREEMENT_CREATED"))
	}
	g.accept(adobeBody("{"), adobe("", "WIDGET_CREATED", object{"agreement": nil, "eventResourceType": "WIDGET", "widget": object{"id": "x"}}))
	for _, id := range ids {
		g.one("adobesign", id, 1)
	}
	if events, agreements := g.events(), g.agreements(); len(events) != len(ids)+2 || len(agreements) != len(ids) {
		t.Errorf("got %d events and %d agreements, want %d and %d", len(events), len(agreements), len(ids)+2, len(ids))
	}
}

func TestOddValuesAreNeitherRefusedNorLost(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	values := []any{7, -1.5e300, true, []any{}, []any{[]any{}}, object{}, object{"x": object{}}, "garbage", ""}
	for _, value := range values {
		for _, field := range []string{
			"event", "eventDate", "eventResourceType", "participantUserId", "agreement", "webhookNotificationId", "conditionalParametersTrimmed",
			"webhookId", "subEvent", "actionType", "accountId", "participantUserEmail",
		} {
			g.accept(adobe(guid(), "AGREEMENT_CREATED", object{field: value}))
		}
		for _, field := range []string{"event", "retryCount", "generatedDateTime", "data", "uri", "configurationId"} {
			g.accept(docusign(guid(), "envelope-sent", 1, object{field: value}))
		}
		for _, field := range []string{"envelopeId", "recipientId", "envelopeSummary", "accountId"} {
			g.accept(docusign(guid(), "recipient-completed", 1, data(guid(), object{"recipientId": "1"}), data(guid(), object{field: value})))
		}
		g.accept(docusign(guid(), "envelope-sent", 1, data(guid(), object{"envelopeSummary": object{
			"status": value, "statusChangedDateTime": value, "recipients": value, "sentDateTime": value,
		}})))
		for _, field := range []string{"callBackDesc", "callBackEnum", "callBackEnvelopeVO"} {
			g.accept(esign(merge(esignV1(guid(), "ENVELOPE_FINISH", nil), object{field: value})))
		}
		for _, field := range []string{"envelopeId", "envelopeStatus", "envelopeEndTime", "signerInfo", "signedSignerList"} {
			g.accept(esign(esignV1(guid(), "ENVELOPE_SIGNER_SIGNED", object{field: value})))
			g.accept(esign(esignV2(guid(), "ENVELOPE_SIGNER_SIGNED", object{field: value, "signerList": value})))
		}
		for _, field := range []string{"signature_request_id", "signatures", "metadata", "title"} {
			message := dropboxMessage(dropboxKey, "signature_request_signed", 1, object{"related_signature_id": value}, signatureRequest(guid(), object{field: value}))
			g.accept(multipartForm(message, contentSha256(dropboxKey, message)))
		}
	}
	g.accept(adobeBody(strings.Repeat("[", 200_000)), docusignBody(strings.Repeat(`{"a":`, 200_000)), docusignBody(strings.Repeat("<a>", 100_000)))
	g.sound(100)
}

func TestTimesBeyondAllCalendarsDoNoHarm(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	n := 0
	for _, at := range []int64{0, -1, 253402300800, 999999999999999, 9223372036854775807, -9223372036854775808} {
		id, name := guid(), "signature_request_sent"
		message := dropboxMessage(dropboxKey, name, 1, nil, signatureRequest(id, nil))
		before := strconv.FormatInt(moment(1).Unix(), 10)
		after := strconv.FormatInt(at, 10)
		hash := func(at string) string { return fmt.Sprintf("%x", sum(dropboxKey, at+name)) }
		message = strings.NewReplacer(hash(before), hash(after), before, after).Replace(message)
		if at >= 0 { // a minus sign is for the receiver to judge
			g.accept(multipartForm(message, contentSha256(dropboxKey, message)))
			n++
		}
		g.accept(
			esign(esignV1(guid(), "ENVELOPE_FINISH", object{"envelopeStatus": 2, "envelopeEndTime": at})),
			esign(esignV1(guid(), "ENVELOPE_SIGNER_VIEWED", object{"signerInfo": signer("ann", 1, object{"viewedTime": after})})),
		)
		n += 2
	}
	for _, at := range []string{"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z"} {
		id := guid()
		g.accept(adobe(guid(), "AGREEMENT_CREATED", object{"eventDate": at}), docusign(id, "envelope-resent", 1, object{"generatedDateTime": at}),
			docusign(guid(), "envelope-sent", 1, data(guid(), object{"envelopeSummary": object{"statusChangedDateTime": at}})))
		n += 3
	}
	g.sound(n)
}
