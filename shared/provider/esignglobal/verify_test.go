package esignglobal_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// The headers as Go spells them.
const (
	signature = "X-Tsign-Open-Signature"
	timestamp = "X-Tsign-Open-Timestamp"
)

// Computed from the algorithm on https://open.esign.cn/doc/opendoc/notify3/pmy852, read 2026-11-22, in Python.
var vectors = map[string]struct{ query, body, signature string }{
	"no query": {
		"", `{"action":"SIGN_FLOW_COMPLETE","timestamp":1729489875359,"signFlowId":"f1"}`,
		"d2e4da2e5a90fc4fc18554af9748126d7d52cd09c36dd16b1507ce7d934f5cd6",
	},
	"query values in the order of their keys": {
		"orderNo=001&belong=pinjie", `{"action":"SIGN_FLOW_COMPLETE","timestamp":1729489875359,"signFlowId":"f1"}`,
		"4fcd700c29b91cad3839409cf67955cbeb2f5de8bbda25a5b93b99598dcadf62",
	},
	"a percent-decoded query value": {
		"a=%E4%B8%AD+b", `{}`,
		"784e33a94f025684af08296a59d49b1b03c6e16816987decacffbb6a7194ced0",
	},
}

func vector(t testing.TB, query, at, body, sig string) *webhook.Request {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	r := post(body)
	r.Query = values
	r.Header.Set("X-Tsign-Open-TIMESTAMP", at)
	r.Header.Set("X-Tsign-Open-SIGNATURE", sig)
	return r
}

func TestVerifyVectors(t *testing.T) {
	keys := webhook.Keys{Keys: webhook.Secrets("test-secret-0001")}
	for name, tt := range vectors {
		t.Run(name, func(t *testing.T) {
			r := vector(t, tt.query, "1729489875363", tt.body, tt.signature)
			if proof, err := provider.Verify(r, keys); proof != esign.ProofSigned || err != nil {
				t.Errorf("got %q, %v", proof, err)
			}
		})
	}
}

func TestVerifyRecordedVectors(t *testing.T) {
	var recorded struct {
		Vectors []struct {
			Name, Secret string
			Timestamp    string `json:"X-Tsign-Open-TIMESTAMP"`
			Query        string `json:"raw_query"`
			Body         string `json:"raw_body"`
			Signature    string `json:"X-Tsign-Open-SIGNATURE"`
		}
	}
	file := webhooktest.Fixture(t, "esignglobal/esigncn_vectors_SELF_COMPUTED.json")
	if err := json.Unmarshal(file, &recorded); err != nil || len(recorded.Vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(recorded.Vectors), err)
	}
	for _, v := range recorded.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			r := vector(t, v.Query, v.Timestamp, v.Body, v.Signature)
			keys := webhook.Keys{Keys: webhook.Secrets(v.Secret)}
			if proof, err := provider.Verify(r, keys); proof != esign.ProofSigned || err != nil {
				t.Errorf("got %q, %v", proof, err)
			}
		})
	}
}

// The signatures are what these commands print in events/esignglobal:
//
//	jq -j '.headers["X-Tsign-Open-TIMESTAMP"] + .body' envelope-start.json |
//		openssl dgst -sha256 -hmac development-esignglobal-secret
//	jq -j '.headers["X-Tsign-Open-TIMESTAMP"] + "a b" + "north" + .body' envelope-cancel.json |
//		openssl dgst -sha256 -hmac development-esignglobal-secret
func TestVerifyOpenSSLSignatures(t *testing.T) {
	examples := webhooktest.Examples(t, "esignglobal")
	for name, want := range map[string]string{
		"envelope-start":  "2a2eddfa92665b8fb0cfdd185451c862385fd917a34d294378099483319f7fd9",
		"envelope-cancel": "d8fceb93f1cde124d01bbb4d874382ac558c8980111b2f98237b6b1430e59554",
	} {
		t.Run(name, func(t *testing.T) {
			r := examples[name]
			if got := r.Header.Get(signature); got != want {
				t.Fatalf("the example is signed %s", got)
			}
			if proof, err := provider.Verify(r, webhooktest.DevelopmentKeys(provider)); proof != esign.ProofSigned ||
				err != nil {
				t.Errorf("got %q, %v", proof, err)
			}
		})
	}
}

// TestVerify changes a request that is signed with the development key, with the query ?b=2&a=1.
func TestVerify(t *testing.T) {
	development := webhooktest.DevelopmentKeys(provider)
	tokens := webhook.Secrets("token-0123456789abcdef")
	set := func(name, value string) func(*webhook.Request) {
		return func(r *webhook.Request) { r.Header.Set(name, value) }
	}
	convert := func(f func(string) string) func(*webhook.Request) {
		return func(r *webhook.Request) { r.Header.Set(signature, f(r.Header.Get(signature))) }
	}
	matched := func(r *webhook.Request) { r.TokenMatched = true }
	unsigned := func(r *webhook.Request) { r.Header = http.Header{"Content-Type": {"application/json"}} }
	with := func(all ...func(*webhook.Request)) func(*webhook.Request) {
		return func(r *webhook.Request) {
			for _, f := range all {
				f(r)
			}
		}
	}
	for name, tt := range map[string]struct {
		keys   webhook.Keys
		change func(*webhook.Request)
		proof  esign.Proof
		err    error
	}{
		"signed":                  {development, with(), esign.ProofSigned, nil},
		"signed, at a secret URL": {development, matched, esign.ProofSigned, nil},
		"the second of two keys": {
			webhook.Keys{Keys: webhook.Secrets("other", "development-esignglobal-secret")}, with(), esign.ProofSigned, nil,
		},
		"the same header twice": {
			development, func(r *webhook.Request) { r.Header.Add(signature, r.Header.Get(signature)) }, esign.ProofSigned, nil,
		},
		"white space around the headers": {
			development,
			with(convert(func(s string) string { return " " + s + "\t" }),
				func(r *webhook.Request) { r.Header.Set(timestamp, " "+r.Header.Get(timestamp)) }),
			esign.ProofSigned, nil,
		},
		"App-Id and algorithm are not signed": {
			development, with(set("X-Tsign-Open-App-Id", "1"), set("X-Tsign-Open-SIGNATURE-ALGORITHM", "")), esign.ProofSigned,
			nil,
		},
		"names of query keys are not signed": {
			development, func(r *webhook.Request) { r.Query = url.Values{"x": {"1"}, "y": {"2"}} }, esign.ProofSigned, nil,
		},
		"no signature headers, at a secret URL": {
			webhook.Keys{Keys: development.Keys, URLTokens: tokens}, with(unsigned, matched), esign.ProofURLToken, nil,
		},
		"no secret: headers are ignored": {
			webhook.Keys{URLTokens: tokens}, with(set(signature, "wrong"), matched), esign.ProofURLToken, nil,
		},
		"no secret and not the secret URL": {webhook.Keys{URLTokens: tokens}, with(), "", webhook.ErrNotGenuine},
		"no signature headers":             {development, unsigned, "", webhook.ErrNotGenuine},
		"nothing configured":               {webhook.Keys{}, with(), "", webhook.ErrNoKey},
		"nothing configured, unsigned":     {webhook.Keys{}, unsigned, "", webhook.ErrNoKey},
		"another key": {
			webhook.Keys{Keys: webhook.Secrets("other")}, with(), "", webhook.ErrNotGenuine,
		},
		"another key, at a secret URL": {
			webhook.Keys{Keys: webhook.Secrets("other"), URLTokens: tokens}, matched, "", webhook.ErrNotGenuine,
		},
		"signed with the empty key": {
			webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret("")}}, func(r *webhook.Request) { sign(r, "") }, "",
			webhook.ErrNotGenuine,
		},
		"signed with the empty key, of a zero value": {
			webhook.Keys{Keys: []webhook.Secret{{}}}, func(r *webhook.Request) { sign(r, "") }, "", webhook.ErrNotGenuine,
		},
		"an empty signature at a secret URL": {
			development, with(set(signature, ""), matched), "", webhook.ErrNotGenuine,
		},
		"an empty timestamp at a secret URL": {
			development, with(set(timestamp, ""), matched), "", webhook.ErrNotGenuine,
		},
		"a timestamp only, at a secret URL": {
			development, with(func(r *webhook.Request) { r.Header.Del(signature) }, matched), "", webhook.ErrNotGenuine,
		},
		"a signature only, at a secret URL": {
			development, with(func(r *webhook.Request) { r.Header.Del(timestamp) }, matched), "", webhook.ErrNotGenuine,
		},
		"the timestamp moved into the query": {
			development, func(r *webhook.Request) { r.Query.Set("0", r.Header.Get(timestamp)); r.Header.Del(timestamp) }, "",
			webhook.ErrNotGenuine,
		},
		"cut off": {
			development, convert(func(s string) string { return s[:63] }), "", webhook.ErrNotGenuine,
		},
		"a character more": {
			development, convert(func(s string) string { return s + "0" }), "", webhook.ErrNotGenuine,
		},
		"upper-case hex":           {development, convert(strings.ToUpper), "", webhook.ErrNotGenuine},
		"base64 of the same bytes": {development, convert(base64OfHex), "", webhook.ErrNotGenuine},
		"raw bytes":                {development, convert(rawOfHex), "", webhook.ErrNotGenuine},
		"two different signatures, the first right": {
			development, func(r *webhook.Request) { r.Header.Add(signature, "wrong") }, "", webhook.ErrNotGenuine,
		},
		"two different signatures, the last right": {
			development, func(r *webhook.Request) { r.Header[signature] = []string{"wrong", r.Header.Get(signature)} }, "",
			webhook.ErrNotGenuine,
		},
		"two different timestamps": {
			development, func(r *webhook.Request) { r.Header.Add(timestamp, "1793608801001") }, "", webhook.ErrNotGenuine,
		},
		"another timestamp": {
			development, set(timestamp, "1793608801001"), "", webhook.ErrNotGenuine,
		},
		"another body": {
			development, func(r *webhook.Request) { r.Body = bytes.ToUpper(r.Body) }, "", webhook.ErrNotGenuine,
		},
		"the same JSON with other bytes": {
			development, func(r *webhook.Request) { r.Body = append(r.Body, '\n') }, "", webhook.ErrNotGenuine,
		},
		"another query value": {
			development, func(r *webhook.Request) { r.Query.Set("a", "3") }, "", webhook.ErrNotGenuine,
		},
		"query values in another order of keys": {
			development, func(r *webhook.Request) { r.Query = url.Values{"a": {"2"}, "b": {"1"}} }, "", webhook.ErrNotGenuine,
		},
		"no query": {
			development, func(r *webhook.Request) { r.Query = nil }, "", webhook.ErrNotGenuine,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(finish)
			r.Query = url.Values{"b": {"2"}, "a": {"1"}}
			sign(r, "development-esignglobal-secret")
			tt.change(r)
			if proof, err := provider.Verify(r, tt.keys); proof != tt.proof || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", proof, err, tt.proof, tt.err)
			}
		})
	}
}

// sign repeats the algorithm, so that Sign and Verify cannot contain the same mistake unnoticed.
func sign(r *webhook.Request, key string) {
	const at = "1793608801000"
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(at))
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		mac.Write([]byte(strings.Join(r.Query[name], "")))
	}
	mac.Write(r.Body)
	r.Header.Set(timestamp, at)
	r.Header.Set(signature, hex.EncodeToString(mac.Sum(nil)))
}

func rawOfHex(s string) string {
	b, _ := hex.DecodeString(s)
	return string(b)
}

func base64OfHex(s string) string { return base64.StdEncoding.EncodeToString([]byte(rawOfHex(s))) }

func TestVerifyAcceptsHeaderNamesInAnyCase(t *testing.T) {
	signed := post(finish)
	sign(signed, "development-esignglobal-secret")
	for _, spell := range []func(string) string{strings.ToLower, strings.ToUpper} {
		r, err := apigw.Request(events.APIGatewayProxyRequest{
			HTTPMethod: "POST",
			Headers: map[string]string{
				spell(timestamp): " " + signed.Header.Get(timestamp),
				spell(signature): signed.Header.Get(signature) + " ",
			},
			Body: finish,
		})
		if err != nil {
			t.Fatal(err)
		}
		if proof, err := provider.Verify(r, webhooktest.DevelopmentKeys(provider)); proof != esign.ProofSigned || err != nil {
			t.Errorf("got %q, %v", proof, err)
		}
	}
}

func TestSign(t *testing.T) {
	at := time.Date(2026, 11, 2, 8, 40, 1, 0, time.UTC)
	r := post(finish)
	r.Query = url.Values{"z": {"1", "2"}, "a": {"中"}}
	if err := provider.Sign(r, webhook.NewSecret("k"), at); err != nil {
		t.Fatal(err)
	}
	want := r.Header.Clone()
	sign(r, "k") // at the same time
	if want.Get(signature) != r.Header.Get(signature) || want.Get(timestamp) != r.Header.Get(timestamp) {
		t.Errorf("signed %v, want %v", want, r.Header)
	}
	if want.Get("X-Tsign-Open-App-Id") == "" || want.Get("X-Tsign-Open-SIGNATURE-ALGORITHM") != "hmac-sha256" {
		t.Errorf("signed %v", want)
	}
}

// Nothing separates the signed parts, so anyone who has seen a request can move the border between timestamp and body.
func TestMovingABorderMakesNoOtherEvent(t *testing.T) {
	keys := webhooktest.DevelopmentKeys(provider)
	for name, r := range webhooktest.Examples(t, "esignglobal") {
		r.Query = nil
		sign(r, provider.Info().DevelopmentKey)
		at := r.Header.Get(timestamp)
		all := at + string(r.Body)
		for i := 1; i < len(all); i++ {
			if i == len(at) {
				continue
			}
			r.Header.Set(timestamp, all[:i])
			r.Body = []byte(all[i:])
			if _, err := provider.Verify(r, keys); err != nil {
				continue // a space at the border, which is trimmed
			}
			if _, err := provider.Identify(r); !errors.Is(err, webhook.ErrUnreadable) {
				t.Fatalf("%s: border at %d: %v", name, i, err)
			}
		}
	}
}

// FuzzVerify checks that a signature proves only the signed request, and that no error quotes the request.
func FuzzVerify(f *testing.F) {
	for _, r := range webhooktest.Examples(f, "esignglobal") {
		f.Add(r.Header.Get(timestamp), r.Header.Get(signature), r.Query.Get("tenant"), r.Body)
	}
	keys := webhooktest.DevelopmentKeys(provider)
	f.Fuzz(func(t *testing.T, at, sig, value string, body []byte) {
		r := &webhook.Request{
			Header: http.Header{timestamp: {at}, signature: {sig}}, Query: url.Values{"q": {value}}, Body: body,
		}
		mac := hmac.New(sha256.New, []byte(provider.Info().DevelopmentKey))
		mac.Write([]byte(strings.TrimSpace(at) + value + string(body)))
		right := strings.TrimSpace(at) != "" && strings.TrimSpace(sig) == hex.EncodeToString(mac.Sum(nil))

		proof, err := provider.Verify(r, keys)
		if right != (err == nil) || right != (proof == esign.ProofSigned) {
			t.Fatalf("right: %t, but got %q, %v", right, proof, err)
		}
		if err != nil && (!errors.Is(err, webhook.ErrNotGenuine) || err.Error() != "esignglobal: signature: not genuine") {
			t.Fatal(err)
		}
	})
}
