// Package ledger is the contract of the table: claims, the history of every subject, the state of every agreement, its
// references, and notes. Its drivers are dynamodb, and embedded for localhost. Both pass the suite in ledgertest.
//
// There are no locks and no leases. Conditional writes decide which of several writers was first, and every write is
// idempotent.
//
// Every record carries a format version. If a newer release has written a record, all methods that read or change it
// return [esignhooks/shared/plumbing/format.ErrNewer] and leave it unchanged. Patrol and Repeated may ignore the
// version.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// State is the state of an event.
type State string

const (
	// New is the state before the first claim. It is never stored.
	New State = ""
	// Received means claimed. The event may or may not be in the queue.
	Received State = "received"
	// Processed means that the event's effect is committed.
	Processed State = "processed"
	// Duplicate means that the event is already processed under another ID, see [Ledger.MarkDuplicate]. To a release that
	// does not know this state, the event is one that is not processed yet: it has the effect once more.
	Duplicate State = "duplicate"
	// Unreadable means that the request was genuine but not understood. The message is in the dead-letter queue.
	Unreadable State = "unreadable"
	// Failed means that the queue gave up on the message. Only localhost has this state. On AWS the event stays Received,
	// and the message is in the dead-letter queue.
	Failed State = "failed"
	// Dropped means that the event arrived after its agreement was forgotten, see [Forgetter]. Nothing else is kept of it,
	// and the record expires at once. To a release that does not know this state, the event is not processed yet.
	Dropped State = "dropped"
)

// Settled reports whether the event has had its effect, under its own ID or under another one.
func (s State) Settled() bool { return s == Processed || s == Duplicate }

// MaxVia limits the subscriptions that are recorded for an event.
const MaxVia = 20

var (
	// ErrProcessed reports that the event's effect is already committed. There is nothing left to do.
	ErrProcessed = errors.New("ledger: event is already processed")
	// ErrInexact is ErrProcessed for an event that was processed without its exact time: see Correct.
	ErrInexact = fmt.Errorf("%w, without its exact time", ErrProcessed)
	// ErrConflict reports that another writer has changed the agreement or note, or is changing it, or that the table is
	// throttled. Wait a little, read it again and retry.
	ErrConflict = errors.New("ledger: the agreement has changed")
)

// Key identifies an event.
type Key struct {
	Subject string
	ID      string
}

// Claim is what the receiver knows about an event.
type Claim struct {
	Key
	Provider    string
	VendorType  string
	AgreementID string
	OccurredAt  time.Time // zero if the request does not state the exact time
	ReceivedAt  time.Time
	Proof       esign.Proof
	Via         string // see [webhook.Identity]
	SHA256      string // of the payload, lower-case hex
	Size        int    // of the payload, in bytes
	Trace       string // the ID of the X-Ray trace of the request, if it is sampled
}

// NewClaim returns the claim of a delivery.
func NewClaim(d *webhook.Delivery, vendorType, agreementID string, occurredAt time.Time) Claim {
	sum := sha256.Sum256(d.Payload)
	return Claim{
		Key:         Key{Subject: d.Subject, ID: d.EventID},
		Provider:    d.Provider,
		VendorType:  vendorType,
		AgreementID: agreementID,
		OccurredAt:  occurredAt,
		ReceivedAt:  d.ReceivedAt,
		Proof:       d.Proof,
		Via:         d.Via,
		SHA256:      hex.EncodeToString(sum[:]),
		Size:        len(d.Payload),
		Trace:       sampled(d.Trace),
	}
}

// sampled returns the ID of the trace in a trace header, if X-Ray keeps that trace.
//
// SPEC: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader, read
// 2026-12-01.
func sampled(header string) (id string) {
	kept := false
	for part := range strings.SplitSeq(header, ";") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "Root":
			id = value
		case "Sampled":
			kept = value == "1"
		}
	}
	if !kept || !traceID.MatchString(id) {
		return ""
	}
	return id
}

var traceID = regexp.MustCompile(`^1-[0-9a-f]{8}-[0-9a-f]{24}$`)

// MaxCommits is the maximum number of effects in one call of Commit.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html: 100 writes, one of
// which is the agreement's.
const MaxCommits = 99 - MaxIndexed

// Commit is the effect of one event. Agreement is nil if the event is not about an agreement.
type Commit struct {
	Claim
	Event        esign.Event
	Before       esign.Agreement  // as it was before the event; its references are indexed already
	Agreement    *esign.Agreement // after the event
	StatusBefore esign.Status
	Version      int64 // of the agreement before the event; 0 if there was none
	At           time.Time
}

// StatusAfter returns the agreement's status after the event.
func (c Commit) StatusAfter() esign.Status {
	if c.Agreement == nil {
		return ""
	}
	return c.Agreement.Status
}

// Correction gives a processed event its exact time. The vendor reported the event several times, and the copy that was
// processed does not state the time.
type Correction struct {
	Claim                     // of the copy that states the exact time
	Event     esign.Event     // as that copy reports it
	Before    esign.Agreement // as it is stored
	After     esign.Agreement // after the event
	Agreement esign.Agreement // after all events
	Version   int64           // of the agreement
	At        time.Time
}

// Found is what a claim finds.
type Found struct {
	State State
	// Inexact reports that the event is known, and its exact time is not.
	Inexact bool
	// UnreadableAt is that of the [Entry].
	UnreadableAt time.Time
}

// Entry is an event in the history.
type Entry struct {
	Key
	State       State
	Provider    string
	Type        esign.Type // empty before it is processed
	VendorType  string
	AgreementID string
	OccurredAt  time.Time // zero if not known yet
	ReceivedAt  time.Time // of the first copy
	ProcessedAt time.Time // zero before it is processed
	CorrectedAt time.Time `json:",omitzero"` // zero unless it was corrected
	// UnreadableAt is when the event was last marked as unreadable. Its dead letter is not younger. It is kept when the
	// event is processed later. It is zero if an earlier release has marked the event.
	UnreadableAt time.Time   `json:",omitzero"`
	Proof        esign.Proof // of the processed copy, or of the one that corrected it; before that, of the first copy
	Duplicates   int         // the number of genuine requests for it, less one
	DuplicateOf  string      `json:",omitempty"` // of a Duplicate: the ID under which the event is processed
	Via          []string    // the subscriptions that delivered it, sorted, at most MaxVia
	SHA256       string      // of the same copy as Proof
	Size         int
	Trace        string `json:"-"` // see [Claim]; set only where the change of the table is read

	// These are set once the event is processed. Agreement is the state after the event, nil if the event is not about
	// one.
	Event        *esign.Event
	Agreement    *esign.Agreement
	StatusBefore esign.Status
	StatusAfter  esign.Status
}

// Claimer is what the receiver needs.
type Claimer interface {
	// Claim records that the event was received, unless it is already known. It returns the state that it found: New for
	// the first copy. A known event is not changed. Of simultaneous claims at most one finds New. None does if the answer
	// to the first attempt was lost.
	//
	// After an error, the claim may or may not be recorded. Unless Claim finds a settled state or Unreadable, the caller
	// continues, even after an error: Commit guards the effect. It also continues with a copy that states the exact time
	// of an event whose time is inexact: see Correct. And it continues with a copy of an Unreadable event that can be read
	// now, or that has no dead letter any more.
	Claim(context.Context, Claim) (Found, error)
	// Repeated counts one more genuine request for a known event, and records the subscription that delivered it. It does
	// nothing for an unknown event. The caller may ignore the error.
	Repeated(ctx context.Context, key Key, via string) error
}

// Ledger is what the worker needs.
type Ledger interface {
	Claimer
	Tombstones

	// Agreement reads the agreement of a subject, strongly consistent. Version is 0 if it does not exist.
	Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error)
	// Event reads an event, strongly consistent. The state of an unknown event is New. An expired event that is still in
	// the table is known.
	Event(context.Context, Key) (Entry, error)
	// Commit records the effects of one or several events of the same subject in one transaction. Each event becomes
	// Processed, and the agreement takes the state after the last one.
	//
	// The effects must be in order, at most MaxCommits, with different IDs and rising times. Either all are about the
	// agreement or none is. Each event must be folded into the agreement that the previous effect left, and carry the
	// version that follows the previous one. A claim is not required, and the counts of a claim are kept.
	//
	// Commit returns ErrProcessed, or ErrInexact, if one of the events is already settled. Otherwise it returns
	// ErrConflict if the agreement no longer has the version of the first effect. In these cases nothing was written but
	// items that find nothing, see [Reference]. After any other error, all of it may or may not have been written. Commit
	// is idempotent, so the caller may call it again. Several effects may fail together where each alone succeeds: because
	// of their size, or because of one of them.
	Commit(ctx context.Context, effects ...Commit) error
	// Correct replaces an event that was processed without its exact time, and the agreement, in one transaction. It
	// raises the agreement's version by one. It changes neither ProcessedAt nor the statuses of the event, so the event is
	// not published again.
	//
	// Correct returns ErrProcessed if the event is not processed, or has its exact time. Otherwise it returns ErrConflict
	// if the agreement no longer has the given version. In both cases nothing was written, as with Commit. After any other
	// error, all of it may or may not have been written. The caller may call it again.
	Correct(context.Context, Correction) error
	// History reads the events of a subject, strongly consistent, merged by [Merge] and in the order of [Sort].
	History(ctx context.Context, subject string) ([]Entry, error)
	// MarkDuplicate records that the event is already processed under another ID of the same subject. Such an event
	// becomes a Duplicate. It is not published, and Reader does not show it as an event: see [Merge]. A claim is not
	// required. Unless its OccurredAt is zero, it becomes the event's.
	//
	// MarkDuplicate does nothing for a Duplicate. It returns ErrProcessed if the event is processed under its own ID.
	MarkDuplicate(ctx context.Context, c Claim, of string) error
	// MarkUnreadable records that the event cannot be read, as of the given time. A claim is not required. For an
	// Unreadable event it changes the time only. It does nothing for a settled event.
	MarkUnreadable(ctx context.Context, c Claim, at time.Time) error
	// Drop removes what a claim has left of an event, because the agreement is forgotten. A driver that may not delete
	// makes it a Dropped event instead. Drop does nothing for an event that is unknown or settled.
	Drop(ctx context.Context, key Key, at time.Time) error
}

// Tombstones are what is left of the subjects that were forgotten.
type Tombstones interface {
	// Forgotten returns when the subject was forgotten, strongly consistent. It is zero if it never was.
	Forgotten(ctx context.Context, subject string) (time.Time, error)
}

// Forgetter is what the operator's command forget needs.
type Forgetter interface {
	Tombstones
	// Bury records that the subject is forgotten, as of the given time, under the hash of the subject. It removes nothing.
	// From then on, the worker drops the events of the subject if it has no agreement. A worker that looked before may
	// still commit, until its batch ends. So the caller must wait that long, and erase again.
	Bury(ctx context.Context, subject string, at time.Time) error
	// Remains reads the events of a subject as they are stored, also each Duplicate, in any order.
	Remains(ctx context.Context, subject string) ([]Entry, error)
	// Erase removes the agreement, all events of a subject, the items of these references of it, and these notes. It
	// returns how many items it has removed. If a newer release has written one of them, that one stays.
	Erase(ctx context.Context, subject string, references []Reference, notes ...string) (removed int, err error)
}

// MaxNote is the largest text of a note, in bytes.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html: an item has at most 400 KB,
// names included.
const MaxNote = 390 << 10

// Notes store what the functions that call the vendors' APIs keep from one run to the next: their progress, and the
// encrypted access tokens that they share. Notes are not published, and never expire.
type Notes interface {
	// Note reads a note, strongly consistent. Version is 0 if it does not exist.
	Note(ctx context.Context, name string) (text string, version int64, err error)
	// PutNote writes a note of at most MaxNote bytes and raises its version by one, if the stored version is still the
	// given one. Otherwise it returns ErrConflict. After any other error, the note may or may not have been written. The
	// caller may call it again: if the note already has this text and the raised version, that is a success. So writers
	// that exclude each other must write different texts.
	PutNote(ctx context.Context, name, text string, version int64) error
}

// MaxPart is the largest number of items that a patrol reads in one part of the table.
const MaxPart = 1000

// Patroller finds agreements and events that may be stuck.
type Patroller interface {
	// Patrol visits the agreements that are not terminal and the events that are claimed but not processed, in one part of
	// the table. The part begins at the cursor from; an empty cursor is the beginning of the table. Patrol returns the
	// cursor of the next part. It is empty after the last part, and after an error. A part has at most MaxPart items, and
	// on AWS at most 1 MB.
	// The order is the table's own. Changes made meanwhile may or may not be seen.
	Patrol(ctx context.Context, from string, visit func(Standing) error) (next string, err error)
}

// Standing is an agreement that is not terminal, or an event that is claimed but not processed.
type Standing struct {
	Provider    string
	Subject     string
	AgreementID string
	Status      esign.Status // of an agreement; empty for an event
	EventID     string       // of an event; empty for an agreement
	Since       time.Time    // the agreement's updatedAt, or the event's receivedAt
}

// Reader is what the operator's commands need.
type Reader interface {
	// Agreement is the same as in [Ledger].
	Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error)
	// History is the same as in [Ledger].
	History(ctx context.Context, subject string) ([]Entry, error)
	// Committed visits the events that were committed at or after from and before to. It calls visit once for each
	// subject, with the subject's events in the order of their commits. It reads the whole table.
	Committed(ctx context.Context, from, to time.Time, visit func(subject []Entry) error) error
	// ByReference reads agreements that have a reference now, strongly consistent, in the order of their subjects. It
	// returns at most limit of them, or fewer or none although there are more. The first call has an empty cursor; next is
	// the cursor of the following call, and is empty after the last one.
	ByReference(ctx context.Context, r Reference, cursor string, limit int) (found []esign.Agreement, next string,
		err error)
}

// MaxFound is the largest number of reference items that ByReference reads in one call.
const MaxFound = 100
