package webhook_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

type document struct {
	ID    webhook.Text            `json:"id"`
	Count int                     `json:"count"`
	Inner inner                   `json:"inner"`
	List  []webhook.Text          `json:"list"`
	Map   map[string]webhook.Text `json:"map"`
	Last  webhook.Text            `json:"last"`
}

type inner struct {
	Name webhook.Text `json:"name"`
	Size int          `json:"size"`
}

func TestDecodeJSON(t *testing.T) {
	const bom = "\xef\xbb\xbf"
	for name, tt := range map[string]struct {
		body string
		want document
		err  error
	}{
		"an object": {
			`{"id":"a","count":1,"inner":{"name":"n"},"list":["x",1]}`,
			document{ID: "a", Count: 1, Inner: inner{Name: "n"}, List: []webhook.Text{"x", "1"}}, nil,
		},
		"an empty object":                      {`{}`, document{}, nil},
		"white space around it":                {" \t\r\n{\"id\":\"a\"}\n ", document{ID: "a"}, nil},
		"a byte order mark":                    {bom + `{"id":"a"}`, document{ID: "a"}, nil},
		"a byte order mark and white space":    {bom + "\n" + `{"id":"a"}`, document{ID: "a"}, nil},
		"unknown fields are passed over":       {`{"new":{"deep":[1]},"id":"a"}`, document{ID: "a"}, nil},
		"a number as an object is passed over": {`{"count":{"x":1},"last":"z"}`, document{Last: "z"}, nil},
		"an object as a string is passed over": {`{"inner":"x","last":"z"}`, document{Last: "z"}, nil},
		"an object as a list is passed over":   {`{"inner":[],"last":"z"}`, document{Last: "z"}, nil},
		"a list as a string is passed over":    {`{"list":"x","last":"z"}`, document{Last: "z"}, nil},
		"a fraction for a whole number":        {`{"count":1.5,"last":"z"}`, document{Last: "z"}, nil},
		"a number that is too large":           {`{"count":1e400,"last":"z"}`, document{Last: "z"}, nil},
		"two fields of another type":           {`{"count":"x","inner":1,"last":"z"}`, document{Last: "z"}, nil},
		"a field of another type deep inside": {
			`{"inner":{"size":"x","name":"n"},"last":"z"}`, document{Inner: inner{Name: "n"}, Last: "z"}, nil,
		},
		"null is nothing": {
			`{"id":null,"count":null,"inner":null,"list":null,"last":"z"}`, document{Last: "z"}, nil,
		},
		"the last of equal keys counts": {`{"id":"a","id":"b"}`, document{ID: "b"}, nil},
		"objects under equal keys are merged": {
			`{"inner":{"name":"n"},"inner":{"size":2}}`, document{Inner: inner{"n", 2}}, nil,
		},
		"keys in another case count":      {`{"ID":"a"}`, document{ID: "a"}, nil},
		"a lone surrogate":                {`{"id":"\ud800"}`, document{ID: "\ufffd"}, nil},
		"invalid UTF-8 in a string":       {"{\"id\":\"\xff\"}", document{ID: "\ufffd"}, nil},
		"nothing":                         {"", document{}, webhook.ErrUnreadable},
		"white space":                     {" \n", document{}, webhook.ErrUnreadable},
		"a byte order mark alone":         {bom, document{}, webhook.ErrUnreadable},
		"two byte order marks":            {bom + bom + `{}`, document{}, webhook.ErrUnreadable},
		"UTF-16":                          {"\xff\xfe{\x00}\x00", document{}, webhook.ErrUnreadable},
		"an array":                        {`[{"id":"a"}]`, document{}, webhook.ErrUnreadable},
		"an empty array":                  {`[]`, document{}, webhook.ErrUnreadable},
		"a string":                        {`"canary"`, document{}, webhook.ErrUnreadable},
		"a number":                        {`1`, document{}, webhook.ErrUnreadable},
		"true":                            {`true`, document{}, webhook.ErrUnreadable},
		"null":                            {`null`, document{}, webhook.ErrUnreadable},
		"an object that is cut off":       {`{"id":"canary`, document{}, webhook.ErrUnreadable},
		"two objects":                     {`{"id":"canary"}{}`, document{}, webhook.ErrUnreadable},
		"something after the object":      {`{"id":"canary"},`, document{}, webhook.ErrUnreadable},
		"a NUL after the object":          {"{}\x00", document{}, webhook.ErrUnreadable},
		"a trailing comma":                {`{"id":"canary",}`, document{}, webhook.ErrUnreadable},
		"single quotes":                   {`{'canary':'a'}`, document{}, webhook.ErrUnreadable},
		"a comment":                       {`{/*canary*/}`, document{}, webhook.ErrUnreadable},
		"NaN":                             {`{"count":NaN}`, document{}, webhook.ErrUnreadable},
		"XML":                             {`<canary/>`, document{}, webhook.ErrUnreadable},
		"a form":                          {`json=%7B%7D`, document{}, webhook.ErrUnreadable},
		"a control character in a string": {"{\"id\":\"\n\"}", document{}, webhook.ErrUnreadable},
		"nested deeper than anybody would": {
			strings.Repeat(`{"x":`, 100_000) + "1" + strings.Repeat("}", 100_000), document{}, webhook.ErrUnreadable,
		},
		"a list nested deeper than anybody does": {
			`{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", document{}, webhook.ErrUnreadable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got document
			err := webhook.DecodeJSON([]byte(tt.body), &got)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "canary") {
					t.Errorf("the error quotes the body: %v", err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"id":1,"count":"x","inner":[],"list":{},"map":{"a":{}}}`, "\xef\xbb\xbf{}", `[]`, `null`, ``,
		`{"id":"\ud800"}`, `{"a":1}x`, " {\"ID\":\"a\",\"id\":null}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var got document
		err := webhook.DecodeJSON(body, &got)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		rest := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
		object := json.Valid(rest) && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("{"))
		if object != (err == nil) {
			t.Fatalf("an object: %v, and %v", object, err)
		}
		if err != nil {
			if !errors.Is(err, webhook.ErrUnreadable) {
				t.Fatal(err)
			}
			return
		}
		for _, text := range append([]webhook.Text{got.ID, got.Inner.Name, got.Last}, got.List...) {
			if string(text) != strings.TrimSpace(string(text)) {
				t.Fatalf("not trimmed: %q", text)
			}
		}
		// What was read, written and read again is the same.
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var again document
		if err := webhook.DecodeJSON(b, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTrimBOM(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "\xef\xbb\xbf": "", "\xef\xbb\xbfa": "a", "\xef\xbb\xbf\xef\xbb\xbfa": "\xef\xbb\xbfa",
		"a\xef\xbb\xbf": "a\xef\xbb\xbf", "\xef\xbb": "\xef\xbb",
	} {
		if got := webhook.TrimBOM([]byte(in)); string(got) != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestText(t *testing.T) {
	for name, tt := range map[string]struct {
		json string
		want webhook.Text
	}{
		"a string":                         {`"a"`, "a"},
		"an empty string":                  {`""`, ""},
		"white space around goes":          {`" a\n"`, "a"},
		"white space inside stays":         {`"a b"`, "a b"},
		"escapes are undone":               {`"\u0061\/\"\\\t\u00e9"`, "a/\"\\\té"},
		"a pair of surrogates":             {`"\ud83e\udd80"`, "🦀"},
		"a number as it is written":        {`1.50`, "1.50"},
		"a large number loses no digit":    {`12345678901234567890123`, "12345678901234567890123"},
		"an exponent stays":                {`1E+2`, "1E+2"},
		"a negative zero stays":            {`-0`, "-0"},
		"true":                             {`true`, "true"},
		"false":                            {`false`, "false"},
		"null is empty":                    {`null`, ""},
		"the word null is a word":          {`"null"`, "null"},
		"an object is empty":               {`{"a":1}`, ""},
		"an array is empty":                {`["a"]`, ""},
		"white space around a number goes": {" 1 ", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := struct{ V webhook.Text }{"what was there before"}
			if err := json.Unmarshal([]byte(`{"V":`+tt.json+`}`), &got); err != nil {
				t.Fatal(err)
			}
			if got.V != tt.want {
				t.Errorf("%q", got.V)
			}
		})
	}
}

func TestTextInXML(t *testing.T) {
	var got struct {
		Element webhook.Text `xml:"element"`
		Empty   webhook.Text `xml:"empty"`
		Attr    webhook.Text `xml:"attr,attr"`
	}
	if err := xml.Unmarshal([]byte("<x attr=' a '><element>\n  1 &amp; <![CDATA[<2>]]>\n</element><empty/></x>"),
		&got); err != nil {
		t.Fatal(err)
	}
	if got.Element != "1 & <2>" || got.Empty != "" || got.Attr != "a" {
		t.Errorf("%+v", got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "a", " a ", "\u00a0a\u2003", "null", "{}", "[", "\"", "1", "\xff", "\u2028<>&", "\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got webhook.Text
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSpace(toValid(s)); string(got) != want {
			t.Fatalf("%q, want %q", got, want)
		}
		if b, err = json.Marshal(got); err != nil {
			t.Fatal(err)
		}
		var again webhook.Text
		if err := json.Unmarshal(b, &again); err != nil || again != got {
			t.Fatalf("%q, then %q, %v", got, again, err)
		}
		var fromXML webhook.Text
		if err := fromXML.UnmarshalText([]byte(s)); err != nil || string(fromXML) != strings.TrimSpace(s) {
			t.Fatalf("as XML: %q, %v", fromXML, err)
		}
		var anything webhook.Text // whatever is valid JSON is no error
		if json.Valid([]byte(s)) {
			if err := json.Unmarshal([]byte(s), &anything); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// toValid replaces each byte that is not UTF-8, as encoding/json does; strings.ToValidUTF8 replaces runs of them.
func toValid(s string) string { return string([]rune(s)) }

func TestUnixTime(t *testing.T) {
	second := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC) // date -u -d '2026-11-02 09:30' +%s: 1793611800
	for name, tt := range map[string]struct {
		s    string
		want time.Time
	}{
		"seconds":                                  {"1793611800", second},
		"milliseconds":                             {"1793611800123", second.Add(123 * time.Millisecond)},
		"seconds with a fraction":                  {"1793611800.5", second.Add(500 * time.Millisecond)},
		"milliseconds with a fraction":             {"1793611800123.9", second.Add(123 * time.Millisecond)},
		"white space around":                       {" 1793611800\n", second},
		"an exponent, as JSON may write it":        {"1.7936118e9", second},
		"the first year that counts":               {"631152000", time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)},
		"the same in milliseconds":                 {"631152000000", time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)},
		"a second before it":                       {"631151999", time.Time{}},
		"a millisecond before it":                  {"631151999999", time.Time{}},
		"the last that is taken for seconds":       {"99999999999", time.Date(5138, 11, 16, 9, 46, 39, 0, time.UTC)},
		"the first that is taken for milliseconds": {"100000000000", time.Time{}}, // 1973
		"the last year that counts": {
			"221876927999999", time.Date(9000, 12, 31, 23, 59, 59, 999e6, time.UTC).Add(0),
		},
		"the year after it":            {"221876928000000", time.Time{}},
		"microseconds":                 {"1793611800123456", time.Time{}},
		"zero":                         {"0", time.Time{}},
		"negative":                     {"-1793611800", time.Time{}},
		"nothing":                      {"", time.Time{}},
		"a word":                       {"yesterday", time.Time{}},
		"an RFC 3339 time":             {"2026-11-02T09:30:00Z", time.Time{}},
		"not a number":                 {"NaN", time.Time{}},
		"infinite":                     {"Inf", time.Time{}},
		"infinite, the other way":      {"-Inf", time.Time{}},
		"too large for a number":       {"1e400", time.Time{}},
		"two numbers":                  {"1793611800 1793611800", time.Time{}},
		"a comma":                      {"1793611800,5", time.Time{}},
		"too large for a time":         {"99999999999999999999", time.Time{}},
		"the smallest number there is": {"5e-324", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := webhook.UnixTime(tt.s)
			if diff := cmp.Diff(tt.want, got); diff != "" || got.Location() != time.UTC {
				t.Errorf("%v: %s", got.Location(), diff)
			}
		})
	}
}

func FuzzUnixTime(f *testing.F) {
	for _, s := range []string{
		"1793611800", "1793611800123", "1e9", "NaN", "-1", "0x1p31", "1_0", "", " 1 ", "1e11", "1e15",
	} {
		f.Add(s, int64(1793611800123))
	}
	f.Add("", int64(631152000000))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		sane(t, webhook.UnixTime(s))
		if got := webhook.UnixTime(s); !got.Equal(got.Truncate(time.Millisecond)) {
			t.Fatalf("%q: not whole milliseconds: %v", s, got)
		}
		const from, to = 631152000000, 99999999999999 // milliseconds; until 5138 seconds say the same
		if n < 0 {
			n = -(n + 1)
		}
		n = from + n%(to-from)
		want := time.UnixMilli(n)
		if got := webhook.UnixTime(strconv.FormatInt(n, 10)); !got.Equal(want) {
			t.Fatalf("%d: %v, want %v", n, got, want)
		}
		want = want.Truncate(time.Second)
		if got := webhook.UnixTime(strconv.FormatInt(want.Unix(), 10)); !got.Equal(want) {
			t.Fatalf("%d: %v, want %v", want.Unix(), got, want)
		}
	})
}

func TestTime(t *testing.T) {
	second := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		s    string
		want time.Time
	}{
		"in UTC":                               {"2026-11-02T09:30:00Z", second},
		"in another zone":                      {"2026-11-02T01:30:00-08:00", second},
		"in a zone of half an hour":            {"2026-11-02T15:00:00+05:30", second},
		"without a zone":                       {"2026-11-02T09:30:00", second},
		"one digit of a fraction":              {"2026-11-02T09:30:00.5Z", second.Add(500 * time.Millisecond)},
		"seven digits, as .NET writes them":    {"2026-11-02T09:30:00.1234567Z", second.Add(123456700)},
		"seven digits without a zone":          {"2026-11-02T09:30:00.1234567", second.Add(123456700)},
		"nine digits":                          {"2026-11-02T09:30:00.123456789Z", second.Add(123456789)},
		"more digits than there are":           {"2026-11-02T09:30:00.1234567891234Z", second.Add(123456789)},
		"more digits, without a zone":          {"2026-11-02T09:30:00.1234567891234", second.Add(123456789)},
		"white space around":                   {" 2026-11-02T09:30:00Z\n", second},
		"the first moment that counts":         {"1990-01-01T00:00:00Z", time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)},
		"1990 in its zone and 1989 in UTC":     {"1990-01-01T00:00:00+01:00", time.Time{}},
		"the last year that counts":            {"9000-12-31T23:59:59Z", time.Date(9000, 12, 31, 23, 59, 59, 0, time.UTC)},
		"the year after it":                    {"9001-01-01T00:00:00Z", time.Time{}},
		"the zero of .NET":                     {"0001-01-01T00:00:00", time.Time{}},
		"the largest of .NET":                  {"9999-12-31T23:59:59.9999999Z", time.Time{}},
		"1970":                                 {"1970-01-01T00:00:00Z", time.Time{}},
		"nothing":                              {"", time.Time{}},
		"a date":                               {"2026-11-02", time.Time{}},
		"a space for the T":                    {"2026-11-02 09:30:00", time.Time{}},
		"without seconds":                      {"2026-11-02T09:30Z", time.Time{}},
		"the 31st of a month of 30 days":       {"2026-11-31T09:30:00Z", time.Time{}},
		"25 o'clock":                           {"2026-11-02T25:30:00Z", time.Time{}},
		"something after it":                   {"2026-11-02T09:30:00Zx", time.Time{}},
		"two times":                            {"2026-11-02T09:30:00Z,2026-11-02T09:30:00Z", time.Time{}},
		"a number":                             {"1793611800", time.Time{}},
		"the 29th of February of a leap year":  {"2028-02-29T00:00:00Z", time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC)},
		"the 29th of February of another year": {"2026-02-29T00:00:00Z", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := webhook.Time(tt.s)
			if diff := cmp.Diff(tt.want, got); diff != "" || got.Location() != time.UTC {
				t.Errorf("%v: %s", got.Location(), diff)
			}
		})
	}
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{
		"2026-11-02T09:30:00Z", "2026-11-02T09:30:00.1234567", "2026-11-02T09:30:00,5+23:59", "", "9000-12-31T23:59:59-23:59",
		"2026-11-02T09:30:60Z",
	} {
		f.Add(s, int64(1793611800), int64(123456789), int16(-480))
	}
	f.Fuzz(func(t *testing.T, s string, unix, nano int64, zone int16) {
		got := webhook.Time(s)
		sane(t, got)
		if again := webhook.Time("\t" + s + " "); !again.Equal(got) {
			t.Fatalf("%q: %v, with white space %v", s, got, again)
		}
		const from, to = 631152000, 221876928000 // 1990 to the end of 9000
		if unix < 0 {
			unix = -(unix + 1)
		}
		if nano < 0 {
			nano = -(nano + 1)
		}
		want := time.Unix(from+unix%(to-from), nano%1e9)
		in := want.In(time.FixedZone("", int(zone%1440)*60))
		if year := in.Year(); year > 9999 {
			return
		}
		if got := webhook.Time(in.Format(time.RFC3339Nano)); !got.Equal(want) {
			t.Fatalf("%s: %v, want %v", in.Format(time.RFC3339Nano), got, want)
		}
		if got := webhook.Time(want.UTC().Format("2006-01-02T15:04:05.000000000")); !got.Equal(want) {
			t.Fatalf("without zone: %v, want %v", got, want)
		}
	})
}

// sane checks what holds for every time that is read: zero, or in UTC and of a year that agreements are from, and the
// same when it is written and read again.
func sane(t *testing.T, got time.Time) {
	t.Helper()
	if got.Location() != time.UTC {
		t.Fatalf("in %v", got.Location())
	}
	if got.IsZero() {
		return
	}
	if got.Year() < 1990 || got.Year() > 9000 {
		t.Fatal(got)
	}
	if again := webhook.Time(got.Format(time.RFC3339Nano)); again != got {
		t.Fatalf("%v, written and read again %v", got, again)
	}
}

func TestList(t *testing.T) {
	many := "[" + strings.Repeat("1,", 2*webhook.MaxList) + "1]"
	for name, tt := range map[string]struct {
		json string
		want int
	}{
		"an array":                      {`[1,"2",null]`, 3},
		"elements of another type":      {`[1,{"a":[]},2]`, 3},
		"as many as are read":           {"[" + strings.Repeat("1,", webhook.MaxList-1) + "1]", webhook.MaxList},
		"one more":                      {"[" + strings.Repeat("1,", webhook.MaxList) + "1]", webhook.MaxList},
		"many more":                     {many, webhook.MaxList},
		"more of another type":          {"[" + strings.Repeat(`{"a":[1]},`, webhook.MaxList) + "1]", webhook.MaxList},
		"two that hold many":            {"[" + many + "," + many + "]", 2},
		"an object instead of an array": {`{"a":1}`, 0},
		"a string instead":              {`"abc"`, 0},
		"null":                          {`null`, 0},
		"empty":                         {`[]`, 0},
	} {
		var v struct {
			List  webhook.List[webhook.Text]
			After webhook.Text
		}
		if err := webhook.DecodeJSON([]byte(`{"List":`+tt.json+`,"After":"x"}`), &v); err != nil || len(v.List) != tt.want ||
			v.After != "x" {
			t.Errorf("%s: %d elements, %v", name, len(v.List), err)
		}
	}
}

func TestElementsOfAListThatDoNotFitAreEmpty(t *testing.T) {
	first := `{"name":"a","size":"x"},1,null,[],{"name":"b","size":2}`
	for name, more := range map[string]string{"a short list": "", "a long one": strings.Repeat(`,"x"`, webhook.MaxList)} {
		var got webhook.List[inner]
		if err := json.Unmarshal([]byte("["+first+more+"]"), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(webhook.List[inner]{{Name: "a"}, {}, {}, {}, {"b", 2}}, got[:5]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
