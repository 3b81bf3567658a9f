package operate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
)

func TestReplayOfAnAgreement(t *testing.T) {
	l := open(t)
	takeAll(t, l, story[0], happening{"e-2", "other", esign.AgreementSent, 1})
	late := happening{"e-1", "b", esign.AgreementCreated, 5} // has occurred first, was committed last
	take(t, l, late, func(c *ledger.Commit) { c.Event.OccurredAt = start.Add(-2 * time.Hour) })
	_, err := l.Claim(t.Context(), happening{"e-1", "received", esign.AgreementSigned, 6}.commit().Claim)
	must(t, err)
	b := &recorder{}
	out, err := do(t, l, b, "replay -provider acmesign -id e-1")
	if err != nil || b.ids() != "a b" || !strings.Contains(out, "2 events published again") {
		t.Errorf("published %s, said %s, %v", b.ids(), out, err)
	}
	history, err := l.History(t.Context(), "acmesign#e-1")
	must(t, err)
	first := slices.IndexFunc(history, func(e ledger.Entry) bool { return e.ID == "a" })
	want := bus.EventOf(history[first])
	want.Detail.Replay = true
	if diff := cmp.Diff(want, b.events[0]); diff != "" {
		t.Errorf("differs from the first publication in more than the mark: %s", diff)
	}
}

func TestReplayOfATimeRange(t *testing.T) {
	l := open(t)
	// in the minutes 1, 2 and 3
	takeAll(t, l, story...)
	// and of another one
	takeAll(t, l, happening{"e-2", "d", esign.AgreementSent, 0}, happening{"e-2", "e", esign.AgreementCreated, 2})
	b := &recorder{}
	out, err := do(t, l, b, "replay -from 2026-11-02T09:31:00Z -to 2026-11-02T10:33:00+01:00")
	if err != nil || b.ids() != "a b e" || !strings.Contains(out, "3 events published again") {
		t.Errorf("published %s, said %s, %v", b.ids(), out, err)
	}
	b = &recorder{}
	if _, err := do(t, l, b, "replay -from 2026-11-01 -to 2026-11-02"); err != nil || len(b.events) > 0 {
		t.Errorf("published %s, %v", b.ids(), err)
	}
	if _, err := do(t, l, b, "replay -from 2026-11-02 -to 2026-11-03"); err != nil || len(b.events) != 5 {
		t.Errorf("published %s, %v", b.ids(), err)
	}
}

func TestReplayContinuesAfterAFailedEvent(t *testing.T) {
	l := open(t)
	takeAll(t, l, story...)
	b := &recorder{refuse: map[string]error{"b": fmt.Errorf("no\x1b[2J bus: %w", bus.ErrRefused)}}
	out, err := do(t, l, b, "replay -provider acmesign -id e-1")
	if err == nil || b.ids() != "a c" {
		t.Errorf("published %s, %v", b.ids(), err)
	}
	for _, said := range []string{"acmesign#e-1 b not published: no?[2J bus", "2 events published again"} {
		if !strings.Contains(out, said) {
			t.Errorf("does not say %q: %q", said, out)
		}
	}
}

func TestReplayPublishesInBatches(t *testing.T) {
	l := open(t)
	for i := range 130 {
		takeAll(t, l, happening{"large", fmt.Sprintf("%03d", i), esign.AgreementUpdated, time.Duration(i)},
			happening{fmt.Sprint("small-", i), "only", esign.AgreementSent, 1})
	}
	b := &recorder{}
	if _, err := do(t, l, b, "replay -from 2026-11-01 -to 2026-11-30"); err != nil || len(b.events) != 260 {
		t.Errorf("published %d, %v", len(b.events), err)
	}
	if len(b.sizes) > 5 || slices.Max(b.sizes) > 100 {
		t.Errorf("batches of %v", b.sizes)
	}
}

func TestReplayStopsWhenItIsInterrupted(t *testing.T) {
	l := open(t)
	for i := range 300 {
		takeAll(t, l, happening{fmt.Sprint("agreement-", i), "only", esign.AgreementSent, 1})
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	b := &recorder{}
	replay, err := operate.Parse([]string{"replay", "-from", start.Format(time.RFC3339), "-to",
		start.Add(time.Hour).Format(time.RFC3339)})
	must(t, err)
	err = replay.Act(ctx, &strings.Builder{}, operate.Target{Ledger: l, Bus: b})
	if !errors.Is(err, context.Canceled) || len(b.sizes) != 1 {
		t.Errorf("published %v, %v", b.sizes, err)
	}
}

func TestReplayChangesNothing(t *testing.T) {
	l := open(t)
	takeAll(t, l, story...)
	before, err := l.Events()
	must(t, err)
	for _, command := range []string{"replay -provider acmesign -id e-1", "replay -rebuild -provider acmesign -id e-1",
		"inspect -provider acmesign -id e-1"} {
		_, err := do(t, l, &recorder{}, command)
		must(t, err)
	}
	after, err := l.Events()
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}
