package story

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"text/template"
	"time"

	"esignhooks/shared/webhook"
)

// templates are a vendor's. A template with the name of a step writes the request that reports it: headers, an empty
// line, and the body. "agreement" and "participant" write the IDs of an agreement and of a person as the vendor has
// them, "problem" the cause of an undeliverable agreement. "at-expiry" is the status of who has not signed in time, if
// the vendor does not call it expired.
type templates struct{ *template.Template }

var functions = template.FuncMap{
	"uuid": func(key string) string {
		return key[:8] + "-" + key[8:12] + "-" + key[12:16] + "-" + key[16:20] + "-" + key[20:]
	},
	"cut":  func(n int, key string) string { return key[:n] },
	"unix": func(t time.Time) string { return orNull(t, fmt.Sprint(t.Unix())) },
	"ms":   func(t time.Time) string { return orNull(t, fmt.Sprint(t.UnixMilli())) },
	"iso":  func(t time.Time) string { return t.Format("2006-01-02T15:04:05Z") },
	"hash": func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "sha256:" + hex.EncodeToString(sum[:])
	},
	"crlf": func() string { return "\r\n" },
}

func orNull(t time.Time, s string) string {
	if t.IsZero() {
		return "null"
	}
	return s
}

// Lookup returns nil if there is no such template.
func (t templates) Lookup(name string) *template.Template {
	if t.Template == nil {
		return nil
	}
	return t.Template.Lookup(name)
}

func (t templates) word(name string, data any) (string, error) {
	var b strings.Builder
	err := t.ExecuteTemplate(&b, name, data)
	return strings.TrimSpace(b.String()), err
}

// request returns the request that a template writes. The JSON in it becomes compact.
func (t templates) request(name string, data any) (*webhook.Request, error) {
	text, err := t.word(name, data)
	if err != nil {
		return nil, err
	}
	head, body, found := strings.Cut(text, "\n\n")
	from, to := strings.Index(body, "{"), strings.LastIndex(body, "}")+1
	if !found || from < 0 || to < from {
		return nil, fmt.Errorf("story: template %q has no body", name)
	}
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}}
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	var compact bytes.Buffer
	compact.WriteString(body[:from])
	if err := json.Compact(&compact, []byte(body[from:to])); err != nil {
		return nil, fmt.Errorf("story: template %q: %w", name, err)
	}
	compact.WriteString(body[to:])
	r.Body = compact.Bytes()
	return r, nil
}
