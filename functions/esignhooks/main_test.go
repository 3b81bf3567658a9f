package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// execute runs a command. The environment has only these variables.
func execute(t *testing.T, environment map[string]string, arguments ...string) (status int, out, stderr string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var o, e bytes.Buffer
	a := &app{
		ctx: t.Context(), stdin: null, out: &o, err: &e, now: time.Now, providers: provider.All(),
		lookup:     func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
		isTerminal: func(io.Writer) bool { return environment["TTY"] != "" },
	}
	status = a.main(arguments)
	return status, o.String(), e.String()
}

// TestUsageErrors expects what is missing, in one line, and nothing else.
func TestUsageErrors(t *testing.T) {
	const names = "adobesign, boldsign, docusign, dropboxsign, esignglobal"
	for arguments, want := range map[string]string{
		"":                                 "COMMAND is missing: name one of run, send, ",
		"-stack a":                         "COMMAND is missing: ",
		"explode":                          "unexpected argument explode; the commands are run, send, ",
		"-stack= urls":                     "STACK is missing: name a stack, or localhost",
		"-stack":                           "the value of --stack is missing",
		"run now":                          "unexpected argument now",
		"send":                             "PROVIDER is missing: name one of " + names,
		"send -event envelope-sent":        "PROVIDER is missing: name one of " + names,
		"send -provider docusign":          "EVENT is missing: name one of aggregate-completed, ",
		"send -provider docusign -event x": `EVENT "x" is unknown: name one of aggregate-completed, `,
		"send -provider docsign":           `PROVIDER "docsign" is unknown: name one of ` + names,
		"inspect":                          "PROVIDER is missing: name one of " + names,
		"inspect -provider docusign":       "ID is missing: ",
		"inspect -provider d -id 1":        `PROVIDER "d" is unknown: name one of ` + names,
		"replay -provider= -id= -from=":    "PROVIDER is missing: name one of " + names,
		"archive":                          "PROVIDER is missing: name one of " + names,
		"confirm -id a":                    "PROVIDER is missing: name one of " + names,
		"forget -provider boldsign":        "ID is missing: ",
		"register -apply":                  "PROVIDER is missing: name one of " + names,
		"registered -provider x":           `PROVIDER "x" is unknown: name one of ` + names,
		"inspect -id":                      "the value of --id is missing",
		"redrive -id 1":                    "unknown flag --id",
		"urls docusign":                    "unexpected argument docusign",
		"logs -since soon":                 "SINCE is wrong: name a time, ",
		"version 1":                        "unexpected argument 1",
		"fixture":                          "FILE is missing: name a recorded request",
		"simulate":                         "PROVIDER is missing: name one of " + names + ", and a story by STORY=",
		"simulate -provider docusign":      "STORY is missing: name one of two-signers, decline, ",
		"simulate -provider esignglobal -story delegation": `esignglobal reports nothing that makes a story "delegation"; ` +
			"its stories: two-signers, ",
		"simulate -provider docusign -story void -faults late,typhoon": `no fault "typhoon"; the faults: duplicate, `,
		"simulate -provider docusign -story void -report pdf":          `no report "pdf"; the reports: text, json, junit`,
		"simulate -provider docusign -story void -number 10001":        "10001 agreements are not from 1 to 10000",
		"simulate -provider docusign -story void -key-variable KEY":    "KEY is missing: ",
		"simulate -provider docusign -story void -url file:canary":     "the URL is not like ",
		"simulate -provider docusign -story void -speed fast":          "--speed: expected a float but got ",
		"doctor -provider x":    `PROVIDER "x" is unknown: name one of ` + names,
		"record -stack a":       "a stack records nothing: ",
		"pull":                  "SINCE is missing: name a time",
		"pull -since yesterday": "SINCE is wrong: name a time",
		"pull -since 8h":        "STACK is missing: name the stack",
		"preflight":             "STACK is missing: name the stack",
	} {
		status, out, stderr := execute(t, nil, strings.Fields(arguments)...)
		if status != 2 || out != "" || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q; want %q", arguments, status, out, stderr, want)
		}
	}
}

// TestEveryCommandHasHelpAndRefusesOtherFlags goes through the names in the first message of TestUsageErrors.
func TestEveryCommandHasHelpAndRefusesOtherFlags(t *testing.T) {
	_, _, stderr := execute(t, nil)
	_, list, _ := strings.Cut(strings.TrimSpace(stderr), "name one of ")
	names := strings.Split(list, ", ")
	if len(names) < 18 {
		t.Fatalf("the commands are %q", names)
	}
	for _, name := range names {
		status, out, stderr := execute(t, nil, name, "-h")
		if status != 0 || !strings.HasPrefix(out, "Usage: esignhooks "+name) || stderr != "" {
			t.Errorf("%s -h: status %d, %s%s", name, status, out, stderr)
		}
		for wrong, want := range map[string]string{"-x1": "unknown flag --x1", "x": "unexpected argument x"} {
			status, out, stderr := execute(t, nil, name, wrong)
			if status != 2 || out != "" || !strings.HasPrefix(stderr, want) {
				t.Errorf("%s %s: status %d, %s%s", name, wrong, status, out, stderr)
			}
		}
	}
}

// TestFailures are no usage errors.
func TestFailures(t *testing.T) {
	nowhere := map[string]string{"PORT": "1"}
	for arguments, want := range map[string]string{
		"redrive": "no gateway answers on 127.0.0.1:1; start it with make run: ",
		"logs":    "no gateway answers on 127.0.0.1:1; start it with make run: ",
		"record":  "no gateway answers on 127.0.0.1:1; start it with make run: ",
		"send -provider docusign -event envelope-sent": "no gateway answers on 127.0.0.1:1; start it with make run: ",
		"simulate -provider docusign -story void":      "no gateway answers on 127.0.0.1:1; start it with make run: ",
	} {
		status, out, stderr := execute(t, nowhere, strings.Fields(arguments)...)
		if status != 1 || out != "" || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q; want %q", arguments, status, out, stderr, want)
		}
	}
	status, _, stderr := execute(t, map[string]string{"PORT": "no"}, "urls")
	if status != 1 || !strings.HasPrefix(stderr, "PORT is ") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestHelp(t *testing.T) {
	for arguments, wanted := range map[string][]string{
		"-h": {"run ", "send ", "inspect ", "replay ", "redrive ", "archive ", "confirm ", "forget ", "register ",
			"registered ", "urls ", "logs ", "version ", "--stack"},
		"help":        {"run ", "--stack"},
		"send --help": {"--provider=PROVIDER", "--event=EVENT", "--agreement=ID", "--url=URL"},
		"help replay": {"--from=TIME", "--rebuild"},
	} {
		status, out, stderr := execute(t, nil, strings.Fields(arguments)...)
		for _, want := range wanted {
			if status != 0 || stderr != "" || !strings.Contains(out, want) {
				t.Errorf("%s: status %d, no %q: %s%s", arguments, status, want, out, stderr)
			}
		}
	}
}

func TestURLsOfLocalhost(t *testing.T) {
	status, out, stderr := execute(t, map[string]string{"PORT": "4000", "DOCUSIGN_URL_TOKENS": "canary,b"}, "urls")
	if status != 0 || stderr != "" || strings.Contains(out, "canary") ||
		!strings.Contains(out, "http://127.0.0.1:4000/webhooks/docusign/${DOCUSIGN_URL_TOKENS%%,*}\n") {
		t.Errorf("status %d, %s%s", status, out, stderr)
	}
}

func TestVersion(t *testing.T) {
	status, out, _ := execute(t, nil, "version")
	for _, want := range []string{"esignhooks ", "\nrevision: ", "\nGo: go1.", "\nstacks: " + map[bool]string{
		true: "included", false: "not included: "}[withStacks]} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("no %q: %s", want, out)
		}
	}
}

// TestCommandsOnStacks checks what another name than localhost does, with and without the build tag.
func TestCommandsOnStacks(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	for _, arguments := range []string{"urls", "logs", "doctor", "preflight", "redrive", "inspect -provider docusign -id a"} {
		status, out, stderr := execute(t, nil, append(strings.Fields(arguments), "-stack", "another")...)
		want, fails := `this binary cannot act on the stack "another": build it with -tags stacks`, 2
		if withStacks {
			want, fails = "stack: no AWS region", 1
		}
		if status != fails || out != "" || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: status %d, %s%s", arguments, status, out, stderr)
		}
	}
}

// TestSendingAFile sends a body to a server that is no gateway, signed with a key from a variable.
func TestSendingAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	body := []byte(`{"event":"envelope-sent"}`)
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	docusign, _ := webhook.Find(provider.All(), "docusign")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		_, err := docusign.Verify(&webhook.Request{Method: r.Method, Header: r.Header, Body: sent},
			webhook.Keys{Keys: webhook.Secrets("canary")})
		if err != nil || !bytes.Equal(sent, body) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	for _, tt := range []struct {
		key, arguments string
		status         int
		says           string
	}{
		{"canary", "-provider docusign -key-variable KEY", 0, "docusign request: 200 OK"},
		{"another", "-provider docusign -key-variable KEY", 1, "refused with 401"},
		{"", "-provider docusign -key-variable KEY", 1, "KEY is missing"},
		{"canary", "-key-variable KEY", 1, "name its vendor"},
	} {
		arguments := append(strings.Fields("send "+tt.arguments), "-file="+file, "-url="+server.URL)
		status, out, stderr := execute(t, map[string]string{"KEY": tt.key}, arguments...)
		if tt.key == "" {
			tt.status = 2
		}
		if status != tt.status || !strings.Contains(out+stderr, tt.says) || strings.Contains(out+stderr, "canary") {
			t.Errorf("%v: status %d, %s%s", tt, status, out, stderr)
		}
	}
}

// TestFixture makes an example of an example.
func TestFixture(t *testing.T) {
	dir := t.TempDir()
	environment := map[string]string{"DATA": filepath.Join(dir, "data")}
	example := "../../events/dropboxsign/signature-request-signed.json"
	var made [2][]byte
	for i := range made {
		out := filepath.Join(dir, fmt.Sprint("made", i))
		status, said, stderr := execute(t, environment, "fixture", "-file="+example, "-out="+out)
		if status != 0 || !strings.HasPrefix(said, out+": signed with the development key") {
			t.Fatalf("status %d, %s%s", status, said, stderr)
		}
		made[i], _ = os.ReadFile(out)
		if status, _, stderr := execute(t, environment, "fixture", "-file="+example, "-out="+out); status != 1 ||
			!strings.Contains(stderr, "exists: name another file by OUT=") {
			t.Errorf("it is overwritten: %d, %s", status, stderr)
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two fixtures of one request differ")
	}
}

// TestSimulate plays to an application that is no gateway, and answers its state.
func TestSimulate(t *testing.T) {
	state := `{"status":"cancelled","events":5}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, state)
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "report.json")
	play := func(more ...string) (int, string, string) {
		return execute(t, map[string]string{"KEY": "k"}, append([]string{"simulate", "-provider=docusign", "-story=void",
			"-speed=1000000000", "-key-variable=KEY", "-url=" + server.URL + "/secret-canary"}, more...)...)
	}
	for name, tt := range map[string]struct {
		arguments []string
		state     string
		status    int
		out, err  string
	}{
		"right":    {[]string{"-state-url=" + server.URL}, state, 0, "right: the application knows the truth", "acknowledged"},
		"open":     {nil, state, 1, "open: ", "the verdict is open\n"},
		"a report": {[]string{"-state-url=" + server.URL, "-report=json", "-out=" + file}, state, 0, "", "acknowledged"},
		"a false request is accepted": {[]string{"-state-url=" + server.URL, "-faults=rotated-key"}, state, 1,
			"wrong: 1 difference\n", "the verdict is wrong\n"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, stderr := play(tt.arguments...)
			if status != tt.status || !strings.Contains(out, tt.out) || !strings.Contains(stderr, tt.err) ||
				strings.Contains(out+stderr, "canary") {
				t.Errorf("status %d, %s%s", status, out, stderr)
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), `"verdict": "right"`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"8h": "2026-11-03T04:00:00Z", "2026-11-02": "2026-11-02T00:00:00Z", "2026-11-02T09:30:00Z": "2026-11-02T09:30:00Z",
		"-8h": "", "tomorrow": "",
	} {
		got, err := since(text, now)
		if (err != nil) != (want == "") || want != "" && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestConsent(t *testing.T) {
	for answer, want := range map[string]bool{"yes\n": true, "y\n": false, "": false} {
		if agreed(strings.NewReader(answer), io.Discard) != want {
			t.Errorf("%q", answer)
		}
	}
}
