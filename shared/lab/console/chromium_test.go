// Package console tests the console of the gateway on localhost in Chromium.
package console

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/lab/gateway"
)

// browser is Chromium, driven by the DevTools protocol over two pipes.
//
// SPEC: https://chromedevtools.github.io/devtools-protocol/, read 2026-11-30: with --remote-debugging-pipe, messages
// are JSON that ends with a zero byte, read from descriptor 3 and written to 4.
type browser struct {
	to io.Writer

	mu      sync.Mutex
	number  int
	waiting map[int]chan message
	pages   map[string]*page // by session
	err     error
}

type message struct {
	ID        int                       `json:"id,omitempty"`
	SessionID string                    `json:"sessionId,omitempty"`
	Method    string                    `json:"method,omitempty"`
	Params    any                       `json:"params,omitempty"`
	Result    json.RawMessage           `json:"result,omitempty"`
	Error     *struct{ Message string } `json:"error,omitempty"`
}

// open starts Chromium. Without one the test is skipped, but fails in CI.
func open(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil && program == "" {
			program = found
		}
	}
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no chromium")
		}
		t.Skip("no chromium: install the package chromium")
	}
	read, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	orders, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
		"--user-data-dir="+t.TempDir(), "about:blank")
	c.ExtraFiles = []*os.File{orders, answers}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	orders.Close()
	answers.Close()
	b := &browser{to: write, waiting: map[int]chan message{}, pages: map[string]*page{}}
	go b.listen(bufio.NewReaderSize(read, 1<<20))
	t.Cleanup(func() {
		kill := time.AfterFunc(patience, func() { c.Process.Kill() })
		defer kill.Stop()
		go b.send("", "Browser.close", nil, nil) // it may end without an answer
		c.Wait()
		read.Close() // Chromium's own children may still hold the other end
		write.Close()
	})
	return b
}

func (b *browser) listen(from *bufio.Reader) {
	for {
		text, err := from.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.err = err
			for _, waiting := range b.waiting {
				close(waiting)
			}
			return
		}
		var m struct {
			message
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if waiting := b.waiting[m.ID]; waiting != nil {
			delete(b.waiting, m.ID)
			waiting <- m.message
		} else if p := b.pages[m.SessionID]; p != nil && isComplaint(m.Method, m.Params) {
			p.complaints = append(p.complaints, fmt.Sprintf("%s %.500s", m.Method, m.Params))
		}
		b.mu.Unlock()
	}
}

// isComplaint reports whether an event is an error on the page.
func isComplaint(method string, params []byte) bool {
	switch method {
	case "Runtime.exceptionThrown":
		return true
	case "Runtime.consoleAPICalled":
		return strings.Contains(string(params), `"type":"error"`) || strings.Contains(string(params), `"type":"warning"`)
	case "Log.entryAdded":
		return strings.Contains(string(params), `"level":"error"`)
	}
	return false
}

// send sends an order, and reads the result into result.
func (b *browser) send(session, method string, params, result any) error {
	b.mu.Lock()
	if b.err != nil {
		b.mu.Unlock()
		return b.err
	}
	b.number++
	answer := make(chan message, 1)
	b.waiting[b.number] = answer
	text, err := json.Marshal(message{ID: b.number, SessionID: session, Method: method, Params: params})
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return errors.New("chromium has ended")
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer", method)
	}
}

// page is a tab.
type page struct {
	*testing.T
	b          *browser
	target     string
	session    string
	complaints []string
}

// look is how a page is seen.
type look struct {
	width  int
	scheme string // light or dark
}

// visit opens a page. The scripts run before the page's own.
func (b *browser) visit(t *testing.T, l look, url string, scripts ...string) *page {
	t.Helper()
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	must(t, b.send("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	must(t, b.send("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	p := &page{T: t, b: b, target: target.TargetID, session: attached.SessionID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.do(domain+".enable", nil, nil)
	}
	p.size(l, 900)
	p.do("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": l.scheme}},
	}, nil)
	for _, script := range scripts {
		p.do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": script}, nil)
	}
	p.do("Page.navigate", map[string]any{"url": url}, nil)
	p.until("the page is live", `document.getElementById('live')?.dataset.state === 'live'`)
	return p
}

func (p *page) size(l look, height int) {
	p.Helper()
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": l.width, "height": height, "deviceScaleFactor": 1, "mobile": l.width < 600,
	}, nil)
}

// close closes the tab. A browser opens six connections to one host, and each console holds one.
func (p *page) close() {
	p.Helper()
	must(p.T, p.b.send("", "Target.closeTarget", map[string]any{"targetId": p.target}, nil))
}

// follow goes to a fragment of the console.
func (p *page) follow(fragment string) {
	p.Helper()
	eval[any](p, fmt.Sprintf("location.hash = %q", fragment))
}

func (p *page) do(method string, params, result any) {
	p.Helper()
	must(p.T, p.b.send(p.session, method, params, result))
}

// eval evaluates JavaScript, which may be a promise.
func eval[T any](p *page, script string) (value T) {
	p.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.do("Runtime.evaluate", map[string]any{
		"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &answer)
	if answer.ExceptionDetails != nil {
		p.Fatalf("%s: %s", script, answer.ExceptionDetails)
	}
	if len(answer.Result.Value) > 0 {
		must(p.T, json.Unmarshal(answer.Result.Value, &value))
	}
	return value
}

// until waits until a condition is true on the page.
func (p *page) until(what, condition string) {
	p.Helper()
	for deadline := time.Now().Add(patience); !eval[bool](p, "Boolean("+condition+")"); {
		if time.Now().After(deadline) {
			p.Fatalf("not within %v: %s\n%s", patience, what, eval[string](p, "document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// shows waits until an element contains a text.
func (p *page) shows(selector, text string) {
	p.Helper()
	quoted, _ := json.Marshal(text)
	p.until(selector+" shows "+text,
		fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%s))`, selector, quoted))
}

// press clicks the button or link with this text.
func (p *page) press(text string) {
	p.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll('button, a')].find(e => e.checkVisibility() && e.innerText.trim() === %q)`,
		text)
	p.until("there is a button "+text, find)
	eval[any](p, find+".click()")
}

// picture returns the page as PNG.
func (p *page) picture() []byte {
	p.Helper()
	var shot struct{ Data string }
	p.do("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	must(p.T, err)
	return b
}

// quiet checks that the page has no errors.
func (p *page) quiet() {
	p.Helper()
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	for _, complaint := range p.complaints {
		p.Error(complaint)
	}
}

// patience is how long to wait for what a quiet machine does within a second.
const patience = gateway.Patience

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
