package adobesign_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"esignhooks/shared/lab/attack"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var provider = adobesign.Provider{}

// claims: Adobe signs nothing. The header names the application's client ID, which is public.
var claims = webhooktest.Claims{
	Variables: [3]string{"ADOBESIGN_CLIENT_IDS", "ADOBESIGN_URL_TOKENS", "ADOBESIGN_API"},
	Header:    "X-AdobeSign-ClientId", Spellings: []func([]byte) string{func(b []byte) string { return string(b) }},
	Object: "agreement", ID: "id",
	Completed: func(_, _ string) string {
		return `"event":"AGREEMENT_WORKFLOW_COMPLETED","eventDate":"2026-11-02T09:00:00Z"`
	},
	Named: func(quoted string) string {
		return `"event":` + quoted + `,"webhookId":` + quoted + `,"agreement":{"id":"a"}`
	},
	KeepsObject: true,
	LongLists: map[string]func(func(string) string) string{
		"participants": func(repeat func(string) string) string {
			return `{"event":"AGREEMENT_CREATED","agreement":{"id":"a","participantSetsInfo":{"participantSets":[` +
				repeat("{},") + `{}]}}}`
		},
		"members of sets":       members(`{"userId":"#"}`),
		"addresses of a member": members(`{"userId":"u","email":"#"}`),
		"copies": func(repeat func(string) string) string {
			return `{"event":"AGREEMENT_CREATED","agreement":{"id":"a","ccs":[` + repeat("{},") + `{}]}}`
		},
		"people who are reminded": func(repeat func(string) string) string {
			return `{"event":"AGREEMENT_REMINDER_SENT","eventDate":"2026-11-02T08:00:00Z","agreement":{"id":"a"},` +
				`"reminderInfo":{"id":"r","participantList":[` + repeat("{},") + `{}]}}`
		},
		"trimmed parameters": func(repeat func(string) string) string {
			return `{"event":"AGREEMENT_CREATED","conditionalParametersTrimmed":[` + repeat("1,") + `1],"agreement":{"id":"a"}}`
		},
	},
}

// members returns a body with many sets of members, in which # is a number of the member's own.
func members(member string) func(func(string) string) string {
	return func(repeat func(string) string) string {
		n := 0
		sets := repeat(`{"status":"EXPIRED","memberInfos":[` + strings.Repeat(member+",", webhook.MaxList-2) + member + `]},`)
		numbered := regexp.MustCompile("#").ReplaceAllStringFunc(sets, func(string) string { n++; return strconv.Itoa(n) })
		return `{"event":"AGREEMENT_MODIFIED","agreement":{"id":"a","participantSetsInfo":{"participantSets":[` +
			numbered + `{}]}}}`
	}
}

func TestProvider(t *testing.T) { webhooktest.Run(t, provider, claims, attack.Run) }

func FuzzGenuine(f *testing.F) { attack.Fuzz(f, provider, claims) }

// TestOnlyAConfiguredClientIDIsEchoed sends client IDs in many forms. An answer names a configured one byte for byte,
// which [attack.World] checks, or is a silent refusal.
func TestOnlyAConfiguredClientIDIsEchoed(t *testing.T) {
	key := attack.NewWorld(t, provider, claims).Key()
	for value, want := range map[string]int{
		key: 200, " " + key + "\t": 200, key + "\r\n": 200, // what surrounds a value is not of it
		key + "\r\nSet-Cookie: a=b": 401, key + "\nSet-Cookie: a=b": 401, key + "\r": 200, key + "\r\r\n\nX: y": 401, "\r\n" +
			key: 200,
		// letters that lose a byte become line breaks
		key + "\u2028X: y": 401, key + "\u2029X: y": 401, key + "\u0085X: y": 401, key + "\u010aX: y": 401, key +
			"\u560d\u560aX: y": 401,
		key + "\x00": 401, key + "\x0b": 200, key + "\x0b" + key: 401, key + "\x7f": 401, key + "%0d%0aX: y": 401, key +
			`","x":"y`: 401, key + "<script>": 401,
		"\u200b" + key: 401, key + "\u00ad": 401, key + ", " + key: 401, "*": 401, "": 401, strings.ToUpper(key): 401, "ｃ" +
			key[1:]: 401, "с" + key[1:]: 401,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			w := attack.NewWorld(t, provider, claims)
			r := w.Signed(claims.Body(key, "genuine"))
			r.Method, r.Header["X-Adobesign-Clientid"] = method, []string{value}
			a := w.Send(r)
			if a.Status != want && !(want == 200 && a.Status == 401) { // API Gateway trims less than we do
				t.Errorf("%s %q: %d", method, value, a.Status)
			}
			if a.Status == 401 && (len(a.Header) > 0 || len(a.Body) > 0) {
				t.Errorf("%s %q: %v %q", method, value, a.Header, a.Body)
			}
		}
	}
}
