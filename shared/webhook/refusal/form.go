package refusal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"iter"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const bom = "\xef\xbb\xbf"

// text is a body of which other forms are made.
type text struct {
	bytes  []byte
	bare   []byte  // without byte order mark and white space around it
	json   bool    // it is valid, and not too large to look
	tokens []token // of a JSON text that is small enough
}

func read(body []byte) text {
	t := text{bytes: body, bare: bytes.TrimSpace(bytes.TrimPrefix(body, []byte(bom)))}
	if t.json = len(t.bare) <= maxFormBody && json.Valid(t.bare); t.json && len(t.bare) <= maxScanned {
		t.tokens = scan(t.bare)
	}
	return t
}

// forms returns what the body may have been before something changed it, the likely forms first: the work may end before
// all are tried. It may return the same form twice. A form is valid until the next one.
func (t text) forms() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		emit := func(form []byte) bool { return len(form) == 0 || bytes.Equal(form, t.bytes) || yield(form) }
		var compact, pretty bytes.Buffer
		object := t.tokens != nil && t.bare[0] != '"'
		switch {
		case !emit(t.bare) || !emit(with(t.bare, "\n")):
		case t.json && (json.Compact(&compact, t.bare) != nil || !emit(compact.Bytes())):
		case t.tokens != nil && (json.Indent(&pretty, t.bare, "", "  ") != nil || !emit(pretty.Bytes())):
		case !t.lines(emit):
		case object && !reserialized(t.bare, t.tokens, escapings, emit):
		case object && !t.sorted(emit):
		case bytes.HasPrefix(t.bare, []byte("<")) && !reformatted(t.bare, emit):
		default:
			t.decoded(emit)
		}
	}
}

// lines returns forms with other line ends, with another end, and with or without a byte order mark.
func (t text) lines(yield func([]byte) bool) bool {
	unmarked := bytes.TrimPrefix(t.bytes, []byte(bom))
	unix := bytes.ReplaceAll(unmarked, []byte("\r\n"), []byte("\n"))
	for _, form := range [][]byte{unmarked, unix, bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n"))} {
		bare := bytes.TrimSpace(form)
		for _, end := range []string{"", "\n", "\r\n", "\n\n"} {
			if !yield(with(bare, end)) || !yield(append([]byte(bom), with(bare, end)...)) {
				return false
			}
		}
		if !yield(form) || !yield(with(form, "\n")) || !yield(append([]byte(bom), form...)) {
			return false
		}
	}
	return yield(bytes.ReplaceAll(unix, []byte("\n"), nil))
}

// decoded returns forms of another encoding.
func (t text) decoded(yield func([]byte) bool) bool {
	body := t.bytes
	var decoded string
	if json.Unmarshal(t.bare, &decoded) == nil && !yield([]byte(decoded)) {
		return false
	}
	if b, err := base64.StdEncoding.DecodeString(string(t.bare)); err == nil && !yield(b) {
		return false
	}
	if s, err := url.QueryUnescape(string(body)); err == nil && !yield([]byte(s)) {
		return false
	}
	return yield([]byte(base64.StdEncoding.EncodeToString(body))) && yield([]byte(html.UnescapeString(string(body)))) &&
		yield(bytes.ReplaceAll(body, []byte("&"), []byte("&amp;"))) && yield(fromLatin1(body)) && yield(toLatin1(body)) &&
		yield(fromUTF16(body)) && yield(bytes.ReplaceAll(body, []byte("\t"), []byte("    ")))
}

// with returns the text with an end.
func with(text []byte, end string) []byte { return append(bytes.Clone(text), end...) }

func fromLatin1(body []byte) []byte {
	runes := make([]rune, 0, len(body))
	for _, c := range body {
		runes = append(runes, rune(c))
	}
	return []byte(string(runes))
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

// reformatted returns other forms of an XML document: without white space between the tags, and with other spellings of
// empty tags and of the declaration.
func reformatted(document []byte, yield func([]byte) bool) bool {
	replace := func(text []byte, old, with string) []byte {
		return bytes.ReplaceAll(text, []byte(old), []byte(with))
	}
	var joined []byte
	for i := 0; i < len(document); i++ {
		joined = append(joined, document[i])
		if document[i] != '>' {
			continue
		}
		rest := bytes.TrimLeft(document[i+1:], " \t\r\n")
		if bytes.HasPrefix(rest, []byte("<")) {
			i = len(document) - len(rest) - 1
		}
	}
	for _, text := range [][]byte{document, joined} {
		body := text
		if end := bytes.Index(text, []byte("?>")); end > 0 && bytes.HasPrefix(text, []byte("<?xml")) {
			body = bytes.TrimSpace(text[end+2:])
		}
		for _, form := range [][]byte{
			text, replace(text, "/>", " />"), replace(text, " />", "/>"), body,
			append([]byte(`<?xml version="1.0" encoding="utf-8"?>`), body...),
			append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`), body...),
			append([]byte("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"), body...),
			append([]byte("<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n"), body...),
			append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), body...),
			append([]byte(`<?xml version="1.0"?>`), body...),
		} {
			if !yield(form) || !yield(with(form, "\n")) {
				return false
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
			for i < len(text) && bytes.IndexByte([]byte(" \t\r\n{}[]:,"), text[i]) < 0 {
				i++
			}
		}
		tokens = append(tokens, token{int32(start), int32(i)})
	}
	return tokens
}

// sorted returns the forms of a JSON text with the names of each object in alphabetical order.
func (t text) sorted(yield func([]byte) bool) bool {
	decoder := json.NewDecoder(bytes.NewReader(t.bare))
	decoder.UseNumber()
	var value any
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	if decoder.Decode(&value) != nil || encoder.Encode(value) != nil {
		return true
	}
	return reserialized(made.Bytes(), scan(made.Bytes()), escapings[:4], yield)
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

// reserialized returns a JSON text as other serializers write it.
func reserialized(text []byte, tokens []token, escapings []escaping, yield func([]byte) bool) bool {
	var before [][]byte
	var made []byte
	for _, e := range escapings {
		compact := layouts[0].write(nil, text, tokens, e)
		if slices.ContainsFunc(before, func(other []byte) bool { return bytes.Equal(other, compact) }) {
			continue // this text has none of these characters
		}
		before = append(before, compact)
		escaped := scan(compact)
		for _, l := range layouts {
			made = l.write(made[:0], compact, escaped, verbatim)
			if !yield(made) {
				return false
			}
			if made = append(made, l.end()...); !yield(made) {
				return false
			}
		}
	}
	return true
}

// end returns the end of the last line.
func (l layout) end() string {
	if l.newline == "" {
		return "\n"
	}
	return l.newline
}

// verbatim changes no string.
var verbatim = escaping{verbatim: true}

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
	made = append(made, '"')
	for _, c := range text {
		switch ascii := c < utf8.RuneSelf; {
		case ascii && strings.IndexByte("\"\\\b\f\n\r\t", byte(c)) >= 0:
			made = append(made, '\\', `"\bfnrt`[strings.IndexByte("\"\\\b\f\n\r\t", byte(c))])
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

// write appends a JSON text with this layout and escaping.
func (l layout) write(made, text []byte, tokens []token, e escaping) []byte {
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

// cutOff reports whether the text ends too early. A large one is judged by its last character.
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
		end := t.bare[max(0, len(t.bare)-200):]
		return last != '>' || !bytes.Contains(end, []byte("</")) && !bytes.HasSuffix(end, []byte("/>"))
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
