package gateway

import (
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

// binary is the gateway, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "esignhooks")
		if err == nil {
			defer os.RemoveAll(dir)
			binary = filepath.Join(dir, "local")
			err = Build(binary)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// gateway is a running process, in a test.
type gateway struct {
	t       *testing.T
	running *Process
	url     string
	data    string
	env     []string
	output  *output
	banner  *output
	log     *output
	process *exec.Cmd
	exited  chan struct{}
}

func command(data string, env ...string) *exec.Cmd { return commandOf(binary, data, env...) }

// start runs a gateway with an empty store. The environment is added to PORT and DATA.
func start(t *testing.T, env ...string) *gateway {
	t.Helper()
	return startIn(t, t.TempDir(), env...)
}

func startIn(t *testing.T, data string, env ...string) *gateway {
	t.Helper()
	p, err := Start(binary, data, env...)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, running: p, url: p.URL, data: data, env: env, output: &p.output, banner: &p.banner, log: &p.log,
		process: p.Cmd, exited: p.Exited}
	t.Cleanup(func() { g.stop(syscall.SIGTERM) })
	return g
}

// stop signals the process and waits for its end.
func (g *gateway) stop(signal os.Signal) {
	g.t.Helper()
	if err := g.running.Stop(signal); err != nil {
		g.t.Error(err)
	}
}

// kill ends the process with SIGKILL, and starts another one on the same store.
func (g *gateway) kill() *gateway {
	g.t.Helper()
	g.stop(syscall.SIGKILL)
	return startIn(g.t, g.data, g.env...)
}

func (g *gateway) await(what string, done func() bool) {
	g.t.Helper()
	if err := g.running.Await(what, done); err != nil {
		g.t.Fatal(err)
	}
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

// client follows no redirect, so that a test sees one.
var client = http.Client{
	Timeout:       Patience,
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
