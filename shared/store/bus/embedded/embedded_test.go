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
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/outlet"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/groupcommit/groupcommittest"
	"esignhooks/shared/store/bus"
)

var quiet = slog.New(slog.DiscardHandler)

func openDB(t *testing.T, path string) *groupcommit.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Update(checkIndex(t)) // unless the test has closed it
		db.Close()
	})
	return groupcommit.New(db)
}

// checkIndex checks that the index is the one that would be made of the events.
func checkIndex(t *testing.T) func(*bbolt.Tx) error {
	waiting := func(tx *bbolt.Tx) (keys []string) {
		tx.Bucket(waitingBucket).ForEach(func(k, _ []byte) error {
			keys = append(keys, fmt.Sprintf("%x", k))
			return nil
		})
		return keys
	}
	return func(tx *bbolt.Tx) error {
		kept := waiting(tx)
		if err := errors.Join(DropIndex(tx), makeIndex(tx)); err != nil {
			t.Error(err)
		}
		want(t, "index", waiting(tx), kept)
		return nil
	}
}

func TestTheListHasPages(t *testing.T) {
	b := open(t, newDB(t), nil)
	for _, source := range []string{"esign.a", "esign.b", "esign.ab", "esign.a", "esign.a"} {
		e := bus.Event{Source: source, Detail: bus.Detail{Event: esign.Event{
			Attributes: map[string]string{"source": "esign.b"}}}}
		if errs := b.Publish(t.Context(), []bus.Event{e}); errs[0] != nil {
			t.Fatal(errs)
		}
	}
	for source, numbers := range map[string]string{"": "54321", "esign.a": "541", "esign.b": "2", "esign": ""} {
		for limit := 1; limit < 7; limit++ {
			got, cursor := "", ""
			for more := true; more; more = cursor != "" {
				page, next, err := b.EventsAfter(source, cursor, limit)
				if err != nil || next != "" && len(page) != limit {
					t.Fatal(len(page), err)
				}
				for _, p := range page {
					got += p.Envelope.ID[len(p.Envelope.ID)-1:]
				}
				cursor = next
			}
			want(t, fmt.Sprintf("%s, %d a page", source, limit), numbers, got)
		}
	}
}

func newDB(t *testing.T) *groupcommit.DB {
	t.Helper()
	return openDB(t, filepath.Join(t.TempDir(), "db"))
}

// open returns a bus in db that forwards to an application. Without an application, it forwards nothing.
func open(t *testing.T, db *groupcommit.DB, a *application) *Bus {
	t.Helper()
	var to *outlet.Sender
	if a != nil {
		to = sender("http://application.test/hook?token=hunter2", a)
	}
	b, err := New(db, to, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sender(target string, transport http.RoundTripper) *outlet.Sender {
	s := &outlet.Sender{URL: target, Client: outlet.NewClient(), Now: time.Now}
	s.Client.Transport = transport
	return s
}

// application answers 200, or as the answer function decides.
type application struct {
	answer func(ctx context.Context, eventID string, attempt int) (status int, err error)

	mu       sync.Mutex
	requests []string             // method, content type and body of each
	got      []string             // event IDs, in the order of arrival
	attempts map[string]time.Time // time of the last attempt, by event ID
	pauses   []time.Duration      // before each retry
}

// answering returns an application that always answers with this status.
func answering(status int) *application {
	return &application{answer: func(context.Context, string, int) (int, error) { return status, nil }}
}

// RoundTrip implements [http.RoundTripper].
func (a *application) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var envelope struct{ Detail bus.Detail }
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, err
	}
	a.requests = append(a.requests, r.Method+" "+r.Header.Get("Content-Type")+" "+string(body))
	id := envelope.Detail.EventID
	status := http.StatusOK
	if attempt := a.arrived(id); a.answer != nil {
		status, err = a.answer(r.Context(), id, attempt)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Location": {"/elsewhere"}}, Body: http.NoBody, Request: r,
	}, nil
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
		Source: "esign.acmesign", DetailType: "agreement.sent",
		Time: time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.FixedZone("", 3600)),
		Detail: bus.Detail{
			EventID: id, Event: esign.Event{
				ID: id, Subject: "acmesign#" + strings.TrimRight(id, "0123456789"), Provider: "acmesign", Type: esign.AgreementSent,
			},
		},
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

// forward runs Forward for this long.
func forward(t *testing.T, b *Bus, duration time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	b.Forward(ctx, quiet)
}

func try(t *testing.T, b *Bus, sequence uint64, log *slog.Logger) {
	t.Helper()
	if err := b.forward(t.Context(), log, sequence); err != nil {
		t.Fatal(err)
	}
}

// states returns ID, state, attempts and error of each event, the newest first.
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
	b := open(t, newDB(t), nil)
	publish(t, b, "a", "b")
	publish(t, b, "c")
	publish(t, b)
	want(t, "states", []string{"c unforwarded 0 ", "b unforwarded 0 ", "a unforwarded 0 "}, states(t, b))
	redrive(t, b, 0)
}

// SPEC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
func TestTheEnvelopeIsEventBridges(t *testing.T) {
	a := &application{}
	b := open(t, newDB(t), a)
	publish(t, b, "a", "a")
	try(t, b, 1, quiet)
	try(t, b, 2, quiet)
	detail, err := json.Marshal(event("a").Detail)
	if err != nil {
		t.Fatal(err)
	}
	envelope := `POST application/json {"version":"0","id":"00000000-0000-4000-8000-00000000000%d",` +
		`"detail-type":"agreement.sent","source":"esign.acmesign","account":"000000000000",` +
		`"time":"2026-11-02T08:30:00Z","region":"localhost","resources":[],"detail":` + string(detail) + `}`
	want(t, "requests", []string{fmt.Sprintf(envelope, 1), fmt.Sprintf(envelope, 2)}, a.requests)
}

func TestEventsAreForwardedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{}
		b := open(t, newDB(t), a)
		publish(t, b, "a", "b", "c")
		time.AfterFunc(time.Minute, func() { publish(t, b, "d", "e") }) // wakes Forward up
		forward(t, b, time.Hour)
		want(t, "arrived", []string{"a", "b", "c", "d", "e"}, a.got)
		want(t, "states", []string{
			"e forwarded 1 ", "d forwarded 1 ", "c forwarded 1 ", "b forwarded 1 ", "a forwarded 1 ",
		}, states(t, b))
		want(t, "took", time.Minute, a.attempts["e"].Sub(a.attempts["a"]))
	})
}

func TestAFailedEventDoesNotBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(_ context.Context, id string, attempt int) (int, error) {
			if id == "b" && attempt == 1 {
				return 500, nil
			}
			return 204, nil
		}}
		b := open(t, newDB(t), a)
		publish(t, b, "a", "b", "c", "d")
		forward(t, b, time.Minute)
		want(t, "arrived", []string{"a", "b", "c", "d", "b"}, a.got)
		want(t, "states", []string{"d forwarded 1 ", "c forwarded 1 ", "b forwarded 2 ", "a forwarded 1 "}, states(t, b))
	})
}

// Events are about the same agreement if their IDs differ only in the number at the end.
func TestAFailedEventBlocksLaterOnesOfItsAgreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		a := &application{answer: func(_ context.Context, id string, _ int) (int, error) {
			if down && id == "a1" {
				return 500, nil
			}
			return 204, nil
		}}
		db := newDB(t)
		b := open(t, db, a)
		publish(t, b, "a1", "b1", "a2", "b2", "a3")
		forward(t, b, 2*time.Second)
		want(t, "arrived", []string{"a1", "b1", "b2", "a1"}, a.got)
		b = open(t, db, a) // a restart changes nothing
		down, a.got = false, nil
		publish(t, b, "a4", "b3")
		forward(t, b, time.Minute)
		want(t, "arrived", []string{"b3", "a1", "a2", "a3", "a4"}, a.got)
	})
}

func TestPausesGrowUntilTheEventFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(503)
		b := open(t, newDB(t), a)
		publish(t, b, "a")
		forward(t, b, time.Hour)
		const s = time.Second
		want(t, "pauses", []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s, 60 * s}, a.pauses)
		want(t, "states", []string{"a failed 10 the application answered 503"}, states(t, b))

		a.answer, a.got = nil, nil
		redrive(t, b, 1)
		redrive(t, b, 0)
		forward(t, b, time.Hour)
		want(t, "arrived", []string{"a"}, a.got)
		want(t, "states", []string{"a forwarded 1 "}, states(t, b))
	})
}

func TestAnApplicationThatHangsTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(ctx context.Context, _ string, attempt int) (int, error) {
			if attempt == 1 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 200, nil
		}}
		b := open(t, newDB(t), a)
		publish(t, b, "a", "b")
		forward(t, b, outlet.Timeout+time.Millisecond)
		if got := states(t, b); !strings.HasPrefix(got[1], "a waiting 1 ") {
			t.Error(got)
		}
		forward(t, b, time.Minute)
		want(t, "states", []string{"b forwarded 1 ", "a forwarded 2 "}, states(t, b))
	})
}

func TestARedirectIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answering(307)
		b := open(t, newDB(t), a)
		publish(t, b, "a")
		forward(t, b, time.Millisecond)
		want(t, "arrived", []string{"a"}, a.got)
		want(t, "states", []string{"a waiting 1 the application answered 307"}, states(t, b))
	})
}

func TestErrorsDoNotContainTheURL(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, target := range map[string]string{
		"nothing listens":    closed.URL + "/hunter2",
		"not a URL":          "http://[::1/hunter2",
		"unsupported scheme": "gopher://application.test/hunter2",
		"with a password":    strings.Replace(closed.URL, "http://", "http://user:hunter2@", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(newDB(t), sender(target, nil), nil, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			publish(t, b, "a")
			var log strings.Builder
			try(t, b, 1, slog.New(slog.NewTextHandler(&log, nil)))
			output := states(t, b)[0] + log.String()
			if !strings.HasPrefix(output, "a waiting 1 ") || !strings.Contains(output, "not forwarded") ||
				strings.Contains(output, "hunter2") {
				t.Error(output)
			}
		})
	}
}

func TestAnInterruptedAttemptIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &application{answer: func(ctx context.Context, _ string, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		b := open(t, newDB(t), a)
		publish(t, b, "a")
		start := time.Now()
		forward(t, b, time.Second) // during an attempt
		want(t, "took", time.Second, time.Since(start))
		want(t, "states", []string{"a waiting 0 "}, states(t, b))

		a.answer = answering(500).answer
		forward(t, b, time.Second/2) // during a pause
		want(t, "took", 3*time.Second/2, time.Since(start))
		a.answer = nil
		forward(t, b, time.Minute)
		want(t, "states", []string{"a forwarded 2 "}, states(t, b))
		forward(t, b, time.Minute) // with nothing to do
		want(t, "took", time.Second*3/2+2*time.Minute, time.Since(start))
	})
}

func TestForwardingContinuesAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "db")
		a := &application{answer: func(_ context.Context, id string, _ int) (int, error) {
			if id == "done" {
				return 200, nil
			}
			return 500, nil
		}}
		db := openDB(t, file)
		b := open(t, db, a)
		publish(t, b, "dead")
		forward(t, b, time.Hour)
		publish(t, b, "done", "failing")
		forward(t, b, 10*time.Second) // four attempts; the fifth is due 15 s after the first
		publish(t, b, "fresh")
		db.Close()

		a = &application{}
		b = open(t, openDB(t, file), a)
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

// TestAClockThatWasAheadDelaysNoAttempt sets the clock back by a day between two processes.
func TestAClockThatWasAheadDelaysNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "db")
		ahead := func() time.Time { return time.Now().Add(24 * time.Hour) }
		db := openDB(t, file)
		b, err := New(db, sender("http://127.0.0.1:8080/events", answering(500)), nil, ahead)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, b, "early")
		forward(t, b, 2*time.Second)
		db.Close()

		a := &application{}
		forward(t, open(t, openDB(t, file), a), 2*maxPause)
		want(t, "arrived", []string{"early"}, a.got)
	})
}

func TestEachFailedEventIsRedrivenOnce(t *testing.T) {
	const count = 20
	synctest.Test(t, func(t *testing.T) {
		a := answering(500)
		b := open(t, newDB(t), a)
		for i := range count {
			publish(t, b, fmt.Sprint(i, "."))
		}
		forward(t, b, time.Hour)
		a.answer, a.got = nil, nil
		var total atomic.Int32
		for range 8 {
			go func() {
				n, err := b.Redrive()
				if total.Add(int32(n)); err != nil {
					t.Error(err)
				}
			}()
		}
		forward(t, b, time.Hour)
		if total.Load() != count || len(a.got) != count {
			t.Errorf("%d redriven, %d forwarded", total.Load(), len(a.got))
		}
	})
}

func TestPublishFailsIfTheFileIsClosed(t *testing.T) {
	db := newDB(t)
	b := open(t, db, &application{})
	db.Close()
	errs := b.Publish(t.Context(), []bus.Event{event("a"), event("b")})
	if len(errs) != 2 || errs[0] == nil || errs[1] == nil {
		t.Error(errs)
	}
}

func TestAPublicationThatRunsAgainAddsNoDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, db := &application{}, newDB(t)
		b := open(t, db, a)
		stop := groupcommittest.Spoil(t, db)
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
		stop()
		forward(t, b, time.Minute)
		var published []string
		for _, s := range states(t, b) {
			id, _, _ := strings.Cut(s, " ")
			published = append(published, id)
		}
		slices.Reverse(published)
		if diff := cmp.Diff(published, a.got); diff != "" || len(published) != sides*each {
			t.Errorf("%d published: %s", len(published), diff)
		}
	})
}

func TestARedriveOrRestartThatRunsAgainAddsNoDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, db := &application{}, newDB(t)
		b := open(t, db, a)
		publish(t, b, "a")
		all, err := b.Events()
		if err != nil {
			t.Fatal(err)
		}
		all[0].State = Failed
		if err := db.Update(func(tx *bbolt.Tx) error { return b.put(tx, 1, all[0]) }); err != nil {
			t.Fatal(err)
		}
		b = open(t, db, a)
		groupcommittest.RunTwice(db, func() { redrive(t, b, 1) })
		want(t, "waiting", []attempt{{sequence: 1, subject: "acmesign#a"}}, b.waiting)
		groupcommittest.RunTwice(db, func() { b = open(t, db, a) })
		want(t, "waiting after a restart", []attempt{{sequence: 1, subject: "acmesign#a"}}, b.waiting)
	})
}
