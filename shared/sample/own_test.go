package sample

import (
	"encoding/json"
	"testing"
	"testing/fstest"
	"time"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/webhook"
)

// TestAVendorsOwnEventIDIsRenewed samples a vendor that numbers its events.
func TestAVendorsOwnEventIDIsRenewed(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	files := fstest.MapFS{}
	for name, e := range map[string]acmesign.Event{
		"completed": {Number: 1017, Type: "completed", Agreement: "agreement-7f3a", At: at},
		"test":      {Number: 1018, Type: "test", At: at},
	} {
		r := acmesign.Request(e)
		b, err := json.Marshal(lambda.APIGatewayProxyRequest{
			HTTPMethod: r.Method, MultiValueHeaders: r.Header, Body: string(r.Body),
		})
		if err != nil {
			t.Fatal(err)
		}
		files[acmesign.Name+"/"+name+".json"] = &fstest.MapFile{Data: b}
	}
	was := examples
	examples = files
	defer func() { examples = was }()

	p, key := acmesign.Provider{}, webhook.NewSecret("key-of-a-test-0123456789")
	for name := range map[string]bool{"completed": true, "test": true} {
		for _, agreement := range []string{"", "given"} {
			seen := map[string]bool{}
			for range 5 {
				r, about, err := Request(p, name, agreement, key, at.Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.Verify(r, webhook.Keys{Keys: []webhook.Secret{key}}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				id, event, err := meaning(p, r)
				if err != nil || !event.OccurredAt.Equal(at.Add(time.Hour)) || (name == "completed") != (about != "") {
					t.Errorf("%s: about %q, %+v, %v", name, about, event, err)
				}
				seen[id.EventID] = true
			}
			if len(seen) != 5 {
				t.Errorf("%s of agreement %q: 5 requests are %d events", name, agreement, len(seen))
			}
		}
	}
	if name, err := Completed(p); name != "completed" {
		t.Errorf("%q, %v", name, err)
	}
}
