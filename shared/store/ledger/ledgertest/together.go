package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// step is an event of a chain.
type step struct {
	id  string
	typ esign.Type
}

// chain folds events into an agreement, one nanosecond after each other.
func chain(subject string, agreement esign.Agreement, version int64, steps ...step) (effects []ledger.Commit) {
	for i, s := range steps {
		c := commitOf(claimOf(subject, s.id), s.typ, agreement, version+int64(i))
		c.At = c.At.Add(time.Duration(c.Version))
		agreement = *c.Agreement
		effects = append(effects, c)
	}
	return effects
}

// story is a chain whose order is not that of its IDs, and that enters no status with its third event.
func story(subject string) []ledger.Commit {
	return chain(subject, esign.Agreement{}, 0,
		step{"z", esign.AgreementSent}, step{"m", esign.AgreementSigned}, step{"x", esign.AgreementViewed},
		step{"a", esign.AgreementCompleted})
}

// wantCommitted checks that exactly these effects are committed, in their order.
func wantCommitted(t *testing.T, l Ledger, effects []ledger.Commit) {
	t.Helper()
	var want []ledger.Entry
	for _, c := range effects {
		want = append(want, processed(c))
	}
	last := effects[len(effects)-1]
	history, err := l.History(t.Context(), last.Subject)
	must(t, err)
	if diff := cmp.Diff(want, ledger.InOrderOfCommits(history), unequal); diff != "" {
		t.Error(diff)
	}
	agreement, version, err := l.Agreement(t.Context(), last.Subject)
	must(t, err)
	if diff := cmp.Diff(*last.Agreement, agreement); diff != "" || version != last.Version+1 {
		t.Errorf("version %d, %s", version, diff)
	}
}

func testCommitTogether(t *testing.T, l Ledger, subject string) {
	effects := story(subject)
	first := effects[0].Claim // one was claimed and counted, one set aside, two never seen
	_, err := l.Claim(t.Context(), first)
	must(t, err)
	must(t, l.Repeated(t.Context(), first.Key, "configuration/2"))
	must(t, l.MarkUnreadable(t.Context(), effects[1].Claim, start))
	must(t, l.Commit(t.Context(), effects...))
	must(t, l.Repeated(t.Context(), first.Key, ""))

	counted := processed(effects[0])
	counted.Duplicates, counted.Via = 2, []string{"configuration/1", "configuration/2"}
	history, err := l.History(t.Context(), subject)
	must(t, err)
	want := []ledger.Entry{counted, processed(effects[1]), processed(effects[2]), processed(effects[3])}
	want[1].UnreadableAt = start
	if diff := cmp.Diff(want, ledger.InOrderOfCommits(history), unequal); diff != "" {
		t.Error(diff)
	}
	agreement, version, err := l.Agreement(t.Context(), subject)
	must(t, err)
	if diff := cmp.Diff(*effects[3].Agreement, agreement); diff != "" || version != 4 {
		t.Errorf("version %d, %s", version, diff)
	}
	more := chain(subject, agreement, version, step{"y", esign.AgreementUpdated}, step{"b", esign.AgreementDeclined})
	must(t, l.Commit(t.Context(), more...))
	if agreement, version, err = l.Agreement(t.Context(), subject); err != nil || version != 6 || !agreement.Conflict {
		t.Errorf("version %d, %+v, %v", version, agreement, err)
	}
	if found := committed(t, l, subject, start, start.Add(time.Hour)); !slices.Equal(found[""],
		[]string{"z", "m", "x", "a", "y", "b"}) {
		t.Errorf("committed in the order %v", found[""])
	}
}

// testCommitTogetherIsAllOrNothing checks that nothing is written if one of the events, whichever, is processed.
func testCommitTogetherIsAllOrNothing(t *testing.T, l Ledger, subject string) {
	for done := range story(subject) {
		subject := fmt.Sprintf("%s-%d", subject, done)
		effects := story(subject)
		before := commitOf(effects[done].Claim, esign.AgreementSent, esign.Agreement{}, 0)
		must(t, l.Commit(t.Context(), before))
		if err := l.Commit(t.Context(), effects...); !errors.Is(err, ledger.ErrProcessed) {
			t.Errorf("event %d is processed and the version another: %v", done, err)
		}
		for i := range effects {
			effects[i].Version++
		}
		if err := l.Commit(t.Context(), effects...); !errors.Is(err, ledger.ErrProcessed) {
			t.Errorf("event %d is processed: %v", done, err)
		}
		wantCommitted(t, l, []ledger.Commit{before})
	}
}

func testCommitTogetherConflicts(t *testing.T, l Ledger, subject string) {
	before := commitOf(claimOf(subject, "before"), esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), before))
	for _, version := range []int64{0, 2} {
		late := chain(subject, esign.Agreement{}, version, step{"b", esign.AgreementViewed}, step{"a", esign.AgreementSigned})
		if err := l.Commit(t.Context(), late...); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("on version %d of 1: %v", version, err)
		}
	}
	wantCommitted(t, l, []ledger.Commit{before})
}

// testCommitTogetherTwice checks that a batch with the same event twice, which is a mistake, is refused.
func testCommitTogetherTwice(t *testing.T, l Ledger, subject string) {
	twice := chain(subject, esign.Agreement{}, 0, step{"a", esign.AgreementSent}, step{"b", esign.AgreementViewed},
		step{"a", esign.AgreementSent})
	if err := l.Commit(t.Context(), twice...); err == nil {
		t.Error("taken")
	}
	wantHistory(t, l, subject)
	if _, version, err := l.Agreement(t.Context(), subject); err != nil || version != 0 {
		t.Errorf("an agreement of version %d, %v", version, err)
	}
}

func testCommitTogetherWithoutAgreement(t *testing.T, l Ledger, subject string) {
	effects := chain(subject, esign.Agreement{}, 0, step{"b", esign.TemplateCreated}, step{"a", esign.TemplateUpdated})
	var want []ledger.Entry
	for i := range effects {
		effects[i].Agreement, effects[i].Version = nil, 0
		want = append(want, processed(effects[i]))
	}
	must(t, l.Commit(t.Context(), effects...))
	if err := l.Commit(t.Context(), effects...); !errors.Is(err, ledger.ErrProcessed) {
		t.Errorf("the same effects twice: %v", err)
	}
	history, err := l.History(t.Context(), subject)
	must(t, err)
	if diff := cmp.Diff(want, ledger.InOrderOfCommits(history), unequal); diff != "" {
		t.Error(diff)
	}
	if _, version, err := l.Agreement(t.Context(), subject); err != nil || version != 0 {
		t.Errorf("an agreement of version %d, %v", version, err)
	}
}

// testCommitTogetherAtOnce commits the same batch from several goroutines. One of them succeeds.
func testCommitTogetherAtOnce(t *testing.T, l Ledger, subject string) {
	effects := story(subject)
	commitAtOnce(t, l, effects...)
	wantCommitted(t, l, effects)
}

func testMaxCommits(t *testing.T, l Ledger, subject string) {
	steps := make([]step, ledger.MaxCommits)
	for i := range steps {
		steps[i] = step{fmt.Sprintf("%02d", len(steps)-i), esign.AgreementUpdated}
	}
	effects := chain(subject, esign.Agreement{}, 0, steps...)
	must(t, l.Commit(t.Context(), effects...))
	wantCommitted(t, l, effects)
}

// testLargestCommits checks that a batch that is too large is refused as a whole, and that each event can be committed
// alone.
func testLargestCommits(t *testing.T, l Ledger, subject string) {
	for _, participants := range []int{20, esign.MaxParticipants} {
		subject := fmt.Sprintf("%s-%d", subject, participants)
		effects := largest(subject, participants)
		err := l.Commit(t.Context(), effects...)
		if err != nil {
			if errors.Is(err, ledger.ErrProcessed) || errors.Is(err, ledger.ErrConflict) {
				t.Errorf("%d participants: %v", participants, err)
			}
			wantHistory(t, l, subject)
			for _, c := range effects {
				must(t, l.Commit(t.Context(), c))
			}
		}
		wantCommitted(t, l, effects)
	}
}

// largest returns ten events, each with all participants of an agreement.
func largest(subject string, participants int) (effects []ledger.Commit) {
	var agreement esign.Agreement
	for i := range 10 {
		c := commitOf(claimOf(subject, fmt.Sprintf("%d", 10-i)), esign.AgreementUpdated, agreement, int64(i))
		for p := range participants {
			c.Event.Participants = append(c.Event.Participants, esign.Participant{
				ID: fmt.Sprintf("sha256:%064d", p), Status: esign.Cancelled, At: start.Add(time.Duration(i)),
			})
		}
		agreement = esign.Fold(agreement, c.Event)
		after := agreement
		c.Agreement, c.StatusBefore, c.At = &after, agreement.Status, c.At.Add(time.Duration(i))
		effects = append(effects, c)
	}
	return effects
}
