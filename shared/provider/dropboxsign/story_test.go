package dropboxsign_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"esignhooks/shared/webhook/webhooktest"
)

// life is the life of a signature request so far. Each event has a copy for the account and one for an app, which
// differ as the vendor's examples do.
type life struct {
	*rand.Rand
	now        int
	ordered    bool
	signatures []map[string]any
	happened   []webhooktest.Happening
	told       map[string]bool
}

// happens adds an event about a signer, or about the request if the signer is nil.
func (l *life) happens(typ string, signer map[string]any) {
	l.now += l.IntN(3)
	related, state := any(nil), l.state(nil)
	if signer != nil {
		related = signer["signature_id"]
	}
	for l.told[fmt.Sprint(typ, related, l.now)] { // the vendor cannot tell two such events apart
		l.now++
	}
	l.told[fmt.Sprint(typ, related, l.now)] = true
	elsewhere := related // what an app's copy names
	switch typ {
	case "signature_request_signed", "signature_request_viewed", "signature_request_declined":
	case "signature_request_email_bounce": // both copies show by the status who was not reached
	default:
		if elsewhere = nil; l.IntN(2) == 0 {
			related = l.signatures[l.IntN(len(l.signatures))]["signature_id"]
		}
	}
	account := l.callback(typ, map[string]any{
		"related_signature_id": related, "reported_for_account_id": "a1", "reported_for_app_id": nil,
	}, state)
	app := l.callback(typ, map[string]any{
		"related_signature_id": elsewhere, "reported_for_account_id": nil, "reported_for_app_id": "p1",
	}, l.state("p1"))
	l.happened = append(l.happened, webhooktest.Happening{
		asMultipart(account), asMultipart(app), asURLEncoded(account), asURLEncoded(app), asJSON(account), asJSON(app),
	})
}

func (l *life) state(client any) map[string]any {
	state := map[string]any{"signature_request_id": "r1", "metadata": []any{}, "signatures": l.signatures,
		"client_id": client}
	if client == nil {
		state["metadata"], state["signing_url"] = map[string]any{}, "https://app.example/sign"
	}
	if l.ordered {
		state["metadata"] = map[string]any{"crm": map[string]any{"deal": l.now}}
	}
	return state
}

func (l *life) callback(typ string, metadata, request map[string]any) string {
	said, _ := json.Marshal(metadata)
	rest, _ := json.Marshal(request)
	return withMetadata(typ, strconv.Itoa(1793610000+l.now), string(said),
		`,"account_guid":"a1","signature_request":`+string(rest))
}

func (l *life) sign(id string) map[string]any {
	return map[string]any{"signature_id": id, "status_code": "awaiting_signature", "order": l.order(), "signer_role": id}
}

// order returns a place in the order of signing, if the request has one.
func (l *life) order() any {
	if l.ordered {
		return l.IntN(3)
	}
	return nil
}

// waiting returns one of those who have not signed yet, or nil.
func (l *life) waiting() map[string]any {
	left := slices.DeleteFunc(slices.Clone(l.signatures), func(s map[string]any) bool {
		return s["status_code"] != "awaiting_signature"
	})
	if len(left) == 0 {
		return nil
	}
	return left[l.IntN(len(left))]
}

// reassign gives the signature to another person. The vendor may keep the old one, and may name it.
func (l *life) reassign(old map[string]any) {
	made := l.sign(fmt.Sprintf("s%d", 10+l.now))
	keeps, names := l.IntN(2) == 0, l.IntN(2) == 0
	if names || keeps {
		made["reassigned_from"] = old["signature_id"]
	}
	i := slices.IndexFunc(l.signatures, func(s map[string]any) bool { return s["signature_id"] == old["signature_id"] })
	if !keeps {
		l.signatures = slices.Delete(slices.Clone(l.signatures), i, i+1)
	} else {
		old["status_code"] = "on_hold"
	}
	l.signatures = append(l.signatures, made)
}

func TestAnyStory(t *testing.T) {
	webhooktest.Tell(t, provider, func(r *rand.Rand) [][]webhooktest.Happening {
		l := &life{Rand: r, now: 1, ordered: r.IntN(2) == 0, told: map[string]bool{}}
		for i := range 1 + r.IntN(3) {
			l.signatures = append(l.signatures, l.sign(fmt.Sprintf("s%d", i+1)))
		}
		l.happens("signature_request_sent", nil)
		for range r.IntN(9) {
			s := l.waiting()
			if s == nil {
				break
			}
			switch l.now++; r.IntN(7) {
			case 0:
				s["last_viewed_at"] = 1793610000 + l.now
				l.happens("signature_request_viewed", s)
			case 1, 2:
				s["status_code"], s["signed_at"] = "signed", 1793610000+l.now
				l.happens("signature_request_signed", s)
			case 3:
				s["last_reminded_at"] = 1793610000 + l.now
				l.happens("signature_request_remind", nil)
			case 4:
				l.reassign(s)
				l.happens("signature_request_reassigned", nil)
			case 5:
				s["status_code"] = "error_invalid_email"
				l.happens("signature_request_email_bounce", nil)
				s["status_code"] = "awaiting_signature"
			case 6:
				l.happens("signature_request_new", nil)
			}
		}
		switch s := l.waiting(); {
		case s == nil:
			l.happens("signature_request_all_signed", nil)
			l.happens("signature_request_downloadable", nil)
		case r.IntN(3) == 0:
			s["status_code"] = "declined"
			l.happens("signature_request_declined", s)
		case r.IntN(2) == 0:
			s["status_code"] = "expired"
			l.happens("signature_request_expired", nil)
		default:
			l.happens("signature_request_canceled", nil)
		}
		return [][]webhooktest.Happening{l.happened}
	})
}
