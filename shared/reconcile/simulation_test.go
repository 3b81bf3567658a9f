package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// lives are possible sequences of an agreement's statuses.
var lives = [][]esign.Status{
	{esign.Created, esign.Sent, esign.Viewed, esign.Completed},
	{esign.Sent, esign.Viewed, esign.Declined},
	{esign.Sent, esign.Cancelled},
	{esign.Sent, esign.Completed},
	{esign.Created, esign.Sent, esign.Viewed},
	{esign.Sent},
}

func TestAllAgreementsGetTheVendorsStatusWhateverWebhooksAreLost(t *testing.T) {
	for name, tt := range map[string]struct {
		agreements, pageSize int
		untimed              bool
		drops                func(random *rand.Rand, at time.Duration) bool // since the start
	}{
		"a vendor that drops 20 % of its webhooks": {300, 7, false,
			func(random *rand.Rand, _ time.Duration) bool { return random.IntN(5) == 0 }},
		"a vendor whose webhook is disabled for a day": {300, 50, false,
			func(_ *rand.Rand, at time.Duration) bool { return at > 6*time.Hour && at < 30*time.Hour }},
		"a vendor that drops 20 % and omits times": {100, 7, true,
			func(random *rand.Rand, _ time.Duration) bool { return random.IntN(5) == 0 }},
		"a vendor that never calls": {100, 100, false, func(*rand.Rand, time.Duration) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, 8))
			w := newWorld(t)
			w.vendor.pageSize, w.vendor.untimed = tt.pageSize, tt.untimed
			happenings := map[int][]func() *webhook.Delivery{} // by tick
			const ticks = 2 * 24 * 4
			for i := range tt.agreements {
				id, at := fmt.Sprintf("e-%d", i), random.IntN(ticks)
				for _, status := range lives[random.IntN(len(lives))] {
					happenings[at] = append(happenings[at], func() *webhook.Delivery { return w.happen(id, status, w.now) })
					if at += 1 + random.IntN(ticks/4); at >= ticks {
						break
					}
				}
			}
			var late []*webhook.Delivery
			for n := range ticks + 3 {
				for _, happens := range happenings[n] {
					if d := happens(); tt.drops(random, w.now.Sub(start)) {
						late = append(late, d)
					} else {
						w.deliver(d)
					}
				}
				must(t, w.pass())
				w.now = w.now.Add(tick)
			}
			if wrong := w.wrong(); len(wrong) > 0 || len(w.vendor.truth) != tt.agreements {
				t.Errorf("%d agreements have another status: %.10q", len(wrong), wrong)
			}
			counted := w.counted()
			if counted["Reconciled"] == 0 || counted["Reconciled"] != len(w.sent) || counted["ReconcileFailed"] > 0 ||
				counted["Contradicted"] > 0 {
				t.Errorf("counted %v of %d findings", counted, len(w.sent))
			}
			for _, d := range late {
				w.deliver(d)
				if s := entry(t, w, d.Subject, d.EventID); s.StatusBefore != s.StatusAfter {
					t.Errorf("a late webhook changed %s from %s to %s", d.Subject, s.StatusBefore, s.StatusAfter)
				}
			}
			if wrong := w.wrong(); len(wrong) > 0 {
				t.Errorf("wrong after late webhooks: %.10q", wrong)
			}
			enteredOnce(t, w)
		})
	}
}

func TestAVendorThatPagesThroughTenThousandAgreements(t *testing.T) {
	slow.Test(t)
	w := newWorld(t)
	w.vendor.pageSize = 40
	w.happen("e-0", esign.Sent, start.Add(-6*time.Hour)) // at the vendor only, without its webhook
	for i := range 10_000 {
		a := w.vendor.truth["e-0"]
		a.ID = fmt.Sprintf("e-%d", i)
		w.vendor.truth[a.ID] = a
	}
	for n := range 6 {
		if n == 5 && len(w.wrong()) > 0 {
			t.Errorf("%d are wrong", len(w.wrong()))
		}
		must(t, w.pass())
		if n < 5 && len(w.vendor.windows) != 50*(n+1) {
			t.Errorf("%d pages after pass %d", len(w.vendor.windows), n)
		}
		w.now = w.now.Add(tick)
	}
	if counted := w.counted(); counted["Reconciled"] != 10_000 {
		t.Errorf("counted %v", counted)
	}
}

func entry(t *testing.T, w *world, subject, id string) ledger.Entry {
	t.Helper()
	history, err := w.ledger.History(t.Context(), subject)
	must(t, err)
	for _, e := range history {
		if e.ID == id {
			return e
		}
	}
	t.Fatalf("no event %s", id)
	return ledger.Entry{}
}

// enteredOnce checks that each status is entered once, and that exactly the findings are confirmed.
func enteredOnce(t *testing.T, w *world) {
	t.Helper()
	all, err := w.ledger.Events()
	must(t, err)
	entered := map[string]int{}
	for _, e := range all {
		if e.State != ledger.Processed {
			continue
		}
		if e.StatusBefore != e.StatusAfter {
			entered[e.Subject+" "+string(e.StatusAfter)]++
		}
		if found := e.VendorType == "reconciled"; found != (e.Proof == esign.ProofConfirmed) || e.Agreement.Conflict {
			t.Errorf("%+v", e)
		}
	}
	for what, times := range entered {
		if times > 1 || strings.HasSuffix(what, " ") {
			t.Errorf("%s was entered %d times", what, times)
		}
	}
}
