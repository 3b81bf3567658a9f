package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/groupcommit/groupcommittest"
	"esignhooks/shared/store/bus"
)

var quiet = slog.New(slog.DiscardHandler)

func database(t *testing.T, file string) *groupcommit.DB {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return groupcommit.New(db)
}

const target = "http://application.test/hook?token=hunter2"

// open makes a bus in db that forwards to an application.
func open(t *testing.T, db *groupcommit.DB, a *application) *Bus {
	t.Helper()
	b, err := New(db, target)
	if err != nil {
		t.Fatal(err)
	}
	b.client.Transport = a
	return b
}

func fresh(t *testing.T, a *application) *Bus {
	t.Helper()
	return open(t, database(t, filepath.Join(t.TempDir(), "db")), a)
}

// application answers 200, or what answer says.
type application struct {
	answer func(ctx context.Context, eventID string, attempt int) (status int, err error)

	mu       sync.Mutex
	got      []string             // event IDs, in the order of arrival
	attempts map[string]time.Time // the last of each
	pauses   []time.Duration      // before each repeated attempt
}

// RoundTrip implements [http.RoundTripper].
func (a *application) RoundTrip(r *http.Request) (*http.Response, error) {
	var envelope struct{ Detail bus.Detail }
	if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
		return nil, err
	}
	id := envelope.Detail.EventID
	status, err := http.StatusOK, error(nil)
	if attempt := a.arrived(id); a.answer != nil {
		status, err = a.answer(r.Context(), id, attempt)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"/elsewhere"}}, Body: http.NoBody, Request: r}, nil
}

func (a *application) arrived(id string) (attempt int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if last, ok := a.attempts[id]; ok {
		a.pauses = append(a.pauses, now.Sub(last))
	}
	if a.attempts == nil {
		a.attempts = map[string]time.Time{}
	}
	a.attempts[id] = now
	a.got = append(a.got, id)
	for _, g := range a.got {
		if g == id {
			attempt++
		}
	}
	return attempt
}

func event(id string) bus.Event {
	return bus.Event{
		Source: "esign.docusign", DetailType: "agreement.sent", Time: time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.FixedZone("", 3600)),
		Detail: bus.Detail{EventID: id, Event: esign.Event{ID: id, Provider: "docusign", Type: esign.AgreementSent}},
	}
}

func publish(t *testing.T, b *Bus, ids ...string) {
	t.Helper()
	var all []bus.Event
	for _, id := range ids {
		all = append(all, event(id))
	}
	errs := b.Publish(t.Context(), all)
	if err := errors.Join(errs...); err != nil || len(errs) != len(ids) {
		t.Fatalf("%d answers, %v", len(errs), err)
	}
}

// forward forwards for a while.
func forward(t *testing.T, b *Bus, while time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), while)
	defer cancel()
	b.Forward(ctx, quiet)
}

func try(t *testing.T, b *Bus, sequence uint64, log *slog.Logger) {
	t.Helper()
	if err := b.forward(t.Context(), log, sequence); err != nil {
		t.Fatal(err)
	}
}

// states are the events' IDs, states and attempts, the last published first.
func states(t *testing.T, b *Bus) (all []string) {
	t.Helper()
	events, err := b.Events()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range events {
		var d bus.Detail
		if err := json.Unmarshal(p.Envelope.Detail, &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(d.EventID, " ", p.State, " ", p.Attempts, " ", p.Error))
	}
	return all
}

func want[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(attempt{})); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func redrive(t *testing.T, b *Bus, count int) {
	t.Helper()
	if n, err := b.Redrive(); err != nil || n != count {
		t.Errorf("redriven: %d, %v; want %d", n, err, count)
	}
}

func TestWithoutAnApplicationEventsAreKept(t *testing.T) {
	b, err := New(database(t, filepath.Join(t.TempDir(), "db")), "")
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, "a", "b")
	publish(t, b, "c")
	publish(t, b)
	want(t, "the last first", []string{"c unforwarded 0 ", "b unforwarded 0 ", "a unforwarded 0 "}, states(t, b))
	redrive(t, b, 0)
}

// TestTheEnvelopeIsEventBridges: the fields and their forms.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
func TestTheEnvelopeIsEventBridges(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %v", r.Method, r.Header, err)
		}
		bodies = append(bodies, string(body))
	}))
	defer server.Close()
	b, err := New(database(t, filepath.Join(t.TempDir(), "db")), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, "a", "a")
	try(t, b, 1, quiet)
	try(t, b, 2, quiet)
	detail, err := json.Marshal(event("a").Detail)
	if err != nil {
		t.Fatal(err)
	}
	envelope := `{"version":"0","id":"00000000-0000-4000-8000-00000000000%d","detail-type":"agreement.sent","source":"esign.docusign",` +
		`"account":"000000000000","time":"2026-11-02T08:30:00Z","region":"localhost","resources":[],"detail":` + string(detail) + `}`
	want(t, "bodies", []string{fmt.Sprintf(envelope, 1), fmt.Sprintf(envelope, 2)}, bodies)
}

func TestEventsAreForwardedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{}
		b := fresh(t, a)
		publish(t, b, "a", "b", "c")
		time.AfterFunc(time.Minute, func() { publish(t, b, "d", "e") }) // and it wakes up
		forward(t, b, time.Hour)
		want(t, "arrived", []string{"a", "b", "c", "d", "e"}, a.got)
		want(t, "states", []string{"e forwarded 1 ", "d forwarded 1 ", "c forwarded 1 ", "b forwarded 1 ", "a forwarded 1 "}, states(t, b))
		want(t, "took", time.Minute, a.attempts["e"].Sub(a.attempts["a"]))
	})
}

func TestOneThatFailsLetsOthersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(_ context.Context, id string, attempt int) (int, error) {
			if id == "b" && attempt == 1 {
				return 500, nil
			}
			return 204, nil
		}}
		b := fresh(t, a)
		publish(t, b, "a", "b", "c", "d")
		forward(t, b, time.Minute)
		want(t, "arrived", []string{"a", "b", "c", "d", "b"}, a.got)
		want(t, "states", []string{"d forwarded 1 ", "c forwarded 1 ", "b forwarded 2 ", "a forwarded 1 "}, states(t, b))
	})
}

func TestPausesGrowUntilTheEventIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		a := &application{answer: func(context.Context, string, int) (int, error) {
			if broken {
				return 503, nil
			}
			return 200, nil
		}}
		b := fresh(t, a)
		publish(t, b, "a")
		forward(t, b, time.Hour)
		const s = time.Second
		want(t, "pauses", []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s, 60 * s}, a.pauses)
		want(t, "states", []string{"a failed 10 the application answered 503"}, states(t, b))

		broken, a.got = false, nil
		redrive(t, b, 1)
		redrive(t, b, 0)
		forward(t, b, time.Hour)
		want(t, "arrived", []string{"a"}, a.got)
		want(t, "states", []string{"a forwarded 1 "}, states(t, b))
	})
}

func TestAnApplicationThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(ctx context.Context, _ string, attempt int) (int, error) {
			if attempt == 1 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 200, nil
		}}
		b := fresh(t, a)
		publish(t, b, "a", "b")
		forward(t, b, timeout+time.Millisecond)
		if got := states(t, b); !strings.HasPrefix(got[1], "a waiting 1 ") {
			t.Error(got)
		}
		forward(t, b, time.Minute)
		want(t, "states", []string{"b forwarded 1 ", "a forwarded 2 "}, states(t, b))
	})
}

func TestARedirectIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(context.Context, string, int) (int, error) { return 307, nil }}
		b := fresh(t, a)
		publish(t, b, "a")
		forward(t, b, time.Millisecond)
		want(t, "arrived", []string{"a"}, a.got)
		want(t, "states", []string{"a waiting 1 the application answered 307"}, states(t, b))
	})
}

func TestErrorsDoNotTellTheURL(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, target := range map[string]string{
		"nobody there":       closed.URL + "/hunter2",
		"no URL":             "http://[::1/hunter2",
		"no scheme of ours":  "gopher://application.test/hunter2",
		"a password as well": strings.Replace(closed.URL, "http://", "http://user:hunter2@", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(database(t, filepath.Join(t.TempDir(), "db")), target)
			if err != nil {
				t.Fatal(err)
			}
			publish(t, b, "a")
			var log strings.Builder
			try(t, b, 1, slog.New(slog.NewTextHandler(&log, nil)))
			told := states(t, b)[0] + log.String()
			if !strings.HasPrefix(told, "a waiting 1 ") || !strings.Contains(told, "not forwarded") || strings.Contains(told, "hunter2") {
				t.Error(told)
			}
		})
	}
}

func TestForwardEndsAtOnceAndThatIsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(ctx context.Context, _ string, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		b := fresh(t, a)
		publish(t, b, "a")
		start := time.Now()
		forward(t, b, time.Second) // during an attempt
		want(t, "took", time.Second, time.Since(start))
		want(t, "states", []string{"a waiting 0 "}, states(t, b))

		a.answer = func(context.Context, string, int) (int, error) { return 500, nil }
		forward(t, b, time.Second/2) // during a pause
		want(t, "took", 3*time.Second/2, time.Since(start))
		a.answer = nil
		forward(t, b, time.Minute)
		want(t, "states", []string{"a forwarded 2 "}, states(t, b))
		forward(t, b, time.Minute) // with nothing to do
		want(t, "took", time.Second*3/2+2*time.Minute, time.Since(start))
	})
}

func TestARestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "db")
		a := &application{answer: func(_ context.Context, id string, _ int) (int, error) {
			if id == "done" {
				return 200, nil
			}
			return 500, nil
		}}
		db := database(t, file)
		b := open(t, db, a)
		publish(t, b, "dead")
		forward(t, b, time.Hour)
		publish(t, b, "done", "failing")
		forward(t, b, 10*time.Second) // four attempts, the fifth 15 s after the first
		publish(t, b, "fresh")
		db.Close()

		a = &application{}
		b = open(t, database(t, file), a)
		start := time.Now()
		forward(t, b, time.Minute)
		want(t, "arrived", []string{"fresh", "failing"}, a.got)
		want(t, "waited", 5*time.Second, a.attempts["failing"].Sub(start))
		want(t, "states", []string{
			"fresh forwarded 1 ", "failing forwarded 5 ", "done forwarded 1 ", "dead failed 10 the application answered 500",
		}, states(t, b))
		publish(t, b, "later")
		redrive(t, b, 1)
		forward(t, b, time.Minute)
		want(t, "arrived", []string{"fresh", "failing", "later", "dead"}, a.got)
	})
}

func TestEachDeadLetterIsRedrivenOnce(t *testing.T) {
	broken := true
	a := &application{answer: func(context.Context, string, int) (int, error) {
		if broken {
			return 500, nil
		}
		return 200, nil
	}}
	const count = 20
	synctest.Test(t, func(t *testing.T) {
		b := fresh(t, a)
		for i := range count {
			publish(t, b, fmt.Sprint(i))
		}
		forward(t, b, time.Hour)
		broken, a.got = false, nil
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var mu sync.Mutex
		total := 0
		group.Go(func() { b.Forward(ctx, quiet) })
		for range 8 {
			group.Go(func() {
				n, err := b.Redrive()
				mu.Lock()
				defer mu.Unlock()
				if total += n; err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Hour)
		cancel()
		group.Wait()
		if total != count || len(a.got) != count {
			t.Errorf("%d redriven, %d forwarded", total, len(a.got))
		}
	})
}

func TestWhatCannotBeStoredIsNotOnTheBus(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "db"))
	b := open(t, db, &application{})
	db.Close()
	if errs := b.Publish(t.Context(), []bus.Event{event("a"), event("b")}); len(errs) != 2 || errs[0] == nil || errs[1] == nil {
		t.Error(errs)
	}
}

// Changes that fail beside others make those run again.
func TestWhatFailsBesideAPublicationDoublesNothing(t *testing.T) {
	a := &application{}
	db := database(t, filepath.Join(t.TempDir(), "db"))
	b := open(t, db, a)
	groupcommittest.Spoil(t, db)
	var group sync.WaitGroup
	const sides, each = 8, 10
	for side := range sides {
		group.Go(func() {
			for i := range each {
				publish(t, b, fmt.Sprint(side, ".", i))
			}
		})
	}
	group.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	a.answer = func(context.Context, string, int) (int, error) {
		if a.mu.Lock(); len(a.got) == sides*each {
			time.AfterFunc(100*time.Millisecond, cancel)
		}
		a.mu.Unlock()
		return 200, nil
	}
	b.Forward(ctx, quiet)
	var published []string // the last first
	for _, s := range states(t, b) {
		id, _, _ := strings.Cut(s, " ")
		published = append(published, id)
	}
	slices.Reverse(published)
	if diff := cmp.Diff(published, a.got); diff != "" || len(published) != sides*each {
		t.Errorf("%d published: %s", len(published), diff)
	}
}

func TestADeadLetterThatIsReadTwiceIsTriedOnce(t *testing.T) {
	a := &application{}
	db := database(t, filepath.Join(t.TempDir(), "db"))
	b := open(t, db, a)
	publish(t, b, "a")
	all, err := b.Events()
	if err != nil {
		t.Fatal(err)
	}
	all[0].State = Failed
	if err := db.Update(func(tx *bbolt.Tx) error { return put(tx.Bucket(eventsBucket), 1, all[0]) }); err != nil {
		t.Fatal(err)
	}
	b = open(t, db, a)
	groupcommittest.Beside(db, func() { redrive(t, b, 1) })
	want(t, "waiting", []attempt{{sequence: 1}}, b.waiting)
	groupcommittest.Beside(db, func() { b = open(t, db, a) })
	want(t, "waiting after a restart", []attempt{{sequence: 1}}, b.waiting)
}
