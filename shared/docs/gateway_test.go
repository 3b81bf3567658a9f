package docs

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
)

// served is the gateway that make run starts.
type served struct {
	t    *testing.T
	port string
	data string
	out  string // file
}

func serve(t *testing.T) *served {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	dir := t.TempDir()
	s := &served{t, port, filepath.Join(dir, "data"), filepath.Join(dir, "out")}
	out, err := os.Create(s.out)
	if err != nil {
		t.Fatal(err)
	}
	c := s.make("run")
	c.Stdout, c.SysProcAttr = out, &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
		c.Wait()
	})
	for range 1200 {
		if answer, err := http.Get("http://127.0.0.1:" + port + "/api/events"); err == nil {
			answer.Body.Close()
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("make run starts no gateway")
	return nil
}

func (s *served) make(arguments ...string) *exec.Cmd {
	c := exec.Command("make", append([]string{"-s", "--no-print-directory"}, arguments...)...)
	c.Dir = root
	c.Env = append(os.Environ(), "PORT="+s.port, "DATA="+s.data)
	return c
}

// run runs a target, and returns what it prints.
func (s *served) run(arguments ...string) string {
	s.t.Helper()
	out, err := s.make(arguments...).CombinedOutput()
	if err != nil {
		out = append(out, err.Error()...)
	}
	return string(out)
}

// shown returns the lines that a page shows after a command, up to the next command or the end of the block.
func shown(t *testing.T, page, command string) string {
	t.Helper()
	_, after, found := strings.Cut(pages(t)[page], "\n    "+command+"\n")
	if !found {
		t.Fatalf("%s does not show %s", page, command)
	}
	var lines []string
	for line := range strings.Lines(after) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "$ ") {
			break
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// TestREADMEsFirstSteps runs the commands of "Try it in 60 seconds", and the operator's commands on localhost.
func TestREADMEsFirstSteps(t *testing.T) {
	slow.Test(t)
	s := serve(t)
	banner, err := os.ReadFile(s.out)
	if err != nil {
		t.Fatal(err)
	}
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	printed := words(strings.ReplaceAll(string(banner), s.port, "3000"))
	_, want, _ := strings.Cut(pages(t)[readme], "fingerprints of the keys:\n")
	want, _, _ = strings.Cut(want, "\nIn a second terminal")
	for part := range strings.SplitSeq(strings.TrimSpace(want), "\n\n") {
		if part = words(part); len(part) < 30 || !strings.Contains(printed, part) {
			t.Errorf("README.md shows\n%s\nmake run prints\n%.1000s", part, printed)
		}
	}

	const send = "make send PROVIDER=docusign EVENT=envelope-completed"
	id := regexp.MustCompile(`(?m)^agreement ([0-9a-f-]{36})$`)
	sent := s.run(strings.Fields(send)[1:]...)
	found := id.FindStringSubmatch(sent)
	if found == nil || strings.TrimSpace(id.ReplaceAllString(sent, "agreement")) !=
		id.ReplaceAllString(shown(t, readme, "$ "+send), "agreement") {
		t.Fatalf("%s prints\n%s", send, sent)
	}
	agreement := found[1]

	curls := 0
	for _, c := range commands(t) {
		if c.words[0] != "curl" || c.page != "README.md" {
			continue
		}
		curls++
		url := strings.Replace(c.words[len(c.words)-1], ":3000", ":"+s.port, 1)
		got := s.await(url, func(body string) bool { return strings.Contains(body, agreement) })
		compareShape(t, c.String(), shown(t, readme, "$ "+strings.Join(c.words, " ")), got)
	}
	if curls != 2 {
		t.Errorf("README.md shows %d curl commands", curls)
	}
	s.operate(agreement)
}

// await gets a URL until done.
func (s *served) await(url string, done func(body string) bool) (body string) {
	s.t.Helper()
	for range 600 {
		answer, err := http.Get(url)
		if err != nil {
			s.t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if body = string(b); err == nil && answer.StatusCode == http.StatusOK && done(body) {
			return body
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("%s answers %s", url, body)
	return ""
}

// compareShape checks that got has all members that the page shows, with their values unless they are IDs or times.
func compareShape(t *testing.T, what, shown, got string) {
	t.Helper()
	var want, have any
	if err := json.Unmarshal([]byte(whole.Replace(shown)), &want); err != nil {
		t.Errorf("%s: %v: %s", what, err, shown)
	}
	if err := json.Unmarshal([]byte(got), &have); err != nil {
		t.Errorf("%s: %v: %s", what, err, got)
	}
	within(t, what, want, have)
}

func within(t *testing.T, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		members, _ := got.(map[string]any)
		for name, v := range want {
			if _, ok := members[name]; !ok {
				t.Errorf("%s: there is no %s in %v", at, name, got)
				continue
			}
			within(t, at+"."+name, v, members[name])
		}
	case []any:
		all, _ := got.([]any)
		if len(want) > len(all) {
			t.Errorf("%s: got %v", at, got)
			return
		}
		for i, v := range want {
			within(t, fmt.Sprint(at, i), v, all[i])
		}
	case string:
		text, ok := got.(string)
		exact := !strings.Contains(want, "…") && !regexp.MustCompile(`[0-9a-f-]{30,}|T\d\d:\d\d`).MatchString(want)
		if !ok || exact && want != text || !exact && !strings.Contains(want, "…") && len(want) != len(text) &&
			!strings.Contains(want, "T") {
			t.Errorf("%s: got %v, the page shows %q", at, got, want)
		}
	default:
		if want != got {
			t.Errorf("%s: got %v, the page shows %v", at, got, want)
		}
	}
}

// operate runs each operator's target on localhost.
func (s *served) operate(agreement string) {
	t := s.t
	got := make(chan string, 1)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + string(body)
	}))
	defer webhook.Close()
	about := "PROVIDER=docusign EVENT=envelope-sent AGREEMENT=" + agreement
	if out := s.run(strings.Fields("send " + about)...); !strings.Contains(out, "agreement "+agreement) {
		t.Errorf("make send %s: %s", about, out)
	}
	s.run(strings.Fields("send " + about + " URL=" + webhook.URL + "/elsewhere")...)
	select {
	case r := <-got:
		if !strings.HasPrefix(r, "/elsewhere") || !strings.Contains(r, agreement) {
			t.Errorf("make send URL= sends %.300s", r)
		}
	default:
		t.Error("make send URL= sends nothing there")
	}
	s.await("http://127.0.0.1:"+s.port+"/api/published", func(body string) bool {
		return strings.Count(body, `"eventId"`) == 2
	})
	for line, want := range map[string]string{
		"inspect PROVIDER=docusign ID=" + agreement:                                  "– → completed",
		"inspect REFERENCE=deal_id:123":                                              `none has the reference "deal_id:123"`,
		"redrive":                                                                    "dead letters: 0 moved",
		"replay PROVIDER=docusign ID=" + agreement:                                   "2 events published again",
		"replay FROM=2020-11-02 TO=2120-11-03T12:00:00Z":                             "2 events published again",
		"replay FROM=2020-11-02 TO=2020-11-03T12:00:00Z":                             "0 events published again",
		"replay REBUILD=1 PROVIDER=docusign ID=" + agreement:                         "no difference",
		"archive PROVIDER=docusign ID=" + agreement:                                  "set $DOCUSIGN_API",
		"register PROVIDER=docusign":                                                 "give the public URL",
		"register PROVIDER=docusign URL=https://t.example/webhooks/docusign":         "$DOCUSIGN_HMAC_KEYS",
		"register PROVIDER=docusign URL=https://t.example/webhooks/docusign APPLY=1": "$DOCUSIGN_HMAC_KEYS",
		"registered": "set $ESIGNGLOBAL_API",
		"registered PROVIDER=docusign URL=https://t.example/webhooks/docusign": "set $DOCUSIGN_API",
	} {
		arguments := append(strings.Fields(line), "STACK=localhost")
		if out := s.run(arguments...); !strings.Contains(out, want) {
			t.Errorf("make %s: no %q in\n%s", line, want, out)
		}
	}
	if out := s.run("registered", "PROVIDER=docusign", "STACK=localhost"); strings.Contains(out, "ESIGNGLOBAL") {
		t.Errorf("make registered PROVIDER=docusign lists others: %s", out)
	}
}

// TestThePublishedEventIsAsTheEventsPageShows compares the page's event with one that was published.
func TestThePublishedEventIsAsTheEventsPageShows(t *testing.T) {
	slow.Test(t)
	s := serve(t)
	s.run("send", "PROVIDER=docusign", "EVENT=envelope-sent", "AGREEMENT=a7c1e2f0-0000-4000-8000-000000000001")
	s.run("send", "PROVIDER=docusign", "EVENT=envelope-completed", "AGREEMENT=a7c1e2f0-0000-4000-8000-000000000001")
	body := s.await("http://127.0.0.1:"+s.port+"/api/published", func(body string) bool {
		return strings.Count(body, `"eventId"`) == 2
	})
	var list struct {
		Published []struct{ Envelope json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	events := slices.DeleteFunc(blocks(t, "json"), func(b block) bool {
		return b.page != "events.md" || !strings.Contains(b.text, `"eventId"`)
	})
	if len(events) != 1 {
		t.Fatalf("events.md shows %d events", len(events))
	}
	compareShape(t, "events.md", events[0].text, string(list.Published[0].Envelope))
}
