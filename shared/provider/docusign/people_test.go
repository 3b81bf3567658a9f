package docusign_test

import (
	"fmt"
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
	if diff := cmp.Diff(want, esign.Event{Participant: e.Participant, Participants: progress(e),
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
	if diff := cmp.Diff(want, progress(e)); diff != "" || e.Participant != "1" {
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
	const zero = "00000000-0000-0000-0000-000000000000"
	const others = `,{"recipientId":"2","status":"sent","userId":"` + zero + `","email":"B@example.com"},
		{"recipientId":"3","status":"sent","userId":"` + guidC + `","email":"c@example.com"}`
	delegated := func(members, others string) string {
		return about("recipient-delegate", summary(`"status":"sent","recipients":{"signers":[{"recipientId":"1",`+
			`"status":"delivered","userId":"`+guidA+`","email":"a@example.com",`+members+`}`+others+`]}`))
	}
	for name, tt := range map[string]struct {
		body string
		want map[string]string // who has taken over, by ID; "?" is unknown
	}{
		"reassigned": {about("recipient-reassign", `"recipientId":"1","reassignedRecipientId":"2"`),
			map[string]string{"1": "2"}},
		"reassigned, the IDs as numbers": {about("recipient-reassign", `"recipientId":1,"reassignedRecipientId":2`),
			map[string]string{"1": "2"}},
		"reassigned to somebody with a telling ID": {
			about("recipient-reassign", `"recipientId":"1","reassignedRecipientId":"b@example.com"`),
			map[string]string{"1": "sha256:e8f39b3e1382367d6d41ab34dc270d4e7533f978c9e9a775dfe2185b2f96b96c"}},
		"reassigned to oneself":       {about("recipient-reassign", `"recipientId":"1","reassignedRecipientId":"1"`), nil},
		"reassigned, to somebody new": {about("recipient-reassign", `"recipientId":"1"`), nil},
		"reassigned, with the summary": {
			about("recipient-reassign", people(`{"recipientId":"1","recipientIdGuid":"`+guidA+`","status":"sent"},
				{"recipientId":"2","recipientIdGuid":"`+guidB+`","status":"sent"}`)),
			map[string]string{guidA: guidB, guidB: ""},
		},
		"delegated to somebody who is not described": {
			delegated(`"DelegatedTo":[{"Name":"x","Email":"x@example.com"}]`, others),
			map[string]string{"1": "?", "2": "", "3": ""},
		},
		"delegated by address": {
			delegated(`"delegatedTo":[{"email":"b@EXAMPLE.com"}]`, others), map[string]string{"1": "2", "2": "", "3": ""},
		},
		"delegated by user": {
			delegated(`"delegatedTo":[{"UserId":"`+strings.ToUpper(guidC)+`"}]`, others),
			map[string]string{"1": "3", "2": "", "3": ""},
		},
		"delegated to a user without an account": {
			delegated(`"delegatedTo":[{"userId":"`+zero+`"}]`, others),
			map[string]string{"1": "?", "2": "", "3": ""},
		},
		"delegated to two": {
			delegated(`"delegatedTo":[{"email":"b@example.com"},{"email":"c@example.com"}]`, others),
			map[string]string{"1": "?", "2": "", "3": ""},
		},
		"delegated to oneself": {
			delegated(`"delegatedTo":[{"email":"a@example.com"}]`, ""), map[string]string{"1": "?"},
		},
		"only the other says who has delegated": {
			delegated(`"delegatedTo":[{}]`,
				strings.Replace(others, `"status"`, `"DelegatedBy":{"Email":"a@example.com"},"status"`, 1)),
			map[string]string{"1": "2", "2": "", "3": ""},
		},
		"delegated, but acted": {
			about("envelope-sent", summary(`"recipients":{"signers":[{"recipientId":"2","status":"completed","delegatedTo":[{}]},
				{"recipientId":"3","status":"sent","delegatedTo":[]},
				{"recipientId":"4","status":"declined","delegatedTo":[{}]}]}`)),
			map[string]string{"2": "", "3": "", "4": ""},
		},
	} {
		var got map[string]string
		for _, p := range normalize(t, tt.body).Participants {
			if got == nil {
				got = map[string]string{}
			}
			got[p.ID] = p.ReplacedBy
			if p.Replaced && p.ReplacedBy == "" {
				got[p.ID] = "?"
			}
			if p.Replaced && (p.Waiting == nil || *p.Waiting) || !p.Replaced && p.ReplacedBy != "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRoles has everybody's e-mail bounce, since those who sign nothing are listed only for a reason.
func TestRoles(t *testing.T) {
	for list, want := range map[string]esign.Role{
		"signers": esign.RoleSigner, "inPersonSigners": esign.RoleSigner, "seals": esign.RoleSeal,
		"witnesses": esign.RoleWitness, "notaries": esign.RoleNotary, "agents": esign.RoleAgent,
		"intermediaries": esign.RoleAgent, "editors": esign.RoleEditor, "certifiedDeliveries": esign.RoleCertified,
		"carbonCopies": esign.RoleCopy, "participants": esign.RoleOther, "novelties": esign.RoleOther,
	} {
		one := `{"recipientId":"7","recipientType":"signer","status":"autoresponded","routingOrder":"3","clientUserId":"u-7"}`
		recipients := fmt.Sprintf(`"recipients":{%q:[%s]}`, list, one)
		bodies := []string{
			about("envelope-sent", summary(recipients)),
			about("envelope-sent", summary(strings.NewReplacer(`"3"`, `3`, `"7"`, `7`).Replace(recipients))),
			fmt.Sprintf(`{"envelopeId":%q,"status":"completed",%s}`, envelopeID, recipients),
		}
		if kind := map[string]string{"signers": "Signer", "inPersonSigners": "InPersonSigner", "agents": "Agent",
			"intermediaries": "Intermediary", "editors": "Editor", "certifiedDeliveries": "CertifiedDelivery",
			"carbonCopies": "CarbonCopy", "seals": "Seal", "witnesses": "Witness", "notaries": "Notary",
			"novelties": "Novelty"}[list]; kind != "" {
			bodies = append(bodies, snapshot("Completed", "", xmlRecipient(kind, "7", "AutoResponded",
				"<RoutingOrder>3</RoutingOrder><ClientUserId>u-7</ClientUserId>")))
		}
		for _, body := range bodies {
			got := normalize(t, body).Participants
			if len(got) != 1 || got[0].Role != want || got[0].Order != 3 || got[0].Reference != "u-7" {
				t.Errorf("%s: %+v, want %q: %s", list, got, want, body)
			}
		}
	}
	for _, order := range []string{`"0"`, `-1`, `1.5`, `"first"`, `99999999999`, `null`, `{}`} {
		got := normalize(t, about("envelope-sent", signer("7", `"status":"sent","routingOrder":`+order))).Participants
		if len(got) != 1 || got[0].Order != 0 || got[0].Reference != "" {
			t.Errorf("order %s: %+v", order, got)
		}
	}
}

// TestWhoseTurnItIs has signers 1, 2 and 3, and 4, who does not sign.
func TestWhoseTurnItIs(t *testing.T) {
	jsonOf := func(status, current, other string, statuses ...string) string {
		var signers []string
		for i, s := range statuses[:3] {
			signers = append(signers, fmt.Sprintf(`{"recipientId":"%d","routingOrder":"%d","status":%q}`, i+1, 1+i/2, s))
		}
		return about("envelope-sent", summary(fmt.Sprintf(`"status":%q,"recipients":{"signers":[%s],%q:[{"recipientId":"4",`+
			`"routingOrder":"1","status":%q}]%s}`, status, strings.Join(signers, ","), other, statuses[3], current)))
	}
	const at1, at2 = `,"currentRoutingOrder":"1"`, `,"currentRoutingOrder":2`
	in := func(status string, recipients ...string) string { return snapshot(status, sentAt, recipients...) }
	for name, tt := range map[string]struct {
		body string
		want string // IDs; "-" if it is not the turn, "?" if the message does not say it
	}{
		"two at once":        {jsonOf("sent", at1, "agents", "sent", "delivered", "created", "created"), "1 2"},
		"one has signed":     {jsonOf("sent", at1, "agents", "completed", "AutoResponded", "created", "created"), "1- 2"},
		"the next":           {jsonOf("delivered", at2, "agents", "completed", "faxpending", "sent", "created"), "1- 2- 3"},
		"of another order":   {jsonOf("sent", at2, "agents", "sent", "delivered", "sent", "sent"), "1- 2- 3 4-"},
		"no current order":   {jsonOf("sent", "", "agents", "sent", "created", "delivered", "created"), "1 3"},
		"identification":     {jsonOf("sent", at1, "agents", "authenticationfailed", "sent", "created", "created"), "1? 2"},
		"an agent":           {jsonOf("sent", at1, "agents", "created", "created", "created", "sent"), "4"},
		"an agent has acted": {jsonOf("sent", at1, "agents", "sent", "created", "created", "completed"), "1 4-"},
		"an editor":          {jsonOf("sent", at1, "editors", "created", "created", "created", "delivered"), "4"},
		"a certified copy":   {jsonOf("sent", at1, "certifiedDeliveries", "created", "created", "created", "sent"), "4"},
		"a copy never":       {jsonOf("sent", at1, "carbonCopies", "sent", "created", "created", "autoresponded"), "1 4-"},
		"completed": {jsonOf("completed", at2, "agents", "completed", "completed", "completed", "completed"),
			"1- 2- 3- 4-"},
		"voided":              {jsonOf("voided", at1, "agents", "sent", "sent", "created", "sent"), "1- 2- 4-"},
		"being corrected":     {jsonOf("correct", at1, "agents", "sent", "sent", "created", "sent"), "1? 2?"},
		"of unknown progress": {jsonOf("sent", at1, "novelties", "sent", "novel", "created", "sent"), "1"},
		"XML": {in("Sent", xmlRecipient("Signer", guidA, "Completed", signedAt),
			xmlRecipient("Signer", guidB, "Sent", nextAt),
			xmlRecipient("Signer", guidC, "Created", "")), guidA + "- " + guidB},
		"XML, bounced": {in("Delivered", xmlRecipient("Signer", guidA, "AutoResponded", sentAt)), guidA},
		"XML, voided":  {in("Voided", xmlRecipient("Signer", guidA, "Delivered", viewedAt)), guidA + "-"},
	} {
		var got []string
		for _, p := range normalize(t, tt.body).Participants {
			mark := "?"
			if p.Waiting != nil {
				mark = map[bool]string{true: "", false: "-"}[*p.Waiting]
			}
			got = append(got, p.ID+mark)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestProblems has people whom no message reached, or who could not be identified, in messages about something else and
// in those about the problem.
func TestProblems(t *testing.T) {
	notice := func(method, status string) string {
		return `"additionalNotifications":[{"secondaryDeliveryMethod":"` + method + `","secondaryDeliveryStatus":"` + status +
			`"}]`
	}
	const failed = `"recipientAuthenticationStatus":{"phoneAuthResult":{"status":"Failed",` +
		`"eventTimestamp":"` + generated + `"}}`
	for name, tt := range map[string]struct {
		list, status, members string
		want                  esign.Cause
	}{
		"nothing":                  {"signers", "sent", `"note":""`, ""},
		"a bounce or an absence":   {"signers", "autoresponded", `"note":""`, esign.CauseAutoReply},
		"a bounce":                 {"signers", "autoresponded", `"autoRespondedReason":"550 5.1.1"`, esign.CauseBounced},
		"a bounce, and sent again": {"signers", "sent", `"autoRespondedReason":"550 5.1.1"`, esign.CauseBounced},
		"a text message":           {"signers", "sent", notice("SMS", "limitreached"), esign.CauseSMS},
		"opted out":                {"signers", "sent", notice("WhatsApp", "optedOut"), esign.CauseOptedOut},
		"another message":          {"signers", "sent", notice("email", "autoresponded"), esign.CauseUndelivered},
		"identification":           {"signers", "sent", failed, esign.CauseIdentification},
		"identification's status":  {"signers", "authenticationfailed", `"note":""`, esign.CauseIdentification},
		"who has viewed since":     {"signers", "delivered", failed, ""},
		"who has signed since":     {"signers", "completed", `"autoRespondedReason":"550"`, ""},
		"of one without a status":  {"signers", "created", `"autoRespondedReason":"550"`, esign.CauseBounced},
		"of one who gets a copy":   {"carbonCopies", "autoresponded", `"note":""`, esign.CauseAutoReply},
		"none of one with a copy":  {"carbonCopies", "sent", `"note":""`, "-"},
		"of one who must certify":  {"certifiedDeliveries", "autoresponded", `"note":""`, esign.CauseAutoReply},
		"none of one in other form": {"signers", "sent", `"additionalNotifications":{},"recipientAuthenticationStatus":7`,
			""},
	} {
		members := `"recipients":{"` + tt.list + `":[{"recipientId":"7","status":"` + tt.status + `",` + tt.members + `}]}`
		for _, body := range []string{
			about("envelope-corrected", summary(members)),
			fmt.Sprintf(`{"envelopeId":%q,"status":"voided",%s}`, envelopeID, members),
		} {
			got := esign.Cause("-")
			for _, p := range normalize(t, body).Participants {
				got = p.Problem
			}
			if got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		}
	}
	for body, want := range map[string]esign.Participant{
		about("recipient-autoresponded", `"recipientId":"7"`): {ID: "7", Status: esign.Sent, Problem: esign.CauseAutoReply},
		about("recipient-authenticationfailed", `"recipientId":"7"`): {ID: "7", Status: esign.Sent,
			Problem: esign.CauseIdentification},
		about("recipient-authenticationfailed", `"recipientId":"7",`+signer("7", `"status":"delivered"`)): {ID: "7",
			Status: esign.Viewed, Problem: esign.CauseIdentification, Role: esign.RoleSigner},
		snapshot("Sent", sentAt, xmlRecipient("Signer", guidA, "AutoResponded", "")): {ID: guidA, Status: esign.Sent,
			Problem: esign.CauseAutoReply, Role: esign.RoleSigner, Waiting: new(true)},
	} {
		e := normalize(t, body)
		if diff := cmp.Diff([]esign.Participant{want}, e.Participants); diff != "" || e.Cause != want.Problem {
			t.Errorf("%q, %s: %s", e.Cause, diff, body)
		}
	}
}

// TestPeopleInAnyOrder has the turns of two signers, of whom the first delegates, and of a person who must certify.
func TestPeopleInAnyOrder(t *testing.T) {
	message := func(event, minute, who string, statuses ...string) esign.Event {
		delegated := ""
		if statuses[1] != "created" {
			delegated = `,"delegatedTo":[{"email":"b@example.com"}]`
		}
		return normalize(t, about(event, who+`"reassignedRecipientId":"",`+summary(fmt.Sprintf(`"status":"sent",
			"statusChangedDateTime":"2026-11-02T08:%[1]s:00Z","recipients":{"currentRoutingOrder":%[2]q,
			"signers":[{"recipientId":"1","routingOrder":"2","email":"a@example.com","status":%[3]q%[6]s},
			{"recipientId":"2","routingOrder":"2","email":"b@example.com","status":%[4]q,%[7]s}],
			"certifiedDeliveries":[{"recipientId":"3","routingOrder":"1","status":%[5]q,%[7]s}]}`,
			minute, map[bool]string{true: "1", false: "2"}[statuses[2] == "sent"], statuses[0], statuses[1], statuses[2],
			delegated, `"signedDateTime":"2026-11-02T08:`+minute+`:00Z"`))))
	}
	all := []esign.Event{
		message("envelope-sent", "01", "", "created", "created", "sent"),
		message("recipient-completed", "02", `"recipientId":"3",`, "sent", "created", "completed"),
		normalize(t, strings.Replace(about("recipient-autoresponded", `"recipientId":"1"`), "08:00:05", "08:03:00", 1)),
		message("recipient-completed", "04", `"recipientId":"2",`, "sent", "completed", "completed"),
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2, 1}} {
		var a esign.Agreement
		for _, i := range order {
			a = esign.Fold(a, all[i])
		}
		one, two, three := a.Participants["1"], a.Participants["2"], a.Participants["3"]
		got := fmt.Sprintln(one.Waiting, one.Replaced, one.ReplacedBy, one.Problem, one.Order, two.Status, two.Waiting,
			two.Role,
			three.Status, three.Waiting, three.Role, three.Order)
		if want := "false true 2 auto-reply 2 signed false signer viewed false certified 1\n"; got != want {
			t.Errorf("in the order %v: %s, want %s", order, got, want)
		}
	}
	if now := esign.Fold(esign.Fold(esign.Agreement{}, all[1]), all[0]).Participants; !now["1"].Waiting ||
		now["3"].Waiting {
		t.Errorf("after the second: %+v", now)
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
	if diff := cmp.Diff(want, progress(e)); diff != "" || !e.Approximate {
		t.Error(diff)
	}
	p := esign.Fold(esign.Agreement{}, e).Participants[guidA]
	if !p.At.Equal(at("2026-11-01T12:00:00Z")) || !p.Approximate {
		t.Errorf("folded to %+v", p)
	}
}
