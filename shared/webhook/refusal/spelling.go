package refusal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
)

const digestSize = 32 // of SHA-256

// digests returns the digests that a signature may mean in any spelling: hex, base64, base64url, base64 of hex, with a
// prefix such as "sha256=", in quotes, or escaped for a URL, HTML or JSON. It returns a few at most.
func digests(value string) (found [][]byte) {
	const shortest, longest, pieces, most = 43, 1024, 8, 8 // base64 without "=" is the shortest spelling
	if len(value) > longest {
		return nil
	}
	parts := []string{value}
	words := strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(",; \t\r\n", c) })
	for _, piece := range append(parts, words[:min(len(words), pieces)]...) {
		for range 4 { // prefixes, such as s0=sha256=
			if len(piece) < shortest || len(found) >= most {
				break
			}
			found = append(found, decodings(unescaped(piece), 2)...)
			end := strings.IndexAny(piece, "=: '\"")
			if end < 0 {
				break
			}
			piece = piece[end+1:]
		}
	}
	slices.SortFunc(found, bytes.Compare)
	return slices.CompactFunc(found, bytes.Equal)
}

// unescaped undoes what tools do to a text on its way.
func unescaped(s string) string {
	for range 2 {
		if plain, err := url.PathUnescape(s); err == nil {
			s = plain
		}
		s = html.UnescapeString(s)
		var quoted string
		if strings.Contains(s, `\u`) && json.Unmarshal([]byte(`"`+strings.Trim(s, `"`)+`"`), &quoted) == nil {
			s = quoted
		}
	}
	return strings.TrimPrefix(strings.Trim(s, " \t\r\n\"'`<>[]()"), "0x")
}

var separators = strings.NewReplacer(":", "", "-", "", " ", "")

// decodings returns the digests that s is in hex or base64, or in either of them twice.
func decodings(s string, depth int) (found [][]byte) {
	var decoded [][]byte
	if b, err := hex.DecodeString(separators.Replace(s)); err == nil {
		decoded = append(decoded, b)
	}
	decoded = append(decoded, unbase64(strings.ReplaceAll(s, " ", "+"))...) // a form's decoder makes spaces of "+"
	for _, b := range decoded {
		switch {
		case len(b) == digestSize:
			found = append(found, b)
		case depth > 1 && len(b) > digestSize:
			found = append(found, decodings(string(b), depth-1)...)
		}
	}
	return found
}

// unbase64 returns what s is in either alphabet, with or without "=".
func unbase64(s string) (found [][]byte) {
	bare := strings.TrimRight(s, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := encoding.DecodeString(bare); err == nil && len(b) > 0 {
			found = append(found, b)
			if !strings.ContainsAny(bare, "+/-_") {
				break // both alphabets agree
			}
		}
	}
	return found
}

// invisible are the characters around a key that people and tools add.
const invisible = " \t\r\n\"'`\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u3000\ufeff\u2018\u2019\u201c\u201d"

// spaced returns the key with white space or quotes that people and tools add, or without those that it has. The first
// ones are likely.
func spaced(key string) []string {
	written := strings.NewReplacer(`\n`, "", `\r`, "", `\t`, "").Replace(key) // as an .env file has it
	bare := strings.Trim(written, invisible)
	made := []string{bare}
	for _, around := range [][2]string{
		{"", "\n"}, {"", "\r\n"}, {"", " "}, {" ", ""}, {`"`, `"`}, {"'", "'"}, {" ", " "}, {"", "\r"}, {"", "\t"},
		{"\n", ""}, {"\t", ""}, {"\n", "\n"}, {"", "\n\n"}, {"", "\r\n\r\n"}, {"", "  "}, {"  ", ""}, {"`", "`"},
		{`"`, ""}, {"", `"`}, {"'", ""}, {"", "'"}, {`"`, "\"\n"}, {"'", "'\n"}, {` "`, `" `}, {"\u201c", "\u201d"},
		{"\u2018", "\u2019"}, {"\ufeff", ""}, {"", "\u00a0"}, {"", "\u200b"}, {"", `\n`}, {"[\"", "\"]"}, {"", ","},
	} {
		made = append(made, around[0]+bare+around[1])
	}
	words := strings.FieldsFunc(bare, func(c rune) bool { return strings.ContainsRune(invisible+";,", c) })
	if len(words) > 1 {
		made = append(append(made, strings.Join(words, "")), words[:min(len(words), 10)]...)
	}
	return others(key, made)
}

// encoded returns the key decoded or encoded, and with other numbers of "=" at its end. The first ones are likely.
//
// SPEC: https://pinter.org/archives/11140, read 2026-11-30: DocuSign's page showed a key with "=" at its end, and a
// copy without it did not match.
func encoded(key string) []string {
	bare := strings.TrimRight(key, "=")
	made := []string{bare, bare + "=", bare + "=="}
	for _, b := range unbase64(key) {
		made = append(made, string(b))
	}
	if b, err := hex.DecodeString(strings.TrimPrefix(strings.ToLower(key), "0x")); err == nil {
		made = append(made, string(b))
	}
	if s, err := url.PathUnescape(key); err == nil {
		made = append(made, s)
	}
	var s string
	if json.Unmarshal([]byte(`"`+key+`"`), &s) == nil {
		made = append(made, s)
	}
	made = append(made,
		url.QueryEscape(key), strings.ReplaceAll(key, " ", "+"), strings.ReplaceAll(key, "+", " "),
		strings.NewReplacer("-", "+", "_", "/").Replace(key), strings.NewReplacer("+", "-", "/", "_").Replace(key),
		strings.ReplaceAll(key, "/", `\/`), strings.ReplaceAll(key, "=", `\u003d`), strings.ReplaceAll(key, "-", ""),
		strings.ToLower(key), strings.ToUpper(key),
		base64.StdEncoding.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString([]byte(key+"\n")),
		base64.RawStdEncoding.EncodeToString([]byte(key)), hex.EncodeToString([]byte(key)),
		strings.ToUpper(hex.EncodeToString([]byte(key))),
	)
	return others(key, made)
}

// others returns the spellings that differ from the key, each once.
func others(key string, made []string) (spellings []string) {
	for _, s := range made {
		if s != key && s != "" && !slices.Contains(spellings, s) {
			spellings = append(spellings, s)
		}
	}
	return spellings
}
