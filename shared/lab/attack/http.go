package attack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"esignhooks/shared/webhook"
)

func otherMethods(t *testing.T, v vendor) {
	attacks := map[string]attack{}
	for _, method := range []string{
		"HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "Post", " POST", "POST ",
		"POST\n", "POST\x00", "", "canary-method",
		"POST\r\nX: y", "\x1b[31mPOST", "\u2028", strings.Repeat("P", 100_000),
	} {
		attacks["method "+webhook.Label(method)] = attack{
			func(_ *World, r *webhook.Request) { r.Method = method }, badMethod, nil,
		}
	}
	answered := exception(func(v vendor) bool { // a GET is a challenge: see getLeavesNoTrace
		return strings.Contains(v.Info().Allow, http.MethodGet)
	}, notApplicable)
	attacks["GET with the genuine request"] = attack{
		func(_ *World, r *webhook.Request) { r.Method = http.MethodGet }, badMethod, answered,
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		attacks["PUT that says in "+header+" it is POST"] = attack{func(_ *World, r *webhook.Request) {
			r.Method = http.MethodPut
			r.Header.Set(header, http.MethodPost)
		}, badMethod, nil}
		attacks["POST that says in "+header+" it is GET"] = attack{
			func(_ *World, r *webhook.Request) { r.Header.Set(header, http.MethodGet) }, duplicate, nil,
		}
	}
	attacks["POST whose query says it is GET"] = attack{
		func(_ *World, r *webhook.Request) { r.Query = url.Values{"_method": {"GET"}} }, duplicate, timeIsSigned,
	}
	try(t, v, false, attacks)
}

// getLeavesNoTrace sends the genuine request by GET. It is answered, and nothing is stored.
func getLeavesNoTrace(t *testing.T, v vendor) {
	w := newWorld(t, v, keysOf(v, false))
	r := v.genuine()
	r.Method = http.MethodGet
	r.Header.Set("X-HTTP-Method-Override", http.MethodPost)
	before := w.trace()
	a := w.Send(r)
	if a.Status != http.StatusOK && a.Status != http.StatusMethodNotAllowed || w.trace() != before {
		t.Errorf("%d, and left %s", a.Status, w.trace())
	}
	w.quiet(r)
}

func headerSizes(t *testing.T, v vendor) {
	many := func(n int, name func(i int) string, value string) func(*World, *webhook.Request) {
		return func(_ *World, r *webhook.Request) {
			for i := range n {
				r.Header.Add(name(i), value)
			}
		}
	}
	same := func(name string) func(int) string { return func(int) string { return name } }
	numbered := func(prefix string) func(int) string {
		return func(i int) string { return prefix + strings.Repeat("0", i) + "1" }
	}
	try(t, v, false, map[string]attack{
		"a value of a megabyte":               {many(1, same("X-Long"), strings.Repeat("x", 1<<20)), duplicate, nil},
		"a name of a megabyte":                {many(1, same("X-"+strings.Repeat("x", 1<<20)), "y"), duplicate, nil},
		"two thousand headers":                {many(2000, numbered("X-"), "y"), duplicate, nil},
		"one header a hundred thousand times": {many(100_000, same("X-Same"), "y"), duplicate, nil},
		"a thousand signature headers":        {many(1000, numbered(v.Header+"2"), "y"), duplicate, nil},
		"a proof of a megabyte": {
			func(w *World, r *webhook.Request) { w.spell(r, strings.Repeat("A", 1<<20)) }, Refused, nil,
		},
		"a proof that is a list of many": {
			func(w *World, r *webhook.Request) { w.spell(r, strings.Repeat("A,", 1<<18)) }, Refused, nil,
		},
		"names with line breaks":       {many(1, same("X-Evil\r\nSet-Cookie: a=b"), "y"), duplicate, nil},
		"names that colour a terminal": {many(1, same("\x1b[31m\x07"), "y"), duplicate, nil},
		"names of other alphabets":     {many(1, same("Ⅹ-é-\u202e-\u2028"), "y"), duplicate, nil},
		"values that end a line of JSON": {
			many(3, same("X-Log"), "\"}\n{\"level\":\"ERROR\",\"msg\":\"canary\"}\n"), duplicate, nil,
		},
		"an empty name": {many(2, same(""), "y"), duplicate, nil},
	})
}

func bodySizes(t *testing.T, v vendor) {
	sized := func(size int) func(*World, *webhook.Request) {
		return func(w *World, r *webhook.Request) {
			r.Body = append(r.Body, bytes.Repeat([]byte(" "), size-len(r.Body))...)
			w.spell(r, w.proof(w.key(), r))
		}
	}
	try(t, v, false, map[string]attack{
		"over the limit": {sized(webhook.MaxBody + 1), tooLarge, nil},
		"over the limit and no proof": {
			func(w *World, r *webhook.Request) { sized(webhook.MaxBody+1)(w, r); r.Header.Del(w.Header) }, tooLarge, nil,
		},
	})
}

// logInjection sends hostile text in the vendor's names. In the log it must remain one field of one line. See
// [World.quiet].
func logInjection(t *testing.T, v vendor) {
	hostile := []string{
		"a\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\nb", "\x1b[2J\x1b[31mred", "\u2028\u2029\u0085", "a\",\"level\":\"ERROR",
		"\x00\x07\x7f", "${jndi:ldap://127.0.0.1/x}", "\u202etxt.exe", strings.Repeat("long", 30_000), "%n%s%d",
		"<script>alert(1)</script>",
	}
	w := newWorld(t, v, keysOf(v, false))
	for _, text := range hostile {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		body := v.Fill(v.key(), `"account_guid":`+string(quoted)+`,"OUTER":{"INNER":`+string(quoted)+`}`)
		body = v.Message(v.key(), body)
		if v.Named != nil {
			body = v.NamedBody(string(quoted))
		}
		r := v.signed(v.key(), body)
		r.Header.Set("X-"+text, "y")
		if got := w.Fate(r); got == Refused || got == "" {
			t.Errorf("%.40q: %s", text, got)
		}
		r.Method = text
		w.Fate(r)
		log := w.log.String()
		if len(log) > 40_000 || strings.Contains(log, "\u2028") || strings.Contains(log, "\u202e") && v.Named != nil {
			t.Errorf("%.40q: the log has %d bytes: %.300q", text, len(log), log)
		}
		w.log.Reset()
	}
}
