package refusal

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

const digestSize = 32 // of SHA-256

// digests returns the digests that a signature may mean in any spelling: hex, base64, base64url, base64 of hex, with a
// prefix such as "sha256=", in quotes, or escaped for a URL.
func digests(value string) (found [][]byte) {
	const maxValue = 2048
	if len(value) > maxValue {
		return nil
	}
	pieces := []string{value}
	pieces = append(pieces, strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(",; \t\r\n", c) })...)
	for _, piece := range slices.Clone(pieces) {
		for range 3 { // prefixes, such as s0=sha256=
			end := strings.IndexAny(piece, "=: ")
			if end < 0 {
				break
			}
			piece = piece[end+1:]
			pieces = append(pieces, piece)
		}
	}
	for _, piece := range pieces {
		piece = strings.Trim(piece, " \t\r\n\"'`<>[]()")
		if unescaped, err := url.PathUnescape(piece); err == nil {
			piece = unescaped
		}
		for _, digest := range decodings(piece) {
			known := slices.ContainsFunc(found, func(other []byte) bool { return string(other) == string(digest) })
			if !known {
				found = append(found, digest)
			}
		}
	}
	return found
}

// decodings returns the digests that s is in hex or base64.
func decodings(s string) (found [][]byte) {
	separated := strings.NewReplacer(":", "", "-", "", " ", "").Replace(s)
	if b, err := hex.DecodeString(separated); err == nil && len(b) == digestSize {
		return [][]byte{b}
	}
	for _, b := range unbase64(strings.ReplaceAll(s, " ", "+")) { // a form's decoder makes spaces of "+"
		switch len(b) {
		case digestSize:
			found = append(found, b)
		case 2 * digestSize:
			if b, err := hex.DecodeString(string(b)); err == nil {
				found = append(found, b)
			}
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

// spaced returns the key with white space or quotes that people and tools add, or without those that it has.
func spaced(key string) []string {
	bare := strings.Trim(key, " \t\r\n\"'`\u00a0\ufeff\u201c\u201d")
	made := []string{bare}
	for _, around := range [][2]string{
		{"", "\n"}, {"", "\r\n"}, {"", " "}, {" ", ""}, {" ", " "}, {`"`, `"`}, {"'", "'"}, {"", "\r"}, {"", "\t"},
		{"\n", ""}, {"\t", ""}, {"\n", "\n"}, {"", "\n\n"}, {"", "\r\n\r\n"}, {"", "  "}, {"  ", ""}, {"`", "`"},
		{`"`, ""}, {"", `"`}, {"'", ""}, {"", "'"}, {`"`, "\"\n"}, {"'", "'\n"}, {` "`, `" `}, {"\u201c", "\u201d"},
		{"\ufeff", ""}, {"", "\u00a0"}, {"", "\u200b"}, {"[\"", "\"]"}, {"", ","},
	} {
		made = append(made, around[0]+bare+around[1])
	}
	words := strings.FieldsFunc(bare, func(c rune) bool { return strings.ContainsRune(" \t\r\n;,\"'\u00a0\u200b", c) })
	if len(words) > 1 {
		made = append(append(made, strings.Join(words, "")), words[:min(len(words), 10)]...)
	}
	return others(key, made)
}

// encoded returns the key decoded or encoded, and with other numbers of "=" at its end.
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
