package ledgertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// everything patrols from the beginning to the end, and returns the number of parts.
func everything(t *testing.T, l Ledger, visit func(ledger.Standing)) (parts int) {
	t.Helper()
	for from := ""; ; parts++ {
		next, err := l.Patrol(t.Context(), from, func(s ledger.Standing) error {
			visit(s)
			return nil
		})
		if must(t, err); next == "" {
			return parts + 1
		}
		if next == from {
			t.Fatalf("the patrol does not leave %q", from)
		}
		from = next
	}
}

// standing returns what a whole patrol finds of subjects with a prefix, by the rest of the subject and the event ID.
func standing(t *testing.T, l Ledger, prefix string) (found map[string]ledger.Standing, parts int) {
	t.Helper()
	found = map[string]ledger.Standing{}
	parts = everything(t, l, func(s ledger.Standing) {
		subject, ours := strings.CutPrefix(s.Subject, prefix)
		if !ours {
			return // another test's
		}
		key := strings.TrimSuffix(subject+" "+s.EventID, " ")
		if _, again := found[key]; again {
			t.Errorf("%s is visited twice", key)
		}
		found[key] = s
	})
	return found, parts
}

func testPatrol(t *testing.T, l Ledger, subject string) {
	for _, typ := range []esign.Type{
		esign.AgreementCreated, esign.AgreementSent, esign.AgreementViewed, esign.AgreementSigned, esign.AgreementUpdated,
		esign.AgreementFailed, esign.AgreementExpired, esign.AgreementCancelled, esign.AgreementDeclined,
		esign.AgreementCompleted,
	} {
		must(t, l.Commit(t.Context(), commitOf(claimOf(subject+string(typ), "a"), typ, esign.Agreement{}, 0)))
	}
	for _, id := range []string{"received", "processed", "unreadable"} {
		c := claimOf(subject, id)
		_, err := l.Claim(t.Context(), c)
		must(t, err)
	}
	noAgreement := commitOf(claimOf(subject, "processed"), esign.TemplateCreated, esign.Agreement{}, 0)
	noAgreement.Agreement = nil
	must(t, l.Commit(t.Context(), noAgreement))
	must(t, l.MarkUnreadable(t.Context(), claimOf(subject, "unreadable"), start))

	want := map[string]ledger.Standing{
		" received": {Provider: "acmesign", Subject: subject, AgreementID: "e1", EventID: "received", Since: start},
	}
	for typ, status := range map[esign.Type]esign.Status{
		esign.AgreementCreated: esign.Created, esign.AgreementSent: esign.Sent, esign.AgreementViewed: esign.Viewed,
		esign.AgreementSigned: esign.Signed, esign.AgreementUpdated: "",
	} {
		want[string(typ)] = ledger.Standing{
			Provider: "acmesign", Subject: subject + string(typ), AgreementID: "e1", Status: status,
			Since: start.Add(-time.Minute),
		}
	}
	found, _ := standing(t, l, subject)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

// testPatrolInParts fills more than one part, both in bytes and in items.
func testPatrolInParts(t *testing.T, l Ledger, subject string) {
	want := map[string]bool{}
	for i := range 150 {
		claim := claimOf(fmt.Sprint(subject, "-", i), "a")
		commit := commitOf(claim, esign.AgreementSent, esign.Agreement{}, 0)
		commit.Event.Participants = everybody()
		must(t, l.Commit(t.Context(), commit))
		want[fmt.Sprint("-", i)] = true
	}
	for i := range 110 {
		claim := claimOf(subject, fmt.Sprint(i))
		_, err := l.Claim(t.Context(), claim)
		must(t, err)
		want[fmt.Sprint(" ", i)] = true
	}
	found, parts := standing(t, l, subject)
	got := map[string]bool{}
	for key := range found {
		got[key] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if parts < 2 {
		t.Errorf("%d parts", parts)
	}
}

func testPatrolStops(t *testing.T, l Ledger, subject string) {
	for _, s := range []string{"a", "b", "c"} {
		must(t, l.Commit(t.Context(), commitOf(claimOf(subject+s, "e"), esign.AgreementSent, esign.Agreement{}, 0)))
	}
	stop, visits := errors.New("stop"), 0
	for from := ""; ; {
		next, err := l.Patrol(t.Context(), from, func(ledger.Standing) error {
			visits++
			return stop
		})
		if visits > 0 {
			if visits != 1 || !errors.Is(err, stop) || next != "" {
				t.Errorf("%v after %d visits, and next %q", err, visits, next)
			}
			return
		}
		if must(t, err); next == "" {
			t.Fatal("nothing to visit")
		}
		from = next
	}
}
