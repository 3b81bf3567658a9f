package docusign_test

import (
	"fmt"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var provider docusign.Provider

func BenchmarkProvider(b *testing.B) { webhooktest.Benchmark(b, provider) }

func TestAcknowledgementIsAnEmpty200(t *testing.T) {
	if got := provider.Acknowledge(&webhook.Request{}); got.Status != 200 || len(got.Body) != 0 || len(got.Header) != 0 {
		t.Errorf("acknowledged with %+v", got)
	}
}

const (
	envelopeID = "11111111-2222-4333-8444-555555555555"
	accountID  = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	generated  = "2026-11-02T08:00:05.5470000Z"
)

// sim makes a SIM message with these members of data, and of the message itself.
func sim(event, data string, members ...string) string {
	more := ""
	for _, member := range members {
		more += "," + member
	}
	return fmt.Sprintf(`{"event":%q,"data":{%s}%s}`, event, data, more)
}

// about is sim of an event of the one envelope that most tests use, made at the usual time.
func about(event, data string) string {
	if data != "" {
		data = "," + data
	}
	return sim(event, `"envelopeId":"`+envelopeID+`"`+data, `"generatedDateTime":"`+generated+`"`)
}

// legacy makes an XML message with this content of EnvelopeStatus, and what follows that.
func legacy(status, more string) string {
	return `<DocuSignEnvelopeInformation xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus><EnvelopeID>` +
		envelopeID +
		`</EnvelopeID>` + status + `</EnvelopeStatus>` + more + `</DocuSignEnvelopeInformation>`
}

func identify(t *testing.T, body string) webhook.Identity {
	t.Helper()
	ids, err := provider.Identify(&webhook.Request{Body: []byte(body)})
	if err != nil || len(ids) != 1 {
		t.Fatalf("identified as %v, %v: %.300s", ids, err, body)
	}
	return ids[0]
}

// events returns what a message reports, by event ID and in the order of the message.
func events(t *testing.T, body string) (ids []string, all []esign.Event) {
	t.Helper()
	found, err := provider.Identify(&webhook.Request{Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range found {
		e, err := provider.Normalize(&webhook.Delivery{EventID: id.EventID, Payload: []byte(body)})
		if err != nil || !e.OccurredAt.Equal(id.OccurredAt) || e.Approximate != id.Approximate {
			t.Fatalf("%v, %v, %v", err, e, id)
		}
		ids, all = append(ids, id.EventID), append(all, e)
	}
	return ids, all
}

func normalize(t *testing.T, body string) esign.Event {
	t.Helper()
	e, err := provider.Normalize(&webhook.Delivery{Payload: []byte(body)})
	if err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	return e
}
