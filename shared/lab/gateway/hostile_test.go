package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
)

// healthy checks that every event is processed or unreadable, and that the page and the lists can be read.
func (g *gateway) healthy(atLeast int) {
	g.t.Helper()
	events := g.events()
	if len(events) < atLeast {
		g.t.Errorf("got %d events, want at least %d", len(events), atLeast)
	}
	for _, e := range events {
		if e.State != "processed" && e.State != "unreadable" {
			g.t.Errorf("%s %q is %s", e.Provider, e.VendorType, e.State)
		}
	}
	g.agreements()
	if got := g.send(request{method: "GET", path: "/"}); got.Status != 200 ||
		!strings.HasSuffix(strings.TrimSpace(got.Body), "</html>") {
		g.t.Errorf("the page: got %d, %d bytes", got.Status, len(got.Body))
	}
}

func TestOddIDsAreNeitherRefusedNorLostNorMixedUp(t *testing.T) {
	slow.Test(t)
	t.Parallel()
	g := start(t)
	odd := []string{
		"with space", "a#b", "a@b", "@", "x", "x#@", "widget:x", "WIDGET:y", "other:x", "account:x", "template:x", "sha256:x",
		"a/b/../c", "%2F", "a\nb", "a\x00b", "\u202eabc", "é", "🦀", "ﬀ\u0000", strings.Repeat("x", 129),
		strings.Repeat("é", 100),
	}
	for _, p := range provider.All() {
		name, want := p.Info().Name, map[string]string{} // event IDs by agreement
		for _, id := range odd {
			escaped, err := json.Marshal(id)
			if err != nil {
				t.Fatal(err)
			}
			r, known := signed(p, string(escaped[1:len(escaped)-1]), completion(p), p.Info().DevelopmentKey, time.Now())
			g.accept(r, r)
			if _, ok := want[known]; ok {
				t.Errorf("%s: two IDs became %.40q", name, known)
			}
			want[known] = r.identities(t)[0].EventID
		}
		for id, event := range want {
			if e := g.one(name, id, 1); e.ID != event {
				t.Errorf("%s %.40q: got event %s, want %s", name, id, e.ID, event)
			}
		}
	}
	g.healthy(len(odd) * len(provider.All()))
}

var guids = regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// Each value of a vendor's message is replaced by an unexpected one.
func TestOddValuesAreNeitherRefusedNorLost(t *testing.T) {
	slow.Test(t)
	t.Parallel()
	g := start(t)
	values := []any{
		7, -1.5e300, true, []any{}, []any{[]any{}}, map[string]any{}, map[string]any{"x": map[string]any{}}, "garbage", "",
		"a\x00\u202e🦀" + strings.Repeat("y", 20_000), nil,
	}
	sent := 0
	for _, r := range genuine() {
		start, end := strings.IndexByte(r.body, '{'), strings.LastIndexByte(r.body, '}')+1
		var body any
		if err := json.Unmarshal([]byte(r.body[start:end]), &body); err != nil {
			t.Fatal(err)
		}
		replaceEach(body, func() {
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]string{} // every request has GUIDs of its own, such as that of the notification
			fresh := guids.ReplaceAllStringFunc(string(text), func(old string) string {
				if ids[old] == "" {
					ids[old] = guid()
				}
				return ids[old]
			})
			if odd, ok := r.saying(r.body[:start] + fresh + r.body[end:]); ok {
				g.accept(odd)
				sent++
			} else if !odd.isGenuine() {
				g.refuse(odd)
			}
		}, values)
		for _, deep := range []string{strings.Repeat("[", 200_000), strings.Repeat(`{"a":`, 200_000),
			strings.Repeat("<a>", 100_000)} {
			if odd, ok := r.saying(deep); ok {
				g.accept(odd)
			}
		}
	}
	if sent < 20*len(provider.All()) {
		t.Errorf("sent only %d requests", sent)
	}
	g.healthy(len(provider.All()))
}

// replaceEach replaces the nodes of v one at a time by one of the values, and calls do each time.
func replaceEach(v any, do func(), values []any) {
	at := 0
	try := func(set func(any)) {
		at++
		set(values[at%len(values)])
		do()
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, old := range v {
				try(func(value any) { v[name] = value })
				v[name] = old
				walk(old)
			}
		case []any:
			for i, old := range v {
				try(func(value any) { v[i] = value })
				v[i] = old
				walk(old)
			}
		}
	}
	walk(v)
}

func TestImpossibleTimesAreNeitherRefusedNorLost(t *testing.T) {
	t.Parallel()
	g := start(t)
	text := regexp.MustCompile(`\b20\d\d-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)?`)
	number := regexp.MustCompile(`\b1[5-9]\d{8}(\d{3})?\b`)
	sent := 0
	for _, p := range provider.All() {
		for _, example := range sample.Names(p) {
			r := messageOf(p, "", example)
			for _, odd := range []struct {
				times  *regexp.Regexp
				values []string
			}{
				{text, []string{
					"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z",
					"2026-02-30T00:00:00Z",
				}},
				{number, []string{"0", "-1", "253402300800", "999999999999999", "9223372036854775807", "-9223372036854775808"}},
			} {
				for i, value := range odd.values {
					if i%3 != len(example)%3 { // each value meets some examples
						continue
					}
					body := odd.times.ReplaceAll([]byte(r.body), []byte(value))
					if changed, ok := r.saying(string(body)); ok && !bytes.Equal(body, []byte(r.body)) {
						g.accept(changed)
						sent++
					}
				}
			}
		}
	}
	if sent < 20 {
		t.Errorf("sent only %s requests", fmt.Sprint(sent))
	}
	g.healthy(len(provider.All()))
}
