package dropboxsign

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Request is a signature request, as callbacks and the API state it. It leaves out names and e-mail addresses.
type Request struct {
	ID         webhook.Text            `json:"signature_request_id"`
	IsComplete webhook.Text            `json:"is_complete"`
	TestMode   webhook.Text            `json:"test_mode"`
	Metadata   json.RawMessage         `json:"metadata"` // the sender's own
	Signatures webhook.List[Signature] `json:"signatures"`
}

// Signature is one signer of a request.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (SignatureRequestResponseSignatures), read
// 2026-11-30: order counts from 0, and is null without an order; signer_role is the role's name in the template;
// reassigned_from is the previous signature_id. Whether the previous one stays in the list is unknown.
type Signature struct {
	ID             webhook.Text `json:"signature_id"`
	Status         webhook.Text `json:"status_code"`
	SignedAt       webhook.Text `json:"signed_at"`
	LastViewed     webhook.Text `json:"last_viewed_at"`
	SignerRole     webhook.Text `json:"signer_role"`
	Order          webhook.Text `json:"order"`
	ReassignedFrom webhook.Text `json:"reassigned_from"`
	DeclineReason  webhook.Text `json:"decline_reason"`
	Error          webhook.Text `json:"error"`
}

// The status codes of a signature that are compared by name.
//
// SPEC: https://github.com/hellosign/hellosign-java-sdk SignatureStatus.java, read 2026-11-23. error_invalid_email is
// known from other clients only; the sender can still correct the address. An on_hold signature, and one that is
// on_hold_by_requester, has reached nobody yet.
// SPEC: https://developers.hellosign.com/docs/signature-request/expiration, read 2026-11-30: expired.
const (
	awaiting     = "awaiting_signature"
	signed       = "signed"
	declined     = "declined"
	expired      = "expired"
	onHold       = "on_hold" // also the prefix of another
	errorPrefix  = "error_"
	invalidEmail = "error_invalid_email"
)

// References returns the sender's own keys.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml (metadata), read 2026-11-30: "included in all API
// responses and events involving the signature request"; values of any type. An empty map may come as [].
func (r *Request) References() map[string]string { return webhook.Metadata(r.Metadata) }

// Participants returns the progress of the signers who have been asked to sign. ended reports that the request waits
// for nobody any more.
func (r *Request) Participants(ended bool) []esign.Participant {
	replaced, turn := r.replaced(), r.turn(ended)
	var said []esign.Participant
	for _, s := range r.Signatures {
		by, isReplaced := replaced[s.ID]
		participant := esign.Participant{
			ID: s.key(), Role: esign.RoleSigner, Order: s.order() + 1, Reference: string(s.SignerRole),
			Replaced: isReplaced, ReplacedBy: by,
		}
		switch viewed := webhook.UnixTime(string(s.LastViewed)); {
		case s.ID == "":
			continue
		case s.Status == signed:
			participant.Status, participant.At = esign.Signed, webhook.UnixTime(string(s.SignedAt))
		case s.Status == declined:
			participant.Status = esign.Declined
		case s.Status == expired:
			participant.Status = esign.Expired
		case s.Status != awaiting && s.Status != invalidEmail:
			continue
		case viewed.IsZero():
			participant.Status = esign.Sent
		default:
			participant.Status, participant.At = esign.Viewed, viewed
		}
		if s.Status == invalidEmail {
			participant.Problem = esign.CauseBounced
		}
		waiting := turn(s)
		participant.Waiting = &waiting
		delete(replaced, s.ID)
		said = append(said, participant)
	}
	for _, id := range slices.Sorted(maps.Keys(replaced)) { // whom the list no longer states
		said = append(said, esign.Participant{ID: webhook.ParticipantKey(string(id)), Status: esign.Sent,
			Role: esign.RoleSigner, Replaced: true, ReplacedBy: replaced[id]})
	}
	return said
}

func (s Signature) key() string { return webhook.ParticipantKey(string(s.ID)) }

// order returns the place in the order of signing, from 0. It is -1 without one.
func (s Signature) order() int {
	if n, err := strconv.Atoi(string(s.Order)); err == nil && n >= 0 && n < webhook.MaxList {
		return n
	}
	return -1
}

// replaced returns the signatures that were reassigned, and to whom.
func (r *Request) replaced() map[webhook.Text]string {
	replaced := map[webhook.Text]string{}
	for _, s := range r.Signatures {
		if s.ReassignedFrom != "" && s.ReassignedFrom != s.ID {
			replaced[s.ReassignedFrom] = s.key()
		}
	}
	return replaced
}

// turn returns whether it is a signer's turn: of those who have not signed yet, the first in the order, or all if there
// is no order. It is nobody's while the request is on hold, or has failed. A signer with an invalid address holds back
// those who come later.
func (r *Request) turn(ended bool) func(Signature) bool {
	first, replaced := -1, r.replaced()
	for _, s := range r.Signatures {
		_, isReplaced := replaced[s.ID]
		switch {
		case isReplaced:
		case strings.HasPrefix(string(s.Status), onHold), s.Failed():
			ended = true
		case s.Status != awaiting && s.Status != invalidEmail || s.order() < 0:
		case first < 0 || s.order() < first:
			first = s.order()
		}
	}
	return func(s Signature) bool {
		_, isReplaced := replaced[s.ID]
		return !ended && !isReplaced && s.Status == awaiting && s.order() == first
	}
}

// Failed reports whether nobody can sign here any more.
func (s Signature) Failed() bool {
	return strings.HasPrefix(string(s.Status), errorPrefix) && s.Status != invalidEmail
}

// onlyAddressesInvalid reports whether nothing but invalid addresses is wrong with the request.
func (r *Request) onlyAddressesInvalid() bool {
	return slices.ContainsFunc(r.Signatures, func(s Signature) bool { return s.Status == invalidEmail }) &&
		!slices.ContainsFunc(r.Signatures, Signature.Failed)
}

// participant returns the signer whom the event is about. Events about the whole request have none, although the
// account's copy may name one.
func (p *payload) participant(t esign.Type) webhook.Text {
	switch {
	case oneSigner[p.Event.Type]:
		return p.signer()
	case t == esign.AgreementUndeliverable:
		unreached := p.onlySignature(func(s Signature) bool { return s.Status == invalidEmail })
		return cmp.Or(p.Event.Metadata.Signature, unreached)
	case t == esign.AgreementUpdated:
		return p.Event.Metadata.Signature
	}
	return ""
}

// participants adds the problem that the event is about.
func (p *payload) participants(event esign.Event) []esign.Participant {
	said := p.request.Participants(event.Type.Status().Terminal())
	if event.Cause == "" || event.Participant == "" {
		return said
	}
	for i := range said {
		if said[i].ID == event.Participant {
			said[i].Problem = event.Cause
			return said
		}
	}
	isListed := slices.ContainsFunc(p.request.Signatures, func(s Signature) bool { return s.key() == event.Participant })
	if !isListed && len(p.request.Signatures) > 0 {
		return said // somebody else signs instead
	}
	return append(said, esign.Participant{ID: event.Participant, Status: esign.Sent, Role: esign.RoleSigner,
		Problem: event.Cause})
}

// present returns the IDs of all signers. A signer whose address the sender has changed has a new ID.
//
// SPEC: https://developers.hellosign.com/api/reference/operation/signatureRequestUpdate, read 2026-11-30: a changed
// signer has a new signature_id.
func (r *Request) present() (all []string) {
	if len(r.Signatures) == webhook.MaxList {
		return nil // perhaps a part of the list
	}
	replaced := r.replaced()
	for _, s := range r.Signatures {
		if s.ID == "" {
			return nil
		}
		if _, ok := replaced[s.ID]; !ok {
			all = append(all, s.key())
		}
	}
	return all
}
