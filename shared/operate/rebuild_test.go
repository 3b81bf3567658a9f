package operate_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
)

const rebuild = "replay -rebuild -provider acmesign -id e-1"

func TestRebuildFindsNoDifferenceAfterTheWorker(t *testing.T) {
	l := open(t)
	take(t, l, story[0], nil)
	take(t, l, story[1], func(c *ledger.Commit) { c.At = start }) // by a slow clock
	takeAll(t, l, story[2], happening{"e-1", "d", esign.AgreementUpdated, 4})
	_, err := l.Claim(t.Context(), happening{"e-1", "received", esign.AgreementSigned, 6}.commit().Claim)
	must(t, err)
	b := &recorder{}
	out, err := do(t, l, b, rebuild)
	if err != nil || !strings.Contains(out, "no difference, from 4 events") || len(b.sizes) > 0 {
		t.Errorf("%q, %v", out, err)
	}
}

func TestRebuildFindsNoDifferenceAfterACorrection(t *testing.T) {
	l := open(t)
	take(t, l, story[0], nil)
	take(t, l, story[1], func(c *ledger.Commit) { // without its time
		c.Event.OccurredAt, c.Event.Approximate = c.At, true
		after := esign.Fold(esign.Agreement{}, story[0].commit().Event)
		after = esign.Fold(after, c.Event)
		c.Agreement = &after
	})
	take(t, l, story[2], nil)
	history, err := l.History(t.Context(), "acmesign#e-1")
	must(t, err)
	effects, exact := ledger.Effects(history), story[1].commit()
	effects[1].Event = &exact.Event
	after := ledger.Rebuild(effects, false)
	correction := ledger.Correction{
		Claim: exact.Claim, Event: exact.Event, After: after[1], Agreement: after[2], Version: 3, At: start.Add(time.Hour),
	}
	must(t, l.Correct(t.Context(), correction))
	if out, err := do(t, l, nil, rebuild); err != nil || !strings.Contains(out, "no difference, from 3 events") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := do(t, forgetful{l, []string{"a"}}, nil, rebuild); err != nil || !strings.Contains(out, "1 of 4") {
		t.Errorf("the oldest has expired: %q, %v", out, err)
	}
}

func TestRebuildFindsDifferences(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*ledger.Commit) // of the second of three events, which completes the agreement
		want   string
	}{
		"the status was not raised": {func(c *ledger.Commit) { c.Agreement.Status = esign.Sent },
			"status: stored viewed, rebuilt completed"},
		"a time is missing": {func(c *ledger.Commit) { delete(c.Agreement.Reached, esign.Completed) },
			"reached completed: stored nothing, rebuilt 2026-11-02T08:32:00Z"},
		"a time that no event reported": {func(c *ledger.Commit) {
			c.Agreement.Reached[esign.Signed] = start.Add(time.Nanosecond)
		}, "reached signed: stored 2026-11-02T09:30:00.000000001Z, rebuilt nothing"},
		"a later update than any event's": {func(c *ledger.Commit) {
			c.Agreement.UpdatedAt = start.Add(time.Hour)
		}, "updated: stored 2026-11-02T10:30:00Z, rebuilt 2026-11-02T08:33:00Z"},
		"a participant that no event named": {func(c *ledger.Commit) {
			c.Agreement.Participants["x\x1b"] = esign.Progress{Status: esign.Signed, At: start}
		}, "participant x?: stored signed 2026-11-02T09:30:00Z, rebuilt nothing"},
		"a conflict without two terminal statuses": {func(c *ledger.Commit) {
			c.Agreement.Reached[esign.Declined] = start
		}, "conflict: stored true, rebuilt false"},
		"a status entered twice": {func(c *ledger.Commit) { c.StatusBefore = "" },
			`changed the status from "" to "completed", when it was "sent"`},
		"a status that no event entered": {func(c *ledger.Commit) { c.StatusBefore = esign.Completed },
			`status: stored "completed", last entered "sent"`},
		"a missing step": {func(c *ledger.Commit) { c.StatusBefore = esign.Viewed },
			`changed the status from "viewed" to "completed", when it was "sent"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			take(t, l, story[0], nil)
			take(t, l, story[1], tt.change)
			take(t, l, story[2], nil)
			out, err := do(t, l, nil, rebuild)
			if err == nil || !strings.Contains(out, tt.want) || strings.Contains(out, "no difference") {
				t.Errorf("%v, %s", err, out)
			}
		})
	}
}

// forgetful is a ledger some of whose events have expired.
type forgetful struct {
	*embedded.Ledger
	gone []string
}

func (f forgetful) History(ctx context.Context, subject string) ([]ledger.Entry, error) {
	history, err := f.Ledger.History(ctx, subject)
	return slices.DeleteFunc(history, func(e ledger.Entry) bool { return slices.Contains(f.gone, e.ID) }), err
}

func TestRebuildAfterAnExpiry(t *testing.T) {
	l := open(t)
	takeAll(t, l, story...)
	out, err := do(t, forgetful{l, []string{"a"}}, nil, rebuild)
	if err != nil || !strings.Contains(out, "1 of 3 events are gone") ||
		!strings.Contains(out, "no difference, from 2 events") {
		t.Errorf("the oldest has expired: %q, %v", out, err)
	}
	out, err = do(t, forgetful{l, []string{"b"}}, nil, rebuild)
	if err == nil || !strings.Contains(out, "1 of 3 events are gone") || !strings.Contains(out, "reached completed") {
		t.Errorf("one in the middle has expired: %q, %v", out, err)
	}
	if out, err = do(t, forgetful{l, []string{"a", "b", "c"}}, nil, rebuild); err == nil ||
		strings.Contains(out, "no difference") {
		t.Errorf("all have expired: %q, %v", out, err)
	}
}

// without is a ledger that has lost the agreement but kept its events.
type without struct{ *embedded.Ledger }

func (without) Agreement(context.Context, string) (esign.Agreement, int64, error) {
	return esign.Agreement{}, 0, nil
}

func TestRebuildFindsThatTheAgreementIsLost(t *testing.T) {
	l := open(t)
	takeAll(t, l, story...)
	out, err := do(t, without{l}, nil, rebuild)
	for _, said := range []string{"status: stored nothing, rebuilt completed",
		"version: stored 0, but there are 3 events"} {
		if err == nil || !strings.Contains(out, said) {
			t.Errorf("%q, %v", out, err)
		}
	}
}

func TestRebuildBeforeAnythingIsProcessed(t *testing.T) {
	l := open(t)
	_, err := l.Claim(t.Context(), story[0].commit().Claim)
	must(t, err)
	if out, err := do(t, l, nil, rebuild); err != nil || !strings.Contains(out, "no difference, from 0 events") {
		t.Errorf("%q, %v", out, err)
	}
}
