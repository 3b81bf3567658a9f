package refusal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

const bom = "\xef\xbb\xbf"

// text is a body of which other forms are made.
type text struct {
	bytes  []byte
	bare   []byte  // without byte order mark and white space around it
	json   bool    // it is valid, and not too large to look
	tokens []token // of a JSON object or list that is small enough
}

func read(body []byte) text {
	t := text{bytes: body, bare: bytes.TrimSpace(bytes.TrimPrefix(body, []byte(bom)))}
	if len(t.bare) > maxFormBody || !json.Valid(t.bare) {
		return t
	}
	if t.json = true; len(t.bare) <= 2*maxScanned && (t.bare[0] == '{' || t.bare[0] == '[') {
		t.tokens = scan(t.bare)
	}
	return t
}

func (t text) isXML() bool { return bytes.HasPrefix(t.bare, []byte("<")) }

// likeliest and likely return what the body probably was before something changed it. Forms may be repeated, empty, or
// the body itself.
func (t text) likeliest() iter.Seq[[]byte] {
	return each(
		func() []byte { return t.bare },
		func() []byte { return with(t.bare, "\n") },
		func() []byte { return t.serialized(0, 0) },
		t.compact,
	)
}

func each(forms ...func() []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, form := range forms {
			if !yield(form()) {
				return
			}
		}
	}
}

func (t text) likely() iter.Seq[[]byte] {
	return each(
		func() []byte { return bytes.TrimPrefix(t.bytes, []byte(bom)) },
		func() []byte { return t.serialized(0, 1) }, // escaped slashes, as PHP does
		func() []byte { return t.serialized(1, 0) }, // with two spaces
		func() []byte { return t.serialized(2, 2) }, // as Python does
		func() []byte { return t.serialized(2, 0) },
		func() []byte { return t.serialized(0, 2) }, // ASCII only
		t.unix,
		t.windows,
		func() []byte { return fromLatin1(t.bytes) },
		func() []byte { return toLatin1(t.bytes) },
		func() []byte { return with(t.bare, "\r\n") },
		func() []byte { return append([]byte(bom), t.bytes...) },
		t.unquoted,
	)
}

// unlikely returns other forms. A form is valid until the next one.
func (t text) unlikely() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, forms := range []func(func([]byte) bool) bool{t.lines, t.decoded, t.documents, t.reserialized, t.sorted} {
			if !forms(yield) {
				return
			}
		}
	}
}

// unix returns the text with line feeds at the ends of lines.
func (t text) unix() []byte {
	return bytes.ReplaceAll(bytes.TrimPrefix(t.bytes, []byte(bom)), []byte("\r\n"), []byte("\n"))
}

func (t text) windows() []byte { return bytes.ReplaceAll(t.unix(), []byte("\n"), []byte("\r\n")) }

func (t text) compact() []byte {
	var made bytes.Buffer
	if !t.json || json.Compact(&made, t.bare) != nil {
		return nil
	}
	return made.Bytes()
}

// unquoted returns the text that is in a JSON string, or in the body of a proxy event.
func (t text) unquoted() []byte {
	var quoted string
	if t.json && t.bare[0] == '"' && json.Unmarshal(t.bare, &quoted) == nil {
		return []byte(quoted)
	}
	var event struct {
		Body string `json:"body"`
	}
	if t.json && json.Unmarshal(t.bare, &event) == nil {
		return []byte(event.Body)
	}
	return nil
}

// lines returns forms with other ends of lines, with another end, and with or without a byte order mark.
func (t text) lines(yield func([]byte) bool) bool {
	for _, form := range [][]byte{bytes.TrimPrefix(t.bytes, []byte(bom)), t.unix(), t.windows()} {
		bare := bytes.TrimSpace(form)
		for _, end := range []string{"", "\n", "\r\n", "\n\n"} {
			if !yield(with(bare, end)) || !yield(append([]byte(bom), with(bare, end)...)) {
				return false
			}
		}
		if !yield(with(form, "\n")) || !yield(append([]byte(bom), form...)) {
			return false
		}
	}
	return yield(bytes.ReplaceAll(t.unix(), []byte("\n"), nil))
}

// decoded returns forms of another encoding.
func (t text) decoded(yield func([]byte) bool) bool {
	if b, err := base64.StdEncoding.DecodeString(string(t.bare)); err == nil && !yield(b) {
		return false
	}
	if s, err := url.QueryUnescape(string(t.bytes)); err == nil {
		_, value, _ := strings.Cut(s, "=") // of a form's only field
		if !yield([]byte(s)) || !yield([]byte(strings.TrimSuffix(s, "="))) || !yield([]byte(value)) {
			return false
		}
	}
	return yield([]byte(base64.StdEncoding.EncodeToString(t.bytes))) &&
		yield([]byte(html.UnescapeString(string(t.bytes)))) &&
		yield(bytes.ReplaceAll(t.bytes, []byte("&"), []byte("&amp;"))) && yield(fromUTF16(t.bytes)) &&
		yield(bytes.ReplaceAll(t.bytes, []byte("\t"), []byte("    "))) &&
		yield(bytes.ReplaceAll(t.compact(), []byte("[]"), []byte("{}"))) && // PHP makes lists of empty objects
		yield(bytes.ReplaceAll(t.compact(), []byte("{}"), []byte("[]")))
}

// with returns the text with an end.
func with(text []byte, end string) []byte { return append(bytes.Clone(text), end...) }

func fromLatin1(body []byte) []byte {
	made := make([]byte, 0, 2*len(body))
	for _, c := range body {
		made = utf8.AppendRune(made, rune(c))
	}
	return made
}

// toLatin1 undoes a second encoding as UTF-8. It returns nil if there was none.
func toLatin1(body []byte) []byte {
	single := make([]byte, 0, len(body))
	for _, c := range string(body) {
		if c > 0xff {
			return nil
		}
		single = append(single, byte(c))
	}
	return single
}

func fromUTF16(body []byte) []byte {
	if len(body) < 2 || len(body)%2 != 0 || body[0] != 0xff && body[1] != 0xff && body[0] != 0 && body[1] != 0 {
		return nil
	}
	little := body[0] == 0xff || body[1] == 0
	units := make([]uint16, 0, len(body)/2)
	for i := 0; i < len(body); i += 2 {
		if unit := uint16(body[i])<<8 | uint16(body[i+1]); little {
			units = append(units, unit<<8|unit>>8)
		} else {
			units = append(units, unit)
		}
	}
	if units[0] == 0xfeff {
		units = units[1:]
	}
	return []byte(string(utf16.Decode(units)))
}

// The patterns are compiled when a refusal needs them, not at a cold start.
var (
	betweenTags = pattern(`>\s+<`)
	emptyTag    = pattern(`\s*/>`)
	emptyPair   = pattern(`<([A-Za-z_][\w.:-]*)([^<>]*)></([A-Za-z_][\w.:-]*)>`)
	declaration = pattern(`^<\?xml[^>]*\?>\s*`)
	rootTag     = pattern(`<([A-Za-z_][\w.:-]*)`)
)

func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// documents returns other forms of an XML document: without white space between the tags, with other spellings of empty
// tags, and with another declaration.
func (t text) documents(yield func([]byte) bool) bool {
	if !t.isXML() {
		return true
	}
	for _, spaced := range [][]byte{t.bare, betweenTags().ReplaceAll(t.bare, []byte("><"))} {
		joined := emptyPair().ReplaceAllFunc(spaced, func(pair []byte) []byte {
			parts := emptyPair().FindSubmatch(pair)
			if !bytes.Equal(parts[1], parts[3]) {
				return pair
			}
			return slices.Concat([]byte("<"), parts[1], parts[2], []byte("/>"))
		})
		for _, text := range [][]byte{
			spaced, emptyTag().ReplaceAll(spaced, []byte("/>")), emptyTag().ReplaceAll(spaced, []byte(" />")), joined,
			emptyTag().ReplaceAll(joined, []byte(" />")),
		} {
			root := declaration().ReplaceAll(text, nil)
			for _, start := range []string{
				string(declaration().Find(text)), "", `<?xml version="1.0" encoding="utf-8"?>`,
				`<?xml version="1.0" encoding="UTF-8"?>`, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
				"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
				`<?xml version="1.0"?>`,
			} {
				form := append([]byte(start), root...)
				if !yield(form) || !yield(append([]byte(bom), form...)) || !yield(with(form, "\n")) {
					return false
				}
			}
		}
	}
	return true
}

// token is a part of a JSON text: a string with its quotes, a number, a word, or one of {}[]:, . It has no pointer, since
// there are many.
type token struct{ start, end int32 }

// scan splits a valid JSON text into its tokens.
func scan(text []byte) []token {
	tokens := make([]token, 0, len(text)/4)
	for i := 0; i < len(text); {
		start := i
		switch text[i] {
		case ' ', '\t', '\r', '\n':
			i++
			continue
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '}', '[', ']', ':', ',':
			i++
		default:
			for i < len(text) && strings.IndexByte(" \t\r\n{}[]:,", text[i]) < 0 {
				i++
			}
		}
		tokens = append(tokens, token{int32(start), int32(i)})
	}
	return tokens
}

// layout is where a serializer of JSON puts white space.
type layout struct {
	indent, newline    string // newline is empty if all is in one line
	afterColon         string
	afterComma         string // in one line
	beforeColon, empty string // empty is between the brackets of an empty list
}

var layouts = []layout{
	{}, // JavaScript, Java, Go, PHP
	{indent: "  ", newline: "\n", afterColon: " "},
	{afterColon: " ", afterComma: " "}, // Python
	{indent: "    ", newline: "\n", afterColon: " "},
	{indent: "  ", newline: "\r\n", afterColon: " "}, // .NET on Windows
	{indent: "\t", newline: "\n", afterColon: " "},
	{indent: "  ", newline: "\n", afterColon: " ", beforeColon: " ", empty: " "}, // Jackson
	{indent: "    ", newline: "\r\n", afterColon: " "},
}

// end returns the end of the last line.
func (l layout) end() string {
	if l.newline == "" {
		return "\n"
	}
	return l.newline
}

// escaping is which characters a serializer of JSON escapes.
type escaping struct {
	ascii bool   // all that are not ASCII
	upper bool   // in upper-case hex
	also  string // these too, as \u00xx; a slash as \/

	verbatim bool // strings stay as they are
}

var escapings = []escaping{
	{}, {also: "/"}, {ascii: true}, {ascii: true, also: "/"}, // JavaScript; PHP with unescaped Unicode; Python; PHP
	{also: "<>&"}, {also: "<>&='"}, // Go; Gson
	{ascii: true, upper: true, also: "<>&'+`"}, {ascii: true, upper: true}, // .NET; Jackson
	{ascii: true, also: "<>&"}, {ascii: true, also: "<>&='"},
}

// serialized returns the JSON text in one of the layouts and with one of the escapings.
func (t text) serialized(layout, escaping int) []byte {
	if t.tokens == nil {
		return nil
	}
	return layouts[layout].write(nil, t.bare, t.tokens, escapings[escaping])
}

// reserialized returns a JSON text as other serializers write it.
func (t text) reserialized(yield func([]byte) bool) bool {
	var before [][]byte
	var made []byte
	if t.tokens == nil || len(t.bare) > maxScanned {
		return true
	}
	for _, e := range escapings {
		compact := layouts[0].write(nil, t.bare, t.tokens, e)
		if slices.ContainsFunc(before, func(other []byte) bool { return bytes.Equal(other, compact) }) {
			continue // this text has none of these characters
		}
		before = append(before, compact)
		escaped := scan(compact)
		for _, l := range layouts {
			made = l.write(made[:0], compact, escaped, escaping{verbatim: true})
			if !yield(made) || !yield(append(made, l.end()...)) {
				return false
			}
		}
	}
	return true
}

// sorted returns the forms of a JSON text with the names of each object in alphabetical order.
func (t text) sorted(yield func([]byte) bool) bool {
	if t.tokens == nil || len(t.bare) > maxScanned {
		return true
	}
	decoder := json.NewDecoder(bytes.NewReader(t.bare))
	decoder.UseNumber()
	var value any
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	if decoder.Decode(&value) != nil || encoder.Encode(value) != nil {
		return true
	}
	return read(made.Bytes()).reserialized(yield)
}

// write appends a string of JSON with this escaping.
func (e escaping) write(made, quoted []byte) []byte {
	plain := true
	for _, c := range quoted[1 : len(quoted)-1] {
		plain = plain && c < utf8.RuneSelf && c != '\\' && strings.IndexByte(e.also, c) < 0
	}
	var text string
	if plain || e.verbatim || json.Unmarshal(quoted, &text) != nil {
		return append(made, quoted...)
	}
	const short = "\"\\\b\f\n\r\t"
	made = append(made, '"')
	for _, c := range text {
		switch ascii := c < utf8.RuneSelf; {
		case ascii && strings.IndexByte(short, byte(c)) >= 0:
			made = append(made, '\\', `"\bfnrt`[strings.IndexByte(short, byte(c))])
		case c == '/' && strings.IndexByte(e.also, '/') >= 0:
			made = append(made, `\/`...)
		case c < ' ' || ascii && strings.IndexByte(e.also, byte(c)) >= 0 || !ascii && e.ascii:
			for _, unit := range utf16.AppendRune(nil, c) {
				made = e.unit(made, unit)
			}
		default:
			made = utf8.AppendRune(made, c)
		}
	}
	return append(made, '"')
}

func (e escaping) unit(made []byte, unit uint16) []byte {
	digits := "0123456789abcdef"
	if e.upper {
		digits = "0123456789ABCDEF"
	}
	return append(made, '\\', 'u', digits[unit>>12], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
}

// write appends a JSON text with this layout and escaping. It returns nil if the text becomes much larger: indentation
// grows with the square of the depth.
func (l layout) write(made, text []byte, tokens []token, e escaping) []byte {
	limit := 4*len(text) + 1024
	depth := 0
	line := func() {
		if l.newline == "" {
			return
		}
		made = append(made, l.newline...)
		for range depth {
			made = append(made, l.indent...)
		}
	}
	for i, t := range tokens {
		if len(made) > limit {
			return nil
		}
		switch c := text[t.start]; c {
		case '{', '[':
			made = append(made, c)
			if depth++; text[tokens[i+1].start] != '}' && text[tokens[i+1].start] != ']' {
				line()
			} else {
				made = append(made, l.empty...)
			}
		case '}', ']':
			if depth--; text[tokens[i-1].start] != '{' && text[tokens[i-1].start] != '[' {
				line()
			}
			made = append(made, c)
		case ',':
			if made = append(made, c); l.newline == "" {
				made = append(made, l.afterComma...)
			} else {
				line()
			}
		case ':':
			made = append(append(append(made, l.beforeColon...), c), l.afterColon...)
		case '"':
			made = e.write(made, text[t.start:t.end])
		default:
			made = append(made, text[t.start:t.end]...)
		}
	}
	return made
}

// cutOff reports whether the text ends too early. A large one is judged by its end.
func (t text) cutOff() bool {
	if len(t.bare) == 0 {
		return true
	}
	last, small := t.bare[len(t.bare)-1], len(t.bare) <= maxFormBody
	switch t.bare[0] {
	case '{':
		return last != '}' || small && !t.json
	case '[':
		return last != ']' || small && !t.json
	case '<':
		root := rootTag().FindSubmatch(t.bare[:min(len(t.bare), 1024)])
		return last != '>' || root != nil && !bytes.HasSuffix(t.bare, slices.Concat([]byte("</"), root[1], []byte(">"))) &&
			!bytes.HasSuffix(t.bare, []byte("/>"))
	}
	return false
}

// alphabetical reports whether the names of all objects in a JSON text are in alphabetical order, so many of them that
// it cannot be chance. A serializer that sorts them leaves no trace of the order that was signed.
func (t text) alphabetical() bool {
	type object struct {
		names int
		last  []byte
	}
	var open []object
	orders := 1.0 // how many there are of these names
	for i, part := range t.tokens {
		switch t.bare[part.start] {
		case '{', '[':
			open = append(open, object{})
		case '}', ']':
			open = open[:len(open)-1]
		case ':':
			inner, name := &open[len(open)-1], t.bare[t.tokens[i-1].start:t.tokens[i-1].end]
			if bytes.Compare(name, inner.last) < 0 {
				return false
			}
			inner.names++
			inner.last = name
			orders *= float64(inner.names)
		}
	}
	return orders > 500
}
