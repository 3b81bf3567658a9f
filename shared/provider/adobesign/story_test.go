package adobesign_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

type object = map[string]any

// recipient is one member of a participant set.
type recipient struct {
	id, role, status string // the status of the set
	replaced         bool
}

func (r *recipient) email() string { return r.id + "@example.com" }

// life is the life of an agreement so far. Each event is reported through two webhooks, once with the least and once
// with all that Adobe can say.
type life struct {
	*rand.Rand
	now           time.Time
	pause         time.Duration // between two events, at least
	people        []*recipient  // everybody in a set of their own
	minimal, full []webhooktest.Happening
	told          map[string]bool
	troubled      map[string]bool // who was not reached
}

// These are in no participant set. Only sender and copied are in the complete list.
var sender, copied, viewer = &recipient{id: "sender"}, &recipient{id: "copied"}, &recipient{id: "viewer"}

// happens adds an event about each of the participants that it may name: only copies of an expiry name several.
func (l *life) happens(event string, more object, participants ...*recipient) {
	l.now = l.now.Add(time.Duration(l.IntN(2))*time.Second + l.pause)
	for l.told[fmt.Sprint(event, participants[0].id, more, l.now)] { // Adobe cannot tell two such events apart
		l.now = l.now.Add(time.Second)
	}
	l.told[fmt.Sprint(event, participants[0].id, more, l.now)] = true
	var minimal, full webhooktest.Happening
	for _, p := range participants {
		body := object{
			"event": event, "eventDate": l.now.Format(time.RFC3339), "eventResourceType": "agreement",
			"participantUserId": p.id, "participantUserEmail": p.email(), "actingUserId": p.id, "actingUserEmail": p.email(),
		}
		for name, value := range more {
			body[name] = value
		}
		for _, hook := range []string{"w1", "w2"} {
			body["webhookId"], body["webhookNotificationId"] = hook, fmt.Sprint(hook, len(l.minimal))
			body["agreement"] = object{"id": "a1", "name": "N", "status": "OUT_FOR_SIGNATURE"}
			minimal = append(minimal, request(body))
			body["agreement"] = object{
				"id": "a1", "name": "N", "senderEmail": sender.email(), "ccs": []string{copied.email()},
				"participantSetsInfo": object{"participantSets": l.sets()},
			}
			full = append(full, request(body))
		}
	}
	l.minimal, l.full = append(l.minimal, minimal), append(l.full, full)
}

func request(body object) *webhook.Request {
	b, _ := json.Marshal(body)
	return post(string(b), documentationID)
}

func (l *life) sets() (sets []any) {
	for _, p := range l.people {
		status := "ACTIVE"
		if p.replaced {
			status = "REPLACED"
		}
		member := object{"id": "m-" + p.id, "userId": p.id, "email": p.email(), "status": status}
		sets = append(sets, object{"role": p.role, "status": p.status, "memberInfos": []any{member}})
	}
	return sets
}

// waiting returns those whose turn it is.
func (l *life) waiting() []*recipient {
	return slices.DeleteFunc(slices.Clone(l.people), func(p *recipient) bool { return p.replaced || p.status != asked })
}

const asked, later = "WAITING_FOR_MY_SIGNATURE", "NOT_YET_VISIBLE"

func (l *life) ask(p *recipient) {
	p.status = asked
	l.happens("AGREEMENT_ACTION_REQUESTED", object{"participantRole": p.role, "actingUserId": sender.id}, p)
}

// next gives the turn of p to somebody new, who is asked with the next event.
func (l *life) next(p *recipient) *recipient {
	l.now = l.now.Add(time.Second)
	made := &recipient{id: fmt.Sprint("u", len(l.people)+1), role: p.role, status: later}
	p.replaced = true
	l.people = append(l.people, made)
	return made
}

// begin begins a life, and lets some things happen. It reports whether the least that Adobe says has the whole meaning.
func begin(r *rand.Rand, pause time.Duration) (l *life, same bool) {
	l = &life{Rand: r, now: webhook.Time("2026-11-02T08:00:00Z"), pause: pause, told: map[string]bool{},
		troubled: map[string]bool{}}
	for i := range 1 + r.IntN(3) {
		role := []string{"SIGNER", "SIGNER", "APPROVER"}[r.IntN(3)]
		l.people = append(l.people, &recipient{id: fmt.Sprint("u", i+1), role: role, status: later})
	}
	l.happens("AGREEMENT_CREATED", nil, sender)
	for _, p := range slices.Clone(l.people) {
		l.ask(p)
	}
	same = true
	for range r.IntN(9) {
		waiting := l.waiting()
		if len(waiting) == 0 {
			break
		}
		switch p := waiting[r.IntN(len(waiting))]; r.IntN(7) {
		case 0:
			who := []*recipient{p, sender, copied, viewer}[r.IntN(4)]
			same = same && who != viewer
			l.happens("AGREEMENT_DOCUMENTS_VIEWED", nil, who)
		case 1, 2:
			p.status = "COMPLETED"
			action := object{"participantRole": p.role}
			if r.IntN(2) == 0 {
				action["actionType"] = map[string]string{"SIGNER": "ESIGNED", "APPROVER": "APPROVED"}[p.role]
			}
			l.happens("AGREEMENT_ACTION_COMPLETED", action, p)
		case 3:
			for i, p := range waiting {
				l.happens("AGREEMENT_REMINDER_SENT", object{"reminderInfo": object{
					"id": fmt.Sprint("r", i), "participantList": []any{object{"participantUserId": p.id, "email": p.email()}},
				}}, sender)
			}
		case 4:
			made := l.next(p)
			from := object{"actingUserId": p.id, "actingUserEmail": p.email(), "participantRole": p.role}
			l.happens("AGREEMENT_ACTION_DELEGATED", from, made)
			l.ask(made)
		case 5:
			same = false
			made := l.next(p)
			l.happens("AGREEMENT_ACTION_REPLACED_SIGNER", object{"actingUserId": sender.id}, p)
			l.ask(made)
		case 6:
			event := []string{"AGREEMENT_EMAIL_BOUNCED", "AGREEMENT_SMS_FAILED", "AGREEMENT_NEW"}[r.IntN(3)]
			l.troubled[p.id] = l.troubled[p.id] || event != "AGREEMENT_NEW"
			l.happens(event, nil, p)
		}
	}
	return l, same
}

func TestAnyStory(t *testing.T) {
	webhooktest.Tell(t, adobesign.Provider{}, func(r *rand.Rand) [][]webhooktest.Happening {
		l, same := begin(r, 0)
		switch waiting := l.waiting(); {
		case len(waiting) == 0:
			l.happens("AGREEMENT_WORKFLOW_COMPLETED", nil, l.people[0])
		case r.IntN(3) == 0:
			same = false
			for _, p := range waiting {
				p.status = "EXPIRED"
			}
			l.happens("AGREEMENT_EXPIRED", nil, waiting...)
		case r.IntN(2) == 0:
			l.happens("AGREEMENT_REJECTED", nil, waiting[0])
		default:
			l.happens("AGREEMENT_RECALLED", nil, sender)
		}
		if same {
			return [][]webhooktest.Happening{l.full, l.minimal}
		}
		return [][]webhooktest.Happening{l.full}
	})
}

// TestWhoseTurnItIs folds a life that has not ended, in any order. Of two events in one second, none is known to be the
// later, so there are no such events.
func TestWhoseTurnItIs(t *testing.T) {
	for seed := range uint64(slow.Cases(100, 500)) {
		r := rand.New(rand.NewPCG(seed, 2))
		l, same := begin(r, time.Second)
		var want []string
		for _, p := range l.waiting() {
			want = append(want, p.id)
		}
		for i, family := range [][]webhooktest.Happening{l.full, l.minimal} {
			if i == 1 && !same {
				continue
			}
			r.Shuffle(len(family), func(i, j int) { family[i], family[j] = family[j], family[i] })
			var agreement esign.Agreement
			for _, happening := range family {
				agreement = esign.Fold(agreement, normalize(t, string(happening[0].Body)))
			}
			var got []string
			for id, p := range agreement.Participants {
				if p.Waiting {
					got = append(got, id)
				}
				if p.Status != esign.Signed && p.Problem == "" && l.troubled[id] {
					t.Errorf("seed %d, family %d: %s has no problem", seed, i, id)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, family %d: %v wait, want %v", seed, i, got, want)
			}
		}
	}
}
