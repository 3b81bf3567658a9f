// Package ledgertest is the suite that every driver of the ledger passes.
package ledgertest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

var (
	start   = time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	unequal = cmpopts.EquateEmpty()
)

// Ledger is everything that a driver implements.
type Ledger interface {
	ledger.Ledger
	ledger.Reader
	ledger.Notes
	ledger.Patroller
	ledger.Forgetter
}

// Run runs the suite. open makes an empty ledger, or one in which no other test has used the subject that it is asked
// for.
func Run(t *testing.T, open func(t *testing.T) Ledger) {
	for name, test := range map[string]func(*testing.T, Ledger, string){
		"Claim":                          testClaim,
		"ClaimAtOnce":                    testClaimAtOnce,
		"Repeated":                       testRepeated,
		"Commit":                         testCommit,
		"CommitWithoutClaim":             testCommitWithoutClaim,
		"CommitOfAnotherCopy":            testCommitOfAnotherCopy,
		"ManySubscriptions":              testManySubscriptions,
		"CommitAtOnce":                   testCommitAtOnce,
		"CommitConflict":                 testCommitConflict,
		"CommitWithoutAgreement":         testCommitWithoutAgreement,
		"CommitTogether":                 testCommitTogether,
		"CommitTogetherIsAllOrNothing":   testCommitTogetherIsAllOrNothing,
		"CommitTogetherConflicts":        testCommitTogetherConflicts,
		"CommitTogetherTwice":            testCommitTogetherTwice,
		"CommitTogetherWithoutAgreement": testCommitTogetherWithoutAgreement,
		"CommitTogetherAtOnce":           testCommitTogetherAtOnce,
		"MaxCommits":                     testMaxCommits,
		"LargestCommits":                 testLargestCommits,
		"ClaimWithoutTime":               testClaimWithoutTime,
		"Correct":                        testCorrect,
		"CorrectConflict":                testCorrectConflict,
		"CorrectNothing":                 testCorrectNothing,
		"CorrectAtOnce":                  testCorrectAtOnce,
		"Unreadable":                     testUnreadable,
		"UnreadableAfterClaim":           testUnreadableAfterClaim,
		"Event":                          testEvent,
		"Duplicate":                      testDuplicate,
		"DuplicateOfNothing":             testDuplicateOfNothing,
		"History":                        testHistory,
		"LargestAgreement":               testLargestAgreement,
		"UnknownSubject":                 testUnknownSubject,
		"SubjectsDoNotRunIntoAnother":    testSubjectsDoNotRunIntoAnother,
		"Committed":                      testCommitted,
		"CommittedIsLarge":               testCommittedIsLarge,
		"CommittedStops":                 testCommittedStops,
		"Note":                           testNote,
		"NoteAtOnce":                     testNoteAtOnce,
		"NotesAreNoEvents":               testNotesAreNoEvents,
		"Patrol":                         testPatrol,
		"PatrolInParts":                  testPatrolInParts,
		"PatrolStops":                    testPatrolStops,
		"ByReference":                    testByReference,
		"ManyReferences":                 testManyReferences,
		"ReferencesCorrected":            testReferencesCorrected,
		"Erase":                          testErase,
		"Drop":                           testDrop,
		"EraseDuringCommit":              testEraseDuringCommit,
		"FoundInPages":                   testFoundInPages,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t), fmt.Sprintf("acmesign#%s-%d", name, time.Now().UnixNano()))
		})
	}
}

func claimOf(subject, id string) ledger.Claim {
	return ledger.Claim{
		Key: ledger.Key{Subject: subject, ID: id}, Provider: "acmesign", VendorType: "agreement-sent", AgreementID: "e1",
		OccurredAt: start.Add(-time.Minute), ReceivedAt: start, Proof: esign.ProofSigned, Via: "configuration/1",
		SHA256: "00ff", Size: 17,
	}
}

func commitOf(c ledger.Claim, typ esign.Type, before esign.Agreement, version int64) ledger.Commit {
	event := esign.Event{
		ID: c.ID, Provider: c.Provider, Type: typ, VendorType: c.VendorType, Subject: c.Subject, AgreementID: c.AgreementID,
		OccurredAt: c.OccurredAt, ReceivedAt: c.ReceivedAt, Proof: c.Proof, Participant: "1",
		Attributes: map[string]string{"format": "sim"},
	}
	after := esign.Fold(before, event)
	return ledger.Commit{
		Claim: c, Event: event, Agreement: &after, StatusBefore: before.Status, Version: version, At: start.Add(time.Second),
	}
}

func processed(c ledger.Commit) ledger.Entry {
	e := ledger.Entry{
		Key: c.Key, State: ledger.Processed, Provider: c.Provider, Type: c.Event.Type, VendorType: c.VendorType,
		AgreementID: c.AgreementID, OccurredAt: c.Event.OccurredAt, ReceivedAt: c.ReceivedAt, ProcessedAt: c.At,
		Proof: c.Proof, Via: []string{c.Via}, SHA256: c.SHA256, Size: c.Size,
		Event: &c.Event, Agreement: c.Agreement, StatusBefore: c.StatusBefore,
	}
	if c.Agreement != nil {
		e.StatusAfter = c.Agreement.Status
	}
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantHistory(t *testing.T, l Ledger, subject string, want ...ledger.Entry) {
	t.Helper()
	got, err := l.History(t.Context(), subject)
	must(t, err)
	if diff := cmp.Diff(want, got, unequal); diff != "" {
		t.Error(diff)
	}
}

func testClaim(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	commit := commitOf(c, esign.AgreementSent, esign.Agreement{}, 0)
	for _, step := range []struct {
		behaviour string
		before    func() error
		want      ledger.State
	}{
		{"first delivery", func() error { return nil }, ledger.New},
		{"died before the queue had it", func() error { return nil }, ledger.Received},
		{"duplicate after its effect", func() error { return l.Commit(t.Context(), commit) }, ledger.Processed},
	} {
		must(t, step.before())
		later := c
		later.ReceivedAt, later.SHA256 = c.ReceivedAt.Add(time.Hour), "other"
		if step.want == ledger.New {
			later = c
		}
		if got, err := l.Claim(t.Context(), later); err != nil || got.State != step.want || got.Inexact {
			t.Errorf("%s: found %+v, %v; want %q", step.behaviour, got, err, step.want)
		}
	}
	wantHistory(t, l, subject, processed(commit)) // of the first copy
}

func testClaimAtOnce(t *testing.T, l Ledger, subject string) {
	var group sync.WaitGroup
	var mu sync.Mutex
	found := map[ledger.State]int{}
	for range 16 {
		group.Go(func() {
			claimed, err := l.Claim(t.Context(), claimOf(subject, "a"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			found[claimed.State]++
		})
	}
	group.Wait()
	if diff := cmp.Diff(map[ledger.State]int{ledger.New: 1, ledger.Received: 15}, found); diff != "" {
		t.Error(diff)
	}
}

func testRepeated(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	must(t, l.Repeated(t.Context(), c.Key, "configuration/1")) // unknown: nothing to count
	wantHistory(t, l, subject)

	_, err := l.Claim(t.Context(), c)
	must(t, err)
	must(t, l.Repeated(t.Context(), c.Key, "configuration/1"))
	must(t, l.Repeated(t.Context(), c.Key, "configuration/2"))
	commit := commitOf(c, esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), commit)) // keeps the counts
	must(t, l.Repeated(t.Context(), c.Key, ""))

	want := processed(commit)
	want.Duplicates, want.Via = 3, []string{"configuration/1", "configuration/2"}
	wantHistory(t, l, subject, want)
}

func testCommit(t *testing.T, l Ledger, subject string) {
	first := claimOf(subject, "a")
	_, err := l.Claim(t.Context(), first)
	must(t, err)
	sent := commitOf(first, esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), sent))
	if err := l.Commit(t.Context(), sent); !errors.Is(err, ledger.ErrProcessed) {
		t.Errorf("the same effect twice: %v", err)
	}

	agreement, version, err := l.Agreement(t.Context(), subject)
	must(t, err)
	if diff := cmp.Diff(*sent.Agreement, agreement); diff != "" || version != 1 {
		t.Errorf("version %d, %s", version, diff)
	}
	second := claimOf(subject, "b")
	second.OccurredAt = first.OccurredAt.Add(time.Second)
	completed := commitOf(second, esign.AgreementCompleted, agreement, version)
	must(t, l.Commit(t.Context(), completed))
	agreement, version, err = l.Agreement(t.Context(), subject)
	must(t, err)
	if diff := cmp.Diff(*completed.Agreement, agreement); diff != "" || version != 2 {
		t.Errorf("version %d, %s", version, diff)
	}
	wantHistory(t, l, subject, processed(sent), processed(completed))
}

func testCommitWithoutClaim(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	commit := commitOf(c, esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), commit))
	wantHistory(t, l, subject, processed(commit))
	if got, err := l.Claim(t.Context(), c); err != nil || got.State != ledger.Processed {
		t.Errorf("claimed afterwards: %+v, %v", got, err)
	}
}

// testCommitOfAnotherCopy checks that proof and hash are those of the processed copy.
func testCommitOfAnotherCopy(t *testing.T, l Ledger, subject string) {
	first := claimOf(subject, "a")
	_, err := l.Claim(t.Context(), first)
	must(t, err)
	other := first
	other.Proof, other.SHA256, other.Size = esign.ProofPartlySigned, "ee", 99
	other.ReceivedAt = first.ReceivedAt.Add(time.Minute)
	commit := commitOf(other, esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), commit))
	want := processed(commit)
	want.ReceivedAt = first.ReceivedAt
	wantHistory(t, l, subject, want)
}

func testManySubscriptions(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	_, err := l.Claim(t.Context(), c)
	must(t, err)
	for i := range 2 * ledger.MaxVia {
		must(t, l.Repeated(t.Context(), c.Key, fmt.Sprintf("via-%d", i)))
	}
	history, err := l.History(t.Context(), subject)
	must(t, err)
	if e := history[0]; len(e.Via) != ledger.MaxVia || e.Duplicates != 2*ledger.MaxVia {
		t.Errorf("%d subscriptions, %d duplicates", len(e.Via), e.Duplicates)
	}
}

func testCommitAtOnce(t *testing.T, l Ledger, subject string) {
	commit := commitOf(claimOf(subject, "a"), esign.AgreementSent, esign.Agreement{}, 0)
	commitAtOnce(t, l, commit)
}

// commitAtOnce commits the same effect from several goroutines. One of them succeeds.
func commitAtOnce(t *testing.T, l Ledger, effects ...ledger.Commit) {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 8 {
		group.Go(func() {
			for range 1000 {
				err := l.Commit(t.Context(), effects...)
				switch {
				case err == nil:
					mu.Lock()
					done++
					mu.Unlock()
				case errors.Is(err, ledger.ErrConflict): // with another transaction
					continue
				case !errors.Is(err, ledger.ErrProcessed):
					t.Error(err)
				}
				return
			}
			t.Error("an endless conflict")
		})
	}
	group.Wait()
	if done != 1 {
		t.Errorf("committed %d times", done)
	}
}

func testCommitConflict(t *testing.T, l Ledger, subject string) {
	must(t, l.Commit(t.Context(), commitOf(claimOf(subject, "a"), esign.AgreementSent, esign.Agreement{}, 0)))
	for _, version := range []int64{0, 2} {
		late := commitOf(claimOf(subject, "b"), esign.AgreementViewed, esign.Agreement{}, version)
		if err := l.Commit(t.Context(), late); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("on version %d of 1: %v", version, err)
		}
	}
	both := commitOf(claimOf(subject, "a"), esign.AgreementSent, esign.Agreement{}, 7)
	if err := l.Commit(t.Context(), both); !errors.Is(err, ledger.ErrProcessed) {
		t.Errorf("processed and another version: %v", err)
	}
	history, err := l.History(t.Context(), subject)
	if must(t, err); len(history) != 1 {
		t.Errorf("a refused commit left %+v", history)
	}
}

func testCommitWithoutAgreement(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	c.AgreementID, c.VendorType, c.OccurredAt, c.Via = "", "template-created", time.Time{}, ""
	_, err := l.Claim(t.Context(), c)
	must(t, err)
	commit := commitOf(c, esign.TemplateCreated, esign.Agreement{}, 0)
	commit.Agreement = nil
	commit.Event.OccurredAt = start
	must(t, l.Commit(t.Context(), commit))
	if err := l.Commit(t.Context(), commit); !errors.Is(err, ledger.ErrProcessed) {
		t.Errorf("the same effect twice: %v", err)
	}
	if _, version, err := l.Agreement(t.Context(), subject); err != nil || version != 0 {
		t.Errorf("an agreement of version %d, %v", version, err)
	}
	want := processed(commit)
	want.OccurredAt, want.Via = start, nil
	wantHistory(t, l, subject, want)
}

func testUnreadable(t *testing.T, l Ledger, subject string) {
	c := claimOf(subject, "a")
	c.AgreementID, c.VendorType, c.OccurredAt = "", "", time.Time{}
	at := start
	for range 2 { // the first time without a claim, since the table was unreachable
		at = at.Add(time.Hour)
		must(t, l.MarkUnreadable(t.Context(), c, at))
		found := ledger.Found{State: ledger.Unreadable, Inexact: true, UnreadableAt: at}
		if got, err := l.Claim(t.Context(), c); err != nil || got != found {
			t.Errorf("claimed afterwards: %+v, %v", got, err)
		}
	}
	want := ledger.Entry{
		Key: c.Key, State: ledger.Unreadable, Provider: "acmesign", ReceivedAt: start, Proof: esign.ProofSigned,
		Via: []string{"configuration/1"}, SHA256: "00ff", Size: 17, UnreadableAt: at,
	}
	wantHistory(t, l, subject, want)

	commit := commitOf(c, esign.Other, esign.Agreement{}, 0) // a later version can read it
	commit.Agreement = nil
	must(t, l.Commit(t.Context(), commit))
	must(t, l.MarkUnreadable(t.Context(), c, at.Add(time.Hour))) // too late
	want = processed(commit)
	want.UnreadableAt = at
	wantHistory(t, l, subject, want)
}

// testUnreadableAfterClaim checks that the fields of the first copy are kept.
func testUnreadableAfterClaim(t *testing.T, l Ledger, subject string) {
	first := claimOf(subject, "a")
	_, err := l.Claim(t.Context(), first)
	must(t, err)
	later := ledger.Claim{Key: first.Key, Provider: "acmesign", ReceivedAt: start.Add(time.Hour),
		Proof: esign.ProofURLToken, Via: "v", SHA256: "ee", Size: 99}
	must(t, l.MarkUnreadable(t.Context(), later, start))
	wantHistory(t, l, subject, ledger.Entry{
		Key: first.Key, State: ledger.Unreadable, Provider: first.Provider, VendorType: first.VendorType,
		AgreementID: first.AgreementID,
		OccurredAt:  first.OccurredAt, ReceivedAt: first.ReceivedAt, Proof: first.Proof, Via: []string{first.Via},
		SHA256: first.SHA256, Size: first.Size, UnreadableAt: start,
	})
}

func testHistory(t *testing.T, l Ledger, subject string) {
	add := func(id string, occurred, received time.Duration) {
		c := claimOf(subject, id)
		c.OccurredAt, c.ReceivedAt = start.Add(occurred), start.Add(received)
		if occurred == 0 {
			c.OccurredAt = time.Time{}
		}
		_, err := l.Claim(t.Context(), c)
		must(t, err)
	}
	add("c", 3*time.Second, 8*time.Second)
	add("a", 4*time.Second, 7*time.Second)
	add("d", 0, 5*time.Second)             // without a time, its place is that of its ReceivedAt
	add("b", 3*time.Second, 9*time.Second) // of the same time, received later
	history, err := l.History(t.Context(), subject)
	must(t, err)
	var got []string
	for _, e := range history {
		got = append(got, e.ID)
	}
	if diff := cmp.Diff([]string{"c", "b", "a", "d"}, got); diff != "" {
		t.Error(diff)
	}
}

func testLargestAgreement(t *testing.T, l Ledger, subject string) {
	commit := commitOf(claimOf(subject, "a"), esign.AgreementSent, esign.Agreement{}, 0)
	for i := range 2 * esign.MaxParticipants {
		commit.Event.Participants = append(commit.Event.Participants, esign.Participant{
			ID: fmt.Sprintf("sha256:%064d", i), Status: esign.Cancelled, At: start.Add(time.Duration(i)),
		})
	}
	after := esign.Fold(esign.Agreement{}, commit.Event)
	commit.Agreement = &after
	must(t, l.Commit(t.Context(), commit))
	got, _, err := l.Agreement(t.Context(), subject)
	must(t, err)
	if len(got.Participants) != esign.MaxParticipants {
		t.Errorf("%d participants", len(got.Participants))
	}
}

func testUnknownSubject(t *testing.T, l Ledger, subject string) {
	if agreement, version, err := l.Agreement(t.Context(), subject); err != nil || version != 0 {
		t.Errorf("%+v, version %d, %v", agreement, version, err)
	}
	wantHistory(t, l, subject)
}

func testSubjectsDoNotRunIntoAnother(t *testing.T, l Ledger, subject string) {
	_, err := l.Claim(context.Background(), claimOf(subject+"0", "a"))
	must(t, err)
	wantHistory(t, l, subject)
}

// commitAt commits an event without claim, as the first of its agreement or on top of the others.
func commitAt(t *testing.T, l Ledger, subject, id string, at time.Time) {
	t.Helper()
	before, version, err := l.Agreement(t.Context(), subject)
	must(t, err)
	commit := commitOf(claimOf(subject, id), esign.AgreementUpdated, before, version)
	commit.At = at
	must(t, l.Commit(t.Context(), commit))
}

// committed returns the event IDs of the subjects that begin with the prefix.
func committed(t *testing.T, l Ledger, prefix string, from, to time.Time) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	must(t, l.Committed(t.Context(), from, to, func(entries []ledger.Entry) error {
		subject, ours := strings.CutPrefix(entries[0].Subject, prefix)
		if !ours {
			return nil // another test's
		}
		if found[subject] != nil {
			t.Errorf("%s is visited twice", subject)
		}
		for _, e := range entries {
			if e.Subject != prefix+subject {
				t.Errorf("%s among the events of %s", e.Subject, prefix+subject)
			}
			found[subject] = append(found[subject], e.ID)
		}
		return nil
	}))
	return found
}

func testCommitted(t *testing.T, l Ledger, subject string) {
	at := func(step int) time.Time { return start.Add(time.Hour + time.Duration(step)) }
	for step, event := range []struct{ subject, id string }{
		{"a", "z"}, {"b", "m"}, {"a", "n"}, {"c", "k"}, {"a", "b"}, {"b", "l"}, {"c", "a"}, {"b", "a"},
	} {
		commitAt(t, l, subject+event.subject, event.id, at(step))
	}
	for _, id := range []string{"received", "unreadable", "repeated"} {
		c := claimOf(subject+"c", id)
		c.ReceivedAt = at(3)
		_, err := l.Claim(t.Context(), c)
		must(t, err)
	}
	must(t, l.MarkUnreadable(t.Context(), claimOf(subject+"c", "unreadable"), start))
	must(t, l.Repeated(t.Context(), claimOf(subject+"c", "repeated").Key, ""))
	must(t, l.Repeated(t.Context(), claimOf(subject+"c", "k").Key, "")) // which commits nothing

	all := map[string][]string{"a": {"z", "n", "b"}, "b": {"m", "l", "a"}, "c": {"k", "a"}}
	for behaviour, tt := range map[string]struct {
		from, to time.Time
		want     map[string][]string
	}{
		"all":               {time.Time{}, at(1000), all},
		"from the first on": {at(0), at(1000), all},
		"the first left out": {at(1), at(1000),
			map[string][]string{"a": {"n", "b"}, "b": {"m", "l", "a"}, "c": {"k", "a"}}},
		"before the last": {at(0), at(7),
			map[string][]string{"a": {"z", "n", "b"}, "b": {"m", "l"}, "c": {"k", "a"}}},
		"one in the middle":        {at(3), at(4), map[string][]string{"c": {"k"}}},
		"nothing between the same": {at(3), at(3), map[string][]string{}},
		"in another zone, the same": {at(3).In(time.FixedZone("", 3600)), at(4).In(time.FixedZone("", -3600)),
			map[string][]string{"c": {"k"}}},
		"the last, and nothing follows": {at(7), at(8), map[string][]string{"b": {"a"}}},
		"nothing afterwards":            {at(8), at(1000), map[string][]string{}},
	} {
		if diff := cmp.Diff(tt.want, committed(t, l, subject, tt.from, tt.to)); diff != "" {
			t.Errorf("%s: %s", behaviour, diff)
		}
	}
	wantWhole(t, l, subject+"a")
}

// wantWhole checks that Committed returns the same entries as History.
func wantWhole(t *testing.T, l Ledger, subject string) {
	t.Helper()
	want, err := l.History(t.Context(), subject)
	must(t, err)
	must(t, l.Committed(t.Context(), time.Time{}, start.Add(24*time.Hour), func(got []ledger.Entry) error {
		if got[0].Subject != subject {
			return nil
		}
		if diff := cmp.Diff(ledger.InOrderOfCommits(want), got, unequal); diff != "" {
			t.Error(diff)
		}
		return nil
	}))
}

// everybody returns as many participants as an agreement may have. No compression makes their IDs short.
func everybody() (all []esign.Participant) {
	for i := range esign.MaxParticipants {
		id := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte{byte(i)}))
		all = append(all, esign.Participant{ID: id, Status: esign.Cancelled, At: start})
	}
	return all
}

// testCommittedIsLarge reads more than one page of a scan, which is 1 MB, with a subject on both sides of its end.
func testCommittedIsLarge(t *testing.T, l Ledger, subject string) {
	const events = 130
	want := map[string][]string{}
	for i := range events {
		id := fmt.Sprintf("%03d", events-i)
		commit := commitOf(claimOf(subject, id), esign.AgreementUpdated, esign.Agreement{}, int64(i))
		commit.Event.Participants, commit.At = everybody(), start.Add(time.Duration(i))
		must(t, l.Commit(t.Context(), commit))
		want[""] = append(want[""], id)
	}
	if diff := cmp.Diff(want, committed(t, l, subject, start, start.Add(time.Hour))); diff != "" {
		t.Error(diff)
	}
}

func testCommittedStops(t *testing.T, l Ledger, subject string) {
	for _, s := range []string{"a", "b", "c"} {
		commitAt(t, l, subject+s, "e", start)
	}
	stop, visits := errors.New("stop"), 0
	err := l.Committed(t.Context(), time.Time{}, start.Add(time.Hour), func([]ledger.Entry) error {
		visits++
		return stop
	})
	if !errors.Is(err, stop) || visits != 1 {
		t.Errorf("%v after %d visits", err, visits)
	}
}
