package docusign

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// DocuSign's XML is usually UTF-8, whatever it declares, and may contain what XML does not allow. The signature is
// verified before, so it is read as far as possible.

var (
	declaration = regexp.MustCompile(`^<\?xml\s[^>]*\?>`)
	singleByte  = regexp.MustCompile(`(?i)encoding\s*=\s*["'](iso-8859-1|latin1|windows-1252|cp1252)["']`)
	reference   = regexp.MustCompile(`&#([^;&<>\s]{0,64});`)
	number      = regexp.MustCompile(`^(x[0-9A-Fa-f]+|[0-9]+)$`)
)

// repaired returns XML as UTF-8 without a declaration, with U+FFFD for everything that XML does not allow as a
// character.
func repaired(body []byte) []byte {
	declared := declaration.Find(body)
	body = body[len(declared):]
	if !utf8.Valid(body) && singleByte.Match(declared) {
		body = fromWindows1252(body)
	}
	body = bytes.Map(func(r rune) rune { // it maps invalid bytes too
		if allowed(r) {
			return r
		}
		return utf8.RuneError
	}, body)
	return reference.ReplaceAllFunc(body, func(ref []byte) []byte {
		digits, base := string(ref[2:len(ref)-1]), 10
		if hex, ok := strings.CutPrefix(digits, "x"); ok {
			digits, base = hex, 16
		}
		legal := number.Match(ref[2 : len(ref)-1]) // a sign or "X" is not
		if r, err := strconv.ParseInt(digits, base, 32); err == nil && legal && allowed(rune(r)) {
			return ref
		}
		return []byte(string(utf8.RuneError))
	})
}

// allowed reports whether XML allows the character.
//
// SPEC: https://www.w3.org/TR/xml/#charsets
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd ||
		r >= 0x10000 && r <= utf8.MaxRune
}

// fromWindows1252 returns the text as UTF-8. ISO 8859-1 is read as Windows-1252 too, as browsers do.
//
// SPEC: https://encoding.spec.whatwg.org/#names-and-labels
func fromWindows1252(body []byte) []byte {
	const from0x80 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
	high := []rune(from0x80)
	made := make([]byte, 0, len(body)+len(body)/8)
	for _, b := range body {
		if b >= 0x80 && b < 0xa0 {
			made = utf8.AppendRune(made, high[b-0x80])
		} else {
			made = utf8.AppendRune(made, rune(b))
		}
	}
	return made
}

// fromUTF16 returns XML in UTF-16 as UTF-8, and any other body unchanged. It begins with "<", after a byte order mark
// or without.
func fromUTF16(body []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(body, []byte("\xff\xfe<\x00")), bytes.HasPrefix(body, []byte("<\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(body, []byte("\xfe\xff\x00<")), bytes.HasPrefix(body, []byte("\x00<")):
		order = binary.BigEndian
	default:
		return body
	}
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	return []byte(string(utf16.Decode(units))) // with a mark, which is UTF-8's then
}
