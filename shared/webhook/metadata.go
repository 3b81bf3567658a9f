package webhook

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"esignhooks/shared/esign"
)

// maxMetadata is the number of values after which no more of a sender's metadata is read. Vendors allow about 50.
const maxMetadata = 100_000

// Metadata returns the values of a JSON object whose keys the sender has chosen. The name of a value in a nested object
// is its path, joined by dots. Numbers and booleans are as written, and lists are JSON. Null, empty values, and names
// that are too long for a reference are left out. Anything but an object has no values. Of duplicate names the last one
// counts.
func Metadata(object []byte) map[string]string {
	m := metadata{json.NewDecoder(bytes.NewReader(object)), object, map[string]string{}}
	m.UseNumber()
	if start, _ := m.Token(); start != json.Delim('{') {
		return nil
	}
	if m.read(""); len(m.values) == 0 {
		return nil
	}
	return m.values
}

type metadata struct {
	*json.Decoder
	text   []byte
	values map[string]string
}

// read reads the rest of an object, whose names begin with the prefix.
func (m *metadata) read(prefix string) {
	for m.More() && len(m.values) < maxMetadata {
		token, _ := m.Token()
		key, ok := token.(string)
		if !ok {
			return // not JSON
		}
		if len(key) > utf8.UTFMax*esign.MaxReferenceName || utf8.RuneCountInString(prefix+key) > esign.MaxReferenceName {
			m.skip()
			continue
		}
		m.readValue(prefix + key)
	}
	_, _ = m.Token() // the end of the object
}

func (m *metadata) readValue(name string) {
	token, _ := m.Token()
	value := ""
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			m.read(name + ".")
			return
		}
		start := m.InputOffset() - 1
		m.skipRest()
		var list bytes.Buffer
		if json.Compact(&list, m.text[start:m.InputOffset()]) == nil && list.Len() > len("[]") {
			value = list.String()
		}
	case string:
		value = token
	case json.Number:
		value = token.String()
	case bool:
		value = strconv.FormatBool(token)
	}
	if delete(m.values, name); value != "" {
		m.values[name] = value
	}
}

func (m *metadata) skip() {
	if token, _ := m.Token(); token == json.Delim('{') || token == json.Delim('[') {
		m.skipRest()
	}
}

// skipRest skips the rest of an object or list.
func (m *metadata) skipRest() {
	for depth := 1; depth > 0; {
		token, err := m.Token()
		switch {
		case err != nil:
			return
		case token == json.Delim('{') || token == json.Delim('['):
			depth++
		case token == json.Delim('}') || token == json.Delim(']'):
			depth--
		}
	}
}
