// Package esign holds the meaning of e-signature events, independent of the vendor: the normalised [Event], the
// [Agreement] that events are folded into, and the fold itself. It imports only the standard library and does no I/O.
package esign

import (
	"cmp"
	"strings"
	"time"
)

// Type is what happened, in one vocabulary for all providers.
type Type string

// The types of an agreement's events. An event without a more specific type is [AgreementUpdated].
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
	// AgreementUndeliverable means that a message did not reach a participant, or that a participant could not be
	// identified. See [Event.Cause]. It changes no status: the vendor's next attempt may succeed.
	AgreementUndeliverable Type = "agreement.undeliverable"
)

// Cause is why an agreement could not be delivered to a participant.
type Cause string

// The causes.
const (
	CauseBounced        Cause = "bounced"        // the e-mail came back
	CauseAutoReply      Cause = "auto-reply"     // an absence note or a bounce: the vendor does not say which
	CauseSMS            Cause = "sms"            // the text message was not delivered
	CauseOptedOut       Cause = "opted-out"      // the participant wants no text messages
	CauseIdentification Cause = "identification" // the participant could not be identified
	CauseUndelivered    Cause = "undelivered"    // the vendor does not say which message, or why
)

// The types of findings, which we learned by asking the vendor's API.
const (
	// AgreementConfirmed means that the vendor's API confirms the completion of the agreement.
	AgreementConfirmed Type = "agreement.confirmed"
	// AgreementArchived means that the signed documents are stored. See [Event.Documents].
	AgreementArchived Type = "agreement.archived"
)

// The types of all other events.
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

// Role is what a participant does.
type Role string

// The roles.
const (
	RoleSigner     Role = "signer"
	RoleApprover   Role = "approver"
	RoleAcceptor   Role = "acceptor"
	RoleWitness    Role = "witness"
	RoleNotary     Role = "notary"
	RoleSeal       Role = "seal" // a seal that is applied without a person
	RoleFormFiller Role = "form-filler"
	RoleCertified  Role = "certified" // must acknowledge the receipt
	RoleAgent      Role = "agent"     // names the participants after it
	RoleEditor     Role = "editor"    // may change the agreement and the participants after it
	RoleDelegate   Role = "delegate"  // names somebody else to act
	RoleCopy       Role = "copy"      // receives a copy
	RoleOther      Role = "other"
)

// acts reports whether the agreement waits for a participant in this role to sign, or to do as much.
func (r Role) acts() bool {
	switch r {
	case RoleAgent, RoleEditor, RoleCopy, RoleOther:
		return false
	}
	return true
}

// Status is the progress of an agreement, or of one of its participants. The zero Status means unknown.
type Status string

// The statuses in ascending order. The last five are terminal.
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

// Before reports whether s is lower than t.
func (s Status) Before(t Status) bool { return rank[s] < rank[t] }

// Compare compares two statuses in ascending order, like [cmp.Compare].
func (s Status) Compare(t Status) int { return cmp.Compare(rank[s], rank[t]) }

// Terminal reports whether an agreement with this status is finished.
func (s Status) Terminal() bool { return rank[s] >= rank[Failed] }

// Status returns the status that an event of this type gives an agreement, or zero if it gives none.
func (t Type) Status() Status {
	s := Status(strings.TrimPrefix(string(t), "agreement."))
	if rank[s] == 0 || string(s) == string(t) {
		return ""
	}
	return s
}

// Proof is the evidence that an event comes from the vendor. It travels with the event, so that a consumer can decide
// how far to trust it.
type Proof string

// The proofs, strongest first.
const (
	ProofConfirmed     Proof = "confirmed"     // read from the vendor's API with our own credentials
	ProofSigned        Proof = "signed"        // a keyed signature covers everything that the event was read from
	ProofPartlySigned  Proof = "partly-signed" // a keyed signature covers a part of it
	ProofAuthenticated Proof = "authenticated" // nothing is signed; the sender showed the client certificate of the vendor
	ProofURLToken      Proof = "url-token"     // nothing is signed; the sender knew the secret URL
	ProofClientID      Proof = "client-id"     // nothing is signed; the sender knew a public identifier
)

// Event is one event at a vendor. It holds no names, e-mail addresses or document contents, since it is stored and
// shown.
type Event struct {
	// ID is lower-case hex SHA-256.
	ID         string `json:"id" jsonschema:"equal if and only if it is the same event, however often and through however many subscriptions it is delivered"`
	Provider   string `json:"provider"`
	Type       Type   `json:"type" jsonschema:"more types may be added"`
	VendorType string `json:"vendorType" jsonschema:"the vendor's own name for the event"`

	// Subject is also the partition key and the message group.
	Subject     string `json:"subject" jsonschema:"what the event is about"`
	AgreementID string `json:"agreementId,omitempty" jsonschema:"the vendor's ID; absent if the event is not about an agreement"`
	AccountID   string `json:"accountId,omitempty" jsonschema:"the vendor's account that the event was reported for"`

	OccurredAt  time.Time `json:"occurredAt"`
	Approximate bool      `json:"occurredAtApproximate,omitempty" jsonschema:"true if the vendor did not state the time; occurredAt is then when the message was created or received"`
	ReceivedAt  time.Time `json:"receivedAt"`
	Proof       Proof     `json:"proof"`

	Cause Cause `json:"cause,omitempty" jsonschema:"why it was not delivered; only with agreement.undeliverable; more causes may be added"`

	Reason string `json:"reason,omitempty" jsonschema:"why it was declined or cancelled, or failed, in the words of the person or of the vendor; only if the operator wants it"`

	References        map[string]string `json:"references,omitempty" jsonschema:"the sender's own keys for the agreement, as stated by the event, by the vendor's name for them"`
	ReferencesCut     []string          `json:"referencesCut,omitempty" jsonschema:"the references whose value is cut, or that were dropped because the event was too large"`
	ReferencesLeftOut int               `json:"referencesLeftOut,omitempty" jsonschema:"the number of references that the operator's list does not name"`
	SharedReference   string            `json:"sharedReference,omitempty" jsonschema:"the name of the reference that the agreement has while all its signers share one value"`
	// SharedReferenceDiffers covers signers who have no progress yet, and so are not in Participants.
	SharedReferenceDiffers bool `json:"sharedReferenceDiffers,omitempty" jsonschema:"true if the event names signers with different values of sharedReference who are not all in participants"`

	Payload *Payload `json:"payload,omitempty" jsonschema:"what the vendor sent; absent if the event is a finding"`

	Documents []Document `json:"documents,omitempty" jsonschema:"where the documents are stored; only with agreement.archived"`

	Participant  string        `json:"participant,omitempty" jsonschema:"the participant whom the event is about: the vendor's ID, or a hash"`
	Participants []Participant `json:"participants,omitempty" jsonschema:"the progress of participants, as stated by the event"`
	// Present holds all keys of all people: IDs and aliases.
	Present    []string          `json:"present,omitempty" jsonschema:"the IDs of everybody whom the agreement concerns at that time; only if the event states them all"`
	Attributes map[string]string `json:"attributes,omitempty" jsonschema:"further facts from the vendor; nothing personal"`
}

// Participant is what one event states about one participant.
type Participant struct {
	// ID is the vendor's most stable ID of the person in this agreement.
	ID      string    `json:"id"`
	Aliases []string  `json:"aliases,omitempty" jsonschema:"other IDs of the same person in this agreement"`
	Status  Status    `json:"status"`
	At      time.Time `json:"at,omitzero" jsonschema:"if absent, the time of the event"`
	// Approximate is about At.
	Approximate bool   `json:"atApproximate,omitempty" jsonschema:"true if the vendor has not stated at exactly, such as without a zone"`
	Replaced    bool   `json:"replaced,omitempty" jsonschema:"true if another person has taken over"`
	ReplacedBy  string `json:"replacedBy,omitempty" jsonschema:"who has taken over, if the vendor says so"`

	Role      Role   `json:"role,omitempty"`
	Order     int    `json:"order,omitempty" jsonschema:"whose turn it is, from 1; equal numbers act at the same time"`
	Reference string `json:"reference,omitempty" jsonschema:"the sender's own ID of this participant"`
	Waiting   *bool  `json:"waiting,omitempty" jsonschema:"whether it is this participant's turn; absent if the event does not say"`
	Problem   Cause  `json:"problem,omitempty" jsonschema:"why a message did not reach this participant; more causes may be added"`
}

// Payload is what the vendor sent. One payload may hold several events.
type Payload struct {
	SHA256   string `json:"sha256" jsonschema:"SHA-256 of the payload, in lower-case hex"`
	Location string `json:"location,omitempty" jsonschema:"where it is kept: s3://bucket/key, or a path on localhost; absent if the operator does not keep payloads"`
}

// DocumentKind is what a stored document is.
type DocumentKind string

// The kinds of documents.
const (
	KindDocument   DocumentKind = "document"
	KindAuditTrail DocumentKind = "audit-trail"
	KindFormData   DocumentKind = "form-data" // what the participants have filled in
)

// Document is a stored document of an agreement.
type Document struct {
	// Kind is absent if an earlier release has stored the document.
	Kind        DocumentKind `json:"kind,omitempty" jsonschema:"what it is: document, audit-trail or form-data; more kinds may be added; absent if an earlier release has stored it"`
	Name        string       `json:"name" jsonschema:"the file name, chosen by esignhooks"`
	Location    string       `json:"location" jsonschema:"s3://bucket/key, or a path on localhost"`
	ContentType string       `json:"contentType"`
	SHA256      string       `json:"sha256" jsonschema:"SHA-256 of the content, in lower-case hex"`
	Size        int64        `json:"size" jsonschema:"in bytes"`
}
