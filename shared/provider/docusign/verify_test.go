package docusign_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

const (
	vectorKey  = "6d5b9f8a-2c44-4a7e-9b31-3f0e1d2c5a9c"
	vectorBody = `{"event":"envelope-sent","apiVersion":"v2.1","data":{"envelopeId":"11111111-2222-3333-4444-555555555555","status":"sent","emailSubject":"Please sign this document","userId":"99999999-8888-7777-6666-555555555555"}}`
	vector     = "pIJlMnjy4GTTMVTa8IIpWiM4b8HmP+8qYoa3jPx/zCQ="
)

// SPEC: DocuSign publishes no vectors; these are a public Rust crate's, read 2026-11-22.
func TestVectors(t *testing.T) {
	for name, tt := range map[string]struct{ key, body, signature string }{
		"a message":     {vectorKey, vectorBody, vector},
		"an empty body": {vectorKey, "", "luftNupekYB9JqqII+6dHdZd8kuup7kDvRC6/fWUQf0="},
		"beyond ASCII":  {vectorKey, "héllo, 🦀 world!", "3LsFZjZT0N61GsHXFZEj2SN4DmgEe+rfs1ZD796/HbU="},
		"the key of all zeros": {
			"00000000-0000-0000-0000-000000000000", vectorBody, "/H+hDmayNt2QohkBOPy1SEdouGGRGialuyKO3JCoRHU=",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &webhook.Request{Body: []byte(tt.body), Header: http.Header{"X-Docusign-Signature-1": {tt.signature}}}
			if proof, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets(tt.key)}); err != nil ||
				proof != esign.ProofSigned {
				t.Errorf("got %q, %v", proof, err)
			}
		})
	}
}

// The signature was made with
//
//	jq -j .body events/docusign/envelope-completed.json |
//	  openssl dgst -sha256 -hmac development-docusign-hmac-key -binary | base64
func TestOpenSSLSignsAsDocuSignDoes(t *testing.T) {
	r := webhooktest.Examples(t, "docusign")["envelope-completed"]
	if got := r.Header.Get("X-DocuSign-Signature-1"); got != "Vps6waq1Q5sxDzgBl+iAl3abK0pK/j/lUdjyB72LHb4=" {
		t.Errorf("the example is signed %q", got)
	}
	if _, err := provider.Verify(r, webhooktest.DevelopmentKeys(provider)); err != nil {
		t.Error(err)
	}
}

func TestVerifyHeaders(t *testing.T) {
	keys := webhook.Keys{Keys: webhook.Secrets(vectorKey)}
	raw, _ := base64.StdEncoding.DecodeString(vector)
	other := strings.Repeat("A", 43) + "="
	for name, tt := range map[string]struct {
		header  http.Header
		genuine bool
	}{
		"the only one": {http.Header{"X-Docusign-Signature-1": {vector}}, true},
		"the second one": {
			http.Header{"X-Docusign-Signature-1": {other}, "X-Docusign-Signature-2": {vector}}, true,
		},
		"the hundredth one alone":      {http.Header{"X-Docusign-Signature-100": {vector}}, true},
		"lower-case name":              {http.Header{"x-docusign-signature-1": {vector}}, true},
		"the documentation's spelling": {http.Header{"X-DocuSign-Signature-1": {vector}}, true},
		"upper-case name":              {http.Header{"X-DOCUSIGN-SIGNATURE-1": {vector}}, true},
		"repeated header":              {http.Header{"X-Docusign-Signature-1": {other, vector}}, true},
		"joined by a comma":            {http.Header{"X-Docusign-Signature-1": {other + ", " + vector}}, true},
		"white space around":           {http.Header{"X-Docusign-Signature-1": {" \t" + vector + " "}}, true},
		"no header at all":             {nil, false},
		"an empty value":               {http.Header{"X-Docusign-Signature-1": {""}}, false},
		"no value":                     {http.Header{"X-Docusign-Signature-1": {}}, false},
		"only commas":                  {http.Header{"X-Docusign-Signature-1": {",,"}}, false},
		"no number":                    {http.Header{"X-Docusign-Signature-": {vector}}, false},
		"no number and no dash":        {http.Header{"X-Docusign-Signature": {vector}}, false},
		"a number with a letter":       {http.Header{"X-Docusign-Signature-1a": {vector}}, false},
		"another header":               {http.Header{"X-Signature-1": {vector}}, false},
		"truncated":                    {http.Header{"X-Docusign-Signature-1": {vector[:40]}}, false},
		"without padding":              {http.Header{"X-Docusign-Signature-1": {strings.TrimRight(vector, "=")}}, false},
		"followed by more":             {http.Header{"X-Docusign-Signature-1": {vector + "AAAA"}}, false},
		"a line break inside": {
			http.Header{"X-Docusign-Signature-1": {vector[:20] + "\n" + vector[20:]}}, false,
		},
		"same bits, other last character": {
			http.Header{"X-Docusign-Signature-1": {strings.Replace(vector, "Q=", "R=", 1)}}, false,
		},
		"other case": {http.Header{"X-Docusign-Signature-1": {strings.ToLower(vector)}}, false},
		"base64 for URLs": {
			http.Header{"X-Docusign-Signature-1": {base64.URLEncoding.EncodeToString(raw)}}, false,
		},
		"hex":                         {http.Header{"X-Docusign-Signature-1": {hex.EncodeToString(raw)}}, false},
		"the bytes themselves":        {http.Header{"X-Docusign-Signature-1": {string(raw)}}, false},
		"prefixed with the algorithm": {http.Header{"X-Docusign-Signature-1": {"sha256=" + vector}}, false},
		"the vector of another body":  {http.Header{"X-Docusign-Signature-1": {"luftNupekYB9JqqII+6dHdZd8kuup7kDvRC6/fWUQf0="}}, false},
		"the vector of another key":   {http.Header{"X-Docusign-Signature-1": {"/H+hDmayNt2QohkBOPy1SEdouGGRGialuyKO3JCoRHU="}}, false},
		"after ninety-nine others": {
			http.Header{"X-Docusign-Signature-1": append(slices.Repeat([]string{other}, 99), vector)}, true,
		},
		"after more headers than an account has keys": {
			http.Header{"X-Docusign-Signature-1": append(slices.Repeat([]string{other}, 100), vector)}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			proof, err := provider.Verify(&webhook.Request{Body: []byte(vectorBody), Header: tt.header}, keys)
			switch {
			case tt.genuine && (err != nil || proof != esign.ProofSigned):
				t.Errorf("refused: %q, %v", proof, err)
			case !tt.genuine && (!errors.Is(err, webhook.ErrNotGenuine) || proof != ""):
				t.Errorf("got %q, %v", proof, err)
			}
		})
	}
}

func TestVerifyKeys(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("thirty-two bytes that look so..."))
	decoded, _ := base64.StdEncoding.DecodeString(key)
	for name, tt := range map[string]struct {
		signedWith string
		keys       webhook.Keys
		want       error
	}{
		"the string itself": {key, webhook.Keys{Keys: webhook.Secrets(key)}, nil},
		"not what it would decode to": {
			string(decoded), webhook.Keys{Keys: webhook.Secrets(key)}, webhook.ErrNotGenuine,
		},
		"pasted with quotes and a newline": {key, webhook.Keys{Keys: webhook.Secrets("\"" + key + "\"\n")}, nil},
		"the last of several":              {key, webhook.Keys{Keys: webhook.Secrets("one", "two", key)}, nil},
		"next to an empty one": {
			key, webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(""), webhook.NewSecret(key)}}, nil,
		},
		"an empty key proves nothing": {
			"", webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(""), {}}}, webhook.ErrNotGenuine,
		},
		"an empty key next to a good one": {
			"", webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(""), webhook.NewSecret(key)}}, webhook.ErrNotGenuine,
		},
		"no key":                {key, webhook.Keys{}, webhook.ErrNoKey},
		"a URL token is no key": {key, webhook.Keys{URLTokens: webhook.Secrets(key)}, webhook.ErrNoKey},
		"a URL token does not replace a key": {
			"other", webhook.Keys{Keys: webhook.Secrets(key), URLTokens: webhook.Secrets("token")}, webhook.ErrNotGenuine,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &webhook.Request{Body: []byte(vectorBody), Header: http.Header{}, URLToken: "token", TokenMatched: true}
			r.Header.Set("X-DocuSign-Signature-1", sign(tt.signedWith, r.Body))
			if _, err := provider.Verify(r, tt.keys); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestVerifyCoversEveryByte(t *testing.T) {
	keys := webhook.Keys{Keys: webhook.Secrets(vectorKey)}
	for name, body := range map[string]string{
		"a line ending of Windows": vectorBody + "\r\n", "a line ending": vectorBody + "\n",
		"white space": " " + vectorBody, "a byte order mark": "\xef\xbb\xbf" + vectorBody, "nothing": "",
	} {
		r := &webhook.Request{Body: []byte(body), Header: http.Header{"X-Docusign-Signature-1": {vector}}}
		if _, err := provider.Verify(r, keys); !errors.Is(err, webhook.ErrNotGenuine) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignReplacesEarlierSignatures(t *testing.T) {
	body := []byte(vectorBody)
	r := &webhook.Request{Body: body, Header: http.Header{"x-docusign-signature-2": {sign("old", body)}}}
	if err := provider.Sign(r, webhook.NewSecret("new"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]error{"old": webhook.ErrNotGenuine, "new": nil} {
		if _, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets(key)}); !errors.Is(err, want) {
			t.Errorf("under the %s key: %v, want %v", key, err, want)
		}
	}
}

// FuzzVerify checks that a genuine request has the exact signature of its body as a separate value of a signature
// header.
func FuzzVerify(f *testing.F) {
	f.Add("X-DocuSign-Signature-1", vector, []byte(vectorBody))
	f.Add("x-docusign-signature-7", "A, "+vector, []byte(vectorBody))
	f.Add("X-Signature-1", vector, []byte(vectorBody))
	f.Fuzz(func(t *testing.T, header, value string, body []byte) {
		r := &webhook.Request{Body: body, Header: http.Header{header: {value}}}
		proof, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets(vectorKey)})
		exact := false
		for part := range strings.SplitSeq(value, ",") {
			exact = exact || strings.TrimSpace(part) == sign(vectorKey, body)
		}
		switch {
		case err == nil && (!exact || proof != esign.ProofSigned ||
			!strings.HasPrefix(strings.ToLower(header), "x-docusign-signature-")):
			t.Errorf("%q: %q verifies as %q", header, value, proof)
		case err != nil && (!errors.Is(err, webhook.ErrNotGenuine) || proof != ""):
			t.Errorf("%q, %v", proof, err)
		}
	})
}

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestExplain(t *testing.T) {
	body := []byte(about("envelope-sent", ""))
	signed := func(key string) *webhook.Request {
		r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: body}
		if err := provider.Sign(r, webhook.NewSecret(key), time.Time{}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	const long = "c2VjcmV0IGtleSBvZiBEb2N1U2lnbiBmb3IgdGVzdHM="
	bare := strings.TrimRight(long, "=")
	large := signed(bare)
	large.Body = make([]byte, 1<<20)
	for name, tt := range map[string]struct {
		r          *webhook.Request
		key        string
		code, hint string
	}{
		"no signature": {&webhook.Request{Header: http.Header{}, Body: body}, long, "signature-missing",
			"includeHMAC"},
		"a key copied without its end":     {signed(long), bare, "key-encoding", `"="`},
		"a key copied with too much":       {signed(bare), long, "key-encoding", `"="`},
		"a key that the sender decodes":    {signed("secret key of DocuSign for tests"), long, "key-encoding", "decoded"},
		"a key in hex":                     {signed("key"), "6b6579", "key-encoding", "decoded"},
		"another key":                      {signed("another"), long, "wrong-key", "Connect Keys"},
		"a body too large to try all keys": {large, long, "wrong-key", ""},
		"no key":                           {signed(long), "", "wrong-key", ""},
		"an empty key":                     {signed(""), "", "wrong-key", ""},
		"a key of nothing but the sign":    {signed(""), "=", "wrong-key", ""},
	} {
		keys := webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret("first"), webhook.NewSecret(tt.key)}}
		if _, err := provider.Verify(tt.r, keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
		code, hint := "", ""
		if got := provider.Explain(tt.r, keys); len(got) > 0 {
			code, hint = got[0].Code, got[0].Hint
		}
		if code != tt.code || !strings.Contains(hint, tt.hint) || strings.Contains(hint, bare) {
			t.Errorf("%s: %q, %q", name, code, hint)
		}
	}
}

// TestExplainHashesLittle configures many keys, the last of which lacks its end.
func TestExplainHashesLittle(t *testing.T) {
	keys := webhook.Keys{Keys: slices.Repeat([]webhook.Secret{webhook.NewSecret("another")}, 20)}
	keys.Keys = append(keys.Keys, webhook.NewSecret("key"))
	for size, want := range map[int]string{2_000: "key-encoding", 100_000: "body-changed"} {
		r := &webhook.Request{Header: http.Header{}, Body: bytes.Repeat([]byte("{"), size)}
		if err := provider.Sign(r, webhook.NewSecret("key="), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := provider.Explain(r, keys); len(got) == 0 || got[0].Code != want {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}
