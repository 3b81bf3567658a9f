package docusign_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
)

func TestOnePersonHasOneKey(t *testing.T) {
	inJSON := about("recipient-completed", `"recipientId":"1",`+summary(`"recipients":{
		"signers":[{"recipientId":"1","recipientIdGuid":"`+strings.ToUpper(guidA)+`","status":"completed","signedDateTime":"2026-11-02T10:00:00Z"}],
		"carbonCopies":[{"recipientId":"2","recipientIdGuid":"`+guidB+`","status":"created"}]}`))
	e := normalize(t, inJSON)
	want := esign.Event{
		Participant: guidA,
		Participants: []esign.Participant{{
			ID: guidA, Aliases: []string{strings.ToUpper(guidA), "1"}, Status: esign.Signed, At: at("2026-11-02T10:00:00Z"),
		}},
		Present: []string{"1", "2", strings.ToUpper(guidA), guidA, guidB},
	}
	if diff := cmp.Diff(want, esign.Event{Participant: e.Participant, Participants: e.Participants,
		Present: e.Present}); diff != "" {
		t.Error(diff)
	}
	stated := []esign.Event{
		e, normalize(t, about("recipient-delivered", `"recipientId":"1"`)),
		normalize(t, snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Delivered", viewedAt))),
	}
	for i := range stated { // in another order each time
		var a esign.Agreement
		for _, e := range append(slices.Clone(stated[i:]), stated[:i]...) {
			a = esign.Fold(a, e)
		}
		if p := a.Participants[guidA]; len(a.Participants) != 1 || p.Status != esign.Signed || p.Replaced {
			t.Errorf("folded to %+v", a.Participants)
		}
	}
}

func TestOneNumberOfTwoRecipients(t *testing.T) {
	e := normalize(t, about("recipient-completed", `"recipientId":"1",`+summary(`"recipients":{"signers":[
		{"recipientId":"1","recipientIdGuid":"`+guidA+`","status":"completed"},
		{"recipientId":"1","recipientIdGuid":"`+guidB+`","status":"sent"}]}`)))
	want := []esign.Participant{{ID: guidA, Status: esign.Signed}, {ID: guidB, Status: esign.Sent}}
	if diff := cmp.Diff(want, e.Participants); diff != "" || e.Participant != "1" {
		t.Errorf("of %q: %s", e.Participant, diff)
	}
}

func TestPresent(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"no summary":                   {about("envelope-sent", ""), nil},
		"a summary without recipients": {about("envelope-sent", summary(`"status":"sent"`)), nil},
		"a recipient without an ID": {
			about("envelope-sent", summary(`"recipients":{"signers":[{"recipientId":"1"},{"status":"sent"}]}`)), nil,
		},
		"too many": {
			about("envelope-sent", summary(`"recipients":{"signers":[`+strings.Repeat(`{"recipientId":"1"},`, 1000)+
				`{"recipientId":"2"}]}`)),
			nil,
		},
		"all groups, whatever their status": {
			about("envelope-sent", summary(`"recipients":{"signers":[{"recipientId":"1","status":"created"}],
				"agents":[{"recipientId":"2"}],"certifiedDeliveries":[{"recipientId":"3"}],"recipientCount":"3"}`)),
			[]string{"1", "2", "3"},
		},
		"XML": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidB, "Sent", ""),
				xmlRecipient("CarbonCopy", guidA, "Created", "")),
			[]string{guidA, guidB},
		},
	} {
		if diff := cmp.Diff(tt.want, normalize(t, tt.body).Present); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReplaced(t *testing.T) {
	people := func(recipients string) string {
		return `"recipientId":"1","reassignedRecipientId":"2",` + summary(`"recipients":{"signers":[`+recipients+`]}`)
	}
	for name, tt := range map[string]struct {
		body string
		want map[string]bool // by ID
	}{
		"reassigned": {about("recipient-reassign", `"recipientId":"1","reassignedRecipientId":"2"`),
			map[string]bool{"1": true}},
		"reassigned to oneself":       {about("recipient-reassign", `"recipientId":"1","reassignedRecipientId":"1"`), nil},
		"reassigned, to somebody new": {about("recipient-reassign", `"recipientId":"1"`), nil},
		"reassigned, with the summary": {
			about("recipient-reassign", people(`{"recipientId":"1","recipientIdGuid":"`+guidA+`","status":"sent"},
				{"recipientId":"2","recipientIdGuid":"`+guidB+`","status":"sent"}`)),
			map[string]bool{guidA: true, guidB: false},
		},
		"delegated": {
			about("envelope-sent", summary(`"recipients":{"signers":[{"recipientId":"1","status":"sent","DelegatedTo":[{"Name":"x"}]},
				{"recipientId":"2","status":"completed","delegatedTo":[{}]},{"recipientId":"3","status":"sent","delegatedTo":[]}]}`)),
			map[string]bool{"1": true, "2": false, "3": false},
		},
	} {
		var got map[string]bool
		for _, p := range normalize(t, tt.body).Participants {
			if got == nil {
				got = map[string]bool{}
			}
			got[p.ID] = p.Replaced
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestASignerWhoIsCorrectedAwayIsReplaced has lists in which another signer takes over.
func TestASignerWhoIsCorrectedAwayIsReplaced(t *testing.T) {
	before := normalize(t, snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Sent", sentAt)))
	after := normalize(t, snapshot("Sent", sentAt,
		xmlRecipient("Signer", guidB, "Sent", "<Sent>2026-11-03T08:00:00</Sent>")))
	for _, events := range [][]esign.Event{{before, after}, {after, before, after}} {
		var a esign.Agreement
		for _, e := range events {
			a = esign.Fold(a, e)
		}
		if !a.Participants[guidA].Replaced || a.Participants[guidB].Replaced || len(a.Participants) != 2 {
			t.Errorf("folded to %+v", a.Participants)
		}
	}
}

// TestAParticipantsOwnTime has XML without a zone.
func TestAParticipantsOwnTime(t *testing.T) {
	e := normalize(t, legacy("<Status>Completed</Status><Completed>2026-11-02T10:00:00</Completed><RecipientStatuses>"+
		xmlRecipient("Signer", guidA, "Completed", "<Signed>2026-11-01T12:00:00</Signed>")+"</RecipientStatuses>", ""))
	want := []esign.Participant{{ID: guidA, Status: esign.Signed, At: at("2026-11-01T12:00:00Z"), Approximate: true}}
	if diff := cmp.Diff(want, e.Participants); diff != "" || !e.Approximate {
		t.Error(diff)
	}
	p := esign.Fold(esign.Agreement{}, e).Participants[guidA]
	if !p.At.Equal(at("2026-11-01T12:00:00Z")) || !p.Approximate {
		t.Errorf("folded to %+v", p)
	}
}
