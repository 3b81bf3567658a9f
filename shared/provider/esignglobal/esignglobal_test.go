package esignglobal_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/esignglobal"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var provider = esignglobal.Provider{}

func BenchmarkProvider(b *testing.B) { webhooktest.Benchmark(b, provider) }

const acknowledgement = `{"code":"200","msg":"success"}`

func TestAcknowledge(t *testing.T) {
	for name, body := range map[string]string{"an event": finish, "unreadable": "<xml/>", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			want := &webhook.Response{
				Status: 200,
				Header: http.Header{"Content-Type": {"application/json"}},
				Body:   []byte(acknowledgement),
			}
			if diff := cmp.Diff(want, provider.Acknowledge(post(body))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAcknowledgeIsTheVendorsRecommendation(t *testing.T) {
	if want := webhooktest.Fixture(t, "esignglobal/ack_body.raw.json"); string(want) != acknowledgement {
		t.Errorf("want %s", want)
	}
}

const finish = `{"event":"ENVELOPE_FINISH","eventPayload":{"envelopeId":"env-1","envelopeStatus":2}}`

func post(body string) *webhook.Request {
	return &webhook.Request{Method: "POST", Header: http.Header{}, Body: []byte(body)}
}

func identify(t testing.TB, body string) webhook.Identity {
	t.Helper()
	ids, err := provider.Identify(post(body))
	if err != nil || len(ids) != 1 {
		t.Fatalf("identified as %v, %v: %.200s", ids, err, body)
	}
	return ids[0]
}

func normalize(t testing.TB, body string) esign.Event {
	t.Helper()
	event, err := provider.Normalize(webhooktest.Delivery(provider, post(body), identify(t, body), ""))
	if err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	return event
}

func TestUnreadable(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                  "",
		"white space":              " \r\n",
		"a byte order mark only":   "\xef\xbb\xbf",
		"null":                     "null",
		"a list":                   "[" + finish + "]",
		"a string":                 `"ENVELOPE_FINISH"`,
		"a number":                 "200",
		"a form":                   "event=ENVELOPE_FINISH&envelopeId=env-1",
		"not UTF-8 and not JSON":   "\xff\xfe{\x00}\x00",
		"cut off":                  finish[:len(finish)-1],
		"two objects":              finish + finish,
		"a tab within a key":       "{\"envelope\tId\":1}",
		"an invalid escape":        `{"envelope \x49d":1}`,
		"a key that is cut off":    `{"envelope Id`,
		"a key cut off after \\":   `{"envelope Id\`,
		"a key without a value":    `{"envelope Id":}`,
		"a hundred thousand lists": `{"event":"ENVELOPE_FINISH","x":` + nested("[", "]") + `}`,
		"as many objects":          nested(`{"x":`, "}"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := provider.Identify(post(body)); !errors.Is(err, webhook.ErrUnreadable) {
				t.Errorf("identified: %v", err)
			}
			if _, err := provider.Normalize(&webhook.Delivery{Payload: []byte(body)}); !errors.Is(err, webhook.ErrUnreadable) {
				t.Errorf("normalised: %v", err)
			}
		})
	}
}

func nested(open, shut string) string {
	return strings.Repeat(open, 100_000) + "1" + strings.Repeat(shut, 100_000)
}
