// Package gateway drives the built local gateway from outside, as vendors, a browser and an operator do. Requests are
// made from the examples of all providers.
package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

// binary is the gateway, built once as make run builds it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "esignhooks")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "local")
		build := exec.Command("go", "build", "-o", binary, "esignhooks/functions/local")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, text)
			return 1
		}
		return m.Run()
	}())
}

// gateway is a running process.
type gateway struct {
	t       *testing.T
	url     string
	data    string
	env     []string
	output  *output // stdout and stderr together
	banner  *output // stdout
	log     *output // stderr
	process *exec.Cmd
	exited  chan struct{}
}

// command returns the gateway's command. Its environment has only these variables, PORT and DATA.
func command(data string, env ...string) *exec.Cmd {
	c := exec.Command(binary)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=0", "DATA=" + data}, env...)
	return c
}

// start runs a gateway with an empty store. The environment is added to PORT and DATA.
func start(t *testing.T, env ...string) *gateway {
	t.Helper()
	return startIn(t, t.TempDir(), env...)
}

func startIn(t *testing.T, data string, env ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, data: data, env: env, output: &output{}, banner: &output{}, log: &output{},
		exited: make(chan struct{})}
	g.process = command(data, env...)
	g.process.Stdout, g.process.Stderr = io.MultiWriter(g.output, g.banner), io.MultiWriter(g.output, g.log)
	if err := g.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		g.process.Wait()
		close(g.exited)
	}()
	t.Cleanup(func() { g.stop(syscall.SIGTERM) })
	g.await("the banner's first line", func() bool { return strings.Contains(g.banner.String(), "\n") })
	first, _, _ := strings.Cut(g.banner.String(), "\n")
	at := strings.Index(first, "http://127.0.0.1:")
	if at < 0 {
		t.Fatalf("the banner's first line %q says no address on 127.0.0.1", first)
	}
	g.url = strings.TrimSpace(first[at:])
	return g
}

// stop signals the process and waits for its end.
func (g *gateway) stop(signal os.Signal) {
	g.t.Helper()
	g.process.Process.Signal(signal)
	select {
	case <-g.exited:
	case <-time.After(patience):
		g.process.Process.Kill()
		g.t.Errorf("the gateway does not stop on %v", signal)
	}
}

// kill ends the process with SIGKILL, and starts another one on the same store.
func (g *gateway) kill() *gateway {
	g.t.Helper()
	g.stop(syscall.SIGKILL)
	return startIn(g.t, g.data, g.env...)
}

// await waits until done, for as long as a busy machine may need.
func (g *gateway) await(what string, done func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-g.exited:
			g.t.Fatalf("the gateway ended before %s; it said last:\n%s", what, g.last())
		default:
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("no %s after %v; the gateway said last:\n%s", what, patience, g.last())
		}
	}
}

// last returns the end of the output.
func (g *gateway) last() string {
	said := g.output.String()
	return said[max(0, len(said)-2000):]
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// request is an HTTP request. Header names are sent as they are spelt.
type request struct {
	method string // default POST
	path   string // with the query
	host   string // default the gateway's address
	header map[string]string
	body   string

	chunked bool // without a Content-Length

	provider webhook.Provider // nil: not a vendor's
	key      string           // that signed it
}

// with returns r with a header changed.
func (r request) with(name, value string) request {
	header := map[string]string{}
	for n, v := range r.header {
		if !strings.EqualFold(n, name) {
			header[n] = v
		}
	}
	header[name] = value
	r.header = header
	return r
}

func (r request) to(path string) request {
	r.path = path
	return r
}

type answer struct {
	Status int
	Header http.Header
	Body   string
}

// patience is how long a test waits for something that a quiet machine does within seconds.
const patience = 2 * time.Minute

// client follows no redirect, so that a test sees one.
var client = http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 50},
}

// try sends r. It may be called concurrently.
func (g *gateway) try(r request) (answer, error) {
	if r.method == "" {
		r.method = http.MethodPost
	}
	sent, err := http.NewRequestWithContext(context.Background(), r.method, g.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	sent.Host = r.host
	if r.chunked {
		sent.Body, sent.ContentLength = io.NopCloser(strings.NewReader(r.body)), -1
	}
	for name, value := range r.header {
		sent.Header[name] = []string{value}
	}
	got, err := client.Do(sent)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, string(body)}, err
}

func (g *gateway) send(r request) answer {
	g.t.Helper()
	got, err := g.try(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return got
}

// accept sends each request, which must be answered with the vendor's acknowledgement.
func (g *gateway) accept(requests ...request) {
	g.t.Helper()
	for _, r := range requests {
		if problem := acknowledged(r, g.send(r)); problem != "" {
			g.t.Errorf("%s\nrequest: %.300s", problem, r.body)
		}
	}
}

// refuse sends each request, which must be answered with 401 and nothing else.
func (g *gateway) refuse(requests ...request) {
	g.t.Helper()
	for _, r := range requests {
		got := g.send(r)
		got.Header.Del("Date")
		if nothing := (http.Header{"Content-Length": {"0"}}); got.Status != http.StatusUnauthorized || got.Body != "" ||
			!cmp.Equal(nothing, got.Header) {
			g.t.Errorf("a request that is not genuine: got %d, body %q, header %v; want 401 and nothing\nrequest: %v %.300s",
				got.Status, got.Body, got.Header, r.header, r.body)
		}
	}
}

type event struct {
	ID, Provider, Type, VendorType, AgreementID string
	OccurredAt, ReceivedAt                      time.Time
	State, Proof                                string
	Duplicates                                  int
	Via                                         []string
	Participant                                 string
	Attributes                                  map[string]string
}

type agreement struct {
	Provider, ID, Status string
	UpdatedAt            time.Time
	Conflict             bool
	Events               []event
}

// read gets a path of the read API into v, and returns the status.
func (g *gateway) read(path string, v any) int {
	g.t.Helper()
	got := g.send(request{method: "GET", path: path})
	if got.Status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.Body), v); err != nil {
			g.t.Fatalf("%s: %v\n%s", path, err, got.Body)
		}
	}
	return got.Status
}

func (g *gateway) list() []event {
	g.t.Helper()
	var list struct{ Events []event }
	if status := g.read("/api/events", &list); status != http.StatusOK {
		g.t.Fatalf("/api/events: %d", status)
	}
	return list.Events
}

// events waits until no event is in state received, and returns all events.
func (g *gateway) events() (events []event) {
	g.t.Helper()
	g.await("end of the worker's work", func() bool {
		events = g.list()
		for _, e := range events {
			if e.State == "received" {
				return false
			}
		}
		return true
	})
	return events
}

func (g *gateway) agreements() []agreement {
	g.t.Helper()
	g.events()
	var list struct{ Agreements []agreement }
	if status := g.read("/api/agreements", &list); status != http.StatusOK {
		g.t.Fatalf("/api/agreements: %d", status)
	}
	return list.Agreements
}

// agreement waits for the worker, and returns the agreement with its events.
func (g *gateway) agreement(provider, id string) agreement {
	g.t.Helper()
	g.events()
	var a agreement
	if status := g.read("/api/agreements/"+provider+"/"+url.PathEscape(id), &a); status != http.StatusOK {
		g.t.Errorf("agreement %s %s: %d", provider, id, status)
	}
	return a
}

// event waits for the worker, and returns the event with this ID.
func (g *gateway) event(id string) event {
	g.t.Helper()
	for _, e := range g.events() {
		if e.ID == id {
			return e
		}
	}
	g.t.Errorf("no event %s", id)
	return event{}
}

// one checks that the agreement has exactly one event with so many duplicates, and returns it.
func (g *gateway) one(provider, id string, duplicates int) event {
	g.t.Helper()
	a := g.agreement(provider, id)
	if len(a.Events) != 1 {
		g.t.Errorf("%s %s: got %d events %s, want one", provider, id, len(a.Events), names(a.Events))
		return event{}
	}
	if a.Events[0].Duplicates != duplicates || a.Events[0].State != "processed" {
		g.t.Errorf("%s %s: got %s with %d duplicates, want processed with %d",
			provider, id, a.Events[0].State, a.Events[0].Duplicates, duplicates)
	}
	return a.Events[0]
}

// unreadable checks that there are exactly n events, all unreadable.
func (g *gateway) unreadable(n int) {
	g.t.Helper()
	events := g.events()
	for _, e := range events {
		if e.State != "unreadable" {
			g.t.Errorf("%s event %q is %s, want unreadable", e.Provider, e.VendorType, e.State)
		}
	}
	if len(events) != n {
		g.t.Errorf("got %d events, want %d", len(events), n)
	}
}

// in returns g for a subtest.
func (g *gateway) in(t *testing.T) *gateway {
	inner := *g
	inner.t = t
	return &inner
}

func names(events []event) (names []string) {
	for _, e := range events {
		names = append(names, e.VendorType+"="+e.Type)
	}
	return names
}

var counter atomic.Int64

// guid returns a new lower-case GUID.
func guid() string { return fmt.Sprintf("c0ffee00-%04x-4abc-8def-00000000beef", counter.Add(1)) }
