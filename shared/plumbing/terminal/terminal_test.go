package terminal_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/plumbing/terminal"
)

func TestColoursAreSwitchedOff(t *testing.T) {
	for environment, want := range map[string]string{
		"":               "\x1b[31mred\x1b[0m",
		"TERM=xterm":     "\x1b[31mred\x1b[0m",
		"NO_COLOR=":      "\x1b[31mred\x1b[0m",
		"NO_COLOR=0":     "red",
		"NO_COLOR=1":     "red",
		"TERM=dumb":      "red",
		"NO_COLOR=false": "red",
	} {
		name, value, _ := strings.Cut(environment, "=")
		style := terminal.StyleOf(func(asked string) (string, bool) {
			if asked == name {
				return value, true
			}
			return "", false
		})
		if got := style.Paint(terminal.Red, "red"); got != want {
			t.Errorf("%s: %q", environment, got)
		}
	}
	if got := (terminal.Style{}).Paint(terminal.Red, "red"); got != "red" {
		t.Errorf("%q", got)
	}
}

func TestFilesAreNoTerminals(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, f := range []*os.File{null, r, w} {
		if terminal.Is(f) {
			t.Errorf("%s is a terminal", f.Name())
		}
	}
}

func TestAnEntryIsOneLine(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 5, 0, time.UTC)
	for text, want := range map[string]string{
		`{"time":"2026-11-02T09:30:05Z","level":"INFO","message":"processed","provider":"docusign","event":"93e6"}`: "docusign processed event=93e6",
		`{"timestamp":"x","level":"WARN","msg":"refused","provider":"docusign","cause":"wrong-key",` +
			`"hint":"Compare them.","reason":"signature"}`: "WARN docusign refused wrong-key: Compare them. reason=signature",
		`{"level":"ERROR","msg":"panic","stack":"a\nb","n":3,"o":{"a": [1, 2]},"e":"two words","z":null}`: `ERROR panic stack="a\nb" n=3 o={"a": [1, 2]} e="two words" z=`,
		`{"msg":"\u001b[31m\u202e","a":"\u001b"}`:                                                         `?[31m? a="\x1b"`,
		`{"msg":"a"} {"msg":"b"}`: `{"msg":"a"} {"msg":"b"}`,
		`{"msg":"a"`:              `{"msg":"a"`,
		"START RequestId\x1b[2J":  "START RequestId?[2J",
		`{}`:                      "",
		`["a"]`:                   `["a"]`,
	} {
		e := terminal.ParseEntry(text)
		if got := (terminal.Style{}).Line("", at, e); got != strings.TrimRight("09:30:05 "+want, " ") {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
		named := (terminal.Style{}).Line("DocuSign", at, e)
		if strings.Count(named, "ocu"+"Sign")+strings.Count(named, "docusign") != 1 {
			t.Errorf("the source is not named once: %s", named)
		}
		var decoded map[string]any
		object := e.JSON("Worker", at)
		if err := json.Unmarshal([]byte(object), &decoded); err != nil || decoded["log"] != "Worker" ||
			strings.Contains(object, "\n") || strings.HasPrefix(text, "START") && decoded["msg"] != text {
			t.Errorf("%s becomes %s, %v", text, object, err)
		}
	}
}

func TestALoggerOfATerminal(t *testing.T) {
	var b strings.Builder
	log := terminal.Style{}.Logger(&b, slog.LevelWarn, "refused").With("provider", "docusign")
	log.Info("received")
	log.Warn("refused", "reason", "signature")
	log.Warn("not forwarded", "error", errors.New("a\nb"))
	log.Error("worker failed", "attempt", 2)
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], ` WARN docusign not forwarded error="a\nb"`) ||
		!strings.HasSuffix(lines[1], " ERROR docusign worker failed attempt=2") || len(lines[1]) != len("15:04:05")+39 {
		t.Errorf("%q", lines)
	}
}
