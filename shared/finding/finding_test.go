package finding_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var (
	at        = time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	now       = at.Add(time.Hour)
	documents = []esign.Document{{
		Name: "document.pdf", Location: "s3://documents/acmesign/a/document.pdf", ContentType: "application/pdf",
		SHA256: strings.Repeat("0a", 32), Size: 17,
	}}
	said = finding.Said{
		References: map[string]string{"deal": "1"}, SharedReference: "number",
		Participants: []esign.Participant{{ID: "1", Status: esign.Sent, Reference: "x", Role: esign.RoleSigner}},
	}
)

func TestAFindingSurvivesTheQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		delivery webhook.Delivery
		via      string
		want     esign.Event
	}{
		"a status that no webhook reported": {
			finding.Reconciled("acmesign", "a", esign.Declined, "Declined", at, now, finding.Said{}), "reconciled",
			esign.Event{Type: esign.AgreementDeclined, VendorType: "reconciled", AgreementID: "a", OccurredAt: at,
				Attributes: map[string]string{"vendorStatus": "Declined"}},
		},
		"at an unknown time": {
			finding.Reconciled("acmesign", "a", esign.Sent, "", time.Time{}, now, finding.Said{}), "reconciled",
			esign.Event{Type: esign.AgreementSent, VendorType: "reconciled", AgreementID: "a"},
		},
		"a confirmed completion": {
			finding.Confirmed("acmesign", "a", "completed\n", now, finding.Said{}), "confirmed",
			esign.Event{Type: esign.AgreementConfirmed, VendorType: "confirmed", AgreementID: "a", OccurredAt: now,
				Attributes: map[string]string{"vendorStatus": "completed?"}},
		},
		"what the vendor says besides": {
			finding.Updated("acmesign", "a", "sent", at, now, said, []string{"deal"}), "reconciled",
			esign.Event{Type: esign.AgreementUpdated, VendorType: "reconciled", AgreementID: "a", OccurredAt: at,
				Attributes: map[string]string{"vendorStatus": "sent"}, References: said.References,
				SharedReference: said.SharedReference, Participants: said.Participants},
		},
		"a confirmed completion with them": {
			finding.Confirmed("acmesign", "a", "", now, said), "confirmed",
			esign.Event{Type: esign.AgreementConfirmed, VendorType: "confirmed", AgreementID: "a", OccurredAt: now,
				References: said.References, SharedReference: said.SharedReference, Participants: said.Participants},
		},
		"stored documents": {
			finding.Archived("acmesign", "a", documents, at, now), "archived",
			esign.Event{Type: esign.AgreementArchived, VendorType: "archived", AgreementID: "a", OccurredAt: at,
				Documents: documents},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := tt.delivery
			want := webhook.Delivery{
				Provider: "acmesign", EventID: d.EventID, Subject: "acmesign#a", Via: tt.via, ReceivedAt: now,
				Proof:       esign.ProofConfirmed,
				ContentType: "application/json", Payload: d.Payload,
			}
			if diff := cmp.Diff(want, d); diff != "" || len(d.EventID) != 64 {
				t.Errorf("event ID %s, %s", d.EventID, diff)
			}
			message, key := queue.Encode(&d)
			arrived, err := queue.Decode(t.Context(), message, nil)
			if err != nil || key != "" {
				t.Fatalf("stored under %q, %v", key, err)
			}
			if diff := cmp.Diff(&d, arrived); diff != "" {
				t.Error(diff)
			}
			got, err := finding.Event(arrived)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil || !finding.Is(arrived) {
				t.Errorf("%v, %s", err, diff)
			}
		})
	}
}

func TestAFindingKeepsItsEventID(t *testing.T) {
	later := now.In(time.FixedZone("", 3600)).Add(24 * time.Hour)
	seen := map[string]string{}
	for name, again := range map[string][]webhook.Delivery{
		"completed": {
			finding.Reconciled("acmesign", "a", esign.Completed, "completed", at, now, finding.Said{}),
			finding.Reconciled("acmesign", "a", esign.Completed, "", time.Time{}, later, finding.Said{}),
		},
		"updated": {finding.Updated("acmesign", "a", "sent", at, now, said, []string{"deal", "1"}),
			finding.Updated("acmesign", "a", "viewed", later, later, finding.Said{}, []string{"deal", "1"})},
		"updated again": {finding.Updated("acmesign", "a", "sent", at, now, said, []string{"deal", "2"})},
		"declined": {finding.Reconciled("acmesign", "a", esign.Declined, "", at, now, finding.Said{}),
			finding.Reconciled("acmesign", "a", esign.Declined, "", at, now, said)},
		"another's":         {finding.Reconciled("acmesign", "b", esign.Completed, "completed", at, now, finding.Said{})},
		"at another vendor": {finding.Reconciled("other", "a", esign.Completed, "completed", at, now, finding.Said{})},
		"confirmed": {finding.Confirmed("acmesign", "a", "completed", now, finding.Said{}),
			finding.Confirmed("acmesign", "a", "", later, finding.Said{})},
		"another's, confirmed": {finding.Confirmed("acmesign", "b", "completed", now, finding.Said{})},
		"archived": {finding.Archived("acmesign", "a", documents, at, now),
			finding.Archived("acmesign", "a", nil, later, later)},
		"another's, archived": {finding.Archived("acmesign", "b", documents, at, now)},
	} {
		for _, d := range again {
			if other, ok := seen[d.EventID]; ok && other != name {
				t.Errorf("%s is the same as %s", name, other)
			}
			if seen[d.EventID] = name; d.EventID != again[0].EventID {
				t.Errorf("%s has several event IDs", name)
			}
			if d.ReceivedAt.Location() != time.UTC {
				t.Errorf("%s: received at %v", name, d.ReceivedAt)
			}
		}
	}
}

// TestAFindingHasTheSubjectOfTheVendorsEvents tests plain and unusual agreement IDs.
func TestAFindingHasTheSubjectOfTheVendorsEvents(t *testing.T) {
	for _, id := range []string{"CBJCHBCAABAA*-_", "an ID with spaces", "unreadable", "kind:id", "naïve",
		strings.Repeat("x", 600)} {
		d := finding.Confirmed("other", id, "", now, finding.Said{})
		e, err := finding.Event(&d)
		if err != nil || d.Subject != webhook.AgreementSubject("other", id) || e.AgreementID != webhook.AgreementID(id) {
			t.Errorf("%.20s: subject %s, agreement %s, %v", id, d.Subject, e.AgreementID, err)
		}
	}
}

// TestNoRequestIsAFinding checks that no provider identifies a request as a finding.
func TestNoRequestIsAFinding(t *testing.T) {
	requests := 0
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			if r.Method != http.MethodPost {
				continue
			}
			for _, tokenMatched := range []bool{false, true} {
				r.TokenMatched = tokenMatched
				proof, err := p.Verify(r, webhooktest.DevelopmentKeys(p))
				if finding.Is(&webhook.Delivery{Provider: p.Info().Name, Proof: proof}) {
					t.Errorf("%s: %s is a finding", p.Info().Name, name)
				}
				if err == nil {
					requests++
				}
			}
		}
	}
	if requests < 50 {
		t.Errorf("%d genuine requests", requests)
	}
}

func TestMalformedFindingsAreUnreadable(t *testing.T) {
	for name, payload := range map[string]string{
		"nothing":         "",
		"invalid JSON":    "event=1",
		"no object":       `["agreement.completed"]`,
		"no type":         `{"agreementId":"a"}`,
		"no agreement":    `{"type":"agreement.completed"}`,
		"an invalid time": `{"type":"agreement.completed","agreementId":"a","occurredAt":"yesterday"}`,
	} {
		e, err := finding.Event(&webhook.Delivery{Provider: "acmesign", Proof: esign.ProofConfirmed,
			Payload: []byte(payload)})
		if !errors.Is(err, webhook.ErrUnreadable) || cmp.Diff(esign.Event{}, e) != "" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// TestAFindingFitsInAMessage checks the largest answers, and that the worker sees what is cut.
func TestAFindingFitsInAMessage(t *testing.T) {
	large := finding.Said{References: map[string]string{"long": strings.Repeat("\u2028", 1<<20)}}
	for i := range 1000 {
		large.References[fmt.Sprint(i)] = strings.Repeat("<", 1000)
		large.Participants = append(large.Participants,
			esign.Participant{ID: fmt.Sprint(i), Status: esign.Sent, Reference: strings.Repeat("\x00", 1000)})
	}
	for _, said := range []finding.Said{large, {References: map[string]string{"long": large.References["long"]}}} {
		d := finding.Confirmed("acmesign", "a", "", now, said)
		if _, key := queue.Encode(&d); key != "" {
			t.Errorf("%d bytes do not fit", len(d.Payload))
		}
		e, err := finding.Event(&d)
		if err != nil || len(e.References) == 0 {
			t.Errorf("%d references, %v", len(e.References), err)
		}
		e = esign.Policy{References: []string{"*"}}.Apply(e, "")
		for name, value := range e.References {
			if utf8.RuneCountInString(value) != esign.MaxReference || !slices.Contains(e.ReferencesCut, name) {
				t.Errorf("%s has %d bytes, cut %q", name, len(value), e.ReferencesCut)
			}
		}
	}
}

// TestFindingsOfOtherReleases reads what an older release wrote, and what it reads of ours.
func TestFindingsOfOtherReleases(t *testing.T) {
	d := finding.Reconciled("acmesign", "a", esign.Sent, "sent", at, now, finding.Said{})
	const before = `{"type":"agreement.sent","kind":"reconciled","agreementId":"a",` +
		`"occurredAt":"2026-11-02T09:30:00.123456789Z","attributes":{"vendorStatus":"sent"}}`
	if string(d.Payload) != before {
		t.Errorf("%s", d.Payload)
	}
	d = finding.Reconciled("acmesign", "a", esign.Sent, "sent", at, now, said)
	if members, ok := strings.CutSuffix(before, "}"); !ok ||
		!strings.HasPrefix(string(d.Payload), members+`,"references":`) {
		t.Errorf("%s", d.Payload)
	}
}
