package adobesign_test

import (
	"fmt"
	"strings"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// facts describes what an event states about people: "u1 sent signer 2 waits bounced -> u2" for each.
func facts(e esign.Event) string {
	var all []string
	for _, p := range e.Participants {
		words := []any{p.ID, p.Status}
		if p.Role != "" {
			words = append(words, p.Role)
		}
		if p.Order > 0 {
			words = append(words, p.Order)
		}
		if p.Waiting != nil {
			words = append(words, map[bool]string{true: "waits", false: "idle"}[*p.Waiting])
		}
		if p.Problem != "" {
			words = append(words, p.Problem)
		}
		if p.Replaced || p.ReplacedBy != "" {
			words = append(words, "->", p.ReplacedBy)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintln(words...)))
	}
	return strings.Join(all, ", ")
}

// about returns an event of an agreement with these fields and, unless empty, participant sets.
func about(t *testing.T, event, fields, sets string) esign.Event {
	t.Helper()
	if sets != "" {
		sets = `,"participantSetsInfo":{"participantSets":[` + sets + `]}`
	}
	return normalize(t, `{"event":"`+event+`",`+fields+`"agreement":{"id":"a1"`+sets+`}}`)
}

func set(order, role, status string, members ...string) string {
	return fmt.Sprintf(`{"order":%s,"role":%q,"status":%q,"memberInfos":[%s]}`, order, role, status,
		strings.Join(members, ","))
}

// u returns an active member of a set.
func u(id string) string { return `{"userId":"` + id + `","status":"ACTIVE"}` }

// gone returns a replaced one.
func gone(id string) string { return `{"userId":"` + id + `","status":"REPLACED"}` }

const (
	wasAsked   = "AGREEMENT_ACTION_REQUESTED"
	hasActed   = "AGREEMENT_ACTION_COMPLETED"
	delegated  = "AGREEMENT_ACTION_DELEGATED"
	wasChanged = "AGREEMENT_ACTION_REPLACED_SIGNER"
	changed    = "AGREEMENT_MODIFIED"
	sign       = "WAITING_FOR_MY_SIGNATURE"
	u1         = `"participantUserId":"u1",`
)

func TestRoles(t *testing.T) {
	for word, want := range map[string]string{
		"SIGNER": "signer", "APPROVER": "approver", "ACCEPTOR": "acceptor", "CERTIFIED_RECIPIENT": "certified",
		"FORM_FILLER": "form-filler", "DELEGATE_TO_SIGNER": "delegate", "DELEGATE_TO_APPROVER": "delegate",
		"DELEGATE_TO_ACCEPTOR": "delegate", "DELEGATE_TO_CERTIFIED_RECIPIENT": "delegate",
		"DELEGATE_TO_FORM_FILLER": "delegate", "SHARE": "copy", "NOTARY_SIGNER": "notary", "ELECTRONIC_SEALER": "seal",
		"SENDER": "other", "WAX_MAKER": "other",
	} {
		if got := facts(about(t, changed, "", set("1", word, sign, u("u1")))); got != "u1 sent "+want+" 1 waits" {
			t.Errorf("%s in a set: %s", word, got)
		}
		if got := facts(about(t, wasAsked, u1+`"participantRole":"`+word+`",`, "")); got != "u1 sent "+want+" waits" {
			t.Errorf("%s of an event: %s", word, got)
		}
	}
}

// TestTasks tests what sets and events state about each person's task.
func TestTasks(t *testing.T) {
	const later = "NOT_YET_VISIBLE"
	for name, tt := range map[string]struct{ event, fields, sets, want string }{
		"waits for a signature": {changed, "", set("2", "SIGNER", sign, u("u1")), "u1 sent signer 2 waits"},
		"waits to prove identity": {changed, "", set("1", "SIGNER", "WAITING_FOR_MY_VERIFICATION", u("u1")),
			"u1 sent signer 1 waits"},
		"waits for an approval": {changed, "", set("1", "APPROVER", "WAITING_FOR_MY_APPROVAL", u("u1")),
			"u1 sent approver 1 waits"},
		"waits to delegate": {changed, "", set("1", "DELEGATE_TO_SIGNER", "WAITING_FOR_MY_DELEGATION", u("u1")),
			"u1 sent delegate 1 waits"},
		"has signed": {changed, "", set("1", "SIGNER", "COMPLETED", u("u1")), "u1 signed signer 1 idle"},
		"has sealed": {changed, "", set("1", "ELECTRONIC_SEALER", "COMPLETED", u("u1")),
			"u1 signed seal 1 idle"},
		"has approved": {changed, "", set("1", "APPROVER", "COMPLETED", u("u1")), "u1 sent approver 1 idle"},
		"one of a group has signed": {changed, "", set("1", "SIGNER", "COMPLETED", u("u1"), u("u2")),
			"u1 sent signer 1 idle, u2 sent signer 1 idle"},
		"has acted, others not": {changed, "", set("1", "APPROVER", "WAITING_FOR_OTHERS", u("u1")),
			"u1 sent approver 1 idle"},
		"is asked later":         {changed, "", set("2", "SIGNER", later, u("u1")), ""},
		"is asked no more":       {changed, "", set("1", "SIGNER", "CANCELLED", u("u1")), ""},
		"is too late":            {changed, "", set("1", "SIGNER", "EXPIRED", u("u1")), "u1 expired signer 1 idle"},
		"the sender prepares it": {changed, "", set("1", "SIGNER", "WAITING_FOR_AUTHORING", u("u1")), ""},
		"the sender fills it in": {changed, "", set("1", "SIGNER", "WAITING_FOR_PREFILL", u("u1")), ""},
		"an unknown status":      {changed, "", set("1", "SIGNER", "WAITING_FOR_GODOT", u("u1")), ""},
		"nobody":                 {changed, "", set("1", "SIGNER", "COMPLETED"), ""},
		"an order as text":       {changed, "", set(`"3"`, "SIGNER", sign, u("u1")), "u1 sent signer 3 waits"},
		"no order":               {changed, "", set(`""`, "SIGNER", sign, u("u1")), "u1 sent signer waits"},
		"a negative order":       {changed, "", set(`-1`, "SIGNER", sign, u("u1")), "u1 sent signer waits"},
		"no role":                {changed, "", set(`1`, "", sign, u("u1")), "u1 sent 1 waits"},

		"the event asks":              {wasAsked, u1, "", "u1 sent waits"},
		"the event asks, sets agree":  {wasAsked, u1, set("2", "SIGNER", sign, u("u1")), "u1 sent signer 2 waits"},
		"the event asks, sets lag":    {wasAsked, u1, set("2", "SIGNER", later, u("u1")), "u1 sent signer 2 waits"},
		"the event asks, sets are on": {wasAsked, u1, set("2", "APPROVER", "COMPLETED", u("u1")), "u1 sent approver 2 idle"},
		"the event asks another": {wasAsked, u1, set("2", "SIGNER", sign, u("u2")),
			"u1 sent waits, u2 sent signer 2 waits"},
		"the event of an approval":   {hasActed, u1 + `"participantRole":"APPROVER",`, "", "u1 sent approver idle"},
		"the event of an acceptance": {hasActed, u1 + `"actionType":"ACCEPTED",`, "", "u1 sent idle"},
		"the event of a signature":   {hasActed, u1 + `"participantRole":"SIGNER",`, "", "u1 signed signer idle"},
		"the event of a view": {"AGREEMENT_EMAIL_VIEWED", u1, set("2", "SIGNER", later, u("u1")),
			"u1 viewed signer 2 idle"},
		"a refusal": {"AGREEMENT_REJECTED", u1, set("2", "SIGNER", "CANCELLED", u("u1")) + "," +
			set("2", "SIGNER", sign, u("u2")), "u1 declined signer 2, u2 sent signer 2"},
		"the end": {"AGREEMENT_WORKFLOW_COMPLETED", u1, set("1", "SIGNER", "COMPLETED", u("u1")) + "," +
			set("2", "APPROVER", "COMPLETED", u("u2")), "u1 signed signer 1"},

		"of two tasks, the one whose turn it is": {changed, "", set("1", "SIGNER", "COMPLETED", u("u1")) + "," +
			set("2", "APPROVER", sign, u("u1")), "u1 signed approver 2 waits"},
		"of two tasks, the first": {changed, "", set("1", "APPROVER", "COMPLETED", u("u1")) + "," +
			set("2", "SIGNER", later, u("u1")), "u1 sent approver 1 idle"},
		"the event knows the address, the set the ID": {wasAsked, `"participantUserEmail":"ada@example.com",`,
			set("2", "SIGNER", later, `{"userId":"u1","email":"ada@example.com"}`),
			webhook.ParticipantKey("ada@example.com") + " sent signer 2 waits"},
		"the event knows the ID, the set the address": {wasAsked, u1 + `"participantUserEmail":"ada@example.com",`,
			set("2", "SIGNER", later, `{"email":"ada@example.com"}`), "u1 sent signer 2 waits"},
		"an address that another person has too": {wasAsked, u1 + `"participantUserEmail":"office@example.com",`,
			set("2", "SIGNER", later, `{"userId":"u2","email":"office@example.com"}`), "u1 sent waits"},
	} {
		if got := facts(about(t, tt.event, tt.fields, tt.sets)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestSetsInOtherPlaces: some payloads list sets apart, and those of 2018 have a plain list.
func TestSetsInOtherPlaces(t *testing.T) {
	one, two := set("1", "SIGNER", "COMPLETED", u("u1")), set("2", "APPROVER", "WAITING_FOR_MY_APPROVAL", u("u2"))
	for _, info := range []string{
		`{"participantSets":[` + one + `,` + two + `]}`, `{"participantSets":[` + one + `],"nextParticipantSets":[` + two +
			`]}`,
		`{"participantSets":[` + one + `,` + two + `],"nextParticipantSets":[` + two + `]}`, `[` + one + `,` + two + `]`,
	} {
		got := facts(normalize(t, `{"event":"AGREEMENT_MODIFIED","agreement":{"id":"a1","participantSetsInfo":`+info+`}}`))
		if want := "u1 signed signer 1 idle, u2 sent approver 2 waits"; got != want {
			t.Errorf("%s: %s", info, got)
		}
	}
	for _, info := range []string{`"sets"`, `7`, `null`, `{}`, `[]`, `[[]]`, `{"participantSets":{}}`} {
		got := facts(normalize(t, `{"event":"AGREEMENT_MODIFIED","agreement":{"id":"a1","participantSetsInfo":`+info+`}}`))
		if got != "" {
			t.Errorf("%s: %s", info, got)
		}
	}
}

// TestReplacements tests who has taken over from whom, as far as a notification shows that.
func TestReplacements(t *testing.T) {
	const from = `"participantUserId":"u2","actingUserId":"u1",`
	ada := webhook.ParticipantKey("ada@example.com")
	for name, tt := range map[string]struct{ event, fields, sets, want string }{
		"one of one": {changed, "", set("2", "SIGNER", sign, gone("u1"), u("u2")),
			"u2 sent signer 2 waits, u1 sent signer 2 -> u2"},
		"one after another": {changed, "", set("2", "SIGNER", sign, gone("u1"), gone("u2"), u("u3")),
			"u3 sent signer 2 waits, u1 sent signer 2 -> u3, u2 sent signer 2 -> u3"},
		"one of a group": {changed, "", set("2", "SIGNER", sign, gone("u1"), u("u2"), u("u3")),
			"u2 sent signer 2 waits, u3 sent signer 2 waits, u1 sent signer 2 ->"},
		"one of a group, by the one whom the event names": {wasChanged, `"participantUserId":"u3",`,
			set("2", "SIGNER", sign, gone("u1"), u("u2"), u("u3")),
			"u2 sent signer 2 waits, u3 sent signer 2 waits, u1 sent signer 2 -> u3"},
		"two of a group, by the one whom the event names": {wasChanged, `"participantUserId":"u3",`,
			set("2", "SIGNER", sign, gone("u1"), gone("u4"), u("u2"), u("u3")),
			"u2 sent signer 2 waits, u3 sent signer 2 waits, u1 sent signer 2 ->, u4 sent signer 2 ->"},
		"one of a group, and the event names the old one": {wasChanged, u1,
			set("2", "SIGNER", sign, gone("u1"), u("u2"), u("u3")),
			"u2 sent signer 2 waits, u3 sent signer 2 waits, u1 sent signer 2 ->"},
		"the event names the old one, or the new one": {wasChanged, u1, "", ""},
		"nobody is left": {changed, "", set("2", "SIGNER", sign, gone("u1")), "u1 sent signer 2 ->"},
		"one who is active in another set": {changed, "", set("1", "SIGNER", sign, u("u1")) + "," +
			set("2", "SIGNER", sign, gone("u1"), u("u2")), "u1 sent signer 1 waits, u2 sent signer 2 waits"},
		"the second event": {"AGREEMENT_PARTICIPANT_REPLACED", "", set("2", "SIGNER", sign, gone("u1"), u("u2")),
			"u2 sent signer 2 waits, u1 sent signer 2 -> u2"},

		"delegated":        {delegated, from, "", "u1 sent -> u2"},
		"delegated by ID":  {delegated, `"subEvent":"AUTO_DELEGATED",` + from, "", "u1 sent -> u2"},
		"delegated nobody": {delegated, `"actingUserId":"u1",`, "", "u1 sent ->"},
		"delegated within a group": {delegated, from, set("1", "SIGNER", sign, gone("u1"), u("u2"), u("u3")),
			"u2 sent signer 1 waits, u3 sent signer 1 waits, u1 sent signer 1 -> u2"},
		"delegated, and the sets lag": {delegated, from, set("1", "SIGNER", sign, u("u1")), "u1 sent signer 1 -> u2"},
		"delegated, and both are listed": {delegated, from, set("1", "SIGNER", sign, u("u1"), u("u2")),
			"u1 sent signer 1 -> u2, u2 sent signer 1 waits"},
		"delegated one of two tasks, and both are listed": {delegated, from, set("1", "SIGNER", sign, u("u1"), u("u2")) +
			"," + set("2", "APPROVER", sign, u("u1")), "u1 sent signer 1 waits, u2 sent signer 1 waits"},
		"delegated one of two tasks": {delegated, from, set("1", "SIGNER", sign, gone("u1"), u("u2")) + "," +
			set("2", "APPROVER", sign, u("u1")), "u2 sent signer 1 waits, u1 sent approver 2 waits"},
		"delegated to an address, the set has the ID": {delegated,
			`"participantUserEmail":"ada@example.com","actingUserId":"u1",`,
			set("1", "SIGNER", sign, `{"userId":"u2","email":"ada@example.com"}`), "u2 sent signer 1 waits, u1 sent -> u2"},
		"delegated to an address": {delegated, `"participantUserEmail":"ada@example.com","actingUserId":"u1",`,
			set("1", "SIGNER", sign, `{"email":"ada@example.com"}`), ada + " sent signer 1 waits, u1 sent -> " + ada},
	} {
		if got := facts(about(t, tt.event, tt.fields, tt.sets)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestProblems tests who was not reached, or not identified.
func TestProblems(t *testing.T) {
	const recalled, attempts = "AGREEMENT_RECALLED", `"subEvent":"MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED",`
	ofSender := `"participantUserId":"u9","participantUserEmail":"Grace@example.com",`
	sent := `"senderEmail":"grace@example.com","participantSetsInfo":{"participantSets":[`
	for name, tt := range map[string]struct{ event, fields, agreement, want string }{
		"an e-mail": {"AGREEMENT_EMAIL_BOUNCED", u1, "", "u1 sent bounced"},
		"of whom we know": {"AGREEMENT_EMAIL_BOUNCED", `"actingUserId":"u1",`, sent + set("1", "SIGNER", sign, u("u1")) +
			`]}`, "u1 sent signer 1 waits bounced"},
		"a text message":   {"AGREEMENT_SMS_DELIVERY_FAILED", u1, "", "u1 sent sms"},
		"nobody's message": {"AGREEMENT_SMS_DELIVERY_FAILED", `"actingUserId":"u9",`, "", ""},
		"knowledge":        {recalled, u1 + attempts, "", "u1 sent identification"},
		"a password": {recalled, u1 + `"subEvent":"MAX_SIGNING_PASSWORD_ATTEMPTS_EXCEEDED",`, "",
			"u1 sent identification"},
		"a telephone": {recalled, u1 + `"subEvent":"MAX_SIGNING_PHONE_ATTEMPTS_EXCEEDED",`, "",
			"u1 sent identification"},
		"a code by e-mail":   {"AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS", u1, "", "u1 sent identification"},
		"recalled by choice": {recalled, u1 + `"subEvent":"RECALLED",`, "", ""},
		"the event names the sender, who has one recipient": {recalled, ofSender + attempts,
			sent + set("1", "SIGNER", "COMPLETED", u("u1")) + "," + set("2", "SIGNER", "CANCELLED", u("u2")) + `],` +
				`"nextParticipantSets":[` + set("2", "SIGNER", "CANCELLED", u("u2")) + `]}`,
			"u2 sent signer 2 identification, u1 signed signer 1"},
		"the event names the sender, who has two": {recalled, ofSender + attempts,
			sent + set("1", "SIGNER", sign, u("u1")) + "," + set("2", "SIGNER", "CANCELLED", u("u2")) + `]}`,
			"u1 sent signer 1"},
		"the event names the sender": {recalled, ofSender + attempts, `"senderEmail":"grace@example.com"`, ""},
	} {
		if tt.agreement != "" {
			tt.agreement = "," + tt.agreement
		}
		e := normalize(t, `{"event":"`+tt.event+`",`+tt.fields+`"agreement":{"id":"a1"`+tt.agreement+`}}`)
		if got := facts(e); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if cancelled := strings.HasPrefix(tt.event, recalled); cancelled != (e.Type == esign.AgreementCancelled) ||
			cancelled && e.Cause != "" {
			t.Errorf("%s: %s %s", name, e.Type, e.Cause)
		}
	}
}
