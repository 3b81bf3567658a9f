// Package acmesign is AcmeSign, a vendor that does not exist. The packages that know no vendor are tested with it, so
// that adding a real one fails no test but its own.
//
// AcmeSign numbers most of its events, sends several in one request, verifies a URL by POST, and has no API.
package acmesign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// Name is the provider's name.
const Name = "acmesign"

// SignatureHeader holds the hexadecimal HMAC-SHA256 of the body.
const SignatureHeader = "X-Acme-Signature"

// Provider implements [webhook.Provider].
type Provider struct {
	// Renamed selects the event IDs of a later release, whose former IDs are those of the zero Provider. Only the later
	// release distinguishes events of one agreement that have no number.
	Renamed bool
}

var (
	_ webhook.Provider   = Provider{}
	_ webhook.Challenger = Provider{}
)

// Event is one event of a request.
type Event struct {
	Number    int64               `json:"number"`              // the vendor's own ID of the event; 0 if it has none
	Type      string              `json:"type"`                // such as "completed" of an agreement, or "test"
	Agreement string              `json:"agreement,omitempty"` // the agreement's ID, if the event is about one
	At        time.Time           `json:"at,omitzero"`
	People    []esign.Participant `json:"people,omitempty"`
	Via       string              `json:"via,omitempty"` // the vendor's subscription
}

type body struct {
	Challenge string  `json:"challenge,omitempty"`
	Events    []Event `json:"events,omitempty"`
}

// Info implements [webhook.Provider].
func (Provider) Info() webhook.Info {
	return webhook.Info{
		Name: Name, Resource: "AcmeSign", Title: "AcmeSign",
		KeysVariable: "ACMESIGN_KEYS", DevelopmentKey: "development-acmesign-key",
		SignsAll: true, AnswerWithin: 10 * time.Second, Allow: http.MethodPost,
		Registration: []string{"Settings → Callbacks"},
	}
}

// Challenge implements [webhook.Provider]. AcmeSign verifies a URL by an unsigned POST, and expects the text back.
func (Provider) Challenge(r *webhook.Request, _ webhook.Keys) (*webhook.Response, error) {
	var b body
	if r.Method != http.MethodPost || json.Unmarshal(r.Body, &b) != nil || b.Challenge == "" || len(b.Events) > 0 {
		return nil, fmt.Errorf("acmesign: %w", webhook.ErrNoChallenge)
	}
	return &webhook.Response{Status: http.StatusOK, Body: []byte(b.Challenge)}, nil
}

// Verify implements [webhook.Provider].
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	if len(keys.Keys) == 0 {
		return "", fmt.Errorf("acmesign: %w", webhook.ErrNoKey)
	}
	sent := r.Header.Values(SignatureHeader)
	if len(sent) != 1 || !webhook.Matches(keys.Keys, sent,
		func(key webhook.Secret) string { return signature(key, r.Body) }) {
		return "", fmt.Errorf("acmesign: signature: %w", webhook.ErrNotGenuine)
	}
	return esign.ProofSigned, nil
}

// Identify implements [webhook.Provider].
func (p Provider) Identify(r *webhook.Request) ([]webhook.Identity, error) {
	events, err := read(r.Body)
	var ids []webhook.Identity
	for _, e := range events {
		id := webhook.Identity{
			EventID: formerID(e), Subject: webhook.Subject(Name, "account", ""),
			VendorType: webhook.Label(e.Type), OccurredAt: e.At, Via: webhook.Label(e.Via),
		}
		if p.Renamed {
			id.EventID, id.FormerIDs = renamed(e)
		}
		if e.Agreement != "" {
			id.AgreementID = webhook.AgreementID(e.Agreement)
			id.Subject = webhook.AgreementSubject(Name, e.Agreement)
		}
		ids = append(ids, id)
	}
	return ids, err
}

// formerID returns the ID of an event before the later release.
func formerID(e Event) string { return webhook.EventID(Name, strconv.FormatInt(e.Number, 10)) }

// renamed returns the ID of an event since the later release, and its former IDs.
func renamed(e Event) (id string, former []webhook.FormerID) {
	if e.Number == 0 {
		at := e.At.UTC().Format(time.RFC3339Nano)
		return webhook.EventID(Name, "unnumbered", e.Type, at), []webhook.FormerID{{ID: formerID(e), OccurredAt: e.At}}
	}
	return webhook.EventID(Name, "number", strconv.FormatInt(e.Number, 10)), []webhook.FormerID{{ID: formerID(e)}}
}

// Normalize implements [webhook.Provider].
func (p Provider) Normalize(d *webhook.Delivery) (esign.Event, error) {
	events, err := read(d.Payload)
	if err != nil {
		return esign.Event{}, err
	}
	for _, e := range events {
		if id, _ := renamed(e); formerID(e) != d.EventID && (!p.Renamed || id != d.EventID) {
			continue
		}
		event := esign.Event{
			Type: esign.Type(e.Type), VendorType: webhook.Label(e.Type), OccurredAt: e.At, Participants: e.People,
		}
		if e.Agreement != "" {
			event.AgreementID = webhook.AgreementID(e.Agreement)
			if event.Type = esign.Type("agreement." + e.Type); event.Type.Status() == "" {
				event.Type = esign.AgreementUpdated
			}
		} else if event.Type != esign.Test {
			event.Type = esign.Other
		}
		return event, nil
	}
	return esign.Event{}, fmt.Errorf("acmesign: no event has this ID: %w", webhook.ErrUnreadable)
}

// Acknowledge implements [webhook.Provider].
func (Provider) Acknowledge(*webhook.Request) *webhook.Response {
	return &webhook.Response{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("thanks"),
	}
}

// Explain implements [webhook.Provider].
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	scheme := refusal.Scheme{
		Info: p.Info(), Where: "the header " + SignatureHeader, Format: "64 characters of hex", Source: "AcmeSign's page Keys",
		Absent: "switch on signing", Sent: r.Header.Values(SignatureHeader),
		Header: refusal.Without(r.Header, func(name string) bool { return name == SignatureHeader }),
		Body:   r.Body, Signed: func(body []byte) [][]byte { return [][]byte{body} },
	}
	return scheme.Causes(scheme.Find(keys.Keys))
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool { return len(r.Header.Values(SignatureHeader)) > 0 }

// Sign implements [webhook.Provider]. The time is not signed.
func (Provider) Sign(r *webhook.Request, key webhook.Secret, _ time.Time) error {
	r.Header.Set(SignatureHeader, signature(key, r.Body))
	return nil
}

// Request returns a request with these events, genuine under the development key.
func Request(events ...Event) *webhook.Request {
	content, err := json.Marshal(body{Events: events})
	if err != nil {
		panic(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set(SignatureHeader, signature(webhook.NewSecret(Provider{}.Info().DevelopmentKey), content))
	return &webhook.Request{Method: http.MethodPost, Header: header, Body: content}
}

// Challenge returns the request by which AcmeSign verifies a URL.
func Challenge(text string) *webhook.Request {
	content, _ := json.Marshal(body{Challenge: text}) // a string can be written
	return &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: content}
}

// ChallengeRequest implements [webhook.Challenger].
func (Provider) ChallengeRequest(webhook.Secret) *webhook.Request { return Challenge("challenge") }

func signature(key webhook.Secret, content []byte) string {
	return hex.EncodeToString(key.HMAC(sha256.New, content))
}

func read(content []byte) ([]Event, error) {
	var b body
	if err := json.Unmarshal(content, &b); err != nil || len(b.Events) == 0 {
		return nil, fmt.Errorf("acmesign: no events: %w", webhook.ErrUnreadable)
	}
	return b.Events, nil
}
