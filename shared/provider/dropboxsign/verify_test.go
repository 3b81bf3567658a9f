package dropboxsign_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// publishedKey is the key of the vendor's own tests.
//
// SPEC: https://github.com/hellosign/hellosign-openapi examples/EventCallbackExample, read 2026-11-22.
const publishedKey = "324e3b0840f065eb51f3fd63231d0d33daa35d4ed10d27718839e81737065782"

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func TestPublishedVectors(t *testing.T) {
	for _, v := range []struct{ time, typ, hash string }{
		{"1348177752", "unknown_error", "c574f5d3090c2936360b4e36cf6835cf3e2206b84fdc6347e6b28ca721ae1371"},
		{"1348177752", "account_confirmed", "6dc5b7aad93cf54915e0089d6c31d61b3833f66f51459171c69f8fa211308848"},
		{"1348177752", "signature_request_sent", "08d45a6b7677492b78be030cef18cfeaece8fe67e163cc8e526ee638ad483756"},
		{"1348177752", "template_created", "4a9b22fa68d5addb8b6313eea9d42ecb393903a4240b71503ef78e9dac6c100d"},
		{"1669926463", "account_confirmed", "ff8b03439122f9160500c3fb855bdee5a9ccba5fff27d3b258745d8f3074832f"},
		{"1738000000", "signature_request_all_signed", "ce346569c09b702d02ad0e3d2ed083b669f11439c926a0dd97d16519ed932e39"},
	} {
		r := asJSON(`{"event":{"event_time":"` + v.time + `","event_type":"` + v.typ + `","event_hash":"` + v.hash + `"}}`)
		proof, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets(publishedKey)})
		if err != nil || proof != esign.ProofPartlySigned {
			t.Errorf("%s at %s: %q, %v", v.typ, v.time, proof, err)
		}
		_, err = provider.Verify(r, webhook.Keys{Keys: webhook.Secrets(reversed(publishedKey))})
		if !errors.Is(err, webhook.ErrNotGenuine) {
			t.Errorf("%s at %s under the reversed key: %v", v.typ, v.time, err)
		}
	}
}

func TestRecordedCallbacks(t *testing.T) {
	published := webhook.Keys{Keys: webhook.Secrets(publishedKey)}
	var helper map[string]json.RawMessage
	if err := json.Unmarshal(webhooktest.Fixture(t, "dropboxsign/01_EventCallbackHelper_AccountCallbacks.json"),
		&helper); err != nil {
		t.Fatal(err)
	}
	genuine := map[string]string{
		"03": string(webhooktest.Fixture(t, "dropboxsign/03_EventCallbackExample_account_confirmed.json")),
	}
	for name, message := range helper {
		genuine[name] = string(message)
	}
	for name, message := range genuine {
		for form, r := range map[string]*webhook.Request{
			"multipart": asMultipart(message), "urlencoded": asURLEncoded(message), "JSON": asJSON(message),
		} {
			if _, _, err := webhooktest.Read(provider, r, published); err != nil {
				t.Errorf("%s as %s: %v", name, form, err)
			}
		}
	}
	for _, name := range []string{"04_EventCallbackAccountSignatureRequestSent", "05_EventCallbackAppAccountConfirmed"} {
		placeholder := string(webhooktest.Fixture(t, "dropboxsign/"+name+".json"))
		if _, err := provider.Verify(asJSON(placeholder), published); !errors.Is(err, webhook.ErrNotGenuine) {
			t.Errorf("%s, with the documentation's placeholder for a hash: %v", name, err)
		}
		if _, err := provider.Identify(asJSON(placeholder)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecordedRequest(t *testing.T) {
	var vectors struct {
		AsHex   string `json:"content_sha256_base64_of_hex"`
		AsBytes string `json:"content_sha256_base64_of_raw"`
	}
	if err := json.Unmarshal(webhooktest.Fixture(t, "dropboxsign/synthetic/vectors.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(webhooktest.Fixture(t, "dropboxsign/synthetic/all_signed.multipart.http")),
		"\r\n\r\n")
	r := post("", body)
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, textproto.TrimString(value))
	}
	for _, digest := range []string{vectors.AsHex, vectors.AsBytes} {
		r.Header.Set("Content-Sha256", digest)
		if proof, err := provider.Verify(r, webhook.Keys{Keys: webhook.Secrets(publishedKey)}); err != nil ||
			proof != esign.ProofSigned {
			t.Errorf("%q, %v", proof, err)
		}
	}
	if event := meaning(t, r); event.Type != esign.AgreementCompleted {
		t.Errorf("%+v", event)
	}
}

// TestSignedByOpenSSL compares an example with the output of these commands, in the example's folder:
//
//	printf %s 1793610180signature_request_all_signed | openssl dgst -sha256 -hmac development-dropboxsign-api-key -r
//	jq -r .body signature-request-all-signed.json | base64 -d | sed -n 4p | tr -d '\r\n' |
//	  openssl dgst -sha256 -hmac development-dropboxsign-api-key -r | cut -c-64 | tr -d '\n' | base64 -w0
func TestSignedByOpenSSL(t *testing.T) {
	r := webhooktest.Examples(t, "dropboxsign")["signature-request-all-signed"]
	if !strings.Contains(string(r.Body), `"6465aeae12c3e7803f175347d65a783348c93bf65e3971735b38a6d76bf85e58"`) {
		t.Error("another event_hash")
	}
	digest := "YjQ0NDliYzc2YTM2OWRiZTM3NjRhMTJlZDcxOTdhMGM3MzJmODdlYzk0NjkyNGZhY2Q4YzhiY2JhNzU1ODE3Mw=="
	if got := r.Header.Get("Content-Sha256"); got != digest {
		t.Errorf("Content-Sha256 %s", got)
	}
	if proof, err := provider.Verify(r, keys); err != nil || proof != esign.ProofSigned {
		t.Errorf("%q, %v", proof, err)
	}
}

func TestEventHash(t *testing.T) {
	hash := mac(developmentKey, "1793610000signature_request_sent")
	other := mac(developmentKey, "1793610000signature_request_viewed")
	raw, _ := hex.DecodeString(hash)
	event := func(fields string) string { return `{"event":{` + fields + `}}` }
	timeAndType := `"event_time":"1793610000","event_type":"signature_request_sent",`
	for name, tt := range map[string]struct {
		message string
		want    error
	}{
		"genuine":                      {event(timeAndType + `"event_hash":"` + hash + `"`), nil},
		"with a time that is a number": {event(`"event_time":1793610000,"event_type":"signature_request_sent","event_hash":"` + hash + `"`), nil},
		"with unknown fields":          {event(`"new":[{}],` + timeAndType + `"event_hash":"` + hash + `"`), nil},
		"with metadata that is an empty array": {
			event(`"event_metadata":[],` + timeAndType + `"event_hash":"` + hash + `"`), nil,
		},
		"with a byte order mark":       {"\xef\xbb\xbf" + event(timeAndType+`"event_hash":"`+hash+`"`), nil},
		"with surrounding white space": {" \r\n" + event(timeAndType+`"event_hash":"`+hash+`"`) + "\n", nil},
		"with a title that is not UTF-8": {
			`{"signature_request":{"title":"` + "\xe9" + `"},` + event(timeAndType + `"event_hash":"` + hash + `"`)[1:], nil,
		},
		"with escapes in the type": {event(`"event_time":"1793610000","event_type":"\u0073ignature_request_sent","event_hash":"` + hash + `"`), nil},
		"the last of two hashes counts": {
			event(timeAndType + `"event_hash":"` + other + `","event_hash":"` + hash + `"`), nil,
		},
		"the last of two types counts": {
			event(`"event_type":"x",` + timeAndType + `"event_hash":"` + hash + `"`), nil,
		},

		"a later wrong hash counts": {
			event(timeAndType + `"event_hash":"` + hash + `","event_hash":"` + other + `"`), webhook.ErrNotGenuine,
		},
		"a later type counts": {
			event(timeAndType + `"event_hash":"` + hash + `","event_type":"signature_request_viewed"`), webhook.ErrNotGenuine,
		},
		"of another type": {event(timeAndType + `"event_hash":"` + other + `"`), webhook.ErrNotGenuine},
		"of the time alone": {
			event(timeAndType + `"event_hash":"` + mac(developmentKey, "1793610000") + `"`), webhook.ErrNotGenuine,
		},
		"with a separator": {
			event(timeAndType + `"event_hash":"` + mac(developmentKey, "1793610000 signature_request_sent") + `"`),
			webhook.ErrNotGenuine,
		},
		"of type and time": {
			event(timeAndType + `"event_hash":"` + mac(developmentKey, "signature_request_sent1793610000") + `"`),
			webhook.ErrNotGenuine,
		},
		"of a time with white space":         {event(`"event_time":" 1793610000","event_type":"signature_request_sent","event_hash":"` + hash + `"`), webhook.ErrNotGenuine},
		"of a number written in another way": {event(`"event_time":1793610000.0,"event_type":"signature_request_sent","event_hash":"` + hash + `"`), webhook.ErrNotGenuine},
		"a digit moved from time to type":    {event(`"event_time":"179361000","event_type":"0signature_request_sent","event_hash":"` + hash + `"`), webhook.ErrNotGenuine},
		"a letter moved from type to time":   {event(`"event_time":"1793610000s","event_type":"ignature_request_sent","event_hash":"` + hash + `"`), webhook.ErrNotGenuine},
		"the time moved wholly into the type": {
			event(`"event_type":"1793610000signature_request_sent","event_hash":"` + hash + `"`), webhook.ErrNotGenuine,
		},
		"the type moved wholly into the time": {
			event(`"event_time":"1793610000signature_request_sent","event_hash":"` + hash + `"`), webhook.ErrNotGenuine,
		},
		"empty":   {event(timeAndType + `"event_hash":""`), webhook.ErrNotGenuine},
		"null":    {event(timeAndType + `"event_hash":null`), webhook.ErrNotGenuine},
		"a list":  {event(timeAndType + `"event_hash":["` + hash + `"]`), webhook.ErrNotGenuine},
		"missing": {event(timeAndType + `"x":1`), webhook.ErrNotGenuine},
		"truncated": {
			event(timeAndType + `"event_hash":"` + hash[:63] + `"`), webhook.ErrNotGenuine,
		},
		"with something after it": {event(timeAndType + `"event_hash":"` + hash + ` "`), webhook.ErrNotGenuine},
		"in upper case": {
			event(timeAndType + `"event_hash":"` + strings.ToUpper(hash) + `"`), webhook.ErrNotGenuine,
		},
		"in base64": {
			event(timeAndType + `"event_hash":"` + base64.StdEncoding.EncodeToString(raw) + `"`), webhook.ErrNotGenuine,
		},
		"under the empty key": {
			event(timeAndType + `"event_hash":"` + mac("", "1793610000signature_request_sent") + `"`), webhook.ErrNotGenuine,
		},
		"outside the event": {
			`{"event":{` + timeAndType + `"x":1},"event_hash":"` + hash + `"}`, webhook.ErrNotGenuine,
		},
		"no event":                  {`{}`, webhook.ErrNotGenuine},
		"an event that is a string": {`{"event":"x"}`, webhook.ErrNotGenuine},
		"no JSON":                   {`{"event":`, webhook.ErrNotGenuine},
		"something after the JSON":  {event(timeAndType+`"event_hash":"`+hash+`"`) + `{}`, webhook.ErrNotGenuine},
		"too deep": {
			event(timeAndType + `"event_hash":"` + hash + `","x":` + strings.Repeat("[", 100_000) +
				strings.Repeat("]", 100_000)),
			webhook.ErrNotGenuine,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := provider.Verify(asJSON(tt.message), keys); !errors.Is(err, tt.want) {
				t.Errorf("JSON: %v, want %v", err, tt.want)
			}
			if _, err := provider.Verify(asMultipart(tt.message), keys); !errors.Is(err, tt.want) {
				t.Errorf("multipart: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestContentSHA256(t *testing.T) {
	message := callback("signature_request_signed", "1793610000", `,"signature_request":{"signature_request_id":"r1"}`)
	digest := mac(developmentKey, message)
	sum, _ := hex.DecodeString(digest)
	asHex, asBytes := base64.StdEncoding.EncodeToString([]byte(digest)), base64.StdEncoding.EncodeToString(sum)
	foreign := base64.StdEncoding.EncodeToString([]byte(mac(developmentKey, message+" ")))
	unkeyed := base64.StdEncoding.EncodeToString([]byte(mac("", message)))
	for name, tt := range map[string]struct {
		values []string
		proof  esign.Proof
		want   error
	}{
		"base64 of hex":        {[]string{asHex}, esign.ProofSigned, nil},
		"base64 of bytes":      {[]string{asBytes}, esign.ProofSigned, nil},
		"with white space":     {[]string{" " + asHex + "\t"}, esign.ProofSigned, nil},
		"the same value twice": {[]string{asHex, asHex}, esign.ProofSigned, nil},
		"missing":              {nil, esign.ProofPartlySigned, nil},
		"empty":                {[]string{""}, "", webhook.ErrNotGenuine},
		"white space":          {[]string{" "}, "", webhook.ErrNotGenuine},
		"hex":                  {[]string{digest}, "", webhook.ErrNotGenuine},
		"base64 of upper-case hex": {
			[]string{base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(digest)))}, "", webhook.ErrNotGenuine,
		},
		"truncated":                   {[]string{asHex[:84]}, "", webhook.ErrNotGenuine},
		"without padding":             {[]string{strings.TrimRight(asHex, "=")}, "", webhook.ErrNotGenuine},
		"of another message":          {[]string{foreign}, "", webhook.ErrNotGenuine},
		"under the empty key":         {[]string{unkeyed}, "", webhook.ErrNotGenuine},
		"right first, then another":   {[]string{asHex, foreign}, "", webhook.ErrNotGenuine},
		"another first, then right":   {[]string{foreign, asHex}, "", webhook.ErrNotGenuine},
		"right twice, in two forms":   {[]string{asHex, asBytes}, "", webhook.ErrNotGenuine},
		"right first, then empty":     {[]string{asHex, ""}, "", webhook.ErrNotGenuine},
		"two values in one, by comma": {[]string{asHex + "," + asHex}, "", webhook.ErrNotGenuine},
	} {
		for form, r := range map[string]*webhook.Request{
			"multipart": asMultipart(message), "urlencoded": asURLEncoded(message), "JSON": asJSON(message),
		} {
			t.Run(name+" on "+form, func(t *testing.T) {
				for _, value := range tt.values {
					r.Header.Add("content-sha256", value)
				}
				all := keys
				all.Keys = append([]webhook.Secret{webhook.NewSecret("")}, keys.Keys...)
				if proof, err := provider.Verify(r, all); proof != tt.proof || !errors.Is(err, tt.want) {
					t.Errorf("%q, %v; want %q, %v", proof, err, tt.proof, tt.want)
				}
			})
		}
	}
}

func TestContentSHA256CoversEveryByteOfTheMessage(t *testing.T) {
	message := callback("signature_request_signed", "1793610000", `,"signature_request":{"signature_request_id":"r1"}`)
	for i := range message {
		changed := []byte(message)
		changed[i] ^= 1
		r := withDigest(asMultipart(string(changed)), message)
		if _, err := provider.Verify(r, keys); !errors.Is(err, webhook.ErrNotGenuine) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for name, changed := range map[string]string{"a space before": " " + message, "a space after": message + " "} {
		if _, err := provider.Verify(withDigest(asMultipart(changed), message), keys); !errors.Is(err,
			webhook.ErrNotGenuine) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	message := callback("callback_test", "1793610000", "")
	r := withDigest(asMultipart(message), message)
	// The hash is made with the primary key. After a switch the digest may be made with another.
	other := asMultipart(message)
	other.Header.Set("Content-Sha256", base64.StdEncoding.EncodeToString([]byte(mac("next", message))))
	for name, tt := range map[string]struct {
		request *webhook.Request
		keys    webhook.Keys
		want    error
	}{
		"the one key":                        {r, keys, nil},
		"the last of many":                   {r, webhook.Keys{Keys: webhook.Secrets("a", "b", developmentKey)}, nil},
		"the first of many":                  {r, webhook.Keys{Keys: webhook.Secrets(developmentKey, "a", "b")}, nil},
		"two keys for two signatures":        {other, webhook.Keys{Keys: webhook.Secrets(developmentKey, "next")}, nil},
		"one of two keys for two signatures": {other, keys, webhook.ErrNotGenuine},
		"others":                             {r, webhook.Keys{Keys: webhook.Secrets("a", "b")}, webhook.ErrNotGenuine},
		"none":                               {r, webhook.Keys{}, webhook.ErrNoKey},
		"a URL token alone":                  {r, webhook.Keys{URLTokens: webhook.Secrets("token")}, webhook.ErrNoKey},
	} {
		if _, err := provider.Verify(tt.request, tt.keys); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	token := webhooktest.Clone(asMultipart(message))
	token.URLToken, token.TokenMatched = "token", true
	if proof, err := provider.Verify(token, keys); err != nil || proof != esign.ProofPartlySigned {
		t.Errorf("with a URL token that matched: %q, %v", proof, err)
	}
}

func TestSignReplacesOnlyTheHash(t *testing.T) {
	message := callback("signature_request_sent", "1793610000", `,"signature_request":{"title":"\u00e9 \/ &+%"}`)
	next := webhook.Keys{Keys: webhook.Secrets("next")}
	for form, encode := range map[string]func(string) *webhook.Request{
		"multipart": asMultipart, "urlencoded": asURLEncoded, "JSON": asJSON,
	} {
		for _, digest := range []bool{false, true} {
			r, want := encode(message), esign.ProofPartlySigned
			if digest {
				r.Header.Set("Content-Sha256", "old")
				want = esign.ProofSigned
			}
			before := webhooktest.Clone(r)
			if err := provider.Sign(r, next.Keys[0], webhooktest.ReceivedAt); err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			if proof, err := provider.Verify(r, next); err != nil || proof != want {
				t.Errorf("%s: %q, %v; want %q", form, proof, err, want)
			}
			old, hash := mac(developmentKey, "1793610000signature_request_sent"), mac("next", "1793610000signature_request_sent")
			if string(r.Body) != strings.Replace(string(before.Body), old, hash, 1) {
				t.Errorf("%s: Sign changed more than the hash: %s", form, r.Body)
			}
			if got := len(r.Header.Values("Content-Sha256")); digest != (got == 1) {
				t.Errorf("%s: %d Content-Sha256", form, got)
			}
		}
	}
}

func TestSignRefusesABodyWithoutOneHash(t *testing.T) {
	for name, message := range map[string]string{
		"no hash":                    `{"event":{"event_type":"callback_test","event_time":"1793610000"}}`,
		"an empty hash":              `{"event":{"event_type":"callback_test","event_time":"1793610000","event_hash":""}}`,
		"a hash that occurs twice":   `{"event":{"event_type":"callback_test","event_time":"1793610000","event_hash":"abc"},"x":"abc"}`,
		"a hash that is escaped":     `{"event":{"event_type":"callback_test","event_time":"1793610000","event_hash":"\u0061bc"}}`,
		"escaped, and plain outside": `{"event":{"event_type":"callback_test","event_time":"1793610000","event_hash":"\u0061bc"},"x":"abc"}`,
		"no JSON":                    `{`,
	} {
		r := asMultipart(message)
		if err := provider.Sign(r, keys.Keys[0], webhooktest.ReceivedAt); !errors.Is(err, webhook.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
		if string(r.Body) != string(asMultipart(message).Body) || r.Method != http.MethodPost {
			t.Errorf("%s: the request was changed", name)
		}
	}
}

// TestASignedBodyThatIsNotJSONIsKept sends bodies without an event_hash. Content-Sha256 covers every byte.
func TestASignedBodyThatIsNotJSONIsKept(t *testing.T) {
	p := provider
	for name, message := range map[string]string{
		"nested too deep": `{"event":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"cut off":         `{"event":{"event_type":"signature_request_sent"`,
	} {
		r := asMultipart(message)
		if proof, err := p.Verify(r, webhooktest.DevelopmentKeys(p)); !errors.Is(err, webhook.ErrNotGenuine) {
			t.Errorf("%s, without Content-Sha256: %q, %v", name, proof, err)
		}
		key := webhook.NewSecret(p.Info().DevelopmentKey)
		sum := base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(key.HMAC(sha256.New, []byte(message)))))
		r.Header.Set("Content-Sha256", sum)
		if proof, err := p.Verify(r, webhooktest.DevelopmentKeys(p)); proof != esign.ProofSigned || err != nil {
			t.Errorf("%s: %q, %v", name, proof, err)
		}
		if _, err := p.Identify(r); !errors.Is(err, webhook.ErrUnreadable) {
			t.Errorf("%s: identified: %v", name, err)
		}
		r.Header.Set("Content-Sha256", sum[1:])
		if _, err := p.Verify(r, webhooktest.DevelopmentKeys(p)); !errors.Is(err, webhook.ErrNotGenuine) {
			t.Errorf("%s, wrongly signed: %v", name, err)
		}
	}
}
