package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/provider"
)

// screen can be looked at while a command writes.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until it shows a text.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("does not show %q: %s", text, s)
		}
	}
}

// running is a gateway within the test.
type running struct {
	url, port   string
	out, stderr screen
	stop        func()
}

// follow runs a command until the test ends, and expects its status.
func follow(t *testing.T, a *app, status int, arguments ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a.ctx, a.stdin, a.now, a.providers = ctx, os.Stdin, time.Now, provider.All()
	ended := make(chan int, 1)
	go func() { ended <- a.main(arguments) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if got := <-ended; got != status {
			t.Errorf("%s: status %d: %v", arguments, got, a.err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// start runs a gateway. If terminal is set, somebody looks at its stderr.
func start(t *testing.T, terminal bool, environment map[string]string) *running {
	t.Helper()
	r := &running{}
	data := t.TempDir()
	r.stop = follow(t, &app{
		out: &r.out, err: &r.stderr,
		lookup: func(name string) (string, bool) {
			v, ok := map[string]string{"PORT": "0", "DATA": data}[name]
			if !ok {
				v, ok = environment[name]
			}
			return v, ok
		},
		isTerminal: func(w io.Writer) bool { return terminal && w == &r.stderr },
	}, 0, "run")
	r.out.await(t, "\n\n")
	first, _, _ := strings.Cut(r.out.String(), "\n")
	r.url = strings.TrimPrefix(first, "esignhooks on ")
	r.port = r.url[strings.LastIndexByte(r.url, ':')+1:]
	return r
}

func (r *running) send(t *testing.T, arguments string) (status int, out, stderr string) {
	t.Helper()
	return execute(t, map[string]string{"PORT": r.port}, strings.Fields("send -provider docusign -event "+arguments)...)
}

// TestTheTerminalOfTheGateway checks the lines on a terminal, and the JSON elsewhere.
func TestTheTerminalOfTheGateway(t *testing.T) {
	for name, tt := range map[string]struct {
		terminal    bool
		environment map[string]string
	}{"a terminal": {true, nil}, "no colours": {true, map[string]string{"NO_COLOR": "1"}}, "a pipe": {}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, tt.terminal, tt.environment)
			status, out, stderr := r.send(t, "envelope-completed -agreement e-1")
			if status != 0 || !strings.HasPrefix(out, "docusign envelope-completed: 200 OK\nagreement e-1\n") {
				t.Errorf("status %d, %s%s", status, out, stderr)
			}
			answer, err := http.Get(r.url + "/webhooks/docusign")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			wanted := []string{"envelope-completed", "e-1", "accepted", "refused 405"}
			if !tt.terminal {
				wanted = []string{`"msg":"received"`, `"msg":"refused"`}
			}
			for _, want := range wanted {
				r.stderr.await(t, want)
			}
			shown := r.stderr.String()
			if colours := tt.terminal && tt.environment == nil; strings.Contains(shown, "\x1b[") != colours {
				t.Errorf("colours, or none: %q", shown)
			}
			lines := strings.Split(strings.TrimSpace(shown), "\n")
			if tt.terminal && len(lines) != 2 {
				t.Errorf("not one line for each request: %s", shown)
			}
			for _, line := range lines {
				if json.Valid([]byte(line)) == tt.terminal {
					t.Errorf("JSON, or not: %s", line)
				}
			}
		})
	}
}

// paused is a terminal that shows nothing until it is closed.
type paused chan struct{}

func (p paused) Write(b []byte) (int, error) {
	<-p
	return len(b), nil
}

// TestAPausedTerminalDoesNotStopTheGateway sends more than one request.
func TestAPausedTerminalDoesNotStopTheGateway(t *testing.T) {
	stderr := paused(make(chan struct{}))
	var out screen
	data := t.TempDir()
	stop := follow(t, &app{
		out: &out, err: stderr, isTerminal: func(w io.Writer) bool { return w == stderr },
		lookup: func(name string) (string, bool) {
			v, ok := map[string]string{"PORT": "0", "DATA": data}[name]
			return v, ok
		},
	}, 0, "run")
	r := &running{}
	out.await(t, "\n\n")
	_, r.port, _ = strings.Cut(strings.SplitN(out.String(), "\n", 2)[0], "127.0.0.1:")
	for range 3 {
		if status, _, stderr := r.send(t, "envelope-completed"); status != 0 {
			t.Error(stderr)
		}
	}
	stop()
	close(stderr)
}

// TestWarningsAreShownOnATerminal waits for an application that does not answer.
func TestWarningsAreShownOnATerminal(t *testing.T) {
	r := start(t, true, map[string]string{"NO_COLOR": "1", "FORWARD_URL": "http://127.0.0.1:1/", "BOLDSIGN_SECRETS": ""})
	r.stderr.await(t, " WARN boldsign no key: every request will be refused variable=BOLDSIGN_SECRETS\n")
	if status, _, stderr := r.send(t, "envelope-completed"); status != 0 {
		t.Error(stderr)
	}
	r.stderr.await(t, " WARN not forwarded type=agreement.completed attempts=1 ")
	if shown := fmt.Sprint(&r.stderr); strings.Contains(shown, "processed") {
		t.Errorf("shows more than requests and warnings: %s", shown)
	}
}
