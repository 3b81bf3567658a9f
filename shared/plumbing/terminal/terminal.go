// Package terminal writes for people who look at a terminal.
package terminal

import (
	"os"
	"strings"
	"unicode"
)

// Is reports whether a file is a terminal.
func Is(f *os.File) bool {
	info, err := f.Stat()
	null, _ := os.Stat(os.DevNull) // a character device too
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && !os.SameFile(info, null)
}

// Colour is the number of a colour, as terminals know it.
type Colour string

// The colours of lines.
const (
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Cyan   Colour = "36"
	Dim    Colour = "2"
)

// Style is how lines look. The zero Style has no colours.
type Style struct{ colours bool }

// StyleOf returns the style of a terminal. It has colours unless the environment has NO_COLOR, or TERM says that there
// are none.
//
// SPEC: https://no-color.org, read 2026-11-30: NO_COLOR, "when present and not an empty string (regardless of its
// value), prevents the addition of ANSI color".
func StyleOf(lookup func(string) (string, bool)) Style {
	none, _ := lookup("NO_COLOR")
	term, _ := lookup("TERM")
	return Style{none == "" && term != "dumb"}
}

// Paint returns a text in a colour.
func (s Style) Paint(c Colour, text string) string {
	if !s.colours || c == "" || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Printable replaces what is unsafe on a terminal, such as escape sequences, by question marks.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
