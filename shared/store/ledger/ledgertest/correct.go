package ledgertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// inexact returns an effect whose event has the time of its arrival.
func inexact(subject, id string, typ esign.Type, before esign.Agreement, version int64) ledger.Commit {
	claim := claimOf(subject, id)
	claim.OccurredAt = start.Add(time.Duration(version)) // only of the event
	c := commitOf(claim, typ, before, version)
	c.Event.Approximate, c.OccurredAt = true, time.Time{}
	after := esign.Fold(before, c.Event)
	c.Agreement = &after
	return c
}

// correctionOf returns a correction of the effect, which is the last one.
func correctionOf(c ledger.Commit, before esign.Agreement) ledger.Correction {
	exact := ledger.Correction{Claim: c.Claim, Event: c.Event, Version: c.Version + 1, At: start.Add(time.Hour)}
	exact.OccurredAt = start.Add(-time.Hour)
	exact.Proof, exact.SHA256, exact.Size, exact.Via = esign.ProofURLToken, "ee", 99, "configuration/2"
	exact.Event.OccurredAt, exact.Event.Approximate, exact.Event.Proof = exact.OccurredAt, false, exact.Proof
	exact.After = esign.Fold(before, exact.Event)
	exact.Agreement = exact.After
	exact.Agreement.Conflict = true // later events may have changed it
	return exact
}

func corrected(c ledger.Commit, x ledger.Correction) ledger.Entry {
	e := processed(c)
	e.OccurredAt, e.CorrectedAt, e.Event, e.Agreement = x.OccurredAt, x.At, &x.Event, &x.After
	e.Proof, e.SHA256, e.Size = x.Proof, x.SHA256, x.Size
	return e
}

func testClaimWithoutTime(t *testing.T, l Ledger, subject string) {
	c := inexact(subject, "a", esign.AgreementSigned, esign.Agreement{}, 0)
	find := func(when string, want ledger.Found) {
		t.Helper()
		later := c.Claim
		later.OccurredAt = start // not recorded: the event is known
		if when == "first" {
			later = c.Claim
		}
		if got, err := l.Claim(t.Context(), later); err != nil || got != want {
			t.Errorf("%s: found %+v, %v; want %+v", when, got, err, want)
		}
	}
	find("first", ledger.Found{})
	find("received", ledger.Found{State: ledger.Received, Inexact: true})
	must(t, l.Commit(t.Context(), c))
	find("processed", ledger.Found{State: ledger.Processed, Inexact: true})
	must(t, l.Correct(t.Context(), correctionOf(c, esign.Agreement{})))
	find("corrected", ledger.Found{State: ledger.Processed})
}

func testCorrect(t *testing.T, l Ledger, subject string) {
	sent := commitOf(claimOf(subject, "a"), esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), sent))
	signed := inexact(subject, "b", esign.AgreementSigned, *sent.Agreement, 1)
	must(t, l.Commit(t.Context(), signed))
	if err := l.Commit(t.Context(), signed); !errors.Is(err, ledger.ErrInexact) || !errors.Is(err, ledger.ErrProcessed) {
		t.Errorf("the same effect twice: %v", err)
	}
	exact := correctionOf(signed, *sent.Agreement)
	must(t, l.Correct(t.Context(), exact))
	if err := l.Correct(t.Context(), exact); !errors.Is(err, ledger.ErrProcessed) || errors.Is(err, ledger.ErrInexact) {
		t.Errorf("the same correction twice: %v", err)
	}
	if err := l.Commit(t.Context(), signed); !errors.Is(err, ledger.ErrProcessed) || errors.Is(err, ledger.ErrInexact) {
		t.Errorf("the effect after the correction: %v", err)
	}
	must(t, l.Repeated(t.Context(), signed.Key, "configuration/2"))
	want := corrected(signed, exact)
	want.Duplicates, want.Via = 1, []string{"configuration/1", "configuration/2"}
	wantHistory(t, l, subject, want, processed(sent)) // it occurred before the other
	agreement, version, err := l.Agreement(t.Context(), subject)
	must(t, err)
	if diff := cmp.Diff(exact.Agreement, agreement); diff != "" || version != 3 {
		t.Errorf("version %d, %s", version, diff)
	}
	must(t, l.Commit(t.Context(), commitOf(claimOf(subject, "c"), esign.AgreementCompleted, agreement, version)))
}

func testCorrectConflict(t *testing.T, l Ledger, subject string) {
	signed := inexact(subject, "a", esign.AgreementSigned, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), signed))
	exact := correctionOf(signed, esign.Agreement{})
	for _, version := range []int64{0, 2} {
		exact.Version = version
		if err := l.Correct(t.Context(), exact); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("on version %d of 1: %v", version, err)
		}
	}
	wantCommitted(t, l, []ledger.Commit{signed})
	exact.Version = 1
	must(t, l.Correct(t.Context(), exact))
	late := commitOf(claimOf(subject, "b"), esign.AgreementViewed, *signed.Agreement, 1)
	if err := l.Commit(t.Context(), late); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("an effect that was folded before the correction: %v", err)
	}
}

// testCorrectNothing checks that only an event that was processed without its exact time is corrected.
func testCorrectNothing(t *testing.T, l Ledger, subject string) {
	signed := inexact(subject, "a", esign.AgreementSigned, esign.Agreement{}, 0)
	exact := correctionOf(signed, esign.Agreement{})
	refused := func(when string) {
		t.Helper()
		if err := l.Correct(t.Context(), exact); !errors.Is(err, ledger.ErrProcessed) {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("unknown")
	wantHistory(t, l, subject)
	_, err := l.Claim(t.Context(), signed.Claim)
	must(t, err)
	refused("received")
	timely := signed
	timely.Event.Approximate = false
	must(t, l.Commit(t.Context(), timely))
	refused("processed with its exact time")
	wantCommitted(t, l, []ledger.Commit{timely})
}

func testCorrectAtOnce(t *testing.T, l Ledger, subject string) {
	signed := inexact(subject, "a", esign.AgreementSigned, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), signed))
	var group sync.WaitGroup
	done := make(chan struct{}, 8)
	for range cap(done) {
		group.Go(func() {
			err := l.Correct(t.Context(), correctionOf(signed, esign.Agreement{}))
			for n := 0; n < 1000 && errors.Is(err, ledger.ErrConflict); n++ { // with another transaction
				err = l.Correct(t.Context(), correctionOf(signed, esign.Agreement{}))
			}
			if err == nil {
				done <- struct{}{}
			} else if !errors.Is(err, ledger.ErrProcessed) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(done) != 1 {
		t.Errorf("corrected %d times", len(done))
	}
}
