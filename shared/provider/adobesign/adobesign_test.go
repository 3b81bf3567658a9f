package adobesign_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

const documentationID = "BGBQIIE7H253K6" // of Adobe's own samples

func TestProvider(t *testing.T) { webhooktest.Run(t, adobesign.Provider{}) }

func keys(ids ...string) webhook.Keys { return webhook.Keys{Keys: webhook.Secrets(ids...)} }

// post returns a POST that names the client IDs as they are given.
func post(body string, clientIDs ...string) *webhook.Request {
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	for _, id := range clientIDs {
		r.Header.Add("x-adobesign-clientid", id)
	}
	return r
}

// TestClientID holds for the verification of intent and for notifications alike.
func TestClientID(t *testing.T) {
	allowed := keys("UNRELATED", documentationID)
	for name, tt := range map[string]struct {
		keys   webhook.Keys
		values []string
		want   error
	}{
		"an allowed ID":                               {allowed, []string{documentationID}, nil},
		"an allowed ID in white space":                {allowed, []string{" \t" + documentationID + " "}, nil},
		"an allowed ID twice":                         {allowed, []string{documentationID, documentationID + " "}, nil},
		"two different IDs, both allowed":             {allowed, []string{documentationID, "UNRELATED"}, webhook.ErrNotGenuine},
		"an allowed ID before an unknown one":         {allowed, []string{documentationID, "123XXX456"}, webhook.ErrNotGenuine},
		"an allowed ID after an empty one":            {allowed, []string{"", documentationID}, webhook.ErrNotGenuine},
		"an allowed ID before an empty one":           {allowed, []string{documentationID, ""}, webhook.ErrNotGenuine},
		"allowed IDs in one value":                    {allowed, []string{documentationID + ", " + documentationID}, webhook.ErrNotGenuine},
		"an unknown ID":                               {allowed, []string{"123XXX456"}, webhook.ErrNotGenuine},
		"an ID cut short":                             {allowed, []string{documentationID[:13]}, webhook.ErrNotGenuine},
		"an ID with something after it":               {allowed, []string{documentationID + "0"}, webhook.ErrNotGenuine},
		"an ID in other letters":                      {allowed, []string{strings.ToLower(documentationID)}, webhook.ErrNotGenuine},
		"an ID that would split the answer":           {keys("A\r\nSet-Cookie: a=b"), []string{"A\r\nSet-Cookie: a=b"}, webhook.ErrNotGenuine},
		"an ID with a space, though it is configured": {keys("A B"), []string{"A B"}, webhook.ErrNotGenuine},
		"an ID that is not ASCII, though configured":  {keys("KÖLN"), []string{"KÖLN"}, webhook.ErrNotGenuine},
		"an empty ID":                                 {allowed, []string{""}, webhook.ErrNotGenuine},
		"an empty ID, and an empty key":               {webhook.Keys{Keys: []webhook.Secret{{}}}, []string{""}, webhook.ErrNotGenuine},
		"no ID":                                       {allowed, nil, webhook.ErrNotGenuine},
		"no ID and no keys":                           {keys(), nil, webhook.ErrNoKey},
		"an ID and no keys":                           {keys(), []string{documentationID}, webhook.ErrNoKey},
		"an ID and only URL tokens":                   {webhook.Keys{URLTokens: webhook.Secrets(documentationID)}, []string{documentationID}, webhook.ErrNoKey},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(`{"event":"AGREEMENT_CREATED"}`, tt.values...)
			r.TokenMatched = true // does not stand in for the client ID

			proof, err := adobesign.Provider{}.Verify(r, tt.keys)
			if !errors.Is(err, tt.want) || (proof == "") != (tt.want != nil) {
				t.Errorf("verified as %q, %v; want %v", proof, err, tt.want)
			}
			r.Method = http.MethodGet
			answer, err := adobesign.Provider{}.Challenge(r, tt.keys)
			if !errors.Is(err, tt.want) || (answer == nil) != (tt.want != nil) {
				t.Errorf("challenge answered with %v, %v; want %v", answer, err, tt.want)
			}
			for _, value := range tt.values {
				if err != nil && len(value) > 2 && strings.Contains(err.Error(), value) {
					t.Errorf("the error tells the client ID: %v", err)
				}
			}
		})
	}
}

func TestProof(t *testing.T) {
	r := post("{}", documentationID)
	if proof, err := (adobesign.Provider{}).Verify(r, keys(documentationID)); proof != esign.ProofClientID || err != nil {
		t.Errorf("without a token: %q, %v", proof, err)
	}
	r.URLToken, r.TokenMatched = "0123456789abcdef", true
	if proof, err := (adobesign.Provider{}).Verify(r, keys(documentationID)); proof != esign.ProofURLToken || err != nil {
		t.Errorf("with a token that matched: %q, %v", proof, err)
	}
	r.TokenMatched = false
	if proof, err := (adobesign.Provider{}).Verify(r, keys(documentationID)); proof != esign.ProofClientID || err != nil {
		t.Errorf("with a token that did not match: %q, %v", proof, err)
	}
}

// TestEcho: Adobe takes an answer without its client ID for a failure, even with status 200.
func TestEcho(t *testing.T) {
	want := &webhook.Response{
		Status: http.StatusOK,
		Header: http.Header{
			"X-AdobeSign-ClientId": {documentationID}, // spelt as Adobe does, for whoever compares exactly
			"Content-Type":         {"application/json"},
		},
		Body: []byte(`{"xAdobeSignClientId":"BGBQIIE7H253K6"}`),
	}
	challenge, err := adobesign.Provider{}.Challenge(post("", documentationID), keys("UNRELATED", documentationID))
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
	for _, values := range [][]string{nil, {""}, {"A", "B"}, {"A\r\nSet-Cookie: a=b"}, {"A B"}, {"\x00"}, {"\xff"}, {"é"}} {
		want := &webhook.Response{Status: http.StatusUnauthorized}
		if diff := cmp.Diff(want, adobesign.Provider{}.Acknowledge(post("{}", values...))); diff != "" {
			t.Errorf("%q: %s", values, diff)
		}
	}
}

func TestEchoedBodyIsJSONWhateverTheID(t *testing.T) {
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

func TestSignReplacesTheClientID(t *testing.T) {
	r := post("{}", "A", "B")
	if err := (adobesign.Provider{}).Sign(r, webhook.NewSecret("C"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(post("{}", "C"), r); diff != "" {
		t.Error(diff)
	}
}

// FuzzClientID: what verifies is an allowed ID, and it is what the answer echoes; what does not verify under the ID that
// it names is never echoed.
func FuzzClientID(f *testing.F) {
	for _, id := range []string{documentationID, " " + documentationID + "\t", "", "A\r\nB: C", "é", "\xff", `"`, "A,B"} {
		f.Add(id, id)
		f.Add(id, documentationID)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		r := post("{}", first, second)
		answer := adobesign.Provider{}.Acknowledge(r)
		//lint:ignore SA1008 spelt as Adobe does
		echoed := strings.Join(answer.Header["X-AdobeSign-ClientId"], ",")
		_, err := adobesign.Provider{}.Verify(r, keys(documentationID))
		if (err == nil) != (echoed == documentationID) {
			t.Fatalf("verified: %v; echoed %q", err, echoed)
		}
		if err == nil && (strings.TrimSpace(first) != documentationID || strings.TrimSpace(second) != documentationID) {
			t.Fatalf("%q and %q verify as %q", first, second, documentationID)
		}
		if (answer.Status == http.StatusOK) != (echoed != "") || strings.ContainsAny(echoed, "\r\n\x00 ") {
			t.Fatalf("%d, echoed %q", answer.Status, echoed)
		}
	})
}
