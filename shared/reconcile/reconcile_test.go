package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/stored"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// troubled returns a world with work for every step of a pass.
func troubled(t *testing.T) *world {
	w := newWorld(t)
	w.vendor.pageSize, w.Repair = 3, true
	w.vendor.subscriptions[0].Active = false
	w.vendor.steps = []vendorapi.Step{{Description: "activate it", Do: func(context.Context) error {
		return w.vendor.call("activate", func() { w.vendor.subscriptions[0].Active = true })
	}}}
	for i := range 7 {
		w.happen(fmt.Sprintf("missed-%d", i), esign.Sent, start.Add(-time.Duration(i+1)*time.Hour))
	}
	w.happen("untimed", esign.Sent, start.Add(-time.Hour))
	for _, id := range []string{"silent-1", "silent-2"} {
		w.open(id, start.Add(-48*time.Hour))
		w.forget(id, esign.Completed)
	}
	d := w.happen("lost", esign.Sent, start.Add(-30*time.Hour))
	w.forget("lost", esign.Declined)
	claim(w, d, start.Add(-30*time.Hour))
	return w
}

// claim records a webhook that was received and never processed.
func claim(w *world, d *webhook.Delivery, at time.Time) {
	d.ReceivedAt = at
	id, _ := strings.CutPrefix(d.Subject, "acmesign#")
	_, err := w.ledger.Claim(w.t.Context(), ledger.NewClaim(d, "envelope-sent", id, time.Time{}))
	must(w.t, err)
}

// TestAFaultAtAnyStep lets each external call fail once, in each way. The following passes repair everything.
func TestAFaultAtAnyStep(t *testing.T) {
	for _, fault := range []string{before, after, dies} {
		t.Run(fault, func(t *testing.T) {
			for n := 1; ; n++ {
				w := troubled(t)
				w.failing, w.fault = n, fault
				err := w.pass()
				w.failing = 0
				steps := w.step
				counted := w.counted()
				if n > steps {
					if n < 30 {
						t.Errorf("only %d steps", n)
					}
					must(t, err)
					return
				}
				if err == nil || counted["ReconcileFailed"] != 1 || !strings.Contains(w.log.String(), `"reconciliation failed"`) {
					t.Errorf("step %d: %v, counted %v", n, err, counted)
				}
				if fault != dies && !errors.Is(err, errDown) {
					t.Errorf("step %d: %v", n, err)
				}
				for range 2 {
					w.now = w.now.Add(tick)
					must(t, w.pass())
				}
				if wrong := w.wrong(); len(wrong) > 0 || !w.vendor.subscriptions[0].Active {
					t.Errorf("after a fault at step %d these are wrong: %q, subscription active: %v", n, wrong,
						w.vendor.subscriptions[0].Active)
				}
				enteredOnce(t, w)
				counted = w.counted()
				if counted["ReconcileFailed"] > 0 {
					t.Errorf("step %d: still failing", n)
				}
			}
		})
	}
}

func TestWindows(t *testing.T) {
	type at = time.Duration // since the start
	window := func(from, to at, page string) asked { return asked{start.Add(from), start.Add(to), page} }
	const day, settle = 24 * time.Hour, -10 * time.Minute
	for name, tt := range map[string]struct {
		passes []at
		list   int     // number of agreements that changed before the start, one on each page
		want   []asked // in the last pass
	}{
		"the first window starts a day and the overlap before": {[]at{0}, 0,
			[]asked{window(-day-time.Hour, settle, "")}},
		"the next window starts at the end of the first, minus the overlap": {[]at{0, tick}, 0,
			[]asked{window(settle-time.Hour, tick+settle, "")}},
		"a long time is split into days": {[]at{0, 60 * time.Hour}, 0, []asked{
			window(settle-time.Hour, settle+day, ""), window(settle+day-time.Hour, settle+2*day, ""),
			window(settle+2*day-time.Hour, settle+60*time.Hour, ""),
		}},
		"a pass continues with the windows that the last one did not reach": {[]at{0, 53 * day, 53*day + tick}, 0, []asked{
			window(settle+50*day-time.Hour, settle+51*day, ""), window(settle+51*day-time.Hour, settle+52*day, ""),
			window(settle+52*day-time.Hour, settle+53*day, ""), window(settle+53*day-time.Hour, settle+53*day+tick, ""),
		}},
		"a window of many pages continues at its page": {[]at{0, tick}, 52, []asked{
			window(-day-time.Hour, settle, "50"), window(-day-time.Hour, settle, "51"),
			window(settle-time.Hour, tick+settle, ""),
		}},
		"after the clock went back, the next window ends at the clock": {[]at{0, -5 * time.Hour}, 0, []asked{
			window(-5*time.Hour+settle-time.Hour, -5*time.Hour+settle, ""),
		}},
		"a time skipped by a clock that ran ahead is compared": {[]at{0, 365 * day, 1000 * day, tick}, 0,
			[]asked{window(settle+tick-time.Hour, settle+tick, "")}},
		"two passes at the same time compare the same": {[]at{0, 0}, 0,
			[]asked{window(settle-time.Hour, settle, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.pageSize = 1
			for i := range tt.list {
				w.happen(fmt.Sprintf("e-%d", i), esign.Sent, start.Add(-90*time.Minute))
			}
			for _, at := range tt.passes {
				w.now, w.vendor.windows = start.Add(at), nil
				if err := w.pass(); err != nil && at < 53*day { // falling so far behind is a failure
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, w.vendor.windows, cmp.AllowUnexported(asked{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnUnknownPageRestartsTheWindow(t *testing.T) {
	for _, refusal := range []error{vendorapi.ErrInvalid, vendorapi.ErrUnknown} {
		w := newWorld(t)
		w.vendor.pageSize = 1
		for i := range 3 {
			w.happen(fmt.Sprintf("e-%d", i), esign.Sent, start.Add(-time.Hour))
		}
		w.vendor.answer = func(call string) error {
			if call == "changed 1" {
				return refusal
			}
			return nil
		}
		if err := w.pass(); !errors.Is(err, refusal) {
			t.Errorf("%v", err)
		}
		w.vendor.answer = nil
		must(t, w.pass())
		if wrong := w.wrong(); len(wrong) > 0 || w.vendor.windows[2].page != "" ||
			w.vendor.windows[2].from != w.vendor.windows[0].from {
			t.Errorf("wrong %q, windows %v", wrong, w.vendor.windows)
		}
	}
}

func TestComparison(t *testing.T) {
	long, settled := start.Add(-3*time.Hour), start.Add(-11*time.Minute)
	type known struct {
		status esign.Status
		at     time.Time
	}
	for name, tt := range map[string]struct {
		ours         []known
		vendor       esign.Status
		changedAt    time.Time
		reconciled   int
		contradicted int
	}{
		"an agreement that we do not know": {nil, esign.Sent, settled, 1, 0},
		"an agreement with a later status at the vendor": {[]known{{esign.Sent, long}}, esign.Completed, settled, 1,
			0},
		"an agreement with the same status": {[]known{{esign.Sent, long}}, esign.Sent, settled, 0, 0},
		"an agreement with an earlier status at the vendor": {[]known{{esign.Viewed, long}}, esign.Sent, settled, 0,
			0},
		"a change whose webhook may be under way": {[]known{{esign.Sent, long}}, esign.Completed,
			start.Add(-9 * time.Minute), 0, 0},
		"a change during the pass": {[]known{{esign.Sent, long}}, esign.Completed,
			start.Add(time.Second), 0, 0},
		"an unknown status": {[]known{{esign.Completed, long}}, "", settled, 0, 0},
		"a terminal status that is missing": {[]known{{esign.Sent, long}}, esign.Declined, settled, 1,
			0},
		"another terminal status, lower than ours": {[]known{{esign.Completed, long}}, esign.Declined,
			settled, 1, 1},
		"another terminal status, higher than ours": {[]known{{esign.Declined, long}}, esign.Completed,
			settled, 1, 0},
		"another terminal status, already recorded": {[]known{{esign.Declined, long}, {esign.Completed, long}},
			esign.Declined, settled, 0, 1},
		"a terminal status that the vendor lacks": {[]known{{esign.Completed, long}}, esign.Sent, settled, 0,
			1},
		"a terminal status that the vendor may not list yet": {[]known{{esign.Completed, start.Add(-50 * time.Minute)}},
			esign.Sent, settled, 0, 0},
		"a terminal status in the future": {[]known{{esign.Completed, start.Add(1000 * time.Hour)}},
			esign.Sent, settled, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.SilentAfter = 0
			for _, o := range tt.ours {
				w.deliver(w.happen("e-1", o.status, o.at))
			}
			w.vendor.truth["e-1"] = vendorapi.Agreement{ID: "e-1", Status: tt.vendor, VendorStatus: "theirs",
				ChangedAt: tt.changedAt}
			w.Clients = func(context.Context, string) (vendorapi.Client, error) { return lister{w.vendor}, nil }
			must(t, w.pass())
			counted := w.counted()
			if counted["Reconciled"] != tt.reconciled || len(w.sent) != tt.reconciled ||
				counted["Contradicted"] != tt.contradicted {
				t.Errorf("counted %v, sent %d", counted, len(w.sent))
			}
			must(t, w.pass())
			if len(w.sent) != tt.reconciled {
				t.Error("the second pass found it again")
			}
		})
	}
}

// lister is a vendor that lists all its agreements, whatever their time.
type lister struct{ *vendor }

func (l lister) Changed(context.Context, time.Time, time.Time, string) (all []vendorapi.Agreement, next string,
	err error) {
	for _, a := range l.truth {
		all = append(all, a)
	}
	return all, "", nil
}

func TestAChangeWithoutATimeWaitsForItsWebhook(t *testing.T) {
	for name, tt := range map[string]struct {
		comes func(w *world)
		want  int
	}{
		"which comes":                       {func(w *world) { w.deliver(w.happen("e-1", esign.Viewed, start)) }, 0},
		"which does not come":               {func(*world) {}, 1},
		"while a later one comes":           {func(w *world) { w.deliver(w.happen("e-1", esign.Completed, start)) }, 0},
		"while another webhook is lost too": {func(w *world) { w.happen("e-1", esign.Completed, start) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.untimed = true
			w.open("e-1", start.Add(-2*time.Hour))
			w.happen("e-1", esign.Viewed, start)
			must(t, w.pass())
			w.now = start.Add(9 * time.Minute)
			must(t, w.pass())
			tt.comes(w)
			w.now = start.Add(tick)
			if must(t, w.pass()); len(w.sent) != tt.want {
				t.Errorf("%d findings", len(w.sent))
			}
			w.now = start.Add(2 * tick)
			if must(t, w.pass()); len(w.wrong()) > 0 {
				t.Errorf("wrong: %q", w.wrong())
			}
		})
	}
}

func TestAnOlderStatusIsNoContradiction(t *testing.T) {
	w := newWorld(t)
	w.vendor.untimed = true
	w.open("e-1", start.Add(-2*time.Hour))
	w.happen("e-1", esign.Viewed, start)
	must(t, w.pass())
	w.deliver(w.happen("e-1", esign.Completed, start.Add(time.Minute)))
	w.now = start.Add(5 * time.Hour)
	must(t, w.pass())
	if counted := w.counted(); counted["Contradicted"] > 0 || counted["Reconciled"] > 0 {
		t.Errorf("counted %v", counted)
	}
}

func TestAPanicInOneStepDoesNotStopOthers(t *testing.T) {
	w := troubled(t)
	w.vendor.answer = func(call string) error {
		if strings.HasPrefix(call, "changed") {
			panic("secret of an answer")
		}
		return nil
	}
	if err := w.pass(); err == nil || strings.Contains(w.log.String(), "secret of") ||
		!strings.Contains(w.log.String(), "changes.go") {
		t.Errorf("%v, %s", err, w.log.String())
	}
	if w.status("silent-1") != esign.Completed {
		t.Error("the patrol did not run")
	}
}

func TestAPostponedChangeIsStoredOnce(t *testing.T) {
	w := newWorld(t)
	w.vendor.untimed = true
	w.happen("e-1", esign.Sent, start.Add(-30*time.Minute))
	for range 3 { // before it is due
		must(t, w.pass())
	}
	note, _, err := w.ledger.Note(t.Context(), "acmesign/reconciled")
	if must(t, err); strings.Count(note, `"e-1"`) != 1 {
		t.Error(note)
	}
}

func TestProgressOfOtherReleases(t *testing.T) {
	const name = "acmesign/reconciled"
	w := newWorld(t)
	must(t, w.ledger.PutNote(t.Context(), name, stored.NoteV1(t, name), 0))
	must(t, w.pass())
	note, version, err := w.ledger.Note(t.Context(), name)
	if must(t, err); !strings.Contains(note, `"v":1`) {
		t.Errorf("no version in %s", note)
	}
	newer := strings.Replace(note, `"v":1`, `"v":2,"later":"in another format"`, 1)
	must(t, w.ledger.PutNote(t.Context(), name, newer, version))
	if err := w.pass(); err == nil || !strings.Contains(w.log.String(), "deploy that release") {
		t.Errorf("%v, %s", err, &w.log)
	}
	if note, _, err := w.ledger.Note(t.Context(), name); note != newer {
		t.Errorf("the note of a newer release became %s, %v", note, err)
	}
}

func TestTooManyChangesWithoutATimeAreNotPostponed(t *testing.T) {
	w := newWorld(t)
	w.vendor.untimed = true
	w.happen("e-0", esign.Sent, start.Add(-time.Hour))
	for i := range 510 {
		a := w.vendor.truth["e-0"]
		a.ID = fmt.Sprintf("e-%d", i)
		w.vendor.truth[a.ID] = a
	}
	for _, want := range []int{10, 510} {
		if must(t, w.pass()); len(w.sent) != want {
			t.Errorf("%d findings, want %d", len(w.sent), want)
		}
		w.now = w.now.Add(tick)
	}
}

func TestAFinding(t *testing.T) {
	w := newWorld(t)
	w.happen("e-1", esign.Sent, start.Add(-time.Hour))
	must(t, w.pass())
	history, err := w.ledger.History(t.Context(), "acmesign#e-1")
	must(t, err)
	if len(history) != 1 {
		t.Fatalf("%d events", len(history))
	}
	got := history[0].Event
	want := &esign.Event{
		ID: got.ID, Provider: "acmesign", Type: esign.AgreementSent, VendorType: "reconciled", Subject: "acmesign#e-1",
		AgreementID: "e-1",
		OccurredAt:  start.Add(-time.Hour), ReceivedAt: start, Proof: esign.ProofConfirmed,
		Attributes: map[string]string{"vendorStatus": "sent"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestARateLimitEndsThePassQuietly(t *testing.T) {
	for _, call := range []string{"subscriptions", "changed", "agreement silent-1"} {
		t.Run(call, func(t *testing.T) {
			w := troubled(t)
			limited, reached := true, false
			w.vendor.answer = func(c string) error {
				if limited && reached {
					t.Errorf("%s was called in the same pass, after the limit", c)
				}
				if reached = limited && strings.HasPrefix(c, call); reached {
					return fmt.Errorf("acmesign: %w", &vendorapi.LaterError{After: 20 * time.Minute})
				}
				return nil
			}
			must(t, w.pass())
			limited = false
			asked := w.vendor.seen()
			for range 2 { // at once, and before the limit ends
				must(t, w.pass())
				w.now = start.Add(19 * time.Minute)
			}
			if n := w.vendor.seen(); n != asked {
				t.Errorf("%d calls before the limit ends", n-asked)
			}
			w.now = start.Add(20 * time.Minute)
			must(t, w.pass())
			w.now = w.now.Add(tick)
			must(t, w.pass())
			if counted := w.counted(); len(w.wrong()) > 0 || counted["ReconcileFailed"] > 0 {
				t.Errorf("wrong %q, counted %v", w.wrong(), counted)
			}
		})
	}
}

// seen returns the number of calls that the vendor has recorded.
func (v *vendor) seen() int { return len(v.windows) + len(v.agreed) + len(v.repaired) }

func TestARateLimitThatLastsForDaysIsAFailure(t *testing.T) {
	w := newWorld(t)
	must(t, w.pass())
	limit := 30 * time.Minute
	w.vendor.answer = func(string) error { return &vendorapi.LaterError{After: limit} }
	for w.now = start; w.now.Sub(start) < 47*time.Hour; w.now = w.now.Add(tick) {
		must(t, w.pass())
	}
	if n := w.counted()["ReconcileFailed"]; n > 0 {
		t.Errorf("%d failures before", n)
	}
	w.now = start.Add(49 * time.Hour)
	for range 4 { // also while we wait
		if err := w.pass(); err == nil {
			t.Error("no error")
		}
		w.now = w.now.Add(tick)
	}
	if n := w.counted()["ReconcileFailed"]; n != 4 {
		t.Errorf("%d failures counted", n)
	}
}

func TestABacklogOfDaysIsAFailure(t *testing.T) {
	w := newWorld(t)
	w.vendor.pageSize = 1
	for i := range 200 { // pages, of which a pass reads 50
		w.vendor.truth[strconv.Itoa(i)] = vendorapi.Agreement{ID: strconv.Itoa(i), ChangedAt: start.Add(-time.Hour)}
	}
	for failed, want := range []int{0, 1} {
		if w.now = start.Add(time.Duration(failed) * 25 * time.Hour); (w.pass() != nil) != (want > 0) ||
			w.counted()["ReconcileFailed"] != want {
			t.Errorf("%s after the start: not %d failures", w.now.Sub(start), want)
		}
	}
}

func TestAnAgreementThatMayHaveBeenDeletedIsNotRecordedAgain(t *testing.T) {
	const day = 24 * time.Hour
	yesterday, long := start.Add(-day), start.Add(-31*day)
	for name, tt := range map[string]struct {
		remembers time.Duration
		known     bool
		status    esign.Status
		listed    time.Time // zero: the list has no time
		changed   time.Time // in the vendor's answer about the agreement; zero: no time either
		want      int
	}{
		"a terminal status older than the table's retention": {30 * day, false, esign.Completed, long, long, 0},
		"the same, without a time in the list": {30 * day, false, esign.Completed, time.Time{}, long,
			0},
		"the same, without any time": {30 * day, false, esign.Completed, time.Time{},
			time.Time{}, 1},
		"the same, of an agreement in the table": {30 * day, true, esign.Completed, long, long, 1},
		"a terminal status within the retention": {30 * day, false, esign.Completed, yesterday,
			yesterday, 1},
		"a terminal status within the retention, without a time in the list": {30 * day, false, esign.Completed, time.Time{},
			yesterday, 1},
		"an old terminal status, with unlimited retention":                {0, false, esign.Completed, long, long, 1},
		"an old terminal status without a time, with unlimited retention": {0, false, esign.Completed, time.Time{}, long, 1},
		"an open agreement older than the retention":                      {30 * day, false, esign.Sent, long, long, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Remembers, w.SilentAfter = tt.remembers, 0
			if tt.known {
				w.open("e-1", long)
			}
			w.vendor.truth["e-1"] = vendorapi.Agreement{ID: "e-1", Status: tt.status, ChangedAt: tt.changed}
			listed := w.vendor.truth["e-1"]
			listed.ChangedAt = tt.listed
			w.Clients = func(context.Context, string) (vendorapi.Client, error) { return listing{w.vendor, listed}, nil }
			for range 2 { // an agreement without a time waits for the next pass
				must(t, w.pass())
				w.now = w.now.Add(tick)
			}
			if len(w.sent) != tt.want || w.counted()["Reconciled"] != tt.want {
				t.Errorf("found %d", len(w.sent))
			}
			if asked := len(w.vendor.agreed); tt.remembers == 0 && asked > 0 {
				t.Errorf("asked %d times for nothing", asked)
			}
		})
	}
}

// listing is a vendor that lists one agreement.
type listing struct {
	*vendor
	only vendorapi.Agreement
}

func (l listing) Changed(context.Context, time.Time, time.Time, string) ([]vendorapi.Agreement, string, error) {
	return []vendorapi.Agreement{l.only}, "", nil
}

func TestARateLimitHoldsForADayAtMost(t *testing.T) {
	for name, now := range map[string]time.Time{
		"a limit of a year":             start.Add(25 * time.Hour),
		"a clock that was a year ahead": start.Add(-365 * 24 * time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.answer = func(string) error { return &vendorapi.LaterError{After: 365 * 24 * time.Hour} }
			must(t, w.pass())
			w.vendor.answer, w.now = nil, now
			must(t, w.pass())
			if w.vendor.seen() == 0 {
				t.Error("no call is made")
			}
		})
	}
}

func TestUnsupportedCallsAreSkipped(t *testing.T) {
	w := troubled(t)
	w.vendor.answer = func(string) error { return fmt.Errorf("acmesign has none: %w", errors.ErrUnsupported) }
	must(t, w.pass())
	must(t, w.pass())
	if diff := cmp.Diff(map[string]int{"ReconcileFailed": 0, "StaleClaims": 1}, w.counted()); diff != "" {
		t.Error(diff)
	}
	if len(w.vendor.windows) != 2 {
		t.Errorf("windows %v", w.vendor.windows)
	}
}

func TestWithoutCredentialsNothingHappens(t *testing.T) {
	w := troubled(t)
	w.Clients = func(_ context.Context, provider string) (vendorapi.Client, error) {
		return nil, fmt.Errorf("%s: %w", provider, vendorapi.ErrOff)
	}
	must(t, w.pass())
	if w.step > 0 || len(w.counted()) > 0 || w.log.Len() > 0 {
		t.Errorf("%d steps, %s", w.step, w.log.String())
	}
}

// named is AcmeSign under another name.
type named struct {
	acmesign.Provider
	name string
}

func (n named) Info() webhook.Info {
	info := n.Provider.Info()
	info.Name = n.name
	return info
}

func TestAFailingProviderDoesNotStopOthers(t *testing.T) {
	asked := make(chan struct{}) // closed by the first call of a working provider
	for name, fail := range map[string]func() (vendorapi.Client, error){
		"wrong credentials":    func() (vendorapi.Client, error) { return nil, errDown },
		"a client that panics": func() (vendorapi.Client, error) { return nil, nil },
		"a client that hangs": func() (vendorapi.Client, error) {
			select {
			case <-asked:
			case <-time.After(10 * time.Second):
				t.Error("the other providers wait for it")
			}
			return nil, errDown
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := troubled(t)
			delete(w.vendor.truth, "untimed")
			for _, other := range []string{"other-1", "other-2", "other-3"} {
				w.Providers = append(w.Providers, named{name: other})
			}
			var once sync.Once
			w.vendor.answer = func(call string) error {
				if strings.HasPrefix(call, "changed") && strings.HasSuffix(name, "hangs") {
					once.Do(func() { close(asked) })
				}
				return nil
			}
			w.Clients = func(_ context.Context, provider string) (vendorapi.Client, error) {
				if provider == "acmesign" {
					return w.vendor, nil
				}
				return fail()
			}
			err := w.pass()
			if wrong := w.wrong(); len(wrong) > 0 || err == nil || strings.Contains(err.Error(), "acmesign") {
				t.Errorf("%v; wrong: %q", err, wrong)
			}
			if n := w.counted()["ReconcileFailed"]; n != 3 {
				t.Errorf("%d failed", n)
			}
		})
	}
}

func TestAPassEndsBeforeItsDeadline(t *testing.T) {
	for name, tt := range map[string]struct {
		takes  time.Duration // a call
		failed int
		min    int // calls
	}{
		"a vendor that hangs":              {time.Hour, 1, 1},
		"a slow vendor":                    {25 * time.Second, 0, 5},
		"a vendor whose last call is slow": {100 * time.Second, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i := range 100 {
				w.happen(fmt.Sprintf("e-%d", i), esign.Sent, start.Add(-2*time.Hour))
			}
			must(t, w.pass())
			w.counted()
			w.vendor.pageSize = 1
			w.now = w.now.Add(tick)
			for id, a := range w.vendor.truth {
				a.ChangedAt = start
				w.vendor.truth[id] = a
			}
			var calls atomic.Int64
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				w.Clients = func(context.Context, string) (vendorapi.Client, error) {
					return lagging{w.vendor, tt.takes, &calls}, nil
				}
				began := time.Now()
				err := w.Run(ctx)
				if took := time.Since(began); took > 5*time.Minute-9*time.Second {
					t.Errorf("took %s", took)
				}
				if (err != nil) != (tt.failed > 0) {
					t.Error(err)
				}
			})
			if n := w.counted()["ReconcileFailed"]; n != tt.failed || int(calls.Load()) < tt.min {
				t.Errorf("%d failed, %d calls", n, calls.Load())
			}
		})
	}
}

// lagging is a vendor whose calls take time.
type lagging struct {
	*vendor
	takes time.Duration
	calls *atomic.Int64
}

func (s lagging) Changed(ctx context.Context, from, to time.Time, page string) ([]vendorapi.Agreement, string, error) {
	s.calls.Add(1)
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	return s.vendor.Changed(ctx, from, to, page)
}

func TestTheEndOfTheProcessIsNoFailure(t *testing.T) {
	w := troubled(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.vendor.answer = func(string) error {
		cancel()
		return context.Canceled
	}
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) || len(w.counted()) > 0 || w.log.Len() > 0 {
		t.Errorf("%v, %s", err, w.log.String())
	}
}

func TestConcurrentPassesSucceed(t *testing.T) {
	w := troubled(t)
	delete(w.vendor.truth, "untimed")
	meanwhile := true
	w.vendor.answer = func(call string) error {
		if call == "changed 3" && meanwhile {
			meanwhile = false
			must(t, w.Run(t.Context())) // the second pass completes during the first
		}
		return nil
	}
	must(t, w.pass())
	if wrong := w.wrong(); len(wrong) > 0 {
		t.Errorf("wrong: %q", wrong)
	}
	if counted := w.counted(); counted["ReconcileFailed"] > 0 {
		t.Errorf("counted %v", counted)
	}
	enteredOnce(t, w)
}

func TestLogsHoldNoSecret(t *testing.T) {
	w := troubled(t)
	w.Webhook = func(context.Context, string) (string, webhook.Keys, error) {
		return address, webhook.Keys{URLTokens: webhook.Secrets("token-secret")}, nil
	}
	w.vendor.subscriptions[0].URL = address + "/old-secret"
	must(t, w.pass())
	if text := w.log.String(); strings.Contains(text, "secret") || !strings.Contains(text, "subscription repaired") {
		t.Error(text)
	}
	if !slices.Equal(w.vendor.repaired, []string{address + "/token-secret"}) {
		t.Errorf("repaired %q", w.vendor.repaired)
	}
}

// TestAForgottenAgreementIsNotMissed lets an operator forget agreements that the vendor still lists: one that a pass
// has postponed, one that waits to be asked about, and one that changes at the vendor.
func TestAForgottenAgreementIsNotMissed(t *testing.T) {
	for name, inNotes := range map[string]bool{"by the tombstone alone": false, "by the notes too": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.happen("untimed", esign.Sent, start.Add(-time.Hour)) // of a change without a time
			w.open("silent", start.Add(-48*time.Hour))
			w.happen("changed", esign.Completed, start.Add(-time.Hour))
			w.forget("silent", esign.Completed)
			w.vendor.answer = func(call string) error {
				if call == "agreement silent" {
					return errDown // it waits for the next pass
				}
				return nil
			}
			if err := w.pass(); err == nil {
				t.Fatal("the vendor was reached")
			}
			w.vendor.answer, w.sent = nil, nil
			for id, noted := range map[string]int{"untimed": 1, "silent": 1, "changed": 0} {
				subject := webhook.AgreementSubject(acmesign.Name, id)
				must(t, w.ledger.Bury(t.Context(), subject, w.now))
				_, err := w.ledger.Erase(t.Context(), subject, nil)
				must(t, err)
				if !inNotes {
					continue
				}
				for _, want := range []int{noted, 0} {
					named, err := reconcile.Forget(t.Context(), w, acmesign.Name, id, true)
					if must(t, err); named != want {
						t.Errorf("%s was in %d places, want %d", id, named, want)
					}
				}
			}
			w.happen("changed", esign.Declined, w.now.Add(time.Minute))
			w.happen("other", esign.Sent, w.now.Add(time.Minute))
			w.counted()
			w.now = w.now.Add(2 * tick)
			if must(t, w.pass()); len(w.sent) != 1 || w.counted()["Reconciled"] != 1 || w.status("other") != esign.Sent {
				t.Errorf("%d findings", len(w.sent))
			}
			note, _, err := w.ledger.Note(t.Context(), acmesign.Name+"/reconciled")
			if must(t, err); strings.Contains(note, "silent") || strings.Contains(note, "untimed") {
				t.Errorf("the note: %s", note)
			}
		})
	}
}
