// Package item is the format of the ledger's table. It alone knows the names of the attributes, and which of them an
// event, an agreement, a reference and a note have. The DynamoDB driver writes and reads the table with it. The
// publisher reads the table's stream with it.
//
// Each subject has one partition. It holds one item for each event, under the event's ID, and one for the agreement,
// under the sort key [AgreementSK]. Each note has a partition of its own, "@" and its name. Each reference has a
// partition, see [ReferencePK], with one item for each agreement that has or had it, under its subject. Each subject
// that was forgotten has a partition with one item, see [OfTombstone].
//
// The package depends neither on the AWS SDK nor on the Lambda events, which represent attributes differently. Its
// users convert.
package item

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
)

// Version is the format version of the items that this release writes.
//
// A duplicate is still of version 1. A release that does not know it can read it: it takes it for an event that is not
// processed yet, and the publisher ignores it. With a newer version, that release could read no history of the subject.
const Version = 1

// PackedVersion is the format version of an event with the attribute [Packed], and of nothing else. A release that does
// not know it refuses the item: its publisher waits with [format.ErrNewer], and so does a message of the same event.
const PackedVersion = 2

// AgreementSK is the sort key of agreements, notes and tombstones. Event IDs are hexadecimal, so it is no event's.
const AgreementSK = "@"

// The names of the attributes. template.yaml names PK, SK, Expires and State too.
const (
	PK      = "pk"      // the subject; "@" and a note's name; of a reference ReferencePK; of a tombstone TombstoneKey
	SK      = "sk"      // the event's ID, or AgreementSK; of a reference the subject
	V       = "v"       // the format version; absent means 1
	Expires = "expires" // TTL, in seconds since 1970; absent means never

	Provider    = "provider"
	AgreementID = "agreementId"
	Agreement   = "agreement" // JSON; of an event: as it is after the event

	// Of events.
	State        = "state"
	Type         = "type"
	VendorType   = "vendorType"
	OccurredAt   = "occurredAt"
	ReceivedAt   = "receivedAt"
	ProcessedAt  = "processedAt"
	CorrectedAt  = "correctedAt"
	UnreadableAt = "unreadableAt"
	Proof        = "proof"
	SHA256       = "sha256"
	Size         = "size"
	Via          = "via"
	Duplicates   = "duplicates"
	DuplicateOf  = "duplicateOf" // of a duplicate: the ID under which the event is processed
	Event        = "event"       // JSON
	StatusBefore = "statusBefore"
	StatusAfter  = "statusAfter"
	Trace        = "trace"
	Packed       = "packed" // the event, the agreement and more, in place of their attributes: see pack

	// Of agreements. Notes have RecordVersion and Text.
	Status        = "status"
	UpdatedAt     = "updatedAt"
	RecordVersion = "version" // of the agreement or note; the condition of the next write
	Text          = "text"

	ForgottenAt = "forgottenAt" // of a tombstone
)

// Names are the names of all attributes.
var Names = []string{
	PK, SK, V, Expires, Provider, AgreementID, Agreement, State, Type, VendorType, OccurredAt, ReceivedAt, ProcessedAt,
	CorrectedAt, UnreadableAt, Proof, SHA256, Size, Via, Duplicates, DuplicateOf, Event, StatusBefore, StatusAfter, Trace,
	Packed, Status, UpdatedAt, RecordVersion, Text, ForgottenAt,
}

// Kind is the type of an attribute's value.
type Kind byte

// The kinds of values. None is that of an absent attribute.
const (
	None Kind = iota
	String
	Number
	StringSet
	Binary
)

// Value is the value of an attribute.
type Value struct {
	Kind Kind
	Text string   // of a String, the digits of a Number, or the bytes of a Binary
	Set  []string // of a StringSet
}

// Item is an item of the table, or a part of one.
type Item map[string]Value

// S returns a String.
func S(s string) Value { return Value{Kind: String, Text: s} }

// N returns a Number.
func N(n int64) Value { return Value{Kind: Number, Text: strconv.FormatInt(n, 10)} }

// Unix returns a time in seconds since 1970, as DynamoDB's TTL needs it.
func Unix(t time.Time) Value { return N(t.Unix()) }

// Instant returns a time as text that sorts by time.
func Instant(t time.Time) Value { return S(t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00")) }

// Key returns the key of an event.
func Key(k ledger.Key) Item { return Item{PK: S(k.Subject), SK: S(k.ID)} }

// AgreementKey returns the key of a subject's agreement.
func AgreementKey(subject string) Item { return Key(ledger.Key{Subject: subject, ID: AgreementSK}) }

// NoteKey returns the key of a note. It is outside of every subject, since those begin with a provider's name.
func NoteKey(name string) Item { return AgreementKey("@" + name) }

// string returns a text; empty if the attribute is absent or no text.
func (i Item) string(name string) string {
	if v := i[name]; v.Kind == String {
		return v.Text
	}
	return ""
}

// number returns a whole number; 0 if the attribute is absent.
func (i Item) number(name string) (int64, error) {
	v := i[name]
	if v.Kind == None {
		return 0, nil
	}
	return strconv.ParseInt(v.Text, 10, 64)
}

// set returns a set of texts, sorted; nil if the attribute is absent.
func (i Item) set(name string) []string { return slices.Sorted(slices.Values(i[name].Set)) }

// CheckVersion returns [format.ErrNewer] for an item that a newer release wrote.
func (i Item) CheckVersion() error {
	v, err := i.number(V)
	if err != nil {
		return err
	}
	if i.isPacked() {
		return nil
	}
	return format.Check(int(v), Version)
}

// isEvent reports whether the item is an event.
func (i Item) isEvent() bool { return !i.IsAgreement() && !strings.HasPrefix(i.string(PK), "@") }

// IsAgreement reports whether the item is an agreement, a note or a tombstone.
func (i Item) IsAgreement() bool { return i.string(SK) == AgreementSK }

// KeyOf returns the key of an event's item.
func KeyOf(i Item) ledger.Key { return ledger.Key{Subject: i.string(PK), ID: i.string(SK)} }
