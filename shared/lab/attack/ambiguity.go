package attack

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// Meaning sends a genuine request and returns the ID of the agreement that it completes, otherwise its outcome. It is
// sent twice, and the second one must be a duplicate.
func (w *World) Meaning(r *webhook.Request) string {
	w.t.Helper()
	known := w.events()
	fate := w.Fate(webhooktest.Clone(r))
	if fate == Refused {
		return fate
	}
	if got := w.Fate(webhooktest.Clone(r)); got != duplicate {
		w.t.Errorf("sent again, it is %s", got)
	}
	for id, e := range w.events() {
		if _, old := known[id]; !old && e.Agreement != nil {
			if e.Type != esign.AgreementCompleted {
				w.t.Errorf("it is %s", e.Type)
			}
			return e.Agreement.ID
		}
	}
	if fate == Unreadable {
		return fate
	}
	return "none"
}

// ambiguousJSON sends genuinely signed bodies that JSON readers disagree about. What is verified must be what the
// receiver and the worker read.
func ambiguousJSON(t *testing.T, v vendor) {
	if v.Object == "" {
		return // the vendor's bodies are not JSON objects with an agreement
	}
	const deep = 100_000
	type row struct {
		text   string // with OUTER, INNER, CAPITALS, ESCAPED; members next to the event, or with EVENT the whole body
		want   string
		unless func(vendor) string
	}
	otherFormat := exception(refusesFormats, Refused)
	merged := exception(func(v vendor) bool { return !v.KeepsObject }, "none")
	for name, tt := range map[string]row{
		"the ID twice":                          {`"OUTER":{"INNER":"first","INNER":"second"}`, "second", nil},
		"the ID twice, then in capitals":        {`"OUTER":{"INNER":"first","CAPITALS":"second"}`, "second", nil},
		"the ID twice, first in capitals":       {`"OUTER":{"CAPITALS":"first","INNER":"second"}`, "second", nil},
		"the ID twice, then escaped":            {`"OUTER":{"INNER":"first","ESCAPED":"second"}`, "second", nil},
		"the ID and then null":                  {`"OUTER":{"INNER":"first","INNER":null}`, "none", nil},
		"the ID and then a list":                {`"OUTER":{"INNER":"first","INNER":["second"]}`, "none", nil},
		"the object twice":                      {`"OUTER":{"INNER":"first"},"OUTER":{"INNER":"second"}`, "second", nil},
		"the object twice, then without the ID": {`"OUTER":{"INNER":"first"},"OUTER":{}`, "first", merged},
		"the object twice, then a string":       {`"OUTER":{"INNER":"first"},"OUTER":"second"`, "first", merged},
		"the object within itself":              {`"OUTER":{"INNER":"first","OUTER":{"INNER":"second"}}`, "first", nil},
		"a list of objects":                     {`"OUTER":[{"INNER":"first"}]`, "none", nil},
		"the ID outside its object":             {`"INNER":"second","OUTER":{"INNER":"first"}`, "first", nil},
		"the object in a string": {
			`"x":"\"OUTER\":{\"INNER\":\"second\"}","OUTER":{"INNER":"first"}`, "first", nil,
		},
		"half of a surrogate": {`"OUTER":{"INNER":"a\ud800"}`, "a\ufffd", nil},
		"invalid UTF-8":       {`"OUTER":{"INNER":"` + "a\xff" + `"}`, "a\ufffd", nil},
		"overlong UTF-8":      {`"OUTER":{"INNER":"` + "a\xc0\xaf" + `"}`, "a\ufffd\ufffd", nil},
		"an overlong quotation mark": {
			`"OUTER":{"INNER":"` + "a\xc0\xa2" + `,\"x\":\"b"}`, "a\ufffd\ufffd," + `"x":"b`, nil,
		},
		"a NUL":                     {`"OUTER":{"INNER":"a\u0000b"}`, "a\x00b", nil},
		"a right-to-left override":  {`"OUTER":{"INNER":"a\u202eb"}`, "a\u202eb", nil},
		"a number beyond precision": {`"OUTER":{"INNER":9007199254740993}`, "9007199254740993", nil},
		"a number out of range":     {`"OUTER":{"INNER":1e999}`, "1e999", nil},
		"a number with a decimal":   {`"OUTER":{"INNER":1.0}`, "1.0", nil},
		"objects nested too deeply": {
			`"x":` + strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep) + `,"OUTER":{"INNER":"first"}`, Unreadable,
			nil,
		},
		"lists nested too deeply": {
			`"OUTER":` + strings.Repeat("[", deep) + strings.Repeat("]", deep), Unreadable, nil,
		},
		"lists nested too deeply, never closed": {`{"OUTER":` + strings.Repeat("[", deep), Unreadable, nil},
		"a second message after the first":      {`"OUTER":{"INNER":"first"}}{"OUTER":{"INNER":"second"}`, Unreadable, nil},
		"a trailing comma":                      {`"OUTER":{"INNER":"first",}`, Unreadable, nil},
		"a comment":                             {`"OUTER":{"INNER":"first"/*","INNER":"second*/}`, Unreadable, nil},
		"a line comment":                        {`"OUTER":{"INNER":"first"//"` + "\n" + `}`, Unreadable, nil},
		"single quotes":                         {`"OUTER":{'INNER':'first'}`, Unreadable, nil},
		"a line feed in a string":               {`"OUTER":{"INNER":"a` + "\n" + `"}`, Unreadable, nil},
		"NaN as a number":                       {`"OUTER":{"INNER":NaN}`, Unreadable, nil},
		"a key without quotes":                  {`"OUTER":{INNER:"first"}`, Unreadable, nil},
		"a byte order mark":                     {"\ufeff" + `{EVENT,"OUTER":{"INNER":"first"}}`, "first", nil},
		"two byte order marks": {
			"\ufeff\ufeff" + `{EVENT,"OUTER":{"INNER":"first"}}`, Unreadable, otherFormat,
		},
		"a byte order mark after white space":   {" \ufeff" + `{EVENT,"OUTER":{"INNER":"first"}}`, Unreadable, otherFormat},
		"white space outside JSON's definition": {"\u00a0" + `{EVENT,"OUTER":{"INNER":"first"}}`, Unreadable, otherFormat},
		"a list of messages":                    {`[{EVENT,"OUTER":{"INNER":"first"}}]`, Unreadable, otherFormat},
		"a message in a string":                 {`"{EVENT}"`, Unreadable, otherFormat},
		"a prefix against script inclusion": {
			`)]}'` + "\n" + `{EVENT,"OUTER":{"INNER":"first"}}`, Unreadable, otherFormat,
		},
		"UTF-7": {
			`+AHs-EVENT,+ACI-OUTER+ACI-:+AHsAIg-INNER+ACI-:+ACI-first+ACIAfQB9-`, Unreadable, otherFormat,
		},
		"nothing":                  {` `, Unreadable, otherFormat},
		"UTF-16, big end first":    {utf16Message(binary.BigEndian), Unreadable, otherFormat},
		"UTF-16, little end first": {utf16Message(binary.LittleEndian), Unreadable, otherFormat},
		"UTF-16, without a mark": {
			strings.TrimPrefix(utf16Message(binary.BigEndian), "\xfe\xff"), Unreadable, otherFormat,
		},
		"the letters of other alphabets as keys": {`"OUTER":{"INNER":"first"},"ＯＵＴＥＲ":{"INNER":"second"}`, "first", nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("CAPITALS", strings.ToUpper(v.ID),
				"ESCAPED", fmt.Sprintf(`\u%04x%s`, v.ID[0], v.ID[1:])).Replace(tt.text)
			text = v.Fill(v.key(), text)
			if strings.HasPrefix(tt.text, `"OUTER`) || strings.HasPrefix(tt.text, `"INNER`) ||
				strings.HasPrefix(tt.text, `"x"`) {
				text = v.Message(v.key(), text)
			}
			want := tt.want
			if tt.unless != nil {
				want = cmp.Or(tt.unless(v), want)
			}
			if got := newWorld(t, v, keysOf(v, false)).Meaning(v.signed(v.key(), text)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// utf16Message returns a message in UTF-16 with a byte order mark.
func utf16Message(order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + `{"event":"envelope-completed","data":{"envelopeId":"first"}}`)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// bigIDs sends 2^53 and 2^53+1, which are equal for readers that read numbers as floats.
func bigIDs(t *testing.T, v vendor) {
	if v.Object == "" {
		return
	}
	w := newWorld(t, v, keysOf(v, false))
	for _, id := range []string{"9007199254740992", "9007199254740993"} {
		body := v.Message(v.key(), fmt.Sprintf(`%q:{%q:%s}`, v.Object, v.ID, id))
		if got := w.Meaning(v.signed(v.key(), body)); got != id {
			t.Errorf("%s became %s", id, got)
		}
	}
}

// contentTypes sends wrong content types. They must not change what a body means.
func contentTypes(t *testing.T, v vendor) {
	attacks := map[string]attack{}
	for _, contentType := range []string{
		"", "text/plain", "application/xml", "text/xml; charset=utf-16", "application/json; charset=utf-16",
		"application/json; charset=utf-7", "application/x-www-form-urlencoded",
		"multipart/form-data", "multipart/form-data; boundary=x", `multipart/form-data; boundary="{\"event\":"`,
		"multipart/mixed; boundary=x", "application/gzip",
		"application/octet-stream", "application/json, text/plain", "{}", "é", "\x00", strings.Repeat("x", 70_000),
		"application/json; " + strings.Repeat("a=b; ", 1000),
	} {
		attacks[fmt.Sprintf("%.60q", contentType)] = attack{
			func(_ *World, r *webhook.Request) { r.Header.Set("Content-Type", contentType) }, duplicate, nil,
		}
	}
	attacks["two of them"] = attack{
		func(_ *World, r *webhook.Request) { r.Header.Add("Content-Type", "multipart/form-data; boundary=x") }, duplicate,
		nil,
	}
	attacks["an encoding that is not there"] = attack{
		func(_ *World, r *webhook.Request) { r.Header.Set("Content-Encoding", "gzip") }, duplicate, nil,
	}
	attacks["a transfer encoding"] = attack{
		func(_ *World, r *webhook.Request) { r.Header.Set("Transfer-Encoding", "chunked") }, duplicate, nil,
	}
	attacks["a length"] = attack{
		func(_ *World, r *webhook.Request) { r.Header.Set("Content-Length", "1") }, duplicate, nil,
	}
	try(t, v, false, attacks)
}

// compressedBodies sends a compressed bomb, signed as the vendor would sign it. Nothing is decompressed.
func compressedBodies(t *testing.T, v vendor) {
	const size = 16 << 20
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	z.Close()
	want := Unreadable
	if v.RefusesOtherFormats {
		want = Refused
	}
	w, r := newWorld(t, v, keysOf(v, false)), v.signed(v.key(), bomb.String())
	r.Header.Set("Content-Encoding", "gzip")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := w.Fate(r); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > size/4 {
		t.Errorf("%d bytes cost %d", bomb.Len(), cost)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// claimedProofs sends bodies and headers that claim a better proof than the request has.
func claimedProofs(t *testing.T, v vendor) {
	w := newWorld(t, v, keysOf(v, true))
	r := v.genuine()
	body := `"proof":"signed","provider":"elsewhere","encoding":"stored","eventId":"x"`
	if v.Object != "" {
		body += fmt.Sprintf(`,%q:{%q:"forged","proof":"signed","provider":"elsewhere"}`, v.Object, v.ID)
	}
	r.Body = []byte(v.Message(v.key(), body))
	v.unsign(r)
	want := cmp.Or(string(v.TokenAlone), Refused)
	if v.Covered == nil {
		r, want = v.genuine(), string(esign.ProofURLToken)
	}
	for _, header := range []string{"Proof", "X-Proof", "X-Provider"} {
		r.Header.Set(header, "signed")
	}
	if got := w.Fate(r); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, e := range w.events() {
		if e.Provider != v.name() || e.Event == nil || e.Event.Provider != v.name() {
			t.Errorf("it is an event of %s", e.Provider)
		}
	}
}
