package boldsign_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// fields are an object of a message.
type fields = map[string]any

// message returns a message about a document, with these signers.
func message(event, actor string, at int, data fields) *webhook.Request {
	b, _ := json.Marshal(fields{
		"event":   fields{"id": fmt.Sprintf("%s-%d", event, at), "created": 1793610000 + at, "eventType": event},
		"context": fields{"actor": fields{"userType": "Signer", "id": actor}}, "data": data,
	})
	return &webhook.Request{Method: "POST", Body: b}
}

func normalize(t *testing.T, r *webhook.Request) esign.Event {
	t.Helper()
	event, err := provider.Normalize(&webhook.Delivery{Payload: r.Body})
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// signer returns a signer in the vendor's fields, with more of them as names and values in turn.
func signer(id, email, status string, more ...any) fields {
	s := fields{"id": id, "signerEmail": email, "status": status, "isViewed": false}
	for i := 0; i < len(more); i += 2 {
		s[more[i].(string)] = more[i+1]
	}
	return s
}

func TestPeople(t *testing.T) {
	hash := webhook.ParticipantKey
	const ada, ben = "ada@example.com", "ben@example.com"
	for name, tt := range map[string]struct {
		event, actor string
		data         fields
		participant  string
		want         []esign.Participant
		present      []string
	}{
		"with an ID": {
			"Viewed", "1", fields{"signerDetails": []fields{signer("1", ada, "NotCompleted", "isViewed", true)}}, "1",
			[]esign.Participant{{ID: "1", Status: esign.Viewed}}, []string{"1"},
		},
		"without IDs": {
			"Signed", "1", fields{"signerDetails": []fields{signer("", ada, "Completed"), signer("", ben, "NotCompleted")}}, "",
			[]esign.Participant{{ID: hash(ada), Status: esign.Signed}}, []string{hash(ada), hash(ben)},
		},
		"two at one address": {
			"Signed", "2", fields{"signerDetails": []fields{signer("1", ada, "Completed"), signer("2", ada, "Completed")}}, "2",
			[]esign.Participant{{ID: "1", Status: esign.Signed}, {ID: "2", Status: esign.Signed}}, []string{"1", "2"},
		},
		"a copy is present": {
			"Sent", "", fields{
				"signerDetails": []fields{signer("1", ada, "NotCompleted")}, "ccDetails": []fields{{"emailAddress": ben}},
			}, "", nil, []string{"1", hash(ben)},
		},
		"expired": {
			"Expired", "", fields{"signerDetails": []fields{signer("1", "", "Expired"), signer("2", "", "Completed")}}, "",
			[]esign.Participant{{ID: "1", Status: esign.Expired}, {ID: "2", Status: esign.Signed}}, []string{"1", "2"},
		},
		"not delivered": {
			"DeliveryFailed", "", fields{"signerDetails": []fields{
				signer("1", "", "Completed"), signer("2", "", "NotCompleted", "isDeliveryFailed", true),
			}}, "2", []esign.Participant{
				{ID: "1", Status: esign.Signed}, {ID: "2", Status: esign.Sent, Problem: esign.CauseBounced},
			}, []string{"1", "2"},
		},
		"two not delivered": {
			"DeliveryFailed", "1", fields{"signerDetails": []fields{
				signer("1", "", "NotCompleted", "isDeliveryFailed", true), signer("2", "", "None", "isDeliveryFailed", true),
			}}, "", []esign.Participant{
				{ID: "1", Status: esign.Sent, Problem: esign.CauseBounced},
				{ID: "2", Status: esign.Sent, Problem: esign.CauseBounced},
			}, []string{"1", "2"},
		},
		"not authenticated": {
			"AuthenticationFailed", "", fields{"signerDetails": []fields{
				signer("1", "", "None"), signer("2", "", "None", "isAuthenticationFailed", true),
			}}, "2", []esign.Participant{{ID: "2", Status: esign.Sent, Problem: esign.CauseIdentification}}, []string{"1", "2"},
		},
		"not authenticated, an actor": {
			"AuthenticationFailed", "1", fields{"signerDetails": []fields{
				signer("1", "", "None"), signer("2", "", "None", "isAuthenticationFailed", true),
			}}, "1", []esign.Participant{
				{ID: "1", Status: esign.Sent, Problem: esign.CauseIdentification},
				{ID: "2", Status: esign.Sent, Problem: esign.CauseIdentification},
			}, []string{"1", "2"},
		},
		"a signer of their own is no complete list": {
			"IdentityVerificationFailed", "1", fields{"signerDetail": signer("1", "", "NotCompleted", "isViewed", true)}, "1",
			[]esign.Participant{{ID: "1", Status: esign.Viewed, Problem: esign.CauseIdentification}}, nil,
		},
		"listed, and on their own": {
			"IdentityVerificationFailed", "1", fields{
				"signerDetails": []fields{signer("1", ada, "NotCompleted", "isViewed", true), signer("2", ben, "NotCompleted")},
				"signerDetail":  signer("1", ada, "NotCompleted", "isViewed", true),
			}, "1", []esign.Participant{{ID: "1", Status: esign.Viewed, Problem: esign.CauseIdentification}}, []string{"1", "2"},
		},
		"listed, and on their own without an ID": {
			"IdentityVerificationFailed", "1", fields{
				"signerDetails": []fields{signer("1", ada, "NotCompleted", "isViewed", true)},
				"signerDetail":  signer("", ada, "NotCompleted", "isViewed", true),
			}, "1", []esign.Participant{{ID: "1", Status: esign.Viewed, Problem: esign.CauseIdentification}}, []string{"1"},
		},
		"somebody of whom nothing is known": {
			"Viewed", "1", fields{"signerDetails": []fields{signer("1", ada, "Completed"), signer("", "", "NotCompleted")}}, "1",
			[]esign.Participant{{ID: "1", Status: esign.Signed}}, nil,
		},
		"who reassigns": {
			"Reassigned", "1", fields{"signerDetails": []fields{
				signer("1", "", "NotCompleted", "isReassigned", true), signer("2", "", "NotCompleted", "isViewed", true),
			}}, "1", []esign.Participant{
				{ID: "1", Status: esign.Sent, Replaced: true}, {ID: "2", Status: esign.Viewed},
			}, []string{"1", "2"},
		},
		"reassigned before": {
			"Viewed", "2", fields{"signerDetails": []fields{
				signer("1", "", "NotCompleted", "isReassigned", true, "isViewed", true), signer("2", "", "Completed"),
			}}, "2", []esign.Participant{{ID: "2", Status: esign.Signed}}, []string{"1", "2"},
		},
		"reassigned, and signed": {
			"Signed", "1", fields{"signerDetails": []fields{signer("1", "", "Completed", "isReassigned", true)}}, "1",
			[]esign.Participant{{ID: "1", Status: esign.Signed}}, []string{"1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.data["documentId"] = "a"
			got := normalize(t, message(tt.event, tt.actor, 1, tt.data))
			ignored := cmpopts.IgnoreFields(esign.Participant{}, "Role", "Waiting")
			if diff := cmp.Diff(tt.want, got.Participants, cmpopts.EquateEmpty(), ignored); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.present, got.Present); got.Participant != tt.participant || diff != "" {
				t.Errorf("participant %q, present %s", got.Participant, diff)
			}
		})
	}
}

// TestTurns writes each participant as the template's role, status, order and turn.
func TestTurns(t *testing.T) {
	one := func(order any, status string, more ...any) fields {
		return signer(fmt.Sprint(order), "", status, append(more, "order", order, "signerRole", "Tenant")...)
	}
	for name, tt := range map[string]struct {
		event, status string
		ordered       any
		signers       []fields
		want          string
	}{
		"at once": {"Sent", "InProgress", false, []fields{one(1, "NotCompleted"), one(2, "NotCompleted", "isViewed", true)},
			"Tenant sent 1 waits, Tenant viewed 2 waits"},
		"one after the other": {"Signed", "InProgress", true, []fields{one(3, "NotCompleted"), one("2", "NotCompleted"),
			one(1, "Completed")}, "Tenant sent 2 waits, Tenant signed 1 no"},
		"the successor is unknown": {"Reassigned", "InProgress", true,
			[]fields{one(1, "NotCompleted"), one(2, "NotCompleted")},
			"Tenant sent 1 no"},
		"a draft":                {"DraftCreated", "Draft", true, []fields{one(1, "NotCompleted")}, ""},
		"the end":                {"Revoked", "InProgress", false, []fields{one(1, "NotCompleted")}, "Tenant sent 1 no"},
		"the end, by the status": {"Reminder", "Revoked", false, []fields{one(1, "NotCompleted")}, "Tenant sent 1 no"},
		"no order":               {"Signed", "InProgress", nil, []fields{one(1, "Completed")}, "Tenant signed 1"},
		"who only views": {"Sent", "InProgress", false, []fields{one("x", "NotCompleted", "signerType", "Reviewer")},
			"other: Tenant sent 0 waits"},
	} {
		e := normalize(t, message(tt.event, "1", 1, fields{
			"documentId": "a", "status": tt.status, "enableSigningOrder": tt.ordered, "signerDetails": tt.signers,
		}))
		var said []string
		for _, p := range e.Participants {
			text := fmt.Sprintf("%s %s %d", p.Reference, p.Status, p.Order)
			if p.Role != esign.RoleSigner {
				text = string(p.Role) + ": " + text
			}
			if p.Waiting != nil {
				text += map[bool]string{true: " waits", false: " no"}[*p.Waiting]
			}
			said = append(said, text)
		}
		if got := strings.Join(said, ", "); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// TestTheSendersWords tests the references of a document, and the reason of its end.
func TestTheSendersWords(t *testing.T) {
	data := fields{
		"documentId": "a", "metaData": fields{"deal": "D-7", "none": nil}, "labels": []string{"msa"},
		"revokeMessage": "By mistake.", "errorMessage": "No file.",
		"signerDetails": []fields{signer("1", "", "Completed", "declineMessage", "x"),
			signer("2", "", "Declined", "declineMessage", "Too dear.", "reassignMessage", "y")},
	}
	for event, want := range map[string]string{
		"Declined": "Too dear.", "Revoked": "By mistake.", "SendFailed": "No file.", "Expired": "", "Reassigned": "",
	} {
		e := normalize(t, message(event, "1", 1, data))
		if diff := cmp.Diff(map[string]string{"deal": "D-7"}, e.References); e.Reason != want || diff != "" {
			t.Errorf("%s: %q %s", event, e.Reason, diff)
		}
	}
	delete(data, "documentId")
	if e := normalize(t, message("TemplateCreateFailed", "1", 1, data)); e.References != nil || e.Reason != "" {
		t.Errorf("a template has %v, %q", e.References, e.Reason)
	}
}

// TestAnAddressMayChange corrects the e-mail address of a signer, who stays one person.
func TestAnAddressMayChange(t *testing.T) {
	var agreement esign.Agreement
	for i, email := range []string{"ada@example.com", "ada.b@example.com"} {
		signers := []fields{signer("1", email, "NotCompleted", "isViewed", true)}
		agreement = esign.Fold(agreement, normalize(t, message("Viewed", "1", i, fields{
			"documentId": "a", "status": "InProgress", "enableSigningOrder": true, "signerDetails": signers,
		})))
	}
	if one := agreement.Participants["1"]; len(agreement.Participants) != 1 || one.Status != esign.Viewed || one.Replaced {
		t.Errorf("%+v", agreement.Participants)
	}
}

// life makes a random life of a document. Each event comes through a webhook of the account and one of an app.
func life(r *rand.Rand) [][]webhooktest.Happening {
	now, ordered, withIDs := 0, r.IntN(2) == 0, r.IntN(4) > 0
	var happened []webhooktest.Happening
	var signers []fields
	add := func() fields {
		s := signer(fmt.Sprintf("s%d", len(signers)+now), fmt.Sprintf("signer-%d-%d@example.com", len(signers), now),
			"NotCompleted")
		if !withIDs {
			s["id"] = ""
		}
		signers = append(signers, s)
		return s
	}
	happens := func(event string, by fields) {
		now += 1 + r.IntN(9)
		actor, _ := by["id"].(string)
		data := fields{"documentId": "a", "status": "InProgress", "enableSigningOrder": ordered, "signerDetails": signers,
			"metaData": fields{"deal": fmt.Sprint(now)}}
		if strings.HasPrefix(event, "Identity") {
			data["signerDetail"] = by
			if r.IntN(2) == 0 {
				delete(data, "signerDetails")
			}
		}
		account := message(event, actor, now, data)
		app := &webhook.Request{Method: "POST", Body: []byte(strings.Replace(string(account.Body), `"event":{`,
			`"event":{"clientId":"app",`, 1))}
		happened = append(happened, webhooktest.Happening{account, app})
	}
	for range 1 + r.IntN(3) {
		add()
	}
	happens("Sent", nil)
	for range r.IntN(9) {
		s := signers[r.IntN(len(signers))]
		if s["status"] != "NotCompleted" {
			continue
		}
		switch r.IntN(7) {
		case 0:
			s["isViewed"], s["lastActivityDate"] = true, 1793610000+now
			happens("Viewed", s)
		case 1, 2:
			s["status"], s["isViewed"], s["lastActivityDate"] = "Completed", true, 1793610000+now
			happens("Signed", s)
		case 3:
			happens("Reassigned", s)
			if r.IntN(2) == 0 {
				signers = slices.DeleteFunc(slices.Clone(signers), func(other fields) bool {
					return other["signerEmail"] == s["signerEmail"]
				})
			} else {
				s["isReassigned"] = true
			}
			add()
		case 4:
			s["isDeliveryFailed"] = true
			happens("DeliveryFailed", nil)
		case 5:
			happens("IdentityVerificationFailed", s)
		case 6:
			happens("Notarized", nil)
		}
	}
	switch s := signers[0]; {
	case !slices.ContainsFunc(signers, func(s fields) bool { return s["status"] == "NotCompleted" }):
		happens("Completed", nil)
	case r.IntN(3) == 0 && s["status"] == "NotCompleted":
		s["status"] = "Declined"
		happens("Declined", s)
	case r.IntN(2) == 0:
		for _, s := range signers {
			if s["status"] == "NotCompleted" {
				s["status"] = "Expired"
			}
		}
		happens("Expired", nil)
	default:
		happens("Revoked", nil)
	}
	return [][]webhooktest.Happening{happened}
}

func TestAnyStory(t *testing.T) { webhooktest.Tell(t, provider, life) }
