package localhost

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"esignhooks/shared/webhook"
)

const redacted = "REDACTED"

// masker removes secrets from what we show of requests: the configured keys and tokens of all vendors, and the last
// segment of any webhook's path. It finds them also if they are escaped for a URL, JSON or XML.
type masker struct {
	literal   []string       // the secrets as they are
	spellings *regexp.Regexp // of the secrets; nil if there are none
	reach     int            // no spelling of practical use is longer, in bytes
}

// tokenPath matches the path of a webhook with a token.
var tokenPath = regexp.MustCompile(`((?:/|\\+/|%(?:25)*2[fF]|\\+u002[fF])webhooks(?:/|\\+/|%(?:25)*2[fF]|\\+u002[fF])` +
	`[a-z]+(?:/|\\+/|%(?:25)*2[fF]|\\+u002[fF]))[^/?#\s"'<>\\&]+`)

// newMasker returns a masker of the configured keys and tokens. The development keys are no secrets.
func newMasker(keys map[string]Keys) *masker {
	m := new(masker)
	for _, k := range keys {
		secrets := k.URLTokens
		if !k.Development {
			secrets = slices.Concat(secrets, k.Keys.Keys)
		}
		for _, secret := range secrets {
			m.literal = append(m.literal, secret.Reveal())
		}
	}
	slices.SortFunc(m.literal, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	m.literal = slices.Compact(m.literal)
	var all []string
	for _, secret := range m.literal {
		all, m.reach = append(all, spellings(secret)), max(m.reach, 12*len(secret))
	}
	if len(all) > 0 {
		m.spellings = regexp.MustCompile(strings.Join(all, "|"))
	}
	return m
}

// spellings returns a regular expression of a secret: each of its characters may be escaped, also several times.
func spellings(secret string) string {
	var pattern strings.Builder
	for _, c := range secret {
		var escaped, percent string
		for _, unit := range utf16.Encode([]rune{c}) {
			escaped += fmt.Sprintf(`\\+u(?i:%04x)`, unit)
		}
		for _, b := range utf8.AppendRune(nil, c) {
			percent += fmt.Sprintf(`%%(?:25)*(?i:%02x)`, b)
		}
		fmt.Fprintf(&pattern, `(?:\\*%s|%s|%s|&(?:amp;)*#(?:0*%d|[xX]0*(?i:%x));`, regexp.QuoteMeta(string(c)), escaped,
			percent,
			c, c)
		if name := entities[c]; name != "" {
			pattern.WriteString(`|&(?:amp;)*` + name)
		} else if c == ' ' {
			pattern.WriteString(`|\+`)
		}
		pattern.WriteString(`)`)
	}
	return pattern.String()
}

var entities = map[rune]string{'&': "amp;", '<': "lt;", '>': "gt;", '"': "quot;", '\'': "apos;"}

// mask returns text without secrets.
func (m *masker) mask(text string) string {
	if strings.Contains(text, "webhooks") {
		text = tokenPath.ReplaceAllString(text, "${1}"+redacted)
	}
	if m.spellings == nil || !strings.ContainsAny(text, `\%&+`) && !m.contains(text) { // most texts hold no escape
		return text
	}
	return m.spellings.ReplaceAllLiteralString(text, redacted)
}

func (m *masker) contains(text string) bool {
	return slices.ContainsFunc(m.literal, func(secret string) bool { return strings.Contains(text, secret) })
}

// cut returns where to cut a text that is longer than limit: before a secret that limit would cut into two.
func (m *masker) cut(text []byte, limit int) int {
	if m.spellings == nil || len(text) <= limit {
		return min(limit, len(text))
	}
	start := max(0, limit-m.reach)
	for _, found := range m.spellings.FindAllIndex(text[start:], -1) {
		if from, to := start+found[0], start+found[1]; from < limit && limit < to {
			return from
		}
	}
	return limit
}

// values returns the values of a header or a query without secrets.
func (m *masker) values(all map[string][]string) map[string][]string {
	shown := make(map[string][]string, len(all))
	for name, values := range all {
		masked := make([]string, len(values))
		for i, value := range values {
			masked[i] = m.mask(value)
		}
		shown[m.mask(name)] = masked
	}
	return shown
}

// credentials are headers that hold nothing but secrets.
var credentials = []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"}

func (m *masker) header(h http.Header) map[string][]string {
	shown := m.values(h)
	for name := range shown { // its case is not the sender's
		for _, secret := range m.literal {
			if strings.Contains(strings.ToLower(name), strings.ToLower(secret)) {
				delete(shown, name)
				shown[redacted] = []string{redacted}
			}
		}
	}
	for _, name := range credentials {
		if len(shown[name]) > 0 {
			shown[name] = []string{redacted}
		}
	}
	return shown
}

func (m *masker) refusals(causes []webhook.Refusal) []webhook.Refusal {
	shown := slices.Clone(causes) // nil stays nil
	for i := range shown {
		shown[i].Hint = m.mask(shown[i].Hint)
	}
	return shown
}
