package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DecodeJSON reads a vendor's JSON object into v, tolerantly: unknown fields are passed over, and so is a field whose
// value has another type than v's. Of duplicate keys the last one counts, and objects under them are merged. A byte order
// mark is skipped. It returns ErrUnreadable if the body is not one JSON object.
func DecodeJSON(body []byte, v any) error {
	body = TrimBOM(body)
	if err := tolerant(json.Unmarshal(body, v)); err != nil {
		return fmt.Errorf("webhook: body is not JSON: %w", ErrUnreadable) // the detail would quote the body
	}
	if body = bytes.TrimLeft(body, " \t\r\n"); body[0] != '{' {
		return fmt.Errorf("webhook: body is not a JSON object: %w", ErrUnreadable)
	}
	return nil
}

// tolerant passes over the error of a value that has another type than what it is read into: the rest has been read.
func tolerant(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return nil
	}
	return err
}

// TrimBOM returns body without a leading UTF-8 byte order mark.
func TrimBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) }

// Text is a JSON scalar whose type vendors do not agree on: a string, or a number or boolean as it is written; trimmed.
// Null, objects and arrays read as empty.
type Text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || string(b) == "null":
	case b[0] == '"':
		s, err := Unquote(b)
		*t = Text(strings.TrimSpace(s))
		return err
	default:
		*t = Text(b)
	}
	return nil
}

// Unquote returns what a string of valid JSON says.
func Unquote(b []byte) (s string, err error) {
	if inside := b[1 : len(b)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) { // as most are: nothing to undo
		return string(inside), nil
	}
	err = json.Unmarshal(b, &s)
	return s, err
}

// UnmarshalText implements [encoding.TextUnmarshaler], for XML.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Text(bytes.TrimSpace(b))
	return nil
}

// MaxList is how many elements of a vendor's list are read. No agreement has as many participants; a body that lists
// millions of nothing would cost a hundred times its size.
const MaxList = 1000

// List is a JSON array, of which no more than MaxList elements are read, and those that fit. What is no array reads as
// empty.
type List[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *List[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	if bytes.Count(b, []byte(",")) < MaxList { // so that it has no more elements
		return tolerant(json.Unmarshal(b, (*[]T)(l)))
	}
	d := json.NewDecoder(bytes.NewReader(b)) // of what is known to be valid
	d.Token()
	for d.More() && len(*l) < MaxList {
		var v T
		if err := tolerant(d.Decode(&v)); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}

// UnixTime reads seconds or milliseconds since 1970, which are told apart by their size. Like [Time] it returns zero
// for what it cannot read.
func UnixTime(s string) time.Time {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(n) || n <= 0 {
		return time.Time{}
	}
	if n < 1e11 { // seconds until the year 5138, milliseconds from March 1973
		n *= 1000
	}
	if n > 1e15 {
		return time.Time{}
	}
	return sane(time.UnixMilli(int64(n)))
}

// Time reads an RFC 3339 time, with any number of fraction digits; where the zone is missing it is taken as UTC. It
// returns zero for what it cannot read, and for years that no agreement is from.
func Time(s string) time.Time {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return sane(t)
		}
	}
	return time.Time{}
}

func sane(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1990 || t.Year() > 9000 {
		return time.Time{}
	}
	return t
}
