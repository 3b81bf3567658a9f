package dropboxsign_test

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/attack"
	"esignhooks/shared/webhook/webhooktest"
)

// The claims are about JSON bodies, which are their own signed message. The examples cover forms.
var claims = webhooktest.Claims{
	Variables: [3]string{"DROPBOXSIGN_API_KEYS", "DROPBOXSIGN_URL_TOKENS", "DROPBOXSIGN_API"},
	Header:    "Content-Sha256", Covered: webhooktest.BodyOf,
	Spellings: []func([]byte) string{webhooktest.Base64OfHex, webhooktest.Base64},
	Object:    "signature_request", ID: "signature_request_id",
	Completed: func(key, _ string) string {
		const at, what = "1793610000", "signature_request_all_signed"
		hash := webhooktest.MAC(sha256.New, key, []byte(at+what))
		return fmt.Sprintf(`"event":{"event_time":%q,"event_type":%q,"event_hash":"%x"}`, at, what, hash)
	},
	RefusesOtherFormats: true,
	WithoutHeader:       esign.ProofPartlySigned, // event_hash proves time and type, and no more
	TokenAlone:          esign.ProofPartlySigned,
	LongLists: map[string]func(func(string) string) string{
		"signatures": func(repeat func(string) string) string {
			return `{"event":{"event_type":"signature_request_sent","event_time":"1793610180"},` +
				`"signature_request":{"signature_request_id":"r","signatures":[` + repeat("{},") + `{}]}}`
		},
		"metadata": func(repeat func(string) string) string {
			return `{"event":{"event_type":"signature_request_sent","event_time":"1793610180"},"signature_request":` +
				`{"signature_request_id":"r","metadata":{"a":[` + repeat("{},") + `{}]}}}`
		},
		"keys of metadata": func(repeat func(string) string) string {
			return `{"event":{"event_type":"signature_request_sent","event_time":"1793610180"},"signature_request":` +
				`{"signature_request_id":"r","metadata":{` + repeat(`"a":1,`) + `"a":1}}}`
		},
		"signatures of an event that is told apart by them": func(repeat func(string) string) string {
			return `{"event":{"event_type":"signature_request_remind","event_time":"1793610180",` +
				`"event_metadata":{"related_signature_id":"s1","reported_for_app_id":"p1"}},"client_id":"p1",` +
				`"signature_request":{"signature_request_id":"r","client_id":null,"signatures":[` + repeat("{},") + `{}]}}`
		},
	},
}

func TestProvider(t *testing.T) { webhooktest.Run(t, provider, claims, attack.Run) }

func FuzzGenuine(f *testing.F) { attack.Fuzz(f, provider, claims) }

// field writes a field of a multipart form.
func field(boundary, name, value string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

// TestAFormHasOneMessage puts forged parts around the signed message of a form. Only the message that the signature
// covers may count.
func TestAFormHasOneMessage(t *testing.T) {
	key := attack.NewWorld(t, provider, claims).Key()
	genuine, forged := claims.Body(key, "genuine"), claims.Body(key, "forged") // the forger has seen the event_hash
	encoded, lie := url.QueryEscape(genuine), url.QueryEscape(forged)
	const multipart, urlencoded = "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"
	// A form whose boundary is y, before one whose boundary is x: which it is depends on the Content-Type.
	two := field("y", "json", forged) + "--y--\r\n" + field("x", "json", genuine) + "--x--\r\n"
	long := strings.Repeat("z", 300)
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"a form of parts": {multipart, field("x", "json", genuine) + "--x--\r\n", "genuine"},
		"a form of parts, and an epilogue": {
			multipart, field("x", "json", genuine) + "--x--\r\n" + field("x", "json", forged) + "--x--\r\n", "genuine",
		},
		"a form of parts, and a preamble":           {multipart, two, "genuine"},
		"a preamble under a long type":              {multipart + "; a=" + long, two, "none or genuine"},
		"a preamble under a type that is not ASCII": {multipart + `; a="é"`, two, "none or genuine"},
		"a preamble under a type with a tab":        {multipart + ";\ta=b", two, "none or genuine"},
		"pairs under a long type": {
			urlencoded + "; a=" + long, "--y=1&json=" + encoded, "none or genuine",
		},
		"pairs under a long type, and parts": {
			urlencoded + "; a=" + long,
			"--y\r\nContent-Disposition: form-data; name=json\r\n\r\n" + forged + "\r\n--y--&json=" + encoded, "none or genuine",
		},
		"two parts": {
			multipart, field("x", "json", genuine) + field("x", "json", forged) + "--x--\r\n", attack.Refused,
		},
		"two parts, the forged one first": {
			multipart, field("x", "json", forged) + field("x", "json", genuine) + "--x--\r\n", attack.Refused,
		},
		"a part in capitals": {
			multipart, field("x", "JSON", forged) + field("x", "json", genuine) + "--x--\r\n", "genuine",
		},
		"a part with two names": {
			multipart, field("x", `json"; name="y`, forged) + field("x", "json", genuine) + "--x--\r\n", "genuine",
		},
		"a part with an extended name": {
			multipart, field("x", `y"; name*=utf-8''json; a="`, forged) + field("x", "json", genuine) + "--x--\r\n",
			"none or genuine",
		},
		"a part that is a file": {
			multipart,
			strings.Replace(field("x", "json", forged), `"json"`, `"json"; filename="a"`, 1) + field("x", "json", genuine) +
				"--x--\r\n",
			attack.Refused,
		},
		"a form in a part": {
			multipart,
			"--x\r\nContent-Disposition: form-data; name=json\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n" + two +
				"--x--\r\n",
			attack.Refused,
		},
		"a part in quoted-printable": {
			multipart,
			"--x\r\nContent-Disposition: form-data; name=json\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + genuine +
				"\r\n--x--\r\n",
			"genuine",
		},
		"a part in base64": {
			multipart,
			"--x\r\nContent-Disposition: form-data; name=json\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
				webhooktest.Base64([]byte(genuine)) + "\r\n--x--\r\n",
			attack.Refused,
		},
		"a part that is never closed": {multipart, field("x", "json", genuine), attack.Refused},
		"another boundary than the type's": {
			"multipart/form-data; boundary=y", field("x", "json", genuine) + "--x--\r\n", attack.Refused,
		},
		"pairs":                                {urlencoded, "json=" + encoded, "genuine"},
		"the pair twice":                       {urlencoded, "json=" + encoded + "&json=" + lie, attack.Refused},
		"the pair twice, the forged one first": {urlencoded, "json=" + lie + "&json=" + encoded, attack.Refused},
		"the pair twice, then escaped":         {urlencoded, "json=" + encoded + "&%6ason=" + lie, attack.Refused},
		"the pair twice, then in capitals":     {urlencoded, "json=" + encoded + "&JSON=" + lie, "genuine"},
		"the pair twice, then as a list":       {urlencoded, "json=" + encoded + "&json[]=" + lie, "genuine"},
		"the pair twice, with a semicolon":     {urlencoded, "json=" + encoded + ";json=" + lie, attack.Refused},
		"pairs that say they are parts":        {multipart, "json=" + encoded, attack.Refused},
		"parts that say they are pairs": {
			urlencoded, field("x", "json", genuine) + "--x--\r\n", attack.Refused,
		},
		"parts that say they are JSON": {
			"application/json", field("x", "json", genuine) + "--x--\r\n", "genuine",
		},
		"JSON that says it is pairs": {urlencoded, genuine, "genuine"},
		"JSON that says it is parts": {multipart, genuine, "genuine"},
		"JSON of another, and the genuine one in parts": {
			multipart, forged + "\r\n" + field("x", "json", genuine) + "--x--\r\n", attack.Refused,
		},
		"pairs of another behind the genuine JSON": {urlencoded, genuine + "&json=" + lie, attack.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			w := attack.NewWorld(t, provider, claims)
			r := w.Signed(genuine)
			r.Header.Set("Content-Type", tt.contentType)
			r.Body = []byte(tt.body)
			got := w.Meaning(r)
			if got != tt.want && !(tt.want == "none or genuine" && (got == "genuine" || got == attack.Refused)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			events, err := w.Events()
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Proof != esign.ProofSigned {
					t.Errorf("proof %q", e.Proof)
				}
			}
		})
	}
}
