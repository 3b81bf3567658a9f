package attack

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// meaning sends what is genuine and perhaps ambiguous, and returns the ID of the agreement that it completes; otherwise
// what becomes of it. Sent again, it is the same.
func (w *world) meaning(r *webhook.Request) string {
	w.t.Helper()
	known := w.events()
	fate := w.fate(webhooktest.Clone(r))
	if fate == refused {
		return fate
	}
	if got := w.fate(webhooktest.Clone(r)); got != duplicate {
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
	if fate == unreadable {
		return fate
	}
	return "none"
}

// TestAnAmbiguousBodyHasOneMeaning: what is verified is what is read, by the receiver and by the worker. The bodies are
// genuinely signed; dropboxsign's, which is not a form, by Content-Sha256.
func TestAnAmbiguousBodyHasOneMeaning(t *testing.T) {
	const deep = 100_000
	type row struct {
		text string // OUTER, INNER and ESCAPED are the vendor's words; what does not begin with { stands beside the event
		want string
		but  map[string]string
	}
	noForm := map[string]string{"dropboxsign": refused} // nor JSON: nothing in it could be verified
	whole := func(text string) string { return "{" + text }
	for name, tt := range map[string]row{
		"the ID twice":                           {`"OUTER":{"INNER":"first","INNER":"second"}`, "second", nil},
		"the ID twice, then in capitals":         {`"OUTER":{"INNER":"first","CAPITALS":"second"}`, "second", nil},
		"the ID twice, first in capitals":        {`"OUTER":{"CAPITALS":"first","INNER":"second"}`, "second", nil},
		"the ID twice, then escaped":             {`"OUTER":{"INNER":"first","ESCAPED":"second"}`, "second", nil},
		"the ID and then null":                   {`"OUTER":{"INNER":"first","INNER":null}`, "none", nil},
		"the ID and then a list":                 {`"OUTER":{"INNER":"first","INNER":["second"]}`, "none", nil},
		"the object twice":                       {`"OUTER":{"INNER":"first"},"OUTER":{"INNER":"second"}`, "second", nil},
		"the object twice, then without the ID":  {`"OUTER":{"INNER":"first"},"OUTER":{}`, "first", map[string]string{"dropboxsign": "none", "esignglobal": "none"}},
		"the object twice, then a string":        {`"OUTER":{"INNER":"first"},"OUTER":"second"`, "first", map[string]string{"dropboxsign": "none", "esignglobal": "none"}},
		"the object within itself":               {`"OUTER":{"INNER":"first","OUTER":{"INNER":"second"}}`, "first", nil},
		"a list of objects":                      {`"OUTER":[{"INNER":"first"}]`, "none", nil},
		"the ID beside its object":               {`"INNER":"second","OUTER":{"INNER":"first"}`, "first", nil},
		"the object in a string":                 {`"x":"\"OUTER\":{\"INNER\":\"second\"}","OUTER":{"INNER":"first"}`, "first", nil},
		"half of a surrogate":                    {`"OUTER":{"INNER":"a\ud800"}`, "a\ufffd", nil},
		"invalid UTF-8":                          {`"OUTER":{"INNER":"` + "a\xff" + `"}`, "a\ufffd", nil},
		"overlong UTF-8":                         {`"OUTER":{"INNER":"` + "a\xc0\xaf" + `"}`, "a\ufffd\ufffd", nil},
		"an overlong quotation mark":             {`"OUTER":{"INNER":"` + "a\xc0\xa2" + `,\"x\":\"b"}`, "a\ufffd\ufffd," + `"x":"b`, nil},
		"a NUL":                                  {`"OUTER":{"INNER":"a\u0000b"}`, "a\x00b", nil},
		"a right-to-left override":               {`"OUTER":{"INNER":"a\u202eb"}`, "a\u202eb", nil},
		"a number beyond precision":              {`"OUTER":{"INNER":9007199254740993}`, "9007199254740993", nil},
		"a number beyond all measure":            {`"OUTER":{"INNER":1e999}`, "1e999", nil},
		"a number as it is written":              {`"OUTER":{"INNER":1.0}`, "1.0", nil},
		"objects as deep as can be":              {`"x":` + strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep) + `,"OUTER":{"INNER":"first"}`, unreadable, nil},
		"lists as deep as can be":                {`"OUTER":` + strings.Repeat("[", deep) + strings.Repeat("]", deep), unreadable, nil},
		"lists as deep as can be, never closed":  {whole(`"OUTER":` + strings.Repeat("[", deep)), unreadable, nil},
		"a second message behind":                {`"OUTER":{"INNER":"first"}}{"OUTER":{"INNER":"second"}`, unreadable, nil},
		"a trailing comma":                       {`"OUTER":{"INNER":"first",}`, unreadable, nil},
		"a comment":                              {`"OUTER":{"INNER":"first"/*","INNER":"second*/}`, unreadable, nil},
		"a line comment":                         {`"OUTER":{"INNER":"first"//"` + "\n" + `}`, unreadable, nil},
		"single quotes":                          {`"OUTER":{'INNER':'first'}`, unreadable, nil},
		"a line feed in a string":                {`"OUTER":{"INNER":"a` + "\n" + `"}`, unreadable, nil},
		"a number that is none":                  {`"OUTER":{"INNER":NaN}`, unreadable, nil},
		"a key without quotes":                   {`"OUTER":{INNER:"first"}`, unreadable, nil},
		"a byte order mark":                      {"\ufeff" + `{EVENT,"OUTER":{"INNER":"first"}}`, "first", nil},
		"two byte order marks":                   {"\ufeff\ufeff" + `{EVENT,"OUTER":{"INNER":"first"}}`, unreadable, noForm},
		"a byte order mark behind white space":   {" \ufeff" + `{EVENT,"OUTER":{"INNER":"first"}}`, unreadable, noForm},
		"white space that is none":               {"\u00a0" + `{EVENT,"OUTER":{"INNER":"first"}}`, unreadable, noForm},
		"a list of messages":                     {`[{EVENT,"OUTER":{"INNER":"first"}}]`, unreadable, noForm},
		"a message in a string":                  {`"{EVENT}"`, unreadable, noForm},
		"a prefix against script inclusion":      {`)]}'` + "\n" + `{EVENT,"OUTER":{"INNER":"first"}}`, unreadable, noForm},
		"UTF-7":                                  {`+AHs-EVENT,+ACI-OUTER+ACI-:+AHsAIg-INNER+ACI-:+ACI-first+ACIAfQB9-`, unreadable, noForm},
		"nothing":                                {` `, unreadable, noForm},
		"UTF-16, big end first":                  {wide(binary.BigEndian), unreadable, noForm},
		"UTF-16, little end first":               {wide(binary.LittleEndian), unreadable, noForm},
		"UTF-16, without a mark":                 {strings.TrimPrefix(wide(binary.BigEndian), "\xfe\xff"), unreadable, noForm},
		"the letters of other alphabets as keys": {`"OUTER":{"INNER":"first"},"ＯＵＴＥＲ":{"INNER":"second"}`, "first", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range vendors(t) {
				key := keyOf(v)
				text := strings.NewReplacer("EVENT", v.event(key), "OUTER", v.outer, "INNER", v.inner, "CAPITALS", strings.ToUpper(v.inner),
					"ESCAPED", fmt.Sprintf(`\u%04x%s`, v.inner[0], v.inner[1:])).Replace(tt.text)
				if strings.HasPrefix(tt.text, `"OUTER`) || strings.HasPrefix(tt.text, `"INNER`) || strings.HasPrefix(tt.text, `"x"`) {
					text = v.message(key, text)
				}
				want, other := tt.but[v.Info().Name]
				if !other {
					want = tt.want
				}
				if got := newWorld(t, v, keys(v, false)).meaning(v.signed(key, text)); got != want {
					t.Errorf("%s: got %q, want %q", v.Info().Name, got, want)
				}
			}
		})
	}
}

// wide is a message in UTF-16 with a byte order mark.
func wide(order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + `{"event":"envelope-completed","data":{"envelopeId":"first"}}`)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// TestIDsBeyondThePrecisionOfNumbersStayApart: 2^53 and 2^53+1 are one to whoever reads numbers as floats.
func TestIDsBeyondThePrecisionOfNumbersStayApart(t *testing.T) {
	for _, v := range vendors(t) {
		w := newWorld(t, v, keys(v, false))
		for _, id := range []string{"9007199254740992", "9007199254740993"} {
			if got := w.meaning(v.signed(keyOf(v), v.message(keyOf(v), `"OUTER":{"INNER":`+id+`}`))); got != id {
				t.Errorf("%s: %s became %s", v.Info().Name, id, got)
			}
		}
	}
}

// TestContentTypesThatLieChangeNothing: a body means what it is, whatever its header says.
func TestContentTypesThatLieChangeNothing(t *testing.T) {
	attacks := map[string]attack{}
	for _, contentType := range []string{
		"", "text/plain", "application/xml", "text/xml; charset=utf-16", "application/json; charset=utf-16", "application/json; charset=utf-7", "application/x-www-form-urlencoded",
		"multipart/form-data", "multipart/form-data; boundary=x", `multipart/form-data; boundary="{\"event\":"`, "multipart/mixed; boundary=x", "application/gzip",
		"application/octet-stream", "application/json, text/plain", "{}", "é", "\x00", strings.Repeat("x", 70_000), "application/json; " + strings.Repeat("a=b; ", 1000),
	} {
		attacks[fmt.Sprintf("%.60q", contentType)] = attack{func(_ *world, r *webhook.Request) { r.Header.Set("Content-Type", contentType) }, duplicate, nil}
	}
	attacks["two of them"] = attack{func(_ *world, r *webhook.Request) { r.Header.Add("Content-Type", "multipart/form-data; boundary=x") }, duplicate, nil}
	attacks["an encoding that is not there"] = attack{func(_ *world, r *webhook.Request) { r.Header.Set("Content-Encoding", "gzip") }, duplicate, nil}
	attacks["a transfer encoding"] = attack{func(_ *world, r *webhook.Request) { r.Header.Set("Transfer-Encoding", "chunked") }, duplicate, nil}
	attacks["a length"] = attack{func(_ *world, r *webhook.Request) { r.Header.Set("Content-Length", "1") }, duplicate, nil}
	try(t, false, attacks)
}

// part is a field of a form.
func part(boundary, name, value string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

// TestAFormHasOneMessage: dropboxsign's forms wrap the signed message in much that is not signed. Whatever stands around
// it, what counts is the message that the signature covers, or none.
func TestAFormHasOneMessage(t *testing.T) {
	all := vendors(t)
	v := all[slices.IndexFunc(all, func(v vendor) bool { return v.Info().Name == "dropboxsign" })]
	genuine, forged := v.body(keyOf(v), "genuine"), v.body(keyOf(v), "forged") // the forger has seen the hash of the genuine one
	encoded, lie := url.QueryEscape(genuine), url.QueryEscape(forged)
	const multipart, urlencoded = "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"
	// A form whose boundary is y, before one whose boundary is x: which it is depends on the Content-Type.
	two := part("y", "json", forged) + "--y--\r\n" + part("x", "json", genuine) + "--x--\r\n"
	long := strings.Repeat("z", 300)
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"a form of parts":                               {multipart, part("x", "json", genuine) + "--x--\r\n", "genuine"},
		"a form of parts, and an epilogue":              {multipart, part("x", "json", genuine) + "--x--\r\n" + part("x", "json", forged) + "--x--\r\n", "genuine"},
		"a form of parts, and a preamble":               {multipart, two, "genuine"},
		"a preamble under a long type":                  {multipart + "; a=" + long, two, "none or genuine"},
		"a preamble under a type that is not ASCII":     {multipart + `; a="é"`, two, "none or genuine"},
		"a preamble under a type with a tab":            {multipart + ";\ta=b", two, "none or genuine"},
		"pairs under a long type":                       {urlencoded + "; a=" + long, "--y=1&json=" + encoded, "none or genuine"},
		"pairs under a long type, and parts":            {urlencoded + "; a=" + long, "--y\r\nContent-Disposition: form-data; name=json\r\n\r\n" + forged + "\r\n--y--&json=" + encoded, "none or genuine"},
		"two parts":                                     {multipart, part("x", "json", genuine) + part("x", "json", forged) + "--x--\r\n", refused},
		"two parts, the forged one first":               {multipart, part("x", "json", forged) + part("x", "json", genuine) + "--x--\r\n", refused},
		"a part in capitals":                            {multipart, part("x", "JSON", forged) + part("x", "json", genuine) + "--x--\r\n", "genuine"},
		"a part with two names":                         {multipart, part("x", `json"; name="y`, forged) + part("x", "json", genuine) + "--x--\r\n", "genuine"},
		"a part with an extended name":                  {multipart, part("x", `y"; name*=utf-8''json; a="`, forged) + part("x", "json", genuine) + "--x--\r\n", "none or genuine"},
		"a part that is a file":                         {multipart, strings.Replace(part("x", "json", forged), `"json"`, `"json"; filename="a"`, 1) + part("x", "json", genuine) + "--x--\r\n", refused},
		"a form in a part":                              {multipart, "--x\r\nContent-Disposition: form-data; name=json\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n" + two + "--x--\r\n", refused},
		"a part in quoted-printable":                    {multipart, "--x\r\nContent-Disposition: form-data; name=json\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + genuine + "\r\n--x--\r\n", "genuine"},
		"a part in base64":                              {multipart, "--x\r\nContent-Disposition: form-data; name=json\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Of([]byte(genuine)) + "\r\n--x--\r\n", refused},
		"a part that is never closed":                   {multipart, part("x", "json", genuine), refused},
		"another boundary than the type's":              {"multipart/form-data; boundary=y", part("x", "json", genuine) + "--x--\r\n", refused},
		"pairs":                                         {urlencoded, "json=" + encoded, "genuine"},
		"the pair twice":                                {urlencoded, "json=" + encoded + "&json=" + lie, refused},
		"the pair twice, the forged one first":          {urlencoded, "json=" + lie + "&json=" + encoded, refused},
		"the pair twice, then escaped":                  {urlencoded, "json=" + encoded + "&%6ason=" + lie, refused},
		"the pair twice, then in capitals":              {urlencoded, "json=" + encoded + "&JSON=" + lie, "genuine"},
		"the pair twice, then as a list":                {urlencoded, "json=" + encoded + "&json[]=" + lie, "genuine"},
		"the pair twice, with a semicolon":              {urlencoded, "json=" + encoded + ";json=" + lie, refused},
		"pairs that say they are parts":                 {multipart, "json=" + encoded, refused},
		"parts that say they are pairs":                 {urlencoded, part("x", "json", genuine) + "--x--\r\n", refused},
		"parts that say they are JSON":                  {"application/json", part("x", "json", genuine) + "--x--\r\n", "genuine"},
		"JSON that says it is pairs":                    {urlencoded, genuine, "genuine"},
		"JSON that says it is parts":                    {multipart, genuine, "genuine"},
		"JSON of another, and the genuine one in parts": {multipart, forged + "\r\n" + part("x", "json", genuine) + "--x--\r\n", refused},
		"pairs of another behind the genuine JSON":      {urlencoded, genuine + "&json=" + lie, refused},
	} {
		t.Run(name, func(t *testing.T) {
			r := v.signed(keyOf(v), genuine)
			r.Header.Set("Content-Type", tt.contentType)
			r.Body = []byte(tt.body)
			w := newWorld(t, v, keys(v, false))
			got := w.meaning(r)
			if got != tt.want && !(tt.want == "none or genuine" && (got == "genuine" || got == refused)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			for _, e := range w.events() {
				if e.Proof != esign.ProofSigned {
					t.Errorf("proof %q", e.Proof)
				}
			}
		})
	}
}

// TestXMLHasOneMeaning: DocuSign's older format, genuinely signed.
func TestXMLHasOneMeaning(t *testing.T) {
	all := vendors(t)
	v := all[slices.IndexFunc(all, func(v vendor) bool { return v.Info().Name == "docusign" })]
	message := func(status string) string {
		return `<DocuSignEnvelopeInformation xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus>` + status + `<Email>canary.person@example.com</Email></EnvelopeStatus></DocuSignEnvelopeInformation>`
	}
	const status, id = "<Status>Completed</Status>", "<EnvelopeID>first</EnvelopeID>"
	laughs := `<!DOCTYPE x [<!ENTITY a "first">`
	for i := 'b'; i < 'k'; i++ {
		laughs += fmt.Sprintf(`<!ENTITY %c "%s">`, i, strings.Repeat(fmt.Sprintf("&%c;", i-1), 10))
	}
	const deep = 100_000
	for name, tt := range map[string]struct{ body, want string }{
		"as it should be":                      {message(status + id), "first"},
		"an ID of ours twice":                  {message(status + id + "<EnvelopeID>second</EnvelopeID>"), "second"},
		"a status twice":                       {message("<Status>Sent</Status>" + status + id), "first"},
		"an ID in another name space":          {message(status + id + `<x:EnvelopeID xmlns:x="urn:x">second</x:EnvelopeID>`), "second"},
		"an ID in another case":                {message(status + id + "<envelopeid>second</envelopeid>"), "first"},
		"an ID in a comment":                   {message(status + id + "<!--<EnvelopeID>second</EnvelopeID>-->"), "first"},
		"an ID with a comment in it":           {message(status + "<EnvelopeID>fi<!-- -->rst</EnvelopeID>"), "first"},
		"an ID as CDATA":                       {message(status + "<EnvelopeID><![CDATA[first]]></EnvelopeID>"), "first"},
		"an ID in an instruction":              {message(status + id + "<?EnvelopeID second?>"), "first"},
		"an envelope within the envelope":      {message(status + id + "<EnvelopeStatus><EnvelopeID>second</EnvelopeID></EnvelopeStatus>"), "first"},
		"a second message behind":              {message(status+id) + message(status+"<EnvelopeID>second</EnvelopeID>"), "first"},
		"a second envelope behind":             {strings.Replace(message(status+id), "</DocuSign", "<EnvelopeStatus><EnvelopeID>second</EnvelopeID></EnvelopeStatus></DocuSign", 1), "second"},
		"an entity of its own":                 {`<!DOCTYPE x [<!ENTITY a "first">]>` + message(status+"<EnvelopeID>&a;</EnvelopeID>"), unreadable},
		"an entity that nobody declared":       {message(status + "<EnvelopeID>&a;</EnvelopeID>"), unreadable},
		"an entity that is a file":             {`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + message(status+"<EnvelopeID>&a;</EnvelopeID>"), unreadable},
		"an entity of parameters":              {`<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1/x.dtd"> %a;]>` + message(status+id), unreadable},
		"a document type from elsewhere":       {`<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">` + message(status+id), unreadable},
		"a document type within":               {message(status + id + `<!DOCTYPE x>`), unreadable},
		"an inclusion":                         {message(status + id + `<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>`), "first"},
		"a billion laughs":                     {laughs + `]>` + message(status+"<EnvelopeID>&j;</EnvelopeID>"), unreadable},
		"elements as deep as can be":           {message(status + id + strings.Repeat("<a>", deep) + strings.Repeat("</a>", deep)), "first or unreadable"},
		"elements as deep as can be, not ours": {strings.Repeat("<a>", deep) + strings.Repeat("</a>", deep), unreadable},
		"elements that are never closed":       {strings.Repeat("<a>", deep), unreadable},
		"elements that cross":                  {message(status + "<EnvelopeID>first</Status>"), unreadable},
		"attributes without end":               {message(status + id + "<a " + strings.Repeat(`b="c" `, deep) + "/>"), "first or unreadable"},
		"an encoding that it has not":          {`<?xml version="1.0" encoding="UTF-16"?>` + message(status+id), unreadable},
		"UTF-7":                                {`<?xml version="1.0" encoding="UTF-7"?>` + message(status+"<EnvelopeID>+AGYAaQByAHMAdA-</EnvelopeID>"), unreadable},
		"the encoding that it has":             {`<?xml version="1.0" encoding="utf-8"?>` + message(status+id), "first"},
		"invalid UTF-8":                        {message(status + "<EnvelopeID>a\xff</EnvelopeID>"), unreadable},
		"a NUL":                                {message(status + "<EnvelopeID>a\x00</EnvelopeID>"), unreadable},
		"a NUL as a reference":                 {message(status + "<EnvelopeID>a&#0;</EnvelopeID>"), unreadable},
		"a SOAP envelope":                      {`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>` + message(status+id) + `</s:Body></s:Envelope>`, unreadable},
		"JSON behind it":                       {message(status+id) + v.body("", "second"), "first"},
		"JSON before it":                       {v.body("", "second") + message(status+id), unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			got := newWorld(t, v, keys(v, false)).meaning(v.signed(keyOf(v), tt.body))
			if got != tt.want && !(tt.want == "first or unreadable" && (got == "first" || got == unreadable)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNothingIsDecompressed: a bomb is the bytes that it is. It is signed as the vendor would sign it.
func TestNothingIsDecompressed(t *testing.T) {
	const size = 50 << 20
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	z.Close()
	for _, v := range vendors(t) {
		want := unreadable
		if v.Info().Name == "dropboxsign" {
			want = refused // neither a form nor JSON
		}
		w, r := newWorld(t, v, keys(v, false)), v.signed(keyOf(v), bomb.String())
		r.Header.Set("Content-Encoding", "gzip")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if got := w.fate(r); got != want {
			t.Errorf("%s: got %s, want %s", v.Info().Name, got, want)
		}
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > size/4 {
			t.Errorf("%s: %d bytes cost %d", v.Info().Name, bomb.Len(), cost)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestTheProofIsWhatTheBodyCannotSay: what is not covered claims to be more, and is not.
func TestTheProofIsWhatTheBodyCannotSay(t *testing.T) {
	for _, v := range vendors(t) {
		w := newWorld(t, v, keys(v, true))
		r := v.genuine()
		r.Body = []byte(v.message(keyOf(v), `"OUTER":{"INNER":"forged","proof":"signed","provider":"docusign"},"proof":"signed","provider":"docusign","encoding":"stored","eventId":"x"`))
		r.Header.Del(v.header)
		r.Header.Del(timestamp)
		if v.covered == nil {
			r = v.genuine()
		}
		for _, header := range []string{"Proof", "X-Proof", "X-Provider"} {
			r.Header.Set(header, "signed")
		}
		want := map[string]string{"adobesign": "url-token", "docusign": refused, "dropboxsign": "partly-signed", "esignglobal": "url-token"}[v.Info().Name]
		if got := w.fate(r); got != want {
			t.Errorf("%s: got %s, want %s", v.Info().Name, got, want)
		}
		for _, e := range w.events() {
			if e.Provider != v.Info().Name || e.Event == nil || e.Event.Provider != v.Info().Name {
				t.Errorf("%s: it is an event of %s", v.Info().Name, e.Provider)
			}
		}
	}
}
