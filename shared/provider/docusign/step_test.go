package docusign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// xmlRecipient makes a recipient of XML. Its times are "<Sent>…" and so on.
func xmlRecipient(kind, id, status, times string) string {
	return fmt.Sprintf("<RecipientStatus><Type>%s</Type>%s<Status>%s</Status><RecipientId>%s</RecipientId></RecipientStatus>",
		kind, times, status, id)
}

// snapshot makes an envelope with these recipients, in XML. Times are UTC.
func snapshot(status, times string, recipients ...string) string {
	return legacy("<RecipientStatuses>"+strings.Join(recipients, "")+"</RecipientStatuses><Status>"+status+"</Status>"+
		times,
		"<TimeZoneOffset>0</TimeZoneOffset>")
}

const (
	guidA = "aaaaaaaa-0000-4000-8000-000000000000"
	guidB = "bbbbbbbb-0000-4000-8000-000000000000"
	guidC = "cccccccc-0000-4000-8000-000000000000"

	sentAt   = "<Sent>2026-11-02T08:00:00</Sent>"
	viewedAt = sentAt + "<Delivered>2026-11-02T09:00:00</Delivered>"
	signedAt = viewedAt + "<Signed>2026-11-02T10:00:00</Signed>"
	nextAt   = "<Sent>2026-11-02T10:00:01</Sent>"
)

func TestTheNewestTimeDecides(t *testing.T) {
	created := xmlRecipient("Signer", guidB, "Created", "")
	asked := xmlRecipient("Signer", guidB, "Sent", nextAt)
	for name, tt := range map[string]struct {
		body        string
		want        esign.Type
		at          string
		participant string
	}{
		"nobody has done anything": {
			snapshot("Sent", "<Sent>2026-11-02T08:00:00.5</Sent>", xmlRecipient("Signer", guidA, "Sent", sentAt), created),
			esign.AgreementSent, "2026-11-02T08:00:00.5Z", "",
		},
		"a signer views": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Delivered", viewedAt), created),
			esign.AgreementViewed, "2026-11-02T09:00:00Z", guidA,
		},
		"the only signer views, and the envelope follows": {
			snapshot("Delivered", "<Delivered>2026-11-02T09:00:00.1</Delivered>",
				xmlRecipient("Signer", guidA, "Delivered", viewedAt)),
			esign.AgreementViewed, "2026-11-02T09:00:00Z", guidA,
		},
		"a signer signs": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Completed", signedAt), created),
			esign.AgreementSigned, "2026-11-02T10:00:00Z", guidA,
		},
		"a signer signs, the next is asked, and the envelope's time moves": {
			snapshot("Sent", nextAt, asked, xmlRecipient("Signer", guidA, "Completed", signedAt)),
			esign.AgreementSigned, "2026-11-02T10:00:00Z", guidA,
		},
		"the last signer signs, the envelope not yet completed": {
			snapshot("Processing", sentAt, xmlRecipient("Signer", guidA, "Completed", signedAt)),
			esign.AgreementSigned, "2026-11-02T10:00:00Z", guidA,
		},
		"a signer signs on paper": {
			snapshot("Delivered", sentAt, xmlRecipient("Signer", guidA, "FaxPending", signedAt)),
			esign.AgreementSigned, "2026-11-02T10:00:00Z", guidA,
		},
		"a carbon copy is delivered after that": {
			snapshot("Sent", nextAt, xmlRecipient("Signer", guidA, "Completed", signedAt),
				xmlRecipient("CarbonCopy", guidC, "Completed", nextAt+"<Signed>2026-11-02T10:00:02</Signed>")),
			esign.AgreementSigned, "2026-11-02T10:00:00Z", guidA,
		},
		"only a carbon copy is completed, much later": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Sent", sentAt),
				xmlRecipient("CarbonCopy", guidC, "Completed", nextAt+"<Signed>2026-11-02T11:00:00</Signed>")),
			esign.AgreementUpdated, "2026-11-02T11:00:00Z", guidC,
		},
		"a certified delivery is completed": {
			snapshot("Sent", sentAt, xmlRecipient("CertifiedDelivery", guidC, "Completed",
				"<Signed>2026-11-02T11:00:00</Signed>")),
			esign.AgreementUpdated, "2026-11-02T11:00:00Z", guidC,
		},
		"a signer is added a day later": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Completed", signedAt),
				xmlRecipient("Signer", guidB, "Sent", "<Sent>2026-11-03T08:00:00</Sent>")),
			esign.AgreementUpdated, "2026-11-03T08:00:00Z", guidB,
		},
		"a signer declines, and the envelope follows later": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Declined", viewedAt+
				"<Declined>2026-11-02T10:30:00</Declined>")),
			esign.AgreementDeclined, "2026-11-02T10:30:00Z", "",
		},
		"declined, the envelope without a time": {
			snapshot("Declined", sentAt, xmlRecipient("Signer", guidA, "Declined", "<Declined>2026-11-02T10:30:00</Declined>")),
			esign.AgreementDeclined, "2026-11-02T10:30:00Z", "",
		},
		"completed, and a carbon copy viewed later": {
			snapshot("Completed", "<Completed>2026-11-02T10:00:01</Completed>",
				xmlRecipient("Signer", guidA, "Completed", signedAt),
				xmlRecipient("CarbonCopy", guidC, "Completed", "<Delivered>2026-11-02T11:00:00</Delivered>")),
			esign.AgreementCompleted, "2026-11-02T10:00:01Z", "",
		},
		"being corrected": {
			snapshot("Correct", sentAt, xmlRecipient("Signer", guidA, "Completed", signedAt)), esign.AgreementUpdated,
			"0001-01-01T00:00:00Z", "",
		},
		"an e-mail bounces": {
			snapshot("Sent", sentAt+"<TimeGenerated>2026-11-02T08:05:00</TimeGenerated>",
				xmlRecipient("Signer", guidA, "AutoResponded", sentAt), xmlRecipient("Signer", guidB, "Sent", sentAt)),
			esign.AgreementUndeliverable, "2026-11-02T08:00:00Z", guidA,
		},
		"a time of declining without the status": {
			snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Sent", sentAt+"<Declined>2026-11-02T10:30:00</Declined>")),
			esign.AgreementSent, "2026-11-02T08:00:00Z", "",
		},
		"the next signer's e-mail bounces": {
			snapshot("Sent", sentAt+"<TimeGenerated>2026-11-02T10:05:00</TimeGenerated>",
				xmlRecipient("Signer", guidA, "Completed", signedAt), xmlRecipient("Signer", guidB, "AutoResponded", nextAt)),
			esign.AgreementUndeliverable, "2026-11-02T10:00:01Z", guidB,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, all := events(t, tt.body)
			e := all[len(all)-1]
			if e.Type != tt.want || !e.OccurredAt.Equal(at(tt.at)) || e.Participant != tt.participant {
				t.Errorf("%s of %q at %v, want %s of %q at %s", e.Type, e.Participant, e.OccurredAt, tt.want, tt.participant,
					tt.at)
			}
		})
	}
}

// aggregate makes an envelope with these signers, in JSON.
func aggregate(status string, signers ...string) string {
	return `{"envelopeId":"` + envelopeID + `","status":"` + status + `","sentDateTime":"2026-11-02T08:00:00Z",` +
		`"recipients":{"signers":[` + strings.Join(signers, ",") + `]}}`
}

func TestFormatsShareIDs(t *testing.T) {
	const (
		viewed  = `{"recipientId":"7","recipientIdGuid":"` + guidA + `","deliveredDateTime":"2026-11-02T09:00:00.5Z"}`
		signed  = `{"recipientId":"7","recipientIdGuid":"` + guidA + `","signedDateTime":"2026-11-02T10:00:00Z"}`
		waiting = `{"recipientId":"9","status":"sent","sentDateTime":"2026-11-02T08:00:00Z"}`
	)
	recipients := func(list string) string { return summary(`"recipients":{"signers":[` + list + `]}`) }
	xml := func(status, zone string, recipients ...string) string {
		return strings.Replace(snapshot(status, sentAt, recipients...), "<TimeZoneOffset>0</TimeZoneOffset>", zone, 1)
	}
	for name, ways := range map[string][]string{
		"a signer signs": {
			about("recipient-completed", `"recipientId":"7"`),
			about("recipient-completed", `"recipientId":7,`+recipients(signed)),
			aggregate("sent", signed), aggregate("delivered", signed, waiting), aggregate("processing", waiting, signed),
		},
		"a signer views": {
			about("recipient-delivered", `"recipientId":"7",`+recipients(viewed)),
			aggregate("sent", viewed), aggregate("delivered", viewed), aggregate("sent", waiting, viewed),
		},
		"a signer signs, in XML": {
			xml("Sent", "", xmlRecipient("Signer", guidA, "Completed", signedAt)),
			xml("Delivered", "<TimeZoneOffset>-7</TimeZoneOffset>", xmlRecipient("Signer", guidA, "Completed", signedAt)),
			xml("Sent", "", xmlRecipient("Signer", strings.ToUpper(guidA), "Signed", signedAt),
				xmlRecipient("Signer", guidB, "Sent", sentAt)),
			aggregate("sent", `{"recipientIdGuid":"`+guidA+`","signedDateTime":"2026-11-02T10:00:00Z"}`),
		},
		"a signer views, in XML": {
			xml("Sent", "", xmlRecipient("Signer", guidA, "Delivered", viewedAt)),
			xml("Sent", "<TimeZoneOffset>-7</TimeZoneOffset>", xmlRecipient("Signer", guidA, "Delivered", viewedAt)),
			xml("Delivered", "", xmlRecipient("Signer", guidA, "Delivered",
				strings.Replace(viewedAt, "09:00:00", "09:00:00.000", 1))),
		},
		"an e-mail bounces, in XML": {
			xml("Sent", "", xmlRecipient("Signer", guidA, "AutoResponded", sentAt)),
			xml("Sent", "<TimeZoneOffset>-7</TimeZoneOffset>", xmlRecipient("Signer", guidB, "Sent", sentAt),
				xmlRecipient("Signer", guidA, "AutoResponded", sentAt)),
		},
		"a signer declines": {
			about("envelope-declined", ""),
			aggregate("sent", `{"recipientId":"7","status":"declined","declinedDateTime":"2026-11-02T10:30:00Z"}`),
			xml("Declined", ""),
			xml("Sent", "", xmlRecipient("Signer", guidA, "Declined", "<Declined>2026-11-02T10:30:00</Declined>")),
		},
	} {
		for _, body := range ways[1:] {
			if a, b := identify(t, ways[0]), identify(t, body); a.EventID != b.EventID {
				t.Errorf("%s: %+v and %+v\n%s", name, a, b, body)
			}
		}
	}
}

func TestTheOrderOfRecipientsDoesNotCount(t *testing.T) {
	a := xmlRecipient("Signer", guidA, "Completed", signedAt)
	b := xmlRecipient("Signer", guidB, "Completed", signedAt)
	c := xmlRecipient("Signer", guidC, "AutoResponded", nextAt)
	one, _ := events(t, snapshot("Sent", sentAt, a, b, c))
	other, _ := events(t, snapshot("Sent", sentAt, c, b, a))
	if !slices.Equal(one, other) || len(one) != 3 {
		t.Errorf("%v and %v", one, other)
	}
}

func TestFormerIDs(t *testing.T) {
	signer := func(id, status, times string) string { return xmlRecipient("Signer", id, status, times) }
	for name, tt := range map[string]struct {
		body string
		want []webhook.FormerID
	}{
		"XML that a signer caused": {
			snapshot("Sent", sentAt, signer("A", "Completed", signedAt), signer("B", "Sent", nextAt)),
			[]webhook.FormerID{{ID: webhook.EventID("docusign", "status", envelopeID, "sent", "2026-11-02T08:00:00",
				"A", "completed", "B", "sent")}},
		},
		"an aggregate about a view": {
			aggregate("delivered", `{"recipientId":"7","status":"delivered","deliveredDateTime":"2026-11-02T09:00:00Z"}`),
			nil, // somebody else may do the same later
		},
		"XML in which somebody declined": {
			snapshot("Sent", sentAt, signer("A", "Declined", "")),
			[]webhook.FormerID{{ID: webhook.EventID("docusign", "status", envelopeID, "sent", "2026-11-02T08:00:00",
				"A", "declined")}},
		},
		"XML about a bounce": {snapshot("Sent", sentAt, signer("A", "AutoResponded", sentAt)), nil},
		"XML about a sending": {
			snapshot("Sent", sentAt, signer("A", "Sent", "<Sent>2026-11-03T08:00:00</Sent>")), nil,
		},
		"a view by somebody named by the GUID": {
			about("recipient-delivered", `"recipientId":"`+guidA+`",`+summary(`"recipients":{"signers":[
				{"recipientId":"7","recipientIdGuid":"`+guidA+`","deliveredDateTime":"2026-11-02T07:00:00Z"}]}`)),
			[]webhook.FormerID{{ID: webhook.EventID("docusign", "repeatable", "docusign#"+envelopeID,
				"recipient-delivered", guidA, generated)}},
		},
		"a view by somebody named by the number": {
			about("recipient-delivered", `"recipientId":"7",`+summary(`"recipients":{"signers":[
				{"recipientId":"7","deliveredDateTime":"2026-11-02T07:00:00Z"}]}`)), nil,
		},
		"XML that nobody caused": {snapshot("Sent", sentAt, signer("A", "Sent", sentAt)), nil},
		"completed XML":          {snapshot("Completed", "", signer("A", "Completed", signedAt)), nil},
		"a purge": {
			about("envelope-purge", ""),
			[]webhook.FormerID{{ID: webhook.EventID("docusign", "envelope", envelopeID, "envelope-purge"),
				OccurredAt: at(generated)}},
		},
		"a deletion": {
			about("envelope-deleted", summary(`"deletedDateTime":"2026-11-02T07:00:00Z"`)),
			[]webhook.FormerID{{ID: webhook.EventID("docusign", "envelope", envelopeID, "envelope-deleted"),
				OccurredAt: at("2026-11-02T07:00:00Z")}},
		},
		"a resending": {about("envelope-resent", ""), nil},
		"completed":   {about("envelope-completed", ""), nil},
	} {
		if got := identify(t, tt.body); fmt.Sprint(got.FormerIDs) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", name, got.FormerIDs, tt.want)
		}
	}
}

func TestUndeliverable(t *testing.T) {
	about7 := func(event, members string) string {
		return about(event, `"recipientId":"7",`+signer("7", members))
	}
	for body, want := range map[string]esign.Cause{
		about("recipient-authenticationfailed",
			`"recipientId":"7"`): esign.CauseIdentification,
		about("recipient-autoresponded",
			`"recipientId":"7"`): esign.CauseAutoReply,
		about7("recipient-autoresponded",
			`"status":"autoresponded"`): esign.CauseAutoReply,
		about7("recipient-autoresponded",
			`"status":"AutoResponded","autoRespondedReason":"550 no such user a@b.example"`): esign.CauseBounced,
		about7("recipient-autoresponded",
			`"status":"autoresponded","deliveryMethod":"SMS"`): esign.CauseSMS,
		about7("recipient-sent", `"status":"sent","autoRespondedReason":"550 no such user a@b.example"`): esign.CauseBounced,
		about7("recipient-sent", `"status":"sent","additionalNotifications":[{"secondaryDeliveryMethod":"SMS","secondaryDeliveryStatus":"sent"},
			{"secondaryDeliveryMethod":"SMS","secondaryDeliveryStatus":"autoresponded"}]`): esign.CauseSMS,
		about7("recipient-resent", `"additionalNotifications":[{"secondaryDeliveryMethod":"WhatsApp","secondaryDeliveryStatus":"optedOut"}]`): esign.CauseOptedOut,
		about7("recipient-sent", `"additionalNotifications":[{"secondaryDeliveryMethod":"fax","secondaryDeliveryStatus":"limitreached"}]`):    esign.CauseUndelivered,
		// of the sending before
		about7("recipient-resent", `"status":"autoresponded"`):   "",
		about7("recipient-delegate", `"status":"autoresponded"`): "",
		about7("recipient-sent", `"status":"sent"`):              "",
		about("envelope-sent", signer("7",
			`"status":"autoresponded"`)): "",
		snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Sent", sentAt+
			"<AutoRespondedReason>550 a@b.example</AutoRespondedReason>")): esign.CauseBounced,
		snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "AutoResponded",
			"<DeliveryMethod>SMS</DeliveryMethod>")): esign.CauseSMS,
		snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "Delivered", sentAt+
			"<AutoRespondedReason>550 a@b.example</AutoRespondedReason>")): "",
	} {
		_, all := events(t, body)
		e := all[len(all)-1]
		if e.Cause != want || (e.Type == esign.AgreementUndeliverable) != (want != "") || e.Type.Status() != "" &&
			want != "" {
			t.Errorf("%s because of %q, want %q: %s", e.Type, e.Cause, want, body)
		}
		if strings.Contains(fmt.Sprint(e), "550") {
			t.Errorf("the event shows the reason: %+v", e)
		}
	}
}
