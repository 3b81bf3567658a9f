package terminal

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entry is an entry of a log.
type Entry struct {
	text   string // if it is not a JSON object
	fields []field
}

type field struct {
	name string
	raw  json.RawMessage
}

// value returns a string without its quotes, and other JSON as it is.
func (f field) value() string {
	var s string
	if json.Unmarshal(f.raw, &s) == nil {
		return s
	}
	return string(f.raw)
}

// ParseEntry parses an entry: a JSON object, or other text.
func ParseEntry(text string) Entry {
	e := Entry{text: text}
	decoder := json.NewDecoder(strings.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return e
	}
	var fields []field // in their order
	for decoder.More() {
		var f field
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(&f.raw)
		}
		if err != nil {
			return e
		}
		f.name, _ = name.(string)
		fields = append(fields, f)
	}
	if _, err := decoder.Token(); err != nil { // the brace
		return e
	}
	if _, err := decoder.Token(); err != io.EOF {
		return e
	}
	return Entry{fields: fields}
}

// Value returns a field, or nothing if there is none.
func (e Entry) Value(name string) string {
	i := slices.IndexFunc(e.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return ""
	}
	return e.fields[i].value()
}

// Message returns the message, which slog and Lambda name differently.
func (e Entry) Message() string {
	if message := e.Value("msg"); message != "" {
		return message
	}
	return e.Value("message")
}

// JSON returns the entry as an object that begins with the name of its source.
func (e Entry) JSON(source string, at time.Time) string {
	if e.fields == nil {
		e.fields = []field{{"time", quoted(at.UTC().Format(time.RFC3339Nano))}, {"msg", quoted(e.text)}}
	}
	var b bytes.Buffer
	for i, f := range slices.Insert(slices.Clone(e.fields), 0, field{"log", quoted(source)}) {
		b.WriteByte("{,"[min(i, 1)])
		b.Write(quoted(f.name))
		b.WriteByte(':')
		json.Compact(&b, f.raw)
	}
	return b.String() + "}"
}

func quoted(s string) json.RawMessage {
	b, _ := json.Marshal(s)
	return b
}

// Line returns an entry as one line: time, level, source, provider, message, cause and hint, and its other fields.
func (s Style) Line(source string, at time.Time, e Entry) string {
	words := []string{s.Paint(Dim, at.Format(time.TimeOnly))}
	add := func(c Colour, text string) {
		if text = Printable(text); text != "" {
			words = append(words, s.Paint(c, text))
		}
	}
	level := strings.ToUpper(e.Value("level"))
	colour := map[string]Colour{"WARN": Yellow, "ERROR": Red}[level]
	if colour != "" {
		add(colour, level)
	}
	add(Cyan, source)
	shown := []string{"time", "timestamp", "level", "msg", "message", "provider", "cause", "hint"}
	if provider := e.Value("provider"); !strings.EqualFold(provider, source) {
		add(Cyan, provider)
	}
	add("", e.text)
	add(colour, e.Message())
	if cause := e.Value("cause"); cause != "" {
		add(Red, cause+": "+e.Value("hint"))
	}
	for _, f := range e.fields {
		if slices.Contains(shown, f.name) {
			continue
		}
		value := f.value()
		if strings.ContainsAny(value, " \"=") && f.raw[0] == '"' || Printable(value) != value {
			value = strconv.Quote(value)
		}
		add(Dim, f.name+"="+value)
	}
	return strings.Join(words, " ")
}

// Logger returns a logger that writes each entry from a level on as a line, except those with one of the messages.
func (s Style) Logger(w io.Writer, level slog.Level, except ...string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(logWriter{s, w, except}, &slog.HandlerOptions{Level: level}))
}

type logWriter struct {
	style  Style
	w      io.Writer
	except []string
}

// Write writes an entry, a JSON object.
func (l logWriter) Write(p []byte) (int, error) {
	e := ParseEntry(string(p))
	if slices.Contains(l.except, e.Message()) {
		return len(p), nil
	}
	at, _ := time.Parse(time.RFC3339Nano, e.Value("time"))
	if _, err := io.WriteString(l.w, l.style.Line("", at, e)+"\n"); err != nil {
		return 0, err
	}
	return len(p), nil
}
