package dropboxsign_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/dropboxsign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var (
	provider = dropboxsign.Provider{}
	keys     = webhooktest.DevelopmentKeys(provider)
)

func BenchmarkProvider(b *testing.B) { webhooktest.Benchmark(b, provider) }

func TestExamplesOfAllShapes(t *testing.T) {
	proofs := map[esign.Proof]int{}
	for name, r := range webhooktest.Examples(t, "dropboxsign") {
		proof, err := provider.Verify(r, keys)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		proofs[proof]++
	}
	if proofs[esign.ProofSigned] < 10 || proofs[esign.ProofPartlySigned] != 2 {
		t.Errorf("proofs %v", proofs)
	}
}

func TestAcknowledgementIsTheExactText(t *testing.T) {
	answer := provider.Acknowledge(&webhook.Request{})
	if answer.Status != 200 || string(answer.Body) != "Hello API Event Received" ||
		answer.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%d %q %v", answer.Status, answer.Body, answer.Header)
	}
}

// mac is lower-case hex HMAC-SHA256.
func mac(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

const developmentKey = "development-dropboxsign-api-key"

// callback returns a message with a valid event_hash, without metadata, and with rest: ` ,"signature_request":{…}` or
// nothing.
func callback(eventType, eventTime, rest string) string {
	return fmt.Sprintf(`{"event":{"event_type":%q,"event_time":%q,"event_hash":%q}%s}`,
		eventType, eventTime, mac(developmentKey, eventTime+eventType), rest)
}

// withMetadata is callback with event_metadata.
func withMetadata(eventType, eventTime, metadata, rest string) string {
	return fmt.Sprintf(`{"event":{"event_type":%q,"event_time":%q,"event_hash":%q,"event_metadata":%s}%s}`,
		eventType, eventTime, mac(developmentKey, eventTime+eventType), metadata, rest)
}

func post(contentType, body string) *webhook.Request {
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func asJSON(message string) *webhook.Request { return post("application/json", message) }

func asURLEncoded(message string) *webhook.Request {
	return post("application/x-www-form-urlencoded", url.Values{"json": {message}}.Encode())
}

const multipartType = "multipart/form-data; boundary=xYz"

// part is one field of a form with the boundary xYz.
func part(name, value string) string {
	return "--xYz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

const end = "--xYz--\r\n"

func asMultipart(message string) *webhook.Request {
	return post(multipartType, part("json", message)+end)
}

// withDigest adds Content-Sha256 over message.
func withDigest(r *webhook.Request, message string) *webhook.Request {
	r.Header.Set("Content-Sha256", base64.StdEncoding.EncodeToString([]byte(mac(developmentKey, message))))
	return r
}

// only returns the one identity of r.
func only(t testing.TB, r *webhook.Request) webhook.Identity {
	t.Helper()
	ids, err := provider.Identify(r)
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	return ids[0]
}

// meaning returns the normalised event of r.
func meaning(t testing.TB, r *webhook.Request) esign.Event {
	t.Helper()
	event, err := provider.Normalize(webhooktest.Delivery(provider, r, only(t, r), ""))
	if err != nil {
		t.Fatal(err)
	}
	return event
}
