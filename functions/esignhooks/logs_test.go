package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/wiring/localhost"
)

// TestLogsOfAStack filters entries, and shows them on a terminal and elsewhere.
func TestLogsOfAStack(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 5, 0, time.UTC)
	entries := []struct{ source, text string }{
		{"DocuSign", `{"time":"x","level":"WARN","message":"refused","provider":"docusign","cause":"wrong-key","hint":"Compare."}`},
		{"DocuSign", `{"level":"INFO","message":"received","provider":"docusign"}`},
		{"BoldSign", `{"level":"WARN","message":"refused","provider":"boldsign"}`},
		{"Worker", `{"level":"INFO","message":"processed","provider":"docusign"}`},
		{"DocuSign", "plain text"},
		{"DocuSign", `{"_aws":{"Timestamp":1},"Refused":1}`},
		{"DocuSign", `{"type":"platform.report","record":{"status":"success"}}`},
		{"DocuSign", `{"type":"platform.report","record":{"status":"timeout"}}`},
		{"Api", `{"resourcePath":"/webhooks/docusign/{token}","status":"413","error":"REQUEST_TOO_LARGE"}`},
		{"Api", `{"resourcePath":"/webhooks/docusign","status":"200","error":"-"}`},
		{"Api", `{"resourcePath":"/webhooks/docusigned","status":"403","error":"ACCESS_DENIED"}`},
	}
	for _, tt := range []struct {
		filter   logs
		readable bool
		want     string // the indices of the entries
	}{
		{logs{}, false, "0 1 2 3 4 5 6 7 8 9 10"},
		{logs{}, true, "0 1 2 3 4 7 8 9 10"},
		{logs{Provider: "docusign"}, true, "0 1 3 4 7 8 9"},
		{logs{Refused: true}, false, "0 2 8 10"},
		{logs{Refused: true, Provider: "docusign"}, true, "0 8"},
	} {
		var shown []string
		for i, e := range entries {
			var b strings.Builder
			tt.filter.show(&b, terminal.Style{}, tt.readable, e.source, at, e.text)
			if b.Len() == 0 {
				continue
			}
			shown = append(shown, fmt.Sprint(i))
			if line := b.String(); strings.Count(line, "\n") != 1 || json.Valid([]byte(line)) == tt.readable ||
				!strings.Contains(line, e.source) || tt.readable && !strings.HasPrefix(line, "09:30:05 ") {
				t.Errorf("%+v: %s", tt, line)
			}
			if want := "09:30:05 WARN DocuSign refused wrong-key: Compare.\n"; i == 0 && tt.readable && b.String() != want {
				t.Errorf("got %s, want %s", &b, want)
			}
		}
		if got := strings.Join(shown, " "); got != tt.want {
			t.Errorf("%+v shows %s, want %s", tt.filter, got, tt.want)
		}
	}
}

// TestLogsOfLocalhost follows the requests to the gateway.
func TestLogsOfLocalhost(t *testing.T) {
	r := start(t, false, nil)
	refuse := func() {
		t.Helper()
		answer, err := http.Post(r.url+"/webhooks/docusign", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	accept := func(agreement string) {
		t.Helper()
		if status, _, stderr := r.send(t, "envelope-completed -agreement "+agreement); status != 0 {
			t.Fatal(stderr)
		}
	}
	accept("first")
	refuse()
	logs := map[string]*screen{}
	for arguments, terminal := range map[string]bool{
		"logs": true, "logs -refused": true, "logs -provider docusign": false, "logs -provider boldsign": false,
		"logs -since 2026-11-02": false, "logs -since 9999-01-01": false,
	} {
		out := &screen{}
		logs[arguments] = out
		follow(t, &app{
			out: out, err: io.Discard, isTerminal: func(w io.Writer) bool { return terminal && w == out },
			lookup: func(name string) (string, bool) {
				v, ok := map[string]string{"PORT": r.port, "NO_COLOR": "1"}[name]
				return v, ok
			},
		}, 0, strings.Fields(arguments)...)
	}
	for arguments, want := range map[string]string{"logs": "first ", "logs -refused": "signature-missing: ",
		"logs -provider docusign": `"agreementId":"first"`, "logs -since 2026-11-02": `"agreementId":"first"`} {
		logs[arguments].await(t, want)
	}
	accept("second")
	logs["logs"].await(t, "second ")
	logs["logs -provider docusign"].await(t, `"agreementId":"second"`)
	lines := strings.Split(strings.TrimSpace(logs["logs -provider docusign"].String()), "\n")
	for i, outcome := range []string{"accepted", "refused", "accepted"} {
		var request localhost.Request
		if err := json.Unmarshal([]byte(lines[i]), &request); err != nil || string(request.Outcome) != outcome {
			t.Errorf("%v: %s is not %s", err, lines[i], outcome)
		}
	}
	shown := logs["logs"].String()
	if len(lines) != 3 || strings.Count(shown, "\n") != 3 || strings.Index(shown, "first ") > strings.Index(shown, "refused") {
		t.Errorf("%s\n%s", lines, shown)
	}
	for arguments, want := range map[string]int{"logs -refused": 1, "logs -provider boldsign": 0, "logs -since 9999-01-01": 0} {
		if got := strings.Count(logs[arguments].String(), "\n"); got != want {
			t.Errorf("%s shows %d lines: %s", arguments, got, logs[arguments])
		}
	}
}

// TestLogsEndWithTheGateway expects an error.
func TestLogsEndWithTheGateway(t *testing.T) {
	r := start(t, false, nil)
	status, _, _ := r.send(t, "envelope-sent")
	var out, stderr screen
	follow(t, &app{
		out: &out, err: &stderr, isTerminal: func(io.Writer) bool { return false },
		lookup: func(name string) (string, bool) { return r.port, name == "PORT" },
	}, 1, "logs")
	out.await(t, "envelope-sent")
	r.stop()
	stderr.await(t, "the gateway on 127.0.0.1:"+r.port+" has stopped\n")
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestSendShowsWhyARequestIsRefused signs with other keys than the gateway has.
func TestSendShowsWhyARequestIsRefused(t *testing.T) {
	r := start(t, false, map[string]string{"DOCUSIGN_HMAC_KEYS": "canary-key-of-the-gateway"})
	for url, want := range map[string]string{
		"":                           "cause: development-key\nhint: ",
		r.url + "/webhooks/docusign": "cause: development-key\nhint: ",
		r.url + "/webhooks/boldsign": "cause: other-vendor\nhint: ",
		"http://localhost:" + r.port + "/webhooks/docusign": "cause: development-key\nhint: ",
	} {
		status, out, stderr := r.send(t, "envelope-completed -url="+url)
		if status != 1 || stderr != "refused with 401 Unauthorized\n" || !strings.Contains(out, want) ||
			strings.Contains(out, "canary") {
			t.Errorf("%s: status %d, %s%s, want %s", url, status, out, stderr, want)
		}
	}
}
