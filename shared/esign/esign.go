// Package esign is what e-signature events mean, whoever sent them: the normalised [Event], the [Agreement] that
// events are folded into, and the fold itself. It imports only the standard library and does no I/O.
package esign

import (
	"cmp"
	"strings"
	"time"
)

// Type is what happened, in one vocabulary for all providers.
type Type string

// The types of an agreement. An agreement's event that has none of the specific types is [AgreementUpdated].
const (
	AgreementCreated   Type = "agreement.created"
	AgreementSent      Type = "agreement.sent"
	AgreementViewed    Type = "agreement.viewed"
	AgreementSigned    Type = "agreement.signed"
	AgreementCompleted Type = "agreement.completed"
	AgreementDeclined  Type = "agreement.declined"
	AgreementCancelled Type = "agreement.cancelled"
	AgreementExpired   Type = "agreement.expired"
	AgreementFailed    Type = "agreement.failed"
	AgreementUpdated   Type = "agreement.updated"
)

// What we found out ourselves, by asking the vendor.
const (
	// AgreementConfirmed: the vendor's API says that the agreement is completed.
	AgreementConfirmed Type = "agreement.confirmed"
	// AgreementArchived: the signed documents are stored. See [Event.Documents].
	AgreementArchived Type = "agreement.archived"
)

// The types of everything else.
const (
	TemplateCreated  Type = "template.created"
	TemplateUpdated  Type = "template.updated"
	TemplateDeleted  Type = "template.deleted"
	TemplateFilled   Type = "template.filled"
	TemplateFailed   Type = "template.failed"
	AccountConfirmed Type = "account.confirmed"
	Test             Type = "test"
	Other            Type = "other"
)

// Status is how far an agreement, or one participant of it, has come. The zero Status says nothing yet.
type Status string

// The statuses in rising order; the last five are terminal.
const (
	Created   Status = "created"
	Sent      Status = "sent"
	Viewed    Status = "viewed"
	Signed    Status = "signed"
	Failed    Status = "failed"
	Expired   Status = "expired"
	Cancelled Status = "cancelled"
	Declined  Status = "declined"
	Completed Status = "completed"
)

var rank = map[Status]int{
	Created: 1, Sent: 2, Viewed: 3, Signed: 4, Failed: 5, Expired: 6, Cancelled: 7, Declined: 8, Completed: 9,
}

// Before says whether s is lower than t.
func (s Status) Before(t Status) bool { return rank[s] < rank[t] }

// Compare orders statuses as they rise.
func (s Status) Compare(t Status) int { return cmp.Compare(rank[s], rank[t]) }

// Terminal says whether the vendor is done with an agreement of this status.
func (s Status) Terminal() bool { return rank[s] >= rank[Failed] }

// Status is the status that an event of this type puts an agreement in; zero if it puts it in none.
func (t Type) Status() Status {
	s := Status(strings.TrimPrefix(string(t), "agreement."))
	if rank[s] == 0 || string(s) == string(t) {
		return ""
	}
	return s
}

// Proof says how much of an event was proved to come from the vendor, strongest first. It travels with the event, so
// that a consumer can decide what to do on the strength of it.
type Proof string

const (
	ProofConfirmed    Proof = "confirmed"     // read from the vendor's API, which we asked with our own credentials
	ProofSigned       Proof = "signed"        // a keyed signature over everything that the event was read from
	ProofPartlySigned Proof = "partly-signed" // a keyed signature over a part of it
	ProofURLToken     Proof = "url-token"     // nothing signed; the sender knew the secret URL
	ProofClientID     Proof = "client-id"     // nothing signed; the sender knew a public identifier
)

// Event is one happening at a vendor. It holds no names, e-mail addresses or documents: it is stored, and shown.
type Event struct {
	// ID is lower-case hex SHA-256.
	ID         string `json:"id" jsonschema:"equal if and only if it is the same happening, however often and through however many subscriptions it is delivered"`
	Provider   string `json:"provider"`
	Type       Type   `json:"type" jsonschema:"more types may come"`
	VendorType string `json:"vendorType" jsonschema:"the vendor's own name of the event"`

	// Subject is also the partition key and the message group.
	Subject     string `json:"subject" jsonschema:"what the event is about"`
	AgreementID string `json:"agreementId,omitempty" jsonschema:"the vendor's; absent if the event is not about an agreement"`
	AccountID   string `json:"accountId,omitempty" jsonschema:"the vendor's account that the event was reported for"`

	OccurredAt  time.Time `json:"occurredAt"`
	Approximate bool      `json:"occurredAtApproximate,omitempty" jsonschema:"true if the vendor did not state occurredAt exactly: it is when the message was made or received"`
	ReceivedAt  time.Time `json:"receivedAt"`
	Proof       Proof     `json:"proof"`

	Documents []Document `json:"documents,omitempty" jsonschema:"where the documents are stored, of agreement.archived"`

	Participant  string            `json:"participant,omitempty" jsonschema:"whom the event is about: the vendor's ID, or a hash"`
	Participants []Participant     `json:"participants,omitempty" jsonschema:"what the event says of anybody's progress"`
	Attributes   map[string]string `json:"attributes,omitempty" jsonschema:"vendor facts worth keeping, none personal"`
}

// Participant is what one event says of one participant.
type Participant struct {
	ID     string    `json:"id"`
	Status Status    `json:"status"`
	At     time.Time `json:"at,omitzero" jsonschema:"the event's time if absent"`
}

// Document is a stored document of an agreement.
type Document struct {
	Name        string `json:"name" jsonschema:"the file's name, ours"`
	Location    string `json:"location" jsonschema:"s3://bucket/key, or a path on localhost"`
	ContentType string `json:"contentType"`
	SHA256      string `json:"sha256" jsonschema:"of the content, lower-case hex"`
	Size        int64  `json:"size" jsonschema:"in bytes"`
}
