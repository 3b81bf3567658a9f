// Package ledger is the contract of the one table: claims, the history of every subject, the state of every agreement, and
// notes. Drivers: dynamodb, and embedded for localhost. ledgertest is the suite that both pass.
//
// There is no lock and no lease. Conditional writes decide who was first; what is written twice is written the same.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// State is how far an event has come.
type State string

const (
	// New is the state before the first claim. It is never stored.
	New State = ""
	// Received: claimed, and perhaps sent to the queue.
	Received State = "received"
	// Processed: its effect is committed.
	Processed State = "processed"
	// Unreadable: genuine, kept among the dead letters, and not understood.
	Unreadable State = "unreadable"
	// Failed: the queue gave up. Only localhost's queue tells; on AWS the message is in the dead-letter queue.
	Failed State = "failed"
)

// MaxVia is how many subscriptions an event remembers.
const MaxVia = 20

var (
	// ErrProcessed: the event's effect is already committed. There is nothing left to do.
	ErrProcessed = errors.New("ledger: event is already processed")
	// ErrConflict: somebody else changed the agreement, or is just doing so, or there is too much to do at once. Wait a
	// little, read it again and try again.
	ErrConflict = errors.New("ledger: the agreement has changed")
)

// Key names an event: its subject and its ID.
type Key struct {
	Subject string
	ID      string
}

// Claim is what the receiver knows of an event.
type Claim struct {
	Key
	Provider    string
	VendorType  string
	AgreementID string
	OccurredAt  time.Time // zero if the vendor told no time
	ReceivedAt  time.Time
	Proof       esign.Proof
	Via         string // see [webhook.Identity]
	SHA256      string // of the payload, lower-case hex
	Size        int    // of the payload, in bytes
}

// NewClaim makes the claim of a delivery.
func NewClaim(d *webhook.Delivery, vendorType, agreementID string, occurredAt time.Time) Claim {
	sum := sha256.Sum256(d.Payload)
	return Claim{
		Key: Key{Subject: d.Subject, ID: d.EventID}, Provider: d.Provider, VendorType: vendorType, AgreementID: agreementID,
		OccurredAt: occurredAt, ReceivedAt: d.ReceivedAt, Proof: d.Proof, Via: d.Via,
		SHA256: hex.EncodeToString(sum[:]), Size: len(d.Payload),
	}
}

// MaxCommits is how many effects are committed together at most.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html: 100 writes, one of
// which is the agreement's.
const MaxCommits = 99

// Commit is the effect of one event. Agreement is nil if the event is not about an agreement.
type Commit struct {
	Claim
	Event        esign.Event
	Agreement    *esign.Agreement // after the event
	StatusBefore esign.Status
	Version      int64 // of the agreement that the event was folded into; 0 if there was none
	At           time.Time
}

// StatusAfter is the agreement's status after the event.
func (c Commit) StatusAfter() esign.Status {
	if c.Agreement == nil {
		return ""
	}
	return c.Agreement.Status
}

// Entry is an event in the history.
type Entry struct {
	Key
	State       State
	Provider    string
	Type        esign.Type // empty before it is processed
	VendorType  string
	AgreementID string
	OccurredAt  time.Time   // zero if not known yet
	ReceivedAt  time.Time   // of the first copy
	ProcessedAt time.Time   // zero before
	Proof       esign.Proof // of the copy that was processed, before that of the first
	Duplicates  int         // genuine requests for it, less one
	Via         []string    // the subscriptions that copies came through, sorted, MaxVia at most
	SHA256      string      // as Proof
	Size        int

	// Event, Agreement (after the event), StatusBefore and StatusAfter are there once it is processed.
	Event        *esign.Event
	Agreement    *esign.Agreement
	StatusBefore esign.Status
	StatusAfter  esign.Status
}

// Claimer is the receiver's side.
type Claimer interface {
	// Claim records that the event was received, unless it is known, and returns the state that it found: New for a first
	// copy. A known event is left as it is. No more than one of any number of simultaneous claims finds New; none, if
	// the answer to its first attempt was lost. An error means that the claim may or may not be recorded. The caller goes
	// on whatever it is told but that the event is processed, since the effect is guarded by Commit.
	Claim(context.Context, Claim) (State, error)
	// Repeated counts one more genuine request for a known event, and the subscription it came through. It does nothing
	// for an unknown event. Best effort: the caller may ignore the error.
	Repeated(ctx context.Context, key Key, via string) error
}

// Ledger is both sides.
type Ledger interface {
	Claimer

	// Agreement reads the agreement of a subject, strongly consistent. Version is 0 if there is none yet.
	Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error)
	// Commit records the effects of one event or of several of the same subject, up to MaxCommits, in their order: in one
	// transaction, each event becomes Processed and the agreement takes its last state. They are about an agreement, all
	// or none; each is folded into the agreement that the one before has left, of the version that follows on its; their
	// IDs differ, and so do their times, rising. No earlier claim is needed, and the counts of one are kept. It returns
	// ErrProcessed if the effect of one of them is already there, else ErrConflict if the agreement's version is no longer
	// that of the first. Then nothing has happened. Any other error means that all of it may or may not have happened;
	// calling again settles it, with the same effect. Several may be refused, for their size or for what is wrong with one
	// of them, where each by itself is not.
	Commit(ctx context.Context, effects ...Commit) error
	// MarkUnreadable records that the event was set aside; it needs no earlier claim. It does nothing for a processed one.
	MarkUnreadable(context.Context, Claim) error
}

// Notes are what the functions that ask the vendors' APIs remember from one run to the next: how far they have come, and
// the tokens that they share, sealed. Notes are no events: nobody is told of them, and they never expire.
type Notes interface {
	// Note reads a note, strongly consistent. Version is 0 if there is none.
	Note(ctx context.Context, name string) (text string, version int64, err error)
	// PutNote writes a note if its version is still the one that was read, and raises it by one; else it returns
	// ErrConflict. Any other error means that it may or may not have happened; calling again settles it: what is there
	// already, with this text and the raised version, is no conflict. So those who exclude each other write texts that
	// differ.
	PutNote(ctx context.Context, name, text string, version int64) error
}

// Patroller finds what has come to a stop.
type Patroller interface {
	// Patrol visits agreements that are not terminal, and events that were claimed and not processed, in a part of the
	// table that begins after the place named by from (empty: at its beginning), and names the place where the next part
	// begins; empty after the last, and after an error. A part is bounded, on AWS by 1 MB of the table. The order is the
	// table's own. What changes meanwhile may or may not be seen as it was.
	Patrol(ctx context.Context, from string, visit func(Standing) error) (next string, err error)
}

// Standing is what a patrol finds: an agreement that is not terminal, or an event that was claimed and not processed.
type Standing struct {
	Provider    string
	Subject     string
	AgreementID string
	Status      esign.Status // of the agreement; empty for an event
	EventID     string       // of the event; empty for an agreement
	Since       time.Time    // the agreement's updatedAt, or when the event was received
}

// Reader is the operator's side.
type Reader interface {
	// Agreement is that of [Ledger].
	Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error)
	// History reads the events of a subject, strongly consistent, by the time they occurred, then by the time they were
	// received.
	History(ctx context.Context, subject string) ([]Entry, error)
	// Committed visits the events that were committed from the one time on and before the other: subject by subject, and
	// those of a subject in the order of their commits. It reads the whole table.
	Committed(ctx context.Context, from, to time.Time, visit func(subject []Entry) error) error
}
