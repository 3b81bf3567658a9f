package localhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/durable/durabletest"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// silent is a listener without connections: the tests call ServeHTTP.
type silent struct {
	closed chan struct{}
	once   sync.Once
}

func (s *silent) Accept() (net.Conn, error) { <-s.closed; return nil, net.ErrClosed }
func (s *silent) Close() error              { s.once.Do(func() { close(s.closed) }); return nil }
func (s *silent) Addr() net.Addr            { return &net.TCPAddr{} }

// unreadable is a genuine request that cannot be read.
func unreadable() *webhook.Request {
	r := acmesign.Request()
	r.Body = []byte("?")
	acmesign.Provider{}.Sign(r, webhook.NewSecret(acmesign.Provider{}.Info().DevelopmentKey), time.Time{})
	return r
}

// fault makes calls fail, panic or hang.
type fault struct {
	mu    sync.Mutex
	mode  string
	left  int       // how many calls fail
	began time.Time // when the first call failed
	ended time.Time // when the last call failed
}

var errFault = errors.New("on purpose")

// slowly is how long a call that hangs goes on after its context has ended.
const slowly = time.Second

func (f *fault) call(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return nil
	}
	f.left--
	f.ended = time.Now()
	if f.began.IsZero() {
		f.began = f.ended
	}
	switch f.mode {
	case "panics":
		panic("on purpose")
	case "hangs":
		f.mu.Unlock()
		<-ctx.Done()
		time.Sleep(slowly)
		f.mu.Lock()
	}
	return errFault
}

type faultyLedger struct {
	ledger.Ledger
	fault   *fault
	subject string // a part of it
}

func (l faultyLedger) Commit(ctx context.Context, effects ...ledger.Commit) error {
	if strings.Contains(effects[0].Subject, l.subject) {
		if err := l.fault.call(ctx); err != nil {
			return err
		}
	}
	return l.Ledger.Commit(ctx, effects...)
}

type faultySender struct {
	queue.Sender
	fault *fault
}

func (s faultySender) Send(ctx context.Context, m queue.Message) error {
	if err := s.fault.call(ctx); err != nil {
		return err
	}
	return s.Sender.Send(ctx, m)
}

// faultyBus fails for events of some types, whose names contain typ.
type faultyBus struct {
	bus.Bus
	fault *fault
	typ   string
}

func (b faultyBus) Publish(ctx context.Context, events []bus.Event) []error {
	fault, errs := b.fault.call(ctx), make([]error, len(events))
	for i, e := range events {
		if strings.Contains(e.DetailType, b.typ) && fault != nil {
			errs[i] = fault
		} else {
			errs[i] = b.Bus.Publish(ctx, []bus.Event{e})[0]
		}
	}
	return errs
}

// office is the vendor's API. Both agreements are completed, and so is one that no webhook reports.
type office struct {
	vendorapi.Client
	agreement, changed *fault
}

func (office) Pause() time.Duration { return 0 }

func (o office) Agreement(ctx context.Context, id string) (vendorapi.Agreement, error) {
	if o.agreement != nil {
		if err := o.agreement.call(ctx); err != nil {
			return vendorapi.Agreement{}, err
		}
	}
	return vendorapi.Agreement{ID: id, Status: esign.Completed, VendorStatus: "completed"}, nil
}

func (office) Documents(context.Context, string) ([]vendorapi.Document, error) {
	return []vendorapi.Document{{Name: "text.txt", Open: func(context.Context) (vendorapi.Content, error) {
		return vendorapi.Content{ReadCloser: io.NopCloser(strings.NewReader("text")), Size: 4, Type: "text/plain"}, nil
	}}}, nil
}

func (office) FormData(context.Context, string) ([]vendorapi.Field, error) { return nil, nil }

func (o office) Changed(ctx context.Context, _, to time.Time, _ string) ([]vendorapi.Agreement, string, error) {
	if o.changed != nil {
		if err := o.changed.call(ctx); err != nil {
			return nil, "", err
		}
	}
	return []vendorapi.Agreement{{ID: "c", Status: esign.Completed, VendorStatus: "completed", ChangedAt: to}}, "", nil
}

func (office) Subscriptions(context.Context) ([]vendorapi.Subscription, error) { return nil, nil }

// places are where the functions of the gateway can fail.
var places = map[string]func(*Gateway, *fault){
	"worker":                  func(g *Gateway, f *fault) { g.worker.Ledger = faultyLedger{g.worker.Ledger, f, ""} },
	"worker of one agreement": func(g *Gateway, f *fault) { g.worker.Ledger = faultyLedger{g.worker.Ledger, f, "#b"} },
	"worker's dead letters":   func(g *Gateway, f *fault) { g.worker.DeadLetters = faultySender{g.worker.DeadLetters, f} },
	"publisher":               func(g *Gateway, f *fault) { g.publisher.Bus = faultyBus{g.publisher.Bus, f, ""} },
	"publisher of some events": func(g *Gateway, f *fault) {
		g.publisher.Bus = faultyBus{g.publisher.Bus, f, "agreement.completed"}
	},
	"archiver":              func(g *Gateway, f *fault) { g.clients[acmesign.Name] = office{agreement: f} },
	"archiver's findings":   func(g *Gateway, f *fault) { g.archiver.Queue = faultySender{g.archiver.Queue, f} },
	"reconciler":            func(g *Gateway, f *fault) { g.clients[acmesign.Name] = office{changed: f} },
	"reconciler's findings": func(g *Gateway, f *fault) { g.reconciler.Queue = faultySender{g.reconciler.Queue, f} },
}

var commits atomic.Int64

// start runs a gateway with all its loops and a fault.
func start(t *testing.T, data string, place func(*Gateway, *fault), f *fault) (g released, stop func()) {
	t.Helper()
	g = release(t, data, acmesign.Provider{})
	g.clients[acmesign.Name] = office{}
	g.worker.Now = func() time.Time { // no two commits are at the same time
		return time.Now().Add(time.Duration(commits.Add(1)) * time.Microsecond)
	}
	place(g.Gateway, f)
	return g, serve(t, g.Gateway)
}

// report sends the events of the agreements a and b, and a request that cannot be read.
func (r released) report(t *testing.T) {
	t.Helper()
	for i, typ := range []string{"sent", "viewed", "signed", "completed"} {
		for _, agreement := range []string{"a", "b"} {
			r.post(t, acmesign.Event{Number: int64(10*i + int(agreement[0])), Type: typ, Agreement: agreement,
				At: time.Now().Add(time.Duration(i) * time.Second)}, "")
		}
	}
	deliver(t, r.Gateway, unreadable())
}

// TestNothingIsLostWhenAFunctionFails lets each function fail in its real loop. What it reports as failed is retried,
// at the earliest after a second, until everything has had its effect.
func TestNothingIsLostWhenAFunctionFails(t *testing.T) {
	for name, place := range places {
		for _, mode := range []string{"fails", "panics", "hangs"} {
			if mode == "panics" && strings.HasPrefix(name, "reconciler") || // its goroutine would end the test
				mode == "hangs" && strings.HasPrefix(name, "archiver") { // the clients of the vendors' APIs have deadlines
				continue
			}
			t.Run(name+" "+mode, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f, begin := &fault{mode: mode, left: 6}, time.Now()
					g, stop := start(t, t.TempDir(), place, f)
					defer stop()
					g.report(t)
					time.Sleep(150 * time.Minute)
					wantEverything(t, g.Gateway)
					if f.left > 0 || !f.began.Equal(begin) || f.ended.Sub(begin) < time.Second {
						t.Errorf("%d failures are left, they were %v to %v after the start", f.left, f.began.Sub(begin),
							f.ended.Sub(begin))
					}
				})
			})
		}
	}
}

// TestNothingIsLostWhenTheProcessEnds ends the process while a function hangs. Another process starts.
func TestNothingIsLostWhenTheProcessEnds(t *testing.T) {
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, data := &fault{mode: "hangs", left: 1000}, t.TempDir()
				g, stop := start(t, data, place, f)
				g.report(t)
				time.Sleep(time.Second)
				begin := time.Now()
				stop() // no function runs afterwards
				if took := time.Since(begin); f.left == 1000 || took < slowly || took > 10*slowly {
					t.Errorf("%d calls are left, the end took %v", f.left, took)
				}
				f.left = 0
				g, stop = start(t, data, place, f)
				defer stop()
				time.Sleep(time.Hour)
				wantEverything(t, g.Gateway)
			})
		})
	}
}

// TestWhatNeverSucceedsBecomesADeadLetter checks how long it is retried, and that redrive processes it.
func TestWhatNeverSucceedsBecomesADeadLetter(t *testing.T) {
	for name, tt := range map[string]struct {
		retried, dead time.Duration
		before, after map[string]int // the records of the queues; one dead letter cannot be read
	}{
		"worker of one agreement": {
			time.Minute + 59*time.Second, 2*time.Minute + 11*time.Second,
			map[string]int{"queue.deliveries": 4, "queue.dead-letters": 1}, map[string]int{"queue.dead-letters": 1 + 4},
		},
		"archiver": {
			46 * time.Hour, 50 * time.Hour,
			map[string]int{"queue.documents": 3, "queue.dead-letters": 1},
			map[string]int{"queue.documents-dead-letters": 3, "queue.dead-letters": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fault{left: 1e6}
				g, stop := start(t, t.TempDir(), places[name], f)
				defer stop()
				g.report(t)
				for _, wait := range []time.Duration{time.Second, tt.retried - time.Second} { // the others are deleted at once
					time.Sleep(wait)
					wantLeft(t, g.Gateway, tt.before)
				}
				time.Sleep(tt.dead - tt.retried)
				wantLeft(t, g.Gateway, tt.after)
				if failed := countStates(t, g.Gateway)[ledger.Failed]; failed != tt.after["queue.dead-letters"]-1 {
					t.Errorf("%d events are shown as failed", failed)
				}
				f.left = 0
				var report strings.Builder
				if err := g.redrive(t.Context(), &report); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
				wantEverything(t, g.Gateway)
			})
		})
	}
}

// wantEverything checks that all events were processed and published in their order, and that nothing is left over.
func wantEverything(t *testing.T, g *Gateway) {
	t.Helper()
	reported := []string{"agreement.sent", "agreement.viewed", "agreement.signed", "agreement.completed"}
	found := []string{"agreement.confirmed", "agreement.archived"}
	want := map[string][]string{
		"a": slices.Concat(reported, found), "b": slices.Concat(reported, found), "c": slices.Concat(reported[3:], found),
	}
	events, err := g.ledger.Events()
	if err != nil {
		t.Fatal(err)
	}
	published, _ := released{g, acmesign.Provider{}}.published(t)
	got := map[string][]string{}
	for _, e := range ledger.InOrderOfCommits(events) {
		if e.State == ledger.Unreadable {
			continue
		}
		got[e.AgreementID] = append(got[e.AgreementID], string(e.Type))
		if published[e.ID] == 0 {
			t.Errorf("%s is not published", e.Type)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("processed: %s", diff)
	}
	states := countStates(t, g)
	if diff := cmp.Diff(map[ledger.State]int{ledger.Processed: len(published), ledger.Unreadable: 1}, states); diff != "" {
		t.Errorf("states, and what is published: %s", diff)
	}
	wantLeft(t, g, map[string]int{"queue.dead-letters": 1})
}

// wantLeft checks how many records the queues and the stream hold.
func wantLeft(t *testing.T, g *Gateway, want map[string]int) {
	t.Helper()
	g.db.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{
			"queue.deliveries", "queue.dead-letters", "queue.documents", "queue.documents-dead-letters", "ledger.stream",
		} {
			if n := tx.Bucket([]byte(name)).Stats().KeyN; n != want[name] {
				t.Errorf("%s holds %d records, want %d", name, n, want[name])
			}
		}
		return nil
	})
}

// TestEveryFunctionIsWired checks that every dependency and setting of every function is set.
func TestEveryFunctionIsWired(t *testing.T) {
	g := release(t, t.TempDir(), acmesign.Provider{})
	optional := []string{
		"Metrics", "Archive", "Pause", // of AWS, and of tests
		"Repair", "Remembers", // localhost has no public URL, and keeps everything
	}
	optional = append(optional, strings.Fields( // of a server
		"Addr DisableGeneralOptionsHandler TLSConfig MaxHeaderBytes TLSNextProto ConnState BaseContext ConnContext HTTP2 "+
			"Protocols DisableClientPriority")...)
	for _, function := range []any{g.worker, g.publisher, g.archiver, g.reconciler, g.server()} {
		v := reflect.Indirect(reflect.ValueOf(function))
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Type().Field(i).IsExported() && v.Field(i).IsZero() != slices.Contains(optional, name) {
				t.Errorf("%s.%s is %v", v.Type(), name, v.Field(i))
			}
		}
	}
}

func TestEveryFunctionSendsToItsQueue(t *testing.T) {
	g := release(t, t.TempDir(), acmesign.Provider{})
	for name, got := range map[string]bool{
		"the worker's dead letters": g.worker.DeadLetters == queue.Sender(g.dead),
		"the archiver's findings":   g.archiver.Queue == queue.Sender(g.queue),
		"the archiver's jobs":       g.archiver.Jobs == archive.Jobs(g.jobs),
		"the reconciler's findings": g.reconciler.Queue == queue.Sender(g.queue),
		"queues of their own":       g.queue != g.dead && g.jobs.Queue != g.jobs.DeadLetters && g.jobs.Queue != g.queue,
	} {
		if !got {
			t.Errorf("%s: another queue", name)
		}
	}
}

// TestSettingsAreThoseOfTheTemplate checks the settings that localhost shares with AWS.
func TestSettingsAreThoseOfTheTemplate(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(webhooktest.Root(t), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ resource, line string }{
		{"WorkerSource", fmt.Sprint("BatchSize: ", batchSize)},
		{"PublisherSource", fmt.Sprint("BatchSize: ", streamBatch)},
		{"ArchiverSource", "BatchSize: 1"},
		{"DocumentQueue", fmt.Sprint("maxReceiveCount: ", jobReceives)},
		{"DocumentQueue", fmt.Sprint("VisibilityTimeout: ", jobVisibility.Seconds())},
		{"ReconcilerFunction", fmt.Sprintf("Schedule: rate(%v minutes)", reconcileEvery.Minutes())},
		{"ReconcilerFunction", fmt.Sprint("Timeout: ", reconcileDeadline.Seconds())},
		{"SilentAgreementHours", fmt.Sprint("Default: ", silentAfter.Hours())},
	} {
		_, section, _ := strings.Cut(string(b), "\n  "+want.resource+":\n")
		section, _, _ = strings.Cut(section, "\n\n")
		if !regexp.MustCompile(`(?m)^ +` + regexp.QuoteMeta(want.line) + `( #.*)?$`).MatchString(section) {
			t.Errorf("%s has no line %q", want.resource, want.line)
		}
	}
}

// TestTheStoreSurvivesAPowerFailure checks that the file and all new folders above it have durable names. bbolt syncs
// the content itself.
func TestTheStoreSurvivesAPowerFailure(t *testing.T) {
	data := func(root string) string { return filepath.Join(root, "new", "deeper", ".local") }
	durabletest.Run(t, func(root string) error {
		db, err := openStore(data(root))
		if err != nil {
			return err
		}
		if db.NoSync || db.NoGrowSync {
			t.Error("the store does not sync its file")
		}
		return db.Close()
	}, func(root string) error {
		_, err := os.Stat(filepath.Join(data(root), "esignhooks.db"))
		return err
	})
}
