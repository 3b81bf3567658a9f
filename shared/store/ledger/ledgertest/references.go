package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
)

// referring returns an effect whose event states references. Its time is that of its version.
func referring(subject, id string, before esign.Agreement, version int64, references map[string]string) ledger.Commit {
	claim := claimOf(subject, id)
	claim.OccurredAt = start.Add(time.Duration(version) * time.Second)
	c := commitOf(claim, esign.AgreementUpdated, before, version)
	c.Event.References = references
	after := esign.Fold(before, c.Event)
	c.Before, c.Agreement, c.At = before, &after, start.Add(time.Duration(version)*time.Second)
	return c
}

// many returns references whose names have the prefix.
func many(prefix string, n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("%s%02d", prefix, i)] = prefix
	}
	return all
}

// find returns the IDs of all agreements with a reference, which it reads in pages.
func find(t *testing.T, l Ledger, r ledger.Reference, limit int) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		found, next, err := l.ByReference(t.Context(), r, cursor, limit)
		must(t, err)
		if len(found) > limit || next != "" && next <= cursor {
			t.Fatalf("%d agreements, and %q after %q", len(found), next, cursor)
		}
		for _, a := range found {
			if !r.IsOf(a) {
				t.Errorf("%+v does not have %v", a, r)
			}
			ids = append(ids, a.ID)
		}
		if next == "" {
			return ids
		}
		cursor = next
	}
}

// wantFound checks that the agreement is found by its references, and not by the others.
func wantFound(t *testing.T, l Ledger, when, subject string, others map[string]string) {
	t.Helper()
	a, _, err := l.Agreement(t.Context(), subject)
	must(t, err)
	for name, value := range a.References {
		if n := len(find(t, l, ledger.Reference{Name: name, Value: value}, 10)); n != 1 {
			t.Errorf("%s: %q is found %d times by %.40q", when, name, n, value)
		}
	}
	for name, value := range others {
		if n := len(find(t, l, ledger.Reference{Name: name, Value: value}, 10)); n != 0 {
			t.Errorf("%s: %q is found %d times by %.40q", when, name, n, value)
		}
	}
}

func testByReference(t *testing.T, l Ledger, subject string) {
	before, version := esign.Agreement{}, int64(0)
	for _, tt := range []struct {
		when         string
		says, others map[string]string
	}{
		{"first", map[string]string{"deal": subject, "crm.deal": "2" + subject},
			map[string]string{"deal": subject + "2", "Deal": subject, "crm": "2" + subject, "": "", "nothing": ""}},
		{"changed", map[string]string{"deal": "other" + subject}, map[string]string{"deal": subject}},
		{"changed back", map[string]string{"deal": subject}, map[string]string{"deal": "other" + subject}},
		{"not mentioned", nil, nil},
		{"in other characters", map[string]string{
			"a#@": "@" + subject, "@": "a#@" + subject, "nul\x00": "\x00" + subject, "line": "\n\u202e" + subject,
			"long" + strings.Repeat("é", 120): strings.Repeat("é", esign.MaxReference-len(subject)) + subject,
			"ab" + subject:                    "c"},
			map[string]string{"a": "b" + subject + "c", "a#": "@@" + subject, subject: "@"}},
	} {
		c := referring(subject, tt.when, before, version, tt.says)
		must(t, l.Commit(t.Context(), c))
		if err := l.Commit(t.Context(), c); !errors.Is(err, ledger.ErrProcessed) {
			t.Errorf("%s: the same effect twice: %v", tt.when, err)
		}
		wantFound(t, l, tt.when, subject, tt.others)
		before, version = *c.Agreement, version+1
	}
	if history, err := l.History(t.Context(), subject); err != nil || len(history) != int(version) {
		t.Errorf("%d events, %v", len(history), err)
	}
	visited := 0
	everything(t, l, func(s ledger.Standing) {
		if strings.Contains(s.Subject, subject) || strings.Contains(s.EventID, subject) {
			visited++
		}
	})
	if done := committed(t, l, subject, start, start.Add(time.Hour)); visited != 1 || len(done[""]) != int(version) {
		t.Errorf("a patrol visits %d items, and %d events are committed", visited, len(done[""]))
	}
}

// testManyReferences checks that the agreement is found by more references than fit into its transaction, also with as
// many events as fit.
func testManyReferences(t *testing.T, l Ledger, subject string) {
	var effects []ledger.Commit
	before, all := esign.Agreement{}, many(subject, ledger.MaxIndexed+2)
	for i := range int64(ledger.MaxCommits) {
		says := map[int64]map[string]string{0: {subject + "00": "only in between"}, ledger.MaxCommits - 1: all}[i]
		c := referring(subject, fmt.Sprint(i), before, i, says)
		effects, before = append(effects, c), *c.Agreement
	}
	must(t, l.Commit(t.Context(), effects...))
	wantFound(t, l, "together", subject, map[string]string{subject + "00": "only in between"})
	others := many("other"+subject, ledger.MaxIndexed+2)
	late := referring(subject, "late", esign.Agreement{}, 1, others)
	if err := l.Commit(t.Context(), late); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("on another version: %v", err)
	}
	wantFound(t, l, "conflict", subject, others)
}

func testReferencesCorrected(t *testing.T, l Ledger, subject string) {
	for _, n := range []int{1, ledger.MaxIndexed + 2} {
		subject := fmt.Sprint(subject, "-", n)
		signed := inexact(subject, "a", esign.AgreementSigned, esign.Agreement{}, 0)
		signed.Event.References = many(subject, n)
		after := esign.Fold(esign.Agreement{}, signed.Event)
		signed.Agreement = &after
		must(t, l.Commit(t.Context(), signed))
		exact := correctionOf(signed, esign.Agreement{})
		exact.Event.References = map[string]string{}
		for name := range signed.Event.References {
			exact.Event.References[name] = "exact" + subject
		}
		exact.Before, exact.After = after, esign.Fold(esign.Agreement{}, exact.Event)
		exact.Agreement, exact.Version = exact.After, 2
		if err := l.Correct(t.Context(), exact); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("on version 2 of 1: %v", err)
		}
		wantFound(t, l, "before", subject, exact.Event.References)
		exact.Version = 1
		must(t, l.Correct(t.Context(), exact))
		wantFound(t, l, "corrected", subject, signed.Event.References)
	}
}

// testFoundInPages checks that each of many agreements is found once, in pages of any size.
func testFoundInPages(t *testing.T, l Ledger, subject string) {
	r := ledger.Reference{Name: "source", Value: subject}
	var want []string
	for i := range 7 {
		subject := fmt.Sprint(subject, "-", i)
		c := referring(subject, "a", esign.Agreement{}, 0, map[string]string{r.Name: r.Value})
		c.Agreement.ID = subject
		must(t, l.Commit(t.Context(), c))
		if i == 2 || i == 3 || i == 6 {
			must(t, l.Commit(t.Context(), referring(subject, "b", *c.Agreement, 1, map[string]string{r.Name: "other"})))
			continue
		}
		want = append(want, subject)
	}
	for _, limit := range []int{1, 2, 3, 4, 7, 8, 10 * ledger.MaxFound} {
		if got := find(t, l, r, limit); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %v, want %v", limit, got, want)
		}
	}
	if found, next, err := l.ByReference(t.Context(), r, subject+"-9", 1); err != nil || len(found) > 0 || next != "" {
		t.Errorf("after the last one: %v, %q, %v", found, next, err)
	}
}

// References checks that a reference item of a newer release is refused and kept. setVersion is that of [Versions].
func References(t *testing.T, l Ledger, setVersion func(t *testing.T, key ledger.Key, version int)) {
	const subject = "acmesign#reference-versions"
	r := ledger.Reference{Name: "deal", Value: subject}
	first := referring(subject, "a", esign.Agreement{}, 0, map[string]string{r.Name: r.Value})
	must(t, l.Commit(t.Context(), first))
	again := referring(subject, "b", *first.Agreement, 1, nil)
	again.Before = esign.Agreement{} // so that the item is written again
	key := ledger.Key{Subject: "@reference#" + r.Hash(), ID: subject}
	setVersion(t, key, 2)
	if _, _, err := l.ByReference(t.Context(), r, "", 1); !errors.Is(err, format.ErrNewer) {
		t.Errorf("found by a newer item: %v", err)
	}
	if err := l.Commit(t.Context(), again); !errors.Is(err, format.ErrNewer) {
		t.Errorf("a newer item is overwritten: %v", err)
	}
	setVersion(t, key, 0)
	must(t, l.Commit(t.Context(), again))
	found, _, err := l.ByReference(t.Context(), r, "", 1)
	if must(t, err); !cmp.Equal(found, []esign.Agreement{*again.Agreement}) {
		t.Errorf("found %+v", found)
	}
}
