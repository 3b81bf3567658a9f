package dropboxsign_test

import (
	"strings"
	"testing"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// TestExplain plants mistakes with the two signatures of a callback. Those with one key are tested for all vendors.
func TestExplain(t *testing.T) {
	example := webhooktest.Examples(t, "dropboxsign")["signature-request-all-signed"]
	replace := func(old, with string) func(*webhook.Request) {
		return func(r *webhook.Request) { r.Body = []byte(strings.ReplaceAll(string(r.Body), old, with)) }
	}
	const placeholder = "3a31324d1919d7cdc849ff407adf38fc01e01107d9400b028ff8c892469ca947" // of the documents
	for mistake, tt := range map[string]struct {
		change func(*webhook.Request)
		want   string
	}{
		"another message":       {replace("signature_request_id", "signature_request_ID"), "body-changed"},
		"spaces in the message": {replace(`","`, `", "`), "body-changed"},
		"the form is cut off":   {func(r *webhook.Request) { r.Body = r.Body[:len(r.Body)/2] }, "body-changed"},
		"the form is rebuilt":   {replace(`name="json"`, `name="data"`), "body-changed"},
		"no event_hash":         {replace("event_hash", "hash"), "signature-missing"},
		"no form":               {func(r *webhook.Request) { r.Body = []byte("hello"); r.Header.Del("Content-Sha256") }, "signature-missing"},
		"another header's end":  {func(r *webhook.Request) { r.Header.Set("Content-Sha256", "YjQ0") }, "signature-malformed"},
		"the same without a header": {func(r *webhook.Request) {
			r.Header.Del("Content-Sha256")
			replace("6465aeae12c3e7803f175347d65a783348c93bf65e3971735b38a6d76bf85e58", placeholder)(r)
		}, "development-key"},
		"an API key of another team": {nil, "wrong-key"},
	} {
		r := webhooktest.Clone(example)
		keys := keys
		if tt.change != nil {
			tt.change(r)
		} else {
			if err := provider.Sign(r, webhook.NewSecret("theirs"), webhooktest.ReceivedAt); err != nil {
				t.Fatal(err)
			}
			keys = webhook.Keys{Keys: webhook.Secrets("ours", "old")}
		}
		if _, err := provider.Verify(r, keys); err == nil {
			t.Errorf("%s: accepted", mistake)
		}
		if got := provider.Explain(r, keys); len(got) == 0 || got[0].Code != tt.want {
			t.Errorf("%s: %v, want %s", mistake, got, tt.want)
		}
	}
}
