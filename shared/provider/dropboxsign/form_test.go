package dropboxsign_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

func TestForms(t *testing.T) {
	message := callback("signature_request_sent", "1793610000",
		`,"signature_request":{"signature_request_id":"r1","title":"a=20b"}`)
	encoded := string(asURLEncoded(message).Body)
	form := part("json", message) + end
	nested := "--xYz\r\nContent-Disposition: form-data; name=\"json\"\r\nContent-Type: Multipart/Mixed; " +
		"boundary=in\r\n\r\n" +
		"--in\r\n\r\n" + message + "\r\n--in--\r\n\r\n" + end
	headed := func(header string) string {
		return strings.Replace(form, "\r\n\r\n", "\r\n"+header+"\r\n\r\n", 1)
	}
	for name, tt := range map[string]struct {
		contentType, body string
		readable          bool
	}{
		"multipart":                                     {multipartType, form, true},
		"multipart, type in capitals":                   {"Multipart/Form-Data; Boundary=xYz", form, true},
		"multipart, boundary in quotes":                 {`multipart/form-data; boundary="xYz"`, form, true},
		"multipart without a boundary in the type":      {"multipart/form-data", form, true},
		"multipart with a broken parameter":             {"multipart/form-data; boundary", form, true},
		"multipart without a type":                      {"", form, true},
		"multipart under a foreign type":                {"text/plain", form, true},
		"multipart under its name in old documentation": {"form/multipart; boundary=xYz", form, true},
		"multipart with a preamble":                     {multipartType, "preamble\r\n" + form, true},
		"multipart with an empty line before":           {"", "\r\n" + form, true},
		"multipart with an epilogue":                    {multipartType, form + "epilogue", true},
		"multipart with bare line feeds":                {multipartType, strings.ReplaceAll(form, "\r\n", "\n"), true},
		"multipart without a final line end":            {multipartType, strings.TrimSuffix(form, "\r\n"), true},
		"multipart with other fields": {
			multipartType, part("a", "1") + part("json", message) + part("JSON", "{}") + end, true,
		},
		"multipart with the field's type": {multipartType, headed("Content-Type: application/json"), true},
		"multipart that says quoted-printable": {
			multipartType, headed("Content-Transfer-Encoding: quoted-printable"), true,
		},
		"multipart with two fields json": {
			multipartType, part("json", message) + part("json", message) + end, false,
		},
		"multipart with a second, empty field json": {
			multipartType, part("json", message) + part("json", "") + end, false,
		},
		"multipart without the field":  {multipartType, part("payload", message) + end, false},
		"multipart with a form inside": {multipartType, nested, false},
		"multipart with a form inside another field": {
			multipartType, part("json", message) + strings.Replace(nested, `"json"`, `"x"`, 1), false,
		},
		"multipart with another boundary in the type":   {"multipart/form-data; boundary=other", form, false},
		"multipart cut off before the end":              {multipartType, part("json", message), false},
		"multipart cut off within the field":            {multipartType, part("json", message)[:80], false},
		"multipart cut off after the field":             {multipartType, part("json", message) + part("x", "1"), false},
		"multipart with an empty body":                  {multipartType, "", false},
		"urlencoded":                                    {"application/x-www-form-urlencoded", encoded, true},
		"urlencoded with a charset":                     {"application/x-www-form-urlencoded; charset=utf-8", encoded, true},
		"urlencoded without a type":                     {"", encoded, true},
		"urlencoded with other fields":                  {"", "a=1&" + encoded + "&b=2", true},
		"urlencoded with a first field like a boundary": {"application/x-www-form-urlencoded", "--a=1&" + encoded, true},
		"urlencoded with two fields json":               {"", encoded + "&" + encoded, false},
		"urlencoded with a second, empty field json":    {"", encoded + "&json=", false},
		"urlencoded with a broken escape":               {"", encoded + "&a=%zz", false},
		"urlencoded without the field":                  {"", "data=%7B%7D", false},
		"JSON":                                          {"application/json", message, true},
		"JSON without a type":                           {"", message, true},
		"JSON under the type of a form":                 {"application/x-www-form-urlencoded", message, true},
		"JSON with a byte order mark":                   {"application/json", "\xef\xbb\xbf" + message, true},
		"nothing":                                       {"", "", false},
		"null":                                          {"application/json", "null", false},
		"a list":                                        {"application/json", "[" + message + "]", false},
		"a string":                                      {"application/json", `"` + encoded + `"`, false},
		"bytes that are not text":                       {"application/octet-stream", "\xff\xfe\x00", false},
		"a list in a form":                              {multipartType, part("json", "[]") + end, false},
		"null in a form":                                {multipartType, part("json", "null") + end, false},
		"nothing in a form":                             {multipartType, part("json", "") + end, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(tt.contentType, tt.body)
			wantVerify, wantIdentify := webhook.ErrNotGenuine, webhook.ErrUnreadable
			if tt.readable {
				wantVerify, wantIdentify = nil, nil
			}
			if _, err := provider.Verify(r, keys); !errors.Is(err, wantVerify) {
				t.Errorf("Verify: %v, want %v", err, wantVerify)
			}
			if _, err := provider.Identify(r); !errors.Is(err, wantIdentify) {
				t.Errorf("Identify: %v, want %v", err, wantIdentify)
			}
			if _, err := provider.Normalize(&webhook.Delivery{ContentType: tt.contentType, Payload: r.Body}); !errors.Is(err,
				wantIdentify) {
				t.Errorf("Normalize: %v, want %v", err, wantIdentify)
			}
			exact := message
			if strings.HasPrefix(tt.body, "\xef") {
				exact = tt.body
			}
			if proof, _ := provider.Verify(withDigest(r, exact), keys); tt.readable && proof != esign.ProofSigned {
				t.Errorf("not the exact bytes of the message: %q", proof)
			}
		})
	}
}

// The field's buffer is allocated with the size of the body.
func TestManyFieldsCostLittle(t *testing.T) {
	body := strings.Repeat(part("json", "{}"), 10_000) + end
	r := post(multipartType, body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := provider.Identify(r); !errors.Is(err, webhook.ErrUnreadable) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(3*len(body)) {
		t.Errorf("%d bytes cost %d", len(body), cost)
	}
}
