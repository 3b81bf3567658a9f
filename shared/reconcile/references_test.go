package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

// allow lets events carry these references, in reconciler and worker.
func (w *world) allow(names ...string) {
	w.Policy.References, w.worker.Policy.References = names, names
}

// TestReferencesThatWebhooksOmitted lets a vendor say something in each pass, about an agreement that has been sent.
func TestReferencesThatWebhooksOmitted(t *testing.T) {
	type said = finding.Said
	refs := func(pairs ...string) said {
		s := said{References: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			s.References[pairs[i]] = pairs[i+1]
		}
		return s
	}
	people := func(all ...esign.Participant) said { return said{SharedReference: "shared", Participants: all} }
	long, one := strings.Repeat("ä", 300), esign.Participant{ID: "1", Status: esign.Sent, Reference: "x"}
	two, nameless := esign.Participant{ID: "2", Status: esign.Sent, Reference: "x"}, esign.Participant{ID: "3",
		Status: esign.Sent}
	for name, tt := range map[string]struct {
		ours     said
		oursAt   time.Duration // since the start
		vendor   []said        // in each pass
		findings int
		want     map[string]string
	}{
		"one that we lack": {refs(), -time.Hour, []said{refs("deal", "1"), refs("deal", "1")}, 1,
			refs("deal", "1").References},
		"a nested one": {refs(), -time.Hour, []said{refs("deal.id", "1")}, 1, refs("deal.id", "1").References},
		"one that we have": {refs("deal", "1"), -time.Hour, []said{refs("deal", "1")}, 0,
			refs("deal", "1").References},
		"one that is not on the list": {refs(), -time.Hour, []said{refs("secret", "1", "dealer", "2")}, 0, nil},
		"a newer value, and again the older": {refs("deal", "1"), -time.Hour,
			[]said{refs("deal", "2"), refs("deal", "2"), refs("deal", "1"), refs("deal", "2"), refs("deal", "2")}, 3,
			refs("deal", "2").References},
		"an answer that leaves it out": {refs("deal", "1"), -time.Hour, []said{refs(), refs("deal.id", "2"), {}}, 1,
			refs("deal", "1", "deal.id", "2").References},
		"a value of the future": {refs("deal", "1"), 90 * time.Minute, []said{refs("deal", "2"), refs("deal", "2")}, 0,
			refs("deal", "1").References},
		"while a webhook may be underway": {refs(), -9 * time.Minute, []said{refs("deal", "1")}, 0, nil},
		"and soon after that": {refs(), -9 * time.Minute, []said{refs("deal", "1"), refs("deal", "1")}, 1,
			refs("deal", "1").References},
		"a value that is too long": {refs(), -time.Hour, []said{refs("deal", long), refs("deal", long)}, 1,
			refs("deal", long[:512]).References},
		"that all signers share": {people(one), -time.Hour, []said{people(one, two)}, 1,
			refs("shared", "x").References},
		"of a person without one": {people(one), -time.Hour, []said{people(one, nameless), people(nameless)}, 0,
			refs("shared", "x").References},
		"and of a person without one": {people(one), -time.Hour,
			[]said{{References: map[string]string{"deal": "1"}, Participants: []esign.Participant{one, nameless}}}, 1,
			refs("shared", "x", "deal", "1").References},
		"of a person who now has one": {people(nameless), -time.Hour,
			[]said{people(esign.Participant{ID: "3", Status: esign.Signed, Reference: "x"}), people()}, 1,
			refs("shared", "x").References},
		"only how far people are": {people(one), -time.Hour,
			[]said{people(esign.Participant{ID: "1", Status: esign.Viewed, Reference: "x"})}, 0, refs("shared",
				"x").References},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.SilentAfter = 0
			w.allow("deal", "shared", "")
			w.Clients = func(context.Context, string) (vendorapi.Client, error) { return lister{w.vendor}, nil }
			d := finding.Reconciled("acmesign", "e-1", esign.Sent, "sent", start.Add(tt.oursAt), start, tt.ours)
			w.deliver(&d)
			for _, says := range tt.vendor {
				w.vendor.truth["e-1"] = vendorapi.Agreement{ID: "e-1", Status: esign.Sent,
					ChangedAt:  start.Add(-2 * time.Hour),
					References: says.References, SharedReference: says.SharedReference, Participants: says.Participants}
				must(t, w.pass())
				w.now = w.now.Add(tick)
			}
			a, _, err := w.ledger.Agreement(t.Context(), "acmesign#e-1")
			must(t, err)
			if diff := cmp.Diff(tt.want, a.References); diff != "" || len(w.sent) != tt.findings || a.Status != esign.Sent {
				t.Errorf("%d findings, %s: %s", len(w.sent), a.Status, diff)
			}
			if cut := len(a.ReferencesCut) > 0; cut != strings.Contains(name, "too long") {
				t.Errorf("cut: %q", a.ReferencesCut)
			}
			history, err := w.ledger.History(t.Context(), "acmesign#e-1")
			must(t, err)
			for _, e := range history[1:] {
				if e.State != ledger.Processed || e.Type != esign.AgreementUpdated || e.StatusBefore != e.StatusAfter ||
					e.Event.ReferencesLeftOut > 0 || e.VendorType != "reconciled" || e.Proof != esign.ProofConfirmed {
					t.Errorf("%+v", e)
				}
			}
			if counted := w.counted(); counted["Reconciled"] > 0 || counted["ReconcileFailed"] > 0 ||
				len(history) != 1+len(w.sent) {
				t.Errorf("counted %v, %d events", counted, len(history))
			}
			for _, secret := range []string{"secret", `"x"`, `"2"`} {
				if strings.Contains(w.log.String(), secret) {
					t.Error(w.log.String())
				}
			}
		})
	}
}

// TestAMissedStatusBringsItsReferences checks that one finding has both, and that what we do not know needs no second.
func TestAMissedStatusBringsItsReferences(t *testing.T) {
	w := newWorld(t)
	w.allow("deal")
	w.happen("e-1", esign.Sent, start.Add(-time.Hour))
	a := w.vendor.truth["e-1"]
	a.References = map[string]string{"deal": "1", "secret": "2"}
	a.Participants = []esign.Participant{{ID: "1", Status: esign.Sent, Reference: "named"}}
	w.vendor.truth["e-1"] = a
	for range 2 {
		must(t, w.pass())
		w.now = w.now.Add(tick)
	}
	ours, _, err := w.ledger.Agreement(t.Context(), "acmesign#e-1")
	must(t, err)
	if diff := cmp.Diff(map[string]string{"deal": "1"}, ours.References); diff != "" || len(w.sent) != 1 ||
		ours.Participants["1"].Status != esign.Sent || strings.Contains(w.sent[0].Body, "secret") ||
		strings.Contains(w.sent[0].Body, "named") {
		t.Errorf("%+v, %+v: %s", ours, w.sent, diff)
	}
}
