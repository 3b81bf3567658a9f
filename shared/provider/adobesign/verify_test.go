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
)

// TestClientID tests the verification of intent and notifications.
func TestClientID(t *testing.T) {
	allowed := keys("UNRELATED", documentationID)
	for name, tt := range map[string]struct {
		keys   webhook.Keys
		values []string
		want   error
	}{
		"an allowed ID":                {allowed, []string{documentationID}, nil},
		"an allowed ID in white space": {allowed, []string{" \t" + documentationID + " "}, nil},
		"an allowed ID twice":          {allowed, []string{documentationID, documentationID + " "}, nil},
		"two different IDs, both allowed": {
			allowed, []string{documentationID, "UNRELATED"}, webhook.ErrNotGenuine,
		},
		"an allowed ID before an unknown one": {
			allowed, []string{documentationID, "123XXX456"}, webhook.ErrNotGenuine,
		},
		"an allowed ID after an empty one":  {allowed, []string{"", documentationID}, webhook.ErrNotGenuine},
		"an allowed ID before an empty one": {allowed, []string{documentationID, ""}, webhook.ErrNotGenuine},
		"allowed IDs in one value": {
			allowed, []string{documentationID + ", " + documentationID}, webhook.ErrNotGenuine,
		},
		"an unknown ID":                 {allowed, []string{"123XXX456"}, webhook.ErrNotGenuine},
		"an ID cut short":               {allowed, []string{documentationID[:13]}, webhook.ErrNotGenuine},
		"an ID with something after it": {allowed, []string{documentationID + "0"}, webhook.ErrNotGenuine},
		"an ID in other letters": {
			allowed, []string{strings.ToLower(documentationID)}, webhook.ErrNotGenuine,
		},
		"an ID that would split the answer": {
			keys("A\r\nSet-Cookie: a=b"), []string{"A\r\nSet-Cookie: a=b"}, webhook.ErrNotGenuine,
		},
		"an ID with a space, though it is configured": {keys("A B"), []string{"A B"}, webhook.ErrNotGenuine},
		"an ID that is not ASCII, though configured":  {keys("KÖLN"), []string{"KÖLN"}, webhook.ErrNotGenuine},
		"an empty ID": {allowed, []string{""}, webhook.ErrNotGenuine},
		"an empty ID, and an empty key": {
			webhook.Keys{Keys: []webhook.Secret{{}}}, []string{""}, webhook.ErrNotGenuine,
		},
		"no ID":             {allowed, nil, webhook.ErrNotGenuine},
		"no ID and no keys": {keys(), nil, webhook.ErrNoKey},
		"an ID and no keys": {keys(), []string{documentationID}, webhook.ErrNoKey},
		"an ID and only URL tokens": {
			webhook.Keys{URLTokens: webhook.Secrets(documentationID)}, []string{documentationID}, webhook.ErrNoKey,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(`{"event":"AGREEMENT_CREATED"}`, tt.values...)
			r.TokenMatched = true // does not replace the client ID

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
					t.Errorf("the error contains the client ID: %v", err)
				}
			}
		})
	}
}

func TestExplain(t *testing.T) {
	allowed := keys("UNRELATED", documentationID)
	long := strings.Repeat("A", 200)
	for name, tt := range map[string]struct {
		keys   webhook.Keys
		values []string
		code   string
		shown  string
	}{
		"no header":                    {allowed, nil, "client-id-missing", ""},
		"an empty header":              {allowed, []string{" "}, "client-id-missing", ""},
		"an unknown ID":                {allowed, []string{" UQXJXD753B"}, "client-id-unknown", " UQXJXD753B "},
		"an ID and no keys":            {keys(), []string{documentationID}, "client-id-unknown", documentationID},
		"two different IDs":            {allowed, []string{documentationID, "B"}, "client-id-unknown", " BGBQIIE7H253K6 B "},
		"an ID that would split a log": {allowed, []string{"A\r\nB: é"}, "client-id-unknown", "client ID is not"},
		"an e-mail address":            {allowed, []string{"ada@example.com"}, "client-id-unknown", "client ID is not"},
		"a long ID":                    {allowed, []string{long}, "client-id-unknown", "client ID is not"},
		"an ID in other letters": {allowed, []string{strings.ToLower(documentationID)}, "client-id-unknown",
			"bgbqiie7h253k6"},
		"an allowed ID, refused otherwise": {allowed, []string{documentationID}, "", ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := post("{}", tt.values...)
			r.Method = method
			got := adobesign.Provider{}.Explain(r, tt.keys)
			if tt.code == "" {
				if len(got) > 0 {
					t.Errorf("%s: %v", name, got)
				}
				continue
			}
			if len(got) != 1 || got[0].Code != tt.code || !strings.Contains(got[0].Hint, tt.shown) ||
				!strings.Contains(got[0].Hint, "UB7E5BXCXY") {
				t.Errorf("%s: %v", name, got)
			}
		}
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

func TestSignReplacesTheClientID(t *testing.T) {
	r := post("{}", "A", "B")
	if err := (adobesign.Provider{}).Sign(r, webhook.NewSecret("C"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(post("{}", "C"), r); diff != "" {
		t.Error(diff)
	}
}

// FuzzClientID checks that only an allowed ID verifies, that the answer echoes exactly this ID, and that an ID that
// does not verify is never echoed.
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
