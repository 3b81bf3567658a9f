package docusign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
)

// TestNothingNewIsADuplicate has messages that follow each other. Each must report what is new in it.
func TestNothingNewIsADuplicate(t *testing.T) {
	signer := func(id, status, times string) string { return xmlRecipient("Signer", id, status, times) }
	bounced := func(id, times string) string {
		return signer(id, "AutoResponded", times+"<AutoRespondedReason>550 5.1.1</AutoRespondedReason>")
	}
	failed := func(id, check, at string) string {
		return signer(id, "Sent", sentAt+"<RecipientAuthenticationStatus><"+check+"Result><Status>Failed</Status>"+
			"<EventTimestamp>"+at+"</EventTimestamp></"+check+"Result><AccessCodeResult><Status>Passed</Status>"+
			"<EventTimestamp>2026-11-02T11:00:00</EventTimestamp></AccessCodeResult></RecipientAuthenticationStatus>")
	}
	inSeconds := sentAt + "<Delivered>2026-11-02T08:00:30</Delivered>"
	const asked2, asked40 = "<Sent>2026-11-02T10:00:02</Sent>", "<Sent>2026-11-02T10:00:40</Sent>"
	in := func(recipients ...string) string { return snapshot("Sent", sentAt, recipients...) }
	json := func(members string) string {
		return aggregate("sent", `{"recipientId":"7","status":"sent","sentDateTime":"2026-11-02T08:00:00Z"`+members+`}`)
	}
	notices := func(all ...string) string {
		for i, status := range all {
			all[i] = `{"secondaryDeliveryMethod":"SMS","secondaryDeliveryStatus":"` + status + `"}`
		}
		return json(`,"additionalNotifications":[` + strings.Join(all, ",") + `]`)
	}
	for name, tt := range map[string]struct {
		messages []string
		want     []string // what each message reports that is new
	}{
		"a bounce after another signer viewed": {
			[]string{in(signer(guidA, "Sent", sentAt), signer(guidB, "Delivered", inSeconds)),
				in(bounced(guidA, sentAt), signer(guidB, "Delivered", inSeconds))},
			[]string{"viewed B", "undeliverable A"},
		},
		"a bounce before another signer signs": {
			[]string{in(bounced(guidA, sentAt), signer(guidB, "Sent", sentAt)),
				in(bounced(guidA, sentAt), signer(guidB, "Completed", signedAt))},
			[]string{"undeliverable A", "signed B"},
		},
		"a bounce before a signer is added": {
			[]string{in(bounced(guidA, sentAt)),
				in(bounced(guidA, sentAt), signer(guidB, "Sent", "<Sent>2026-11-03T08:00:00</Sent>"))},
			[]string{"undeliverable A", "updated B"},
		},
		"two bounces, the first by the greater ID": {
			[]string{in(bounced(guidB, sentAt), signer(guidA, "Sent", sentAt)),
				in(bounced(guidB, sentAt), bounced(guidA, sentAt))},
			[]string{"undeliverable B", "undeliverable A"},
		},
		"two bounces, the first by the lesser ID": {
			[]string{in(bounced(guidA, sentAt), signer(guidB, "Sent", sentAt)),
				in(bounced(guidA, sentAt), bounced(guidB, sentAt))},
			[]string{"undeliverable A", "undeliverable B"},
		},
		"a bounce after the message is sent again": {
			[]string{in(bounced(guidA, sentAt)), in(signer(guidA, "Sent", nextAt)), in(bounced(guidA, nextAt))},
			[]string{"undeliverable A", "updated A", "undeliverable A"},
		},
		"the next signer is asked, in one message or in two": {
			[]string{in(signer(guidA, "Completed", signedAt), signer(guidB, "Created", "")),
				in(signer(guidA, "Completed", signedAt), signer(guidB, "Sent", asked2))},
			[]string{"signed A", "signed A"},
		},
		"a signer is replaced by a correction": {
			[]string{in(signer(guidA, "Completed", signedAt), signer(guidB, "Sent", sentAt)),
				in(signer(guidA, "Completed", signedAt), signer(guidC, "Sent", asked40))},
			[]string{"signed A", "updated C, signed A"},
		},
		"an agent views and finishes": {
			[]string{in(xmlRecipient("Agent", guidA, "Delivered", viewedAt)),
				in(xmlRecipient("Agent", guidA, "Completed", viewedAt+"<Signed>2026-11-02T09:00:30</Signed>"))},
			[]string{"viewed A", "updated A"},
		},
		"two sign at one time, the first by the greater ID": {
			[]string{in(signer(guidB, "Completed", signedAt), signer(guidA, "Delivered", viewedAt)),
				in(signer(guidB, "Completed", signedAt), signer(guidA, "Completed", signedAt))},
			[]string{"signed B", "signed A"},
		},
		"two sign at one time, the first by the lesser ID": {
			[]string{in(signer(guidA, "Completed", signedAt), signer(guidB, "Delivered", viewedAt)),
				in(signer(guidA, "Completed", signedAt), signer(guidB, "Completed", signedAt))},
			[]string{"signed A", "signed B"},
		},
		"a signer signs on paper": {
			[]string{in(signer(guidA, "Delivered", viewedAt)), in(signer(guidA, "FaxPending", viewedAt)),
				in(signer(guidA, "Completed", signedAt))},
			[]string{"viewed A", "signed A", ""},
		},
		"a text message fails at once, and later for another reason": {
			[]string{json(""), notices("optedout"), notices("optedout", "limitreached")},
			[]string{"sent", "undeliverable 7", "undeliverable 7"},
		},
		"a text message fails at once, in the first message": {
			[]string{notices("optedout")}, []string{"sent, undeliverable 7"},
		},
		"identifications fail": {
			[]string{in(signer(guidA, "Sent", sentAt)), in(failed(guidA, "SMSAuth", "2026-11-02T09:00:00")),
				in(failed(guidA, "SMSAuth", "2026-11-02T09:01:00")), in(signer(guidA, "AuthenticationFailed", sentAt)),
				in(failed(guidA, "IDLookup", "")), in(failed(guidA, "SMSAuth", "2026-11-02T09:00:00"), signer(guidB, "Completed",
					signedAt))},
			[]string{"sent", "undeliverable A", "undeliverable A", "undeliverable A", "undeliverable A", "signed B"},
		},
		"identifications fail at times that cannot be read": {
			[]string{in(failed(guidA, "SMSAuth", "9 o'clock")), in(failed(guidA, "SMSAuth", "10 o'clock"))},
			[]string{"sent, undeliverable A", "undeliverable A"},
		},
		"identifications fail, in JSON": {
			[]string{json(""), json(`,"recipientAuthenticationStatus":{"smsAuthResult":{"status":"Failed",
					"eventTimestamp":"2026-11-02T09:00:00Z"},"ageVerifyResult":null,"idLookupResult":{"status":"Passed"}}`),
				json(`,"recipientAuthenticationStatus":["?"]`)},
			[]string{"sent", "undeliverable 7", ""},
		},
	} {
		known := map[string]bool{}
		for i, message := range append(slices.Clone(tt.messages), tt.messages...) { // all of them twice
			var got []string
			ids, all := events(t, message)
			for n, e := range all {
				if known[ids[n]] {
					continue
				}
				known[ids[n]] = true
				who := e.Participant
				if len(who) == len(guidA) {
					who = strings.ToUpper(who[:1])
				}
				got = append(got, strings.TrimSpace(strings.TrimPrefix(string(e.Type), "agreement.")+" "+who))
			}
			want := ""
			if i < len(tt.want) {
				want = tt.want[i]
			}
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("%s, message %d: %q, want %q", name, i, got, want)
			}
		}
	}
}

// TestAfterACorrection has messages about an envelope in which a signer is replaced within a minute after another's
// signature. The order of the messages does not count.
func TestAfterACorrection(t *testing.T) {
	a := xmlRecipient("Signer", guidA, "Completed", signedAt)
	_, before := events(t, snapshot("Sent", sentAt, a, xmlRecipient("Signer", guidB, "Sent", sentAt)))
	_, after := events(t, snapshot("Sent", sentAt, a, xmlRecipient("Signer", guidC, "Sent",
		"<Sent>2026-11-02T10:00:40</Sent>")))
	for _, all := range [][]esign.Event{slices.Concat(before, after), slices.Concat(after, before)} {
		var folded esign.Agreement
		for _, e := range all {
			folded = esign.Fold(folded, e)
		}
		got := fmt.Sprint(folded.Status, folded.Participants[guidA].Status, folded.Participants[guidB].Replaced,
			folded.Participants[guidC].Status, folded.Participants[guidC].Replaced)
		if want := fmt.Sprint(esign.Signed, esign.Signed, true, esign.Sent, false); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestManyRecipientsAreFewEvents has as many recipients as are read, all of whom do everything at one time.
func TestManyRecipientsAreFewEvents(t *testing.T) {
	var all []string
	for i := range slow.Cases(100, 1000) {
		all = append(all, fmt.Sprintf(`{"recipientId":"%d","status":"completed","sentDateTime":"2026-11-02T10:00:00Z",
			"signedDateTime":"2026-11-02T10:00:00Z","autoRespondedReason":"550"}`, i))
	}
	body := aggregate("sent", all...)
	if ids, _ := events(t, body); len(ids) != 50 {
		t.Errorf("%d events", len(ids))
	}
}
