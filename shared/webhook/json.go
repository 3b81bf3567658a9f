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

// DecodeJSON parses a vendor's JSON object into v. It skips unknown fields, and fields whose value has another type
// than in v. Of duplicate keys the last one counts, and objects under them are merged. A byte order mark is skipped. It
// returns ErrUnreadable if the body is not a single JSON object.
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

// tolerant drops the error about a value of the wrong type: everything else has been decoded.
func tolerant(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return nil
	}
	return err
}

// TrimBOM returns body without a leading UTF-8 byte order mark.
func TrimBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) }

// Text is any JSON scalar as text, since vendors do not agree on types. A string is trimmed; a number or boolean is
// kept as written. Null, objects and arrays become empty.
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

// Unquote returns the value of a string of valid JSON.
func Unquote(b []byte) (s string, err error) {
	if inside := b[1 : len(b)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) { // the common case
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

// MaxList is the number of elements that are read of a vendor's list. No agreement has as many participants. Without a
// limit, a list of millions of empty objects would need a hundred times its size in memory.
const MaxList = 1000

// List is a JSON array, truncated after MaxList elements. Fields of the wrong type are skipped. Anything but an array
// becomes empty.
type List[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *List[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	if bytes.Count(b, []byte(",")) < MaxList { // then it has no more elements
		return tolerant(json.Unmarshal(b, (*[]T)(l)))
	}
	d := json.NewDecoder(bytes.NewReader(b)) // b is valid JSON
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

// UnixTime parses seconds or milliseconds since 1970, which it distinguishes by their size. Like [Time], it returns the
// zero time if it cannot parse s.
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

// Time parses an RFC 3339 time with any number of fraction digits. A missing zone means UTC. It returns the zero time
// if it cannot parse s, and for implausible years.
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
