package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var rising = []string{"", "created", "sent", "viewed", "signed", "failed", "expired", "cancelled", "declined", "completed"}

// lives are whole life cycles: one delivery for each thing that happens, and how the agreement ends.
var lives = map[string]struct {
	provider, env, status string
	deliveries            func(id string) []request
}{
	"Adobe, completed": {"adobesign", adobeKeys, "completed", func(id string) []request {
		at := func(second int, change object) object {
			return merge(object{"eventDate": moment(second).Format(time.RFC3339)}, change)
		}
		bob := object{"participantUserId": "USER-B", "actingUserId": "USER-B"}
		return []request{
			adobe(id, "AGREEMENT_CREATED", at(1, nil)),
			adobe(id, "AGREEMENT_ACTION_REQUESTED", at(2, nil)),
			adobe(id, "AGREEMENT_EMAIL_VIEWED", at(3, nil)),
			adobe(id, "AGREEMENT_ACTION_COMPLETED", at(4, object{"actionType": "ESIGNED"})),
			adobe(id, "AGREEMENT_ACTION_REQUESTED", at(4, bob)),
			adobe(id, "AGREEMENT_ACTION_COMPLETED", at(6, merge(bob, object{"actionType": "ESIGNED"}))),
			adobe(id, "AGREEMENT_WORKFLOW_COMPLETED", at(6, bob)),
			adobe(id, "AGREEMENT_DOCUMENTS_VIEWED", at(9, nil)),
		}
	}},
	"DocuSign, completed": {"docusign", docusignKeys, "completed", func(id string) []request {
		return []request{
			docusign(id, "envelope-created", 1),
			docusign(id, "envelope-sent", 2),
			docusign(id, "recipient-sent", 2, recipient(id, "1")),
			docusign(id, "recipient-delivered", 3, recipient(id, "1")),
			docusign(id, "recipient-completed", 4, recipient(id, "1")),
			docusign(id, "recipient-completed", 5, recipient(id, "2")),
			docusign(id, "envelope-delivered", 5),
			docusign(id, "envelope-completed", 6),
			docusign(id, "envelope-purge", 30),
		}
	}},
	"DocuSign, voided": {"docusign", docusignKeys, "cancelled", func(id string) []request {
		return []request{
			docusign(id, "envelope-sent", 1), docusign(id, "recipient-completed", 3, recipient(id, "1")),
			docusign(id, "envelope-voided", 4), docusign(id, "envelope-resent", 2),
		}
	}},
	"Dropbox Sign, declined": {"dropboxsign", dropboxKeys, "declined", func(id string) []request {
		return []request{
			dropbox(id, "signature_request_sent", 1, nil),
			dropbox(id, "signature_request_viewed", 2, object{"related_signature_id": "sig-1"}),
			dropbox(id, "signature_request_signed", 3, object{"related_signature_id": "sig-1"}),
			dropbox(id, "signature_request_viewed", 3, object{"related_signature_id": "sig-2"}),
			dropbox(id, "signature_request_declined", 5, object{"related_signature_id": "sig-2"}),
			dropbox(id, "signature_request_downloadable", 6, nil),
		}
	}},
	"eSignGlobal, expired": {"esignglobal", esignKeys, "expired", func(id string) []request {
		return []request{
			esign(esignV1(id, "ENVELOPE_START", nil)),
			esign(esignV1(id, "ENVELOPE_SIGNER_VIEWED", object{"signerInfo": signer("ann", 1, object{"viewedTime": moment(2).UnixMilli()})})),
			esign(esignV1(id, "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": signer("ann", 1, object{"signDate": moment(3).UnixMilli()})})),
			esign(esignV1(id, "ENVELOPE_EXPIRED", object{"envelopeStatus": 3, "envelopeEndTime": moment(9).UnixMilli()})),
		}
	}},
}

func TestLivesInAnyOrderEndAlike(t *testing.T) {
	t.Parallel()
	for name, life := range lives {
		t.Run(name, func(t *testing.T) {
			g := start(t, life.env)
			for round := range 3 {
				id := guid()
				deliveries := life.deliveries(id)
				n := len(deliveries)
				deliveries = append(deliveries, deliveries...) // each comes twice
				if round > 0 {
					random := rand.New(rand.NewPCG(uint64(round), 7))
					random.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
				}
				g.accept(deliveries...)
				wantLife(t, g.agreement(life.provider, id), life.status, n)
			}
		})
	}
}

// wantLife checks an agreement whose n events were delivered twice each.
func wantLife(t *testing.T, a agreement, status string, n int) {
	t.Helper()
	if a.Status != status || len(a.Events) != n {
		t.Errorf("got %s with %d events %s, want %s with %d", a.Status, len(a.Events), names(a.Events), status, n)
	}
	var newest time.Time
	for _, e := range a.Events {
		if e.Duplicates != 1 || e.State != "processed" {
			t.Errorf("%s is %s with %d duplicates, want processed with one", e.VendorType, e.State, e.Duplicates)
		}
		if e.OccurredAt.After(newest) {
			newest = e.OccurredAt
		}
	}
	if !a.UpdatedAt.Equal(newest) {
		t.Errorf("updated at %v, want the highest of its events' times, %v", a.UpdatedAt, newest)
	}
	inOrder := slices.IsSortedFunc(a.Events, func(a, b event) int {
		if c := a.OccurredAt.Compare(b.OccurredAt); c != 0 {
			return c
		}
		return a.ReceivedAt.Compare(b.ReceivedAt)
	})
	if !inOrder {
		t.Errorf("the events are not in the order of occurredAt, then receivedAt: %+v", a.Events)
	}
}

func TestStatusesNeverGoBack(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	deliveries := lives["DocuSign, completed"].deliveries(id)
	slices.Reverse(deliveries)
	deliveries[0], deliveries[4] = deliveries[4], deliveries[0] // signed, then up to completed, then down
	before := 0
	var seen []string
	for _, r := range deliveries {
		g.accept(r)
		status := g.agreement("docusign", id).Status
		seen = append(seen, status)
		rank := slices.Index(rising, status)
		if rank < before {
			t.Fatalf("the status went back: %q", seen)
		}
		before = rank
	}
	if first, last := seen[0], seen[len(seen)-1]; first != "signed" || last != "completed" {
		t.Errorf("got %q, want from signed to completed", seen)
	}
}

func TestTheHigherOfTwoEndsStandsAndTheAgreementSaysSo(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	for i, order := range [][]string{{"envelope-declined", "envelope-completed"}, {"envelope-completed", "envelope-declined"}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			g, id := g.in(t), guid()
			for second, name := range order {
				g.accept(docusign(id, name, second+i))
			}
			if a := g.agreement("docusign", id); a.Status != "completed" || !a.Conflict {
				t.Errorf("got %s, conflict %v; want completed with a conflict", a.Status, a.Conflict)
			}
		})
	}
}
