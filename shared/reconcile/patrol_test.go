package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

// parts is a table in parts, with agreements that have stopped.
type parts struct {
	all    [][]ledger.Standing
	walked int
}

func (p *parts) Patrol(_ context.Context, from string, visit func(ledger.Standing) error) (string, error) {
	p.walked++
	n, _ := strconv.Atoi(from)
	for _, s := range p.all[n] {
		if err := visit(s); err != nil {
			return "", err
		}
	}
	if n++; n == len(p.all) {
		return "", nil
	}
	return strconv.Itoa(n), nil
}

// table returns parts with so many open agreements each, silent for two days.
func table(counts ...int) *parts {
	p := &parts{}
	for part, count := range counts {
		var all []ledger.Standing
		for i := range count {
			id := fmt.Sprintf("p%d-%d", part, i)
			all = append(all, ledger.Standing{
				Provider: "acmesign", Subject: "acmesign#" + id, AgreementID: id, Status: esign.Sent,
				Since: start.Add(-48 * time.Hour),
			})
		}
		p.all = append(p.all, all)
	}
	return p
}

// rounds runs passes for so many hours.
func (w *world) rounds(hours int) {
	w.t.Helper()
	for range hours * 4 {
		must(w.t, w.pass())
		w.now = w.now.Add(tick)
	}
}

func TestAPatrolAsksForEachAgreementOnce(t *testing.T) {
	w := newWorld(t)
	p := table(3, 0, 120, 49, 1, 200)
	lost := p.all[0][0] // has a stale claim in its part, and in the next one
	lost.EventID, lost.Status = "e", ""
	p.all[0], p.all[1] = append(p.all[0], lost), append(p.all[1], lost)
	w.Table = p
	for range 8 {
		asked := len(w.vendor.agreed)
		must(t, w.pass())
		if n := len(w.vendor.agreed) - asked; n > 50 {
			t.Errorf("%d calls in a pass", n)
		}
		w.now = w.now.Add(tick)
	}
	if slices.Sort(w.vendor.agreed); len(w.vendor.agreed) != 373 || len(slices.Compact(w.vendor.agreed)) != 373 {
		t.Errorf("asked for %d", len(w.vendor.agreed))
	}
}

func TestAPassReadsABoundedPartOfTheTableAndARoundTakesSixHours(t *testing.T) {
	w := newWorld(t)
	p := table(make([]int, 30)...)
	w.Table = p
	for n, want := range []int{20, 30, 30} {
		if must(t, w.pass()); p.walked != want {
			t.Errorf("%d parts behind pass %d, want %d", p.walked, n, want)
		}
		w.now = w.now.Add(tick)
	}
	full := table(50, 1)
	busy := newWorld(t)
	busy.Table = full
	if must(t, busy.pass()); full.walked != 1 {
		t.Errorf("%d parts though there is enough to ask for", full.walked)
	}
	w.now = start.Add(6*time.Hour - time.Second)
	if must(t, w.pass()); p.walked != 30 {
		t.Error("a round too early")
	}
	w.now = start.Add(6 * time.Hour)
	if must(t, w.pass()); p.walked != 50 {
		t.Errorf("no new round: %d parts", p.walked)
	}
	w.now = start.Add(-24 * time.Hour)
	must(t, w.pass())
	if must(t, w.pass()); p.walked != 80 {
		t.Errorf("a clock that went back stops the rounds: %d parts", p.walked)
	}
}

func TestSilence(t *testing.T) {
	for name, tt := range map[string]struct {
		after, silent time.Duration
		provider      string
		want          int
	}{
		"an event yesterday":           {24 * time.Hour, 23 * time.Hour, "acmesign", 0},
		"an event just so long ago":    {24 * time.Hour, 24 * time.Hour, "acmesign", 0},
		"silent for longer":            {24 * time.Hour, 25 * time.Hour, "acmesign", 1},
		"a forged event in the future": {24 * time.Hour, -1000 * time.Hour, "acmesign", 1},
		"silent, and asking is off":    {0, 1000 * time.Hour, "acmesign", 0},
		"another provider's":           {24 * time.Hour, 25 * time.Hour, "another", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := table(1)
			p.all[0][0].Since, p.all[0][0].Provider = start.Add(-tt.silent), tt.provider
			w.Table, w.SilentAfter = p, tt.after
			if w.rounds(5); len(w.vendor.agreed) != tt.want {
				t.Errorf("asked for %q", w.vendor.agreed)
			}
		})
	}
}

func TestAStaleClaimIsReportedOnceAndItsAgreementAskedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		age    time.Duration // when the first round begins
		silent time.Duration // SilentAfter
		first  int           // stale claims reported in the first round
	}{
		"an hour old":             {time.Hour, 0, 1},
		"younger":                 {time.Hour - time.Second, 0, 0},
		"from long before":        {1000 * time.Hour, 0, 1},
		"received after it began": {-time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.SilentAfter = tt.silent
			claimed := start.Add(-tt.age)
			d := w.happen("lost", esign.Sent, claimed)
			w.forget("lost", esign.Sent)
			claim(w, d, claimed)
			w.rounds(1)
			if n := w.counted()["StaleClaims"]; n != tt.first || (len(w.vendor.agreed) > 0) != (tt.first > 0) {
				t.Errorf("reported %d times, asked for %q", n, w.vendor.agreed)
			}
			if w.rounds(30); w.counted()["StaleClaims"]+tt.first != 1 || len(w.vendor.agreed) != 1 ||
				w.status("lost") != esign.Sent {
				t.Errorf("asked for %q", w.vendor.agreed)
			}
		})
	}
	t.Run("an event without an agreement is reported, and the vendor is not asked", func(t *testing.T) {
		w := newWorld(t)
		p := table(1)
		p.all[0][0] = ledger.Standing{Provider: "acmesign", Subject: "acmesign#template:1", EventID: "e",
			Since: start.Add(-2 * time.Hour)}
		w.Table = p
		w.rounds(1)
		if n := w.counted()["StaleClaims"]; n != 1 || len(w.vendor.agreed) > 0 ||
			!strings.Contains(w.log.String(), `"event":"e"`) {
			t.Errorf("reported %d times, asked for %q", n, w.vendor.agreed)
		}
	})
	t.Run("a clock that was ahead hides no claim", func(t *testing.T) {
		w := newWorld(t)
		w.now = start.Add(1000 * time.Hour)
		must(t, w.pass())
		w.now = start
		claim(w, w.happen("lost", esign.Sent, start), start.Add(-2*time.Hour))
		if w.rounds(24); w.counted()["StaleClaims"] == 0 {
			t.Error("not reported")
		}
	})
}

func TestAnAgreementThatTheVendorHasNoLongerIsNoFailure(t *testing.T) {
	for _, refusal := range []error{vendorapi.ErrUnknown, vendorapi.ErrInvalid} {
		w := newWorld(t)
		w.Table = table(60)
		w.vendor.answer = func(call string) error {
			if strings.HasPrefix(call, "agreement") {
				return fmt.Errorf("acmesign: %w", refusal)
			}
			return nil
		}
		w.rounds(5)
		if n := w.counted()["ReconcileFailed"]; n > 0 || strings.Count(w.log.String(), "no such agreement") != 60 ||
			strings.Contains(w.log.String(), "ERROR") {
			t.Errorf("%d failures; %d words", n, strings.Count(w.log.String(), "no such agreement"))
		}
	}
}

func TestAnImplausibleIDIsNotAskedFor(t *testing.T) {
	w := newWorld(t)
	found := table(3)
	found.all[0][0].AgreementID = strings.Repeat("x", 129)
	found.all[0][2].AgreementID = strings.Repeat("<", 100) // 600 bytes of the note
	w.Table = found
	must(t, w.pass())
	if !slices.Equal(w.vendor.agreed, []string{"p0-1"}) {
		t.Errorf("asked for %q", w.vendor.agreed)
	}
}

// paging is a vendor whose first page has this cursor, and whose second page cannot be read.
type paging struct {
	*vendor
	cursor string
}

func (v paging) Changed(ctx context.Context, from, to time.Time, page string) ([]vendorapi.Agreement, string, error) {
	if page != "" {
		return nil, "", errDown
	}
	changed, _, err := v.vendor.Changed(ctx, from, to, page)
	return changed, v.cursor, err
}

// TestTheLargestNoteFits fills all that a note holds: the waiting agreements and a part of the table full of others, the
// postponed statements, and the cursor. The IDs may be made up.
func TestTheLargestNoteFits(t *testing.T) {
	w := newWorld(t)
	full := table(49, ledger.MaxPart)
	for _, part := range full.all {
		for i := range part {
			part[i].AgreementID += strings.Repeat("x", 128-len(part[i].AgreementID))
		}
	}
	w.Table = full
	for i := range 1000 {
		id := fmt.Sprintf("%0128d", i)
		w.happen(id, esign.Cancelled, start.Add(-time.Hour))
		a := w.vendor.truth[id]
		a.VendorStatus = strings.Repeat("s", 100)
		w.vendor.truth[id] = a
	}
	w.vendor.untimed, w.vendor.pageSize = true, 1000
	w.vendor.answer = func(call string) error {
		if strings.HasPrefix(call, "agreement") {
			return errDown
		}
		return nil
	}
	cursor := strings.Repeat("c", 32<<10)
	w.Clients = func(context.Context, string) (vendorapi.Client, error) { return paging{w.vendor, cursor}, nil }
	if err := w.pass(); !errors.Is(err, errDown) {
		t.Error(err)
	}
	if w.longest < ledger.MaxNote*3/4 || len(w.sent) != 500 {
		t.Errorf("the longest note has %d bytes, with %d statements that are not postponed", w.longest, len(w.sent))
	}
	w = newWorld(t)
	w.Clients = func(context.Context, string) (vendorapi.Client, error) { return paging{w.vendor, cursor + "c"}, nil }
	if err := w.pass(); err == nil || !strings.Contains(err.Error(), "32769 bytes") {
		t.Errorf("a cursor that does not fit: %v", err)
	}
}

func TestFailedAgreementsDoNotBlockOthers(t *testing.T) {
	w := newWorld(t)
	w.Table = table(40, 60, 100)
	refused := func(call string) bool { return strings.HasPrefix(call, "agreement p0-1") } // 11 of them
	w.vendor.answer = func(call string) error {
		if refused(call) {
			return errDown
		}
		return nil
	}
	for range 8 {
		if err := w.pass(); err != nil && !errors.Is(err, errDown) {
			t.Error(err)
		}
		w.now = w.now.Add(tick)
	}
	slices.Sort(w.vendor.agreed)
	if n := len(slices.Compact(w.vendor.agreed)); n != 189 {
		t.Errorf("asked for %d", n)
	}
	w.vendor.answer, w.vendor.agreed = nil, nil
	must(t, w.pass())
	if n := len(w.vendor.agreed); n != 11 ||
		slices.ContainsFunc(w.vendor.agreed, func(id string) bool { return !refused("agreement " + id) }) {
		t.Errorf("afterwards asked for %q", w.vendor.agreed)
	}
}

func TestAWaitingAgreementOutlivesItsRound(t *testing.T) {
	w := newWorld(t)
	claim(w, w.happen("lost", esign.Sent, start), start.Add(-2*time.Hour)) // is found in one round only
	w.forget("lost", esign.Declined)
	w.vendor.answer = func(call string) error {
		if strings.HasPrefix(call, "agreement") {
			return errDown
		}
		return nil
	}
	for range 13 * 4 {
		if err := w.pass(); !errors.Is(err, errDown) {
			t.Error(err)
		}
		w.now = w.now.Add(tick)
	}
	w.vendor.answer = nil
	if must(t, w.pass()); w.status("lost") != esign.Declined {
		t.Error("not asked for")
	}
}

func TestAVendorThatIsDownOrDeniesIsAskedFewTimes(t *testing.T) {
	for failure, want := range map[error]int{errDown: 3, vendorapi.ErrDenied: 1} {
		w := newWorld(t)
		w.Table = table(30)
		calls := 0
		w.vendor.answer = func(call string) error {
			if strings.HasPrefix(call, "agreement") {
				calls++
			}
			return failure
		}
		if err := w.pass(); !errors.Is(err, failure) || calls != want {
			t.Errorf("%d calls, %v", calls, err)
		}
		w.vendor.answer = nil
		if must(t, w.pass()); len(w.vendor.agreed) != 30 {
			t.Errorf("then asked for %d", len(w.vendor.agreed))
		}
	}
}

func TestADeniedAgreementWaitsForTheNextRound(t *testing.T) {
	w := newWorld(t)
	w.Table = table(5)
	w.vendor.answer = func(call string) error {
		if call == "agreement p0-0" || call == "agreement p0-3" {
			return vendorapi.ErrDenied
		}
		return nil
	}
	failed := 0
	for range 8 {
		if err := w.pass(); errors.Is(err, vendorapi.ErrDenied) {
			failed++
		} else {
			must(t, err)
		}
		w.now = w.now.Add(tick)
	}
	if diff := cmp.Diff([]string{"p0-1", "p0-2", "p0-4"}, w.vendor.agreed); diff != "" || failed != 1 {
		t.Errorf("%d passes failed; asked for %s", failed, diff)
	}
	w.vendor.answer = nil
	w.now = start.Add(6 * time.Hour)
	if must(t, w.pass()); !slices.Contains(w.vendor.agreed, "p0-0") || !slices.Contains(w.vendor.agreed, "p0-3") {
		t.Errorf("in the next round asked for %q", w.vendor.agreed[3:])
	}
}
