package localhost

import (
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	"esignhooks/shared/webhook"
)

func TestARequestIsOneLine(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 5, 0, time.UTC)
	const id = "b8b40b2e-65c4-8d33-3e0b-2b75b6b2d401"
	const known = "10:30:05 docusign    envelope-sent            " + id + " "
	const unknown = "10:30:05 docusign    POST                     –                                    "
	for want, r := range map[string]Request{
		known + "accepted":  {VendorType: "envelope-sent", AgreementID: id, Outcome: receive.Accepted, Status: 200},
		known + "duplicate": {VendorType: "envelope-sent", AgreementID: id, Outcome: receive.Duplicate, Status: 200},
		strings.Replace(known, "sent   ", "sent +2", 1) + "accepted": {VendorType: "envelope-sent", AgreementID: id,
			Outcome: receive.Accepted, EventIDs: []string{"1", "2", "3"}},
		unknown + "refused 401 wrong-key: Compare the keys.": {Outcome: receive.Refused, Status: 401,
			Causes: []webhook.Refusal{{Code: "wrong-key", Hint: "Compare the keys."}, {Code: "other", Hint: "other"}}},
		unknown + "refused 401 not explained: too many were refused at once": {Outcome: receive.Refused, Status: 401},
		unknown + "refused 405":     {Outcome: receive.Refused, Status: 405, Causes: []webhook.Refusal{}},
		unknown + "unavailable 503": {Outcome: receive.Unavailable, Status: 503},
		strings.Replace(known, "envelope-sent", "?[31m?    ?x?", 1) + "accepted": {VendorType: "\x1b[31m\n    \u202ex\x00",
			AgreementID: id, Outcome: receive.Accepted},
	} {
		r.ReceivedAt, r.Provider, r.Method = at, "docusign", "POST"
		got := r.Line(terminal.Style{}, time.FixedZone("", 3600))
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		coloured := r.Line(terminal.StyleOf(func(string) (string, bool) { return "", false }), time.UTC)
		if !strings.HasPrefix(coloured, "\x1b[2m09:30:05\x1b[0m docusign") || strings.Count(coloured, "\x1b[")%2 > 0 {
			t.Errorf("%q", coloured)
		}
	}
}

// TestTheBannerFitsOnAScreen checks its size and content, also with many keys.
func TestTheBannerFitsOnAScreen(t *testing.T) {
	for name, environment := range map[string]map[string]string{
		"as cloned": {},
		"with keys": {"DOCUSIGN_HMAC_KEYS": "canary-1,canary-2", "BOLDSIGN_SECRETS": "", "ADOBESIGN_URL_TOKENS": "canary-3",
			"ESIGNGLOBAL_URL_TOKENS": "canary-4,canary-5", "FORWARD_URL": "http://canary-6/", "DROPBOXSIGN_API": `{"apiKey":"k"}`,
			"DROPBOXSIGN_API_KEYS": "1,2,3,4,5,6,7,8,9,canary-7"},
	} {
		environment["DATA"] = t.TempDir()
		config, err := ReadConfig(provider.All(), func(name string) (string, bool) {
			value, ok := environment[name]
			return value, ok
		})
		if err != nil {
			t.Fatal(err)
		}
		g, err := Open(config, provider.All(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer g.db.Close()
		var b strings.Builder
		if err := g.Banner(&b, "http://127.0.0.1:65535"); err != nil {
			t.Fatal(err)
		}
		banner := b.String()
		if first, _, _ := strings.Cut(banner, "\n"); first != "esignhooks on http://127.0.0.1:65535" {
			t.Errorf("begins with %q", first)
		}
		n := strings.Count(banner, "\n")
		if n > 24 || strings.Contains(banner, "canary") || strings.Contains(banner, "curl -") {
			t.Errorf("%d lines:\n%s", n, banner)
		}
		for line := range strings.Lines(banner) {
			if n := utf8.RuneCountInString(line) - 1; n > 100 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		wanted := []string{"/webhooks/docusign\n", "1 key: 5b3b (development); API off\n", "API none\n",
			"http://127.0.0.1:65535/\n", "/api/requests", "make send PROVIDER=docusign EVENT=envelope-completed (CURL=1"}
		if name == "with keys" {
			wanted = []string{"2 keys: 8cdb 827d; API off\n",
				"no key: $BOLDSIGN_SECRETS is empty; every request is refused; API none\n",
				"1 key: 242d (development); 1 URL token; API off\n", "(development); 2 URL tokens; API off\n",
				"10 keys: 6b86 d473 4e07 4b22 ef2d e7f6 …; API on\n", "forwards to        $FORWARD_URL\n"}
		}
		for _, want := range wanted {
			if !strings.Contains(banner, want) {
				t.Errorf("%s: no %q in\n%s", name, want, banner)
			}
		}
	}
}

// TestACommandToPaste shows what it does with secrets, queries and quotes. Others paste it.
func TestACommandToPaste(t *testing.T) {
	environment := map[string]string{"ADOBESIGN_CLIENT_IDS": "canary-1,canary-2", "ADOBESIGN_URL_TOKENS": "canary-3",
		"ESIGNGLOBAL_SECRETS": "canary-4"}
	config, err := ReadConfig(provider.All(), func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Sending{
		`curl -i "http://127.0.0.1:3000/webhooks/adobesign/$ADOBESIGN_URL_TOKENS" ` +
			`-H "X-Adobesign-Clientid: ${ADOBESIGN_CLIENT_IDS%%,*}"` + "\n": {Provider: "adobesign", Event: "verification"},
		`curl -i "https://tunnel.example/webhooks/adobesign" -H `: {Provider: "adobesign", Event: "verification",
			URL: "https://tunnel.example/webhooks/adobesign"},
		"curl -i \"https://tunnel.example/\\$\\`\\\"?a=b+c\" ": {Provider: "esignglobal", Event: "envelope-finish",
			URL: "https://tunnel.example/$`\"?a=b+c"},
	} {
		var b strings.Builder
		err := Curl(t.Context(), &b, config, provider.All(), s, time.Now())
		if err != nil || !strings.HasPrefix(b.String(), want) || strings.Contains(b.String(), "canary") {
			t.Errorf("%v\ngot  %s\nwant %s", err, &b, want)
		}
	}
}
