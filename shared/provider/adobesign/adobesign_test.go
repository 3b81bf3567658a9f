package adobesign_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

const documentationID = "BGBQIIE7H253K6" // of Adobe's own samples

func BenchmarkProvider(b *testing.B) { webhooktest.Benchmark(b, adobesign.Provider{}) }

func keys(ids ...string) webhook.Keys { return webhook.Keys{Keys: webhook.Secrets(ids...)} }

// post returns a POST that names the client IDs as they are given.
func post(body string, clientIDs ...string) *webhook.Request {
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	for _, id := range clientIDs {
		r.Header.Add("x-adobesign-clientid", id)
	}
	return r
}

// TestEcho checks that each answer contains the client ID. Adobe treats an answer without it as a failure, even with
// status 200.
func TestEcho(t *testing.T) {
	want := &webhook.Response{
		Status: http.StatusOK,
		Header: http.Header{
			"X-AdobeSign-ClientId": {documentationID}, // with Adobe's spelling, for an exact comparison
			"Content-Type":         {"application/json"},
		},
		Body: []byte(`{"xAdobeSignClientId":"BGBQIIE7H253K6"}`),
	}
	asked := post("", documentationID)
	asked.Method = http.MethodGet
	challenge, err := adobesign.Provider{}.Challenge(asked, keys("UNRELATED", documentationID))
	if diff := cmp.Diff(want, challenge); diff != "" || err != nil {
		t.Errorf("challenge: %v %s", err, diff)
	}
	for name, r := range map[string]*webhook.Request{
		"an event":                  post(`{"event":"AGREEMENT_CREATED"}`, documentationID),
		"malformed JSON":            post(`{"event":`, documentationID),
		"an unknown event":          post(`{"event":"AGREEMENT_SEALED_WITH_WAX"}`, documentationID),
		"no body":                   post("", documentationID),
		"the ID twice and in space": post("{}", documentationID+" ", documentationID),
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, adobesign.Provider{}.Acknowledge(r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAcknowledgeEchoesNothingThatIsNotAnID(t *testing.T) {
	for _, values := range [][]string{
		nil, {""}, {"A", "B"}, {"A\r\nSet-Cookie: a=b"}, {"A B"}, {"\x00"}, {"\xff"}, {"é"},
	} {
		want := &webhook.Response{Status: http.StatusUnauthorized}
		if diff := cmp.Diff(want, adobesign.Provider{}.Acknowledge(post("{}", values...))); diff != "" {
			t.Errorf("%q: %s", values, diff)
		}
	}
}

func TestEchoedBodyIsJSONForAnyID(t *testing.T) {
	answer := adobesign.Provider{}.Acknowledge(post("{}", `A"\<B`))
	if got, want := string(answer.Body), `{"xAdobeSignClientId":"A\"\\\u003cB"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExampleOfTheVerification(t *testing.T) {
	r := webhooktest.Examples(t, "adobesign")["verification"]
	answer, err := adobesign.Provider{}.Challenge(r, webhooktest.DevelopmentKeys(adobesign.Provider{}))
	if err != nil || string(answer.Body) != `{"xAdobeSignClientId":"DEVELOPMENTCLIENTID"}` {
		t.Errorf("answered with %v, %v", answer, err)
	}
}
