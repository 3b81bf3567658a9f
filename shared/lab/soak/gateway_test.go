package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/faulty"
	"esignhooks/shared/lab/gateway"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/webhook"
)

// gateways are builds of the gateway.
type gateways struct {
	current string
	stepped string // its wall clock is wrong by the seconds in the file $CLOCK_STEP
	earlier string // gives events the IDs that earlier releases gave them
}

const steppedClock = `package time

import "syscall"

func step() (seconds int64) {
	name, ok := syscall.Getenv("CLOCK_STEP")
	if !ok {
		return 0
	}
	file, err := open(name)
	if err != nil {
		return 0
	}
	defer closefd(file)
	var text [16]byte
	n, _ := read(file, text[:])
	sign := int64(1)
	for _, c := range text[:max(n, 0)] {
		switch {
		case c == '-':
			sign = -1
		case '0' <= c && c <= '9':
			seconds = 10*seconds + int64(c-'0')
		}
	}
	return sign * seconds
}
`

const earlierRelease = `package provider

import (
	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

func All() []webhook.Provider {
	all := current()
	for i, p := range all {
		all[i] = earlier{p}
	}
	return all
}

type earlier struct{ webhook.Provider }

func (e earlier) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	all, err := e.Provider.Identify(r)
	for i, id := range all {
		if len(id.FormerIDs) > 0 {
			all[i].EventID, all[i].FormerIDs = id.FormerIDs[0].ID, nil
		}
	}
	return all, err
}

func (e earlier) Normalize(d *webhook.Delivery) (esign.Event, error) {
	all, err := e.Provider.Identify(d.Request())
	if err != nil {
		return esign.Event{}, err
	}
	changed := *d
	for _, id := range all {
		if len(id.FormerIDs) > 0 && id.FormerIDs[0].ID == d.EventID {
			changed.EventID = id.EventID
		}
	}
	return e.Provider.Normalize(&changed)
}
`

// buildGateways builds them with overlays: nothing but these lines differs.
func buildGateways(t *testing.T, root, build string) gateways {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	make := func(name string, replaced, added, old, new, addition string) string {
		t.Helper()
		source, err := os.ReadFile(replaced)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(source, []byte(old)); n != 1 {
			t.Fatalf("%s contains %q %d times", replaced, old, n)
		}
		overlay := map[string]string{replaced: filepath.Join(build, name+"1.go"), added: filepath.Join(build, name+"2.go")}
		write(t, overlay[replaced], bytes.Replace(source, []byte(old), []byte(new), 1))
		write(t, overlay[added], []byte(addition))
		text, err := json.Marshal(map[string]any{"Replace": overlay})
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(build, name+".json"), text)
		if err := gateway.Build(filepath.Join(build, name), "-overlay="+filepath.Join(build, name+".json")); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(build, name)
	}
	g := gateways{current: filepath.Join(build, "current")}
	if err := gateway.Build(g.current); err != nil {
		t.Fatal(err)
	}
	clock := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time")
	g.stepped = make("stepped", filepath.Join(clock, "time.go"), filepath.Join(clock, "step.go"),
		"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n",
		"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += step()\n", steppedClock)
	providers := filepath.Join(root, "shared", "provider")
	g.earlier = make("earlier", filepath.Join(providers, "provider.go"), filepath.Join(providers, "earlier.go"),
		"func All() ", "func current() ", earlierRelease)
	return g
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// life is that of one folder DATA, under several processes.
type life struct {
	t        *testing.T
	report   *report
	binaries gateways
	data     string
	env      []string
	random   *rand.Rand
	process  *gateway.Process
	killed   time.Time     // last
	network  *faulty.Proxy // between vendors and gateway
	outlet   *faulty.Proxy // between gateway and application
}

// application keeps what is forwarded to it.
type application struct {
	mu  sync.Mutex
	got map[string][]bus.Detail // by event ID
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var envelope struct{ Detail bus.Detail }
	if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got[envelope.Detail.EventID] = append(a.got[envelope.Detail.EventID], envelope.Detail)
}

// soakGateway runs a gateway on a new folder: an earlier release first, then every fault at least once, in any order.
func soakGateway(t *testing.T, r *report, binaries gateways, data string, random *rand.Rand, end time.Time) {
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	app := &application{got: map[string][]bus.Detail{}}
	server, port := httptest.NewServer(app), enginetest.FreePort(t)
	defer server.Close()
	l := &life{t: t, report: r, binaries: binaries, data: data, random: random,
		network: faulty.New(t, "http://127.0.0.1:"+port, random.Uint64()), outlet: faulty.New(t, server.URL, random.Uint64())}
	l.env = []string{"PORT=" + port, "FORWARD_URL=" + l.outlet.URL + "/events"}
	l.start(binaries.earlier)
	defer func() { l.stop(syscall.SIGKILL) }()
	v := newVendors(r, rand.New(rand.NewPCG(random.Uint64(), 1)), 3000, l.post)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		v.run(ctx)
	}()
	l.work(60)
	l.stop([]os.Signal{syscall.SIGKILL, syscall.SIGTERM}[random.IntN(2)])
	l.start(binaries.current)
	r.did(upgrade)
	faults := []func(){l.kill, l.pauses, l.restart, l.fillDisk, l.stepClock, l.disturb}
	for round := 0; round < 3*len(faults) && (round < len(faults) || time.Now().Before(end)); round++ {
		if round%len(faults) == 0 {
			random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		}
		if random.IntN(3) == 0 {
			l.setFaults(true)
		}
		faults[round%len(faults)]()
		l.setFaults(false)
		l.revive()
	}
	cancel()
	<-sent
	for what, counts := range map[string]map[faulty.Kind]int{"": l.network.Counts(),
		"to the application ": l.outlet.Counts()} {
		r.addFaults(counts)
		for kind, n := range counts {
			for range n {
				r.note("requests " + what + "over the network: " + string(kind))
			}
		}
	}
	l.verify(v, app)
}

// addFaults counts what a network has done.
func (r *report) addFaults(counts map[faulty.Kind]int) {
	for kind, of := range map[faulty.Kind]string{
		faulty.Refuse: refuse, faulty.Cut: cut, faulty.CutAnswer: cut, faulty.Slow: delay, faulty.Hang: delay,
		faulty.HangDone: delay, faulty.HangAnswer: delay, faulty.Fail: fails, faulty.FailDone: fails, faulty.Throttle: fails,
	} {
		for range counts[kind] {
			r.did(of)
		}
	}
}

func (l *life) start(binary string, env ...string) {
	l.t.Helper()
	p, err := gateway.Start(binary, l.data, append(slices.Clone(l.env), env...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.process = p
}

func (l *life) stop(signal os.Signal) {
	if signal == syscall.SIGKILL {
		l.killed = time.Now()
	}
	if err := l.process.Stop(signal); err != nil {
		l.t.Error(err)
	}
}

// revive starts a gateway that has ended by itself.
func (l *life) revive() {
	select {
	case <-l.process.Exited:
		l.report.note("gateways that ended by themselves")
		l.t.Logf("the gateway ended: %s", l.process.Last())
		l.start(l.binaries.current)
	default:
	}
}

// wait waits for a random part of d, at least a third.
func (l *life) wait(d time.Duration) { time.Sleep(d/3 + time.Duration(l.random.Int64N(int64(2*d/3)))) }

// work waits until up to n requests have arrived, whatever becomes of them, but not longer than 10 seconds.
func (l *life) work(n int) {
	arrived := func() (sum int) {
		for _, count := range l.network.Counts() {
			sum += count
		}
		return sum
	}
	until := arrived() + n/2 + l.random.IntN(n/2)
	for deadline := time.Now().Add(10 * time.Second); arrived() < until && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
}

func (l *life) kill() {
	for range 2 {
		l.work(40)
		l.stop(syscall.SIGKILL)
		l.start(l.binaries.current)
		l.report.did(kill)
	}
}

func (l *life) restart() {
	l.work(30)
	l.stop(syscall.SIGTERM)
	l.start(l.binaries.current)
	l.report.did(stop)
}

func (l *life) pauses() {
	l.wait(500 * time.Millisecond)
	l.process.Process.Signal(syscall.SIGSTOP)
	l.wait(6 * time.Second) // longer than the visibility timeout, sometimes
	l.process.Process.Signal(syscall.SIGCONT)
	l.report.did(pause)
	l.wait(time.Second)
}

// fillDisk limits the size of the gateway's files. Writes beyond it fail, also those into the middle of a transaction.
func (l *life) fillDisk() {
	limit := func(bytes string) bool {
		c := exec.Command("prlimit", "--pid", strconv.Itoa(l.process.Process.Pid), "--fsize="+bytes+":unlimited")
		if out, err := c.CombinedOutput(); err != nil {
			l.report.skip(diskFull, strings.TrimSpace(fmt.Sprint(err, ": ", string(out))))
			return false
		}
		return true
	}
	size := int64(0)
	if info, err := os.Stat(filepath.Join(l.data, "esignhooks.db")); err == nil {
		size = info.Size()
	}
	for range 2 {
		l.work(20)
		part := max(0, l.random.Int64N(2*size+2)-size) // of the file; often nothing
		if !limit(strconv.FormatInt(part, 10)) {
			return
		}
		l.work(40)
		if l.random.IntN(2) == 0 {
			l.stop(syscall.SIGKILL)
			l.start(l.binaries.current)
		} else {
			limit("unlimited")
		}
		l.report.did(diskFull)
		l.report.skip(diskFull, "by RLIMIT_FSIZE")
	}
}

// stepClock sets the wall clock of a gateway forwards and backwards.
func (l *life) stepClock() {
	file := filepath.Join(filepath.Dir(l.data), "clock")
	set := func(seconds int) {
		write(l.t, file+".new", []byte(strconv.Itoa(seconds)))
		if err := os.Rename(file+".new", file); err != nil {
			l.t.Error(err)
		}
	}
	set(0)
	l.stop(syscall.SIGTERM)
	l.start(l.binaries.stepped, "CLOCK_STEP="+file)
	for range 4 {
		l.work(20)
		set([]int{-86400, -3600, -60, -5, 5, 60, 3600, 86400}[l.random.IntN(8)])
		l.report.did(clockStep)
	}
	l.work(20)
	l.report.skip(clockStep, "in a build whose time.Now reads a file")
	if l.random.IntN(2) == 0 {
		set(0)
		l.work(20)
	}
	l.stop([]os.Signal{syscall.SIGKILL, syscall.SIGTERM}[l.random.IntN(2)])
	l.start(l.binaries.current)
}

func (l *life) disturb() {
	l.setFaults(true)
	l.wait(4 * time.Second)
}

func (l *life) setFaults(on bool) {
	if !on {
		l.network.Set(faulty.Always(nil))
		l.outlet.Set(faulty.Always(nil))
		return
	}
	l.network.Set(faulty.Always(faulty.Rates{faulty.Refuse: 0.1, faulty.Cut: 0.1, faulty.CutAnswer: 0.1,
		faulty.Slow: 0.4, faulty.Hang: 0.01, faulty.HangDone: 0.01, faulty.HangAnswer: 0.01}))
	l.outlet.Set(faulty.Always(faulty.Evenly(0.4)))
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}}

// post sends a request over the network.
func (l *life) post(ctx context.Context, p webhook.Provider, r *webhook.Request) (answer, error) {
	to := l.network.URL + "/webhooks/" + p.Info().Name
	if len(r.Query) > 0 {
		to += "?" + url.Values(r.Query).Encode()
	}
	sent, err := http.NewRequestWithContext(ctx, r.Method, to, bytes.NewReader(r.Body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range r.Header {
		if name != "Host" && name != "Content-Length" && !strings.HasPrefix(name, "X-Forwarded-") {
			sent.Header[name] = values
		}
	}
	got, err := client.Do(sent)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, string(body), got.Header.Get("Retry-After")}, err
}

func (l *life) get(path string, into any) {
	l.t.Helper()
	got, err := client.Get(l.process.URL + path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer got.Body.Close()
	if err := json.NewDecoder(got.Body).Decode(into); err != nil {
		l.t.Errorf("%s: %d, %v", path, got.StatusCode, err)
	}
}

// entry is an event as the read API shows it.
type entry struct{ ID, State string }

// verify compares what the gateway has made of the happenings, once it has nothing left to do.
func (l *life) verify(v *vendors, app *application) {
	shown := map[string]entry{}
	ended := func(h *happening) bool { // under one of its IDs
		return slices.ContainsFunc(h.ids, func(id string) bool {
			return shown[id].State == "processed" || shown[id].State == "unreadable"
		})
	}
	forwarded := func() bool {
		app.mu.Lock()
		defer app.mu.Unlock()
		for id, e := range shown {
			if e.State == "processed" && len(app.got[id]) == 0 {
				return false
			}
		}
		return true
	}
	redriven := false
	for deadline := time.Now().Add(gateway.Patience); ; time.Sleep(200 * time.Millisecond) {
		var list struct{ Events []entry }
		l.get("/api/events?limit=1000000000", &list)
		clear(shown)
		pending, failed := false, false
		for _, e := range list.Events {
			shown[e.ID] = e
			failed = failed || e.State == "failed"
		}
		for _, h := range v.all() {
			pending = pending || !h.acknowledged.IsZero() && !ended(h)
		}
		if failed && !redriven {
			redriven = true
			l.report.note("lives whose dead letters were redriven")
			answer, err := client.Post(l.process.URL+"/api/operate", "application/json", strings.NewReader(`["redrive"]`))
			if err == nil {
				answer.Body.Close()
			}
		}
		if !pending && forwarded() || time.Now().After(deadline) {
			break
		}
	}
	l.verifyEvents(v, shown, ended)
	l.verifyPublished(v, shown, app)
	l.stop(syscall.SIGTERM)
	l.verifyFiles(v, shown)
	l.start(l.binaries.current)
}

// verifyEvents checks that each event had one effect, and that the agreements are the fold of the events.
func (l *life) verifyEvents(v *vendors, shown map[string]entry, ended func(*happening) bool) {
	known := map[string]bool{}
	for _, s := range v.stories {
		var want esign.Agreement
		about, provider, exact := "", "", true
		for _, h := range s.happenings {
			effects := 0
			for _, id := range h.ids {
				known[id] = true
				if state := shown[id].State; state == "processed" || state == "unreadable" {
					effects++
					l.report.check(unreadable, (state == "processed") == h.readable, "%s is %s", id, state)
				}
			}
			if !h.acknowledged.IsZero() && h.acknowledged.Before(l.killed) {
				l.report.check(safe, effects > 0, "%s was acknowledged before a kill, and is lost", h.ids[0])
			}
			if !h.acknowledged.IsZero() {
				l.report.check(effectOnce, effects == 1, "%s %s has %d effects; under %q it is %+v", h.provider.Info().Name,
					h.event.Type, effects, h.ids, shown[h.ids[0]])
			}
			l.report.check(oneEvent, effects <= 1, "%s has %d effects", h.ids, effects)
			if len(h.ids) > 1 {
				l.report.check(oneID, effects <= 1, "%s are %d events", h.ids, effects)
			}
			if h.readable && ended(h) {
				event := h.event
				exact = exact && !event.OccurredAt.IsZero()
				want, about, provider = esign.Fold(want, event), h.about, h.provider.Info().Name
			}
		}
		if about == "" {
			continue
		}
		var got struct {
			esign.Agreement
			Events []entry
		}
		l.get("/api/agreements/"+provider+"/"+url.PathEscape(about), &got)
		diff := ""
		if exact { // otherwise times are those of arrival
			diff = cmp.Diff(want, got.Agreement)
		}
		l.report.check(folded, got.Status == want.Status && diff == "", "%s %s is %q, its events make it %q: %s", provider,
			about, got.Status, want.Status, diff)
	}
	for id, e := range shown {
		l.report.check(oneEvent, known[id] || e.State == "received", "%s is %s, and was never sent", id, e.State)
	}
}

// verifyPublished compares the bus and the application with the processed events.
func (l *life) verifyPublished(v *vendors, shown map[string]entry, app *application) {
	var list struct {
		Published []struct{ Envelope struct{ Detail bus.Detail } }
	}
	l.get("/api/published?limit=1000000000", &list)
	slices.Reverse(list.Published) // the first first
	details, place := map[string]bus.Detail{}, map[string]int{}
	for i, p := range list.Published {
		id := p.Envelope.Detail.EventID
		if _, again := details[id]; !again {
			details[id], place[id] = p.Envelope.Detail, i
		}
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	for id, e := range shown {
		if e.State == "processed" {
			_, onBus := details[id]
			l.report.check(published, onBus && len(app.got[id]) > 0, "%s is processed; published: %v, forwarded %d times", id,
				onBus, len(app.got[id]))
		}
	}
	for id, copies := range app.got {
		for _, d := range copies {
			l.report.check(published, shown[id].State == "processed" && d.StatusAfter == details[id].StatusAfter &&
				d.StatusBefore == details[id].StatusBefore, "%s was forwarded as %+v, and is %s", id, d, shown[id].State)
		}
	}
	for _, s := range v.stories {
		var took []effect // in the order in which they were sent
		for _, h := range s.happenings {
			for _, id := range h.ids {
				if d, ok := details[id]; ok && h.readable {
					took = append(took, effect{id, d.StatusBefore, d.StatusAfter, int64(place[id])})
				}
			}
		}
		l.report.checkStory(s.ordered, took)
	}
}

// verifyFiles looks into the folder of a gateway that has ended: nothing is left in the queue, the dead letters are the
// unreadable events, and no forged request has left anything.
func (l *life) verifyFiles(v *vendors, shown map[string]entry) {
	file := filepath.Join(l.data, "esignhooks.db")
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		l.t.Error(err)
		return
	}
	defer db.Close()
	letters := map[string]int{}
	err = db.View(func(tx *bbolt.Tx) error {
		left := tx.Bucket([]byte("queue.deliveries")).Stats().KeyN
		l.report.check(effectOnce, left == 0, "%d messages are left in the queue", left)
		return tx.Bucket([]byte("queue.dead-letters")).ForEach(func(_, text []byte) error {
			var record struct {
				Message struct{ Attributes map[string]string }
			}
			err := json.Unmarshal(text, &record)
			letters[record.Message.Attributes["eventId"]]++
			return err
		})
	})
	if err != nil {
		l.t.Error(err)
	}
	for id, e := range shown {
		if e.State == "unreadable" {
			l.report.check(unreadable, letters[id] > 0, "%s is unreadable, and not among the dead letters", id)
		}
	}
	for id := range letters {
		l.report.check(unreadable, shown[id].State == "unreadable", "%s is a dead letter, and %s", id, shown[id].State)
	}
	filepath.WalkDir(l.data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, about := range v.forged {
			l.report.check(refusedLeaves, !bytes.Contains(content, []byte(about)), "a forged request has left %s in %s", about,
				path)
		}
		return err
	})
}
